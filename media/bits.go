package media

// A bitReader reads the bits of a NAL unit's payload, leaving out the emulation
// prevention bytes (ITU-T H.264 §7.3.1, H.265 §7.3.1.1). Reading past the end
// yields zeros and is remembered, so that a caller checks once.
type bitReader struct {
	b     []byte
	at    int   // next byte of b
	zeros int   // zero bytes just before at
	cur   byte  // byte being read
	left  uint8 // bits of cur not yet read
	over  bool  // the end was passed
}

// refill takes the next byte that is not an emulation prevention byte.
func (r *bitReader) refill() {
	if r.at < len(r.b) && r.zeros >= 2 && r.b[r.at] == 3 {
		r.at, r.zeros = r.at+1, 0
	}
	r.left = 8
	if r.at >= len(r.b) {
		r.cur, r.over = 0, true
		return
	}
	r.cur = r.b[r.at]
	r.at++
	if r.cur == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
}

// u reads n bits, n ≤ 32, most significant first.
func (r *bitReader) u(n int) uint32 {
	var v uint32
	for n > 0 {
		if r.left == 0 {
			r.refill()
		}
		take := min(n, int(r.left))
		v = v<<take | uint32(r.cur>>(int(r.left)-take))&(1<<take-1)
		r.left -= uint8(take)
		n -= take
	}
	return v
}

// flag reads one bit.
func (r *bitReader) flag() bool { return r.u(1) == 1 }

// skip passes over n bits.
func (r *bitReader) skip(n int) {
	for ; n > 32; n -= 32 {
		r.u(32)
	}
	r.u(n)
}

// ue reads an unsigned Exp-Golomb number (H.264 §9.1). One that does not fit 32
// bits counts as passing the end.
func (r *bitReader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; zeros > 31 || r.over {
			r.over = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// se reads a signed Exp-Golomb number (H.264 §9.1.1).
func (r *bitReader) se() int32 {
	v := r.ue()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}
