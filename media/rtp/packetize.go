package rtp

import (
	"encoding/binary"

	"districtgateway/media"
)

// Packetize writes an access unit of the flow's track in packets of Limit bytes at
// most. Its payload stays where ring has it.
func (f *Flow) Packetize(ring *media.Ring, a *media.AccessUnit, w Writer) {
	switch {
	case f.Codec.Video():
		for i := range a.NALs {
			f.nal(ring, &a.NALs[i], nalStamp{f.stamp(a.PTS), i == len(a.NALs)-1}, w)
		}
	case f.Codec == media.AAC:
		f.aac(ring, a, w)
	default:
		f.samples(ring, a, w)
	}
}

// limit returns the most bytes of payload in a packet.
func (f *Flow) limit() int {
	if f.Limit > 0 {
		return f.Limit
	}
	return MaxPayload
}

// Parameters writes parameter sets of the flow's track, each in a packet of its own,
// for the picture at the instant at, which comes next. They must stay as they are.
// What does not fit a packet is left out: no encoder makes such.
func (f *Flow) Parameters(sets [][]byte, at media.Ticks, w Writer) {
	for _, set := range sets {
		if len(set) == 0 || len(set) > f.limit() {
			continue
		}
		f.begin(f.stamp(at), 0, w)
		f.add(set, w)
		w.End()
	}
}

// A nalStamp is the stamp of a NAL unit's packets, and whether it ends the picture.
type nalStamp struct {
	Stamp
	last bool
}

// nal writes one NAL unit: in a packet of its own, or in fragments (FU-A of RFC
// 6184 §5.8, FU of RFC 7798 §4.4.3).
func (f *Flow) nal(ring *media.Ring, n *media.NAL, t nalStamp, w Writer) {
	r := reader{ring: ring, in: n.Body}
	if int(n.Size) <= f.limit() {
		t.Marker = t.last
		copy(f.begin(t.Stamp, int(n.HeadLen), w), n.Head[:n.HeadLen])
		f.take(&r, f.limit(), w)
		w.End()
		return
	}
	var head [3]byte
	size := f.fragmentHead(&r, n, head[:])
	fu := &head[size-1]
	*fu |= 1 << 7 // start
	for left := int(n.Size) - (size - 1); left > 0; {
		part := min(left, f.limit()-size)
		if left -= part; left == 0 {
			*fu |= 1 << 6 // end
			t.Marker = t.last
		}
		copy(f.begin(t.Stamp, size, w), head[:size])
		f.take(&r, part, w)
		w.End()
		*fu &^= 1 << 7
	}
}

// fragmentHead writes what begins each fragment of n into head: the payload header
// and the FU header, without its start and end bits. R is moved past the NAL
// unit's own header.
func (f *Flow) fragmentHead(r *reader, n *media.NAL, head []byte) (size int) {
	own := head[:1]
	if f.Codec == media.H265 {
		own = head[:2]
	}
	for i := range own {
		if i < int(n.HeadLen) {
			own[i] = n.Head[i]
		} else {
			own[i] = r.byte()
		}
	}
	if f.Codec == media.H265 {
		head[0], head[2] = head[0]&0x81|49<<1, head[0]>>1&0x3F
		return 3
	}
	head[0], head[1] = head[0]&0xE0|28, head[0]&0x1F
	return 2
}

// aac writes one frame (RFC 3640 §3.3.6, AAC-hbr), in fragments if it is large.
func (f *Flow) aac(ring *media.Ring, a *media.AccessUnit, w Writer) {
	const head = 4 // AU-headers-length and one AU header
	r := reader{ring: ring, in: a.Payload}
	size, t := r.left(), f.stamp(a.PTS)
	if size >= 1<<13 {
		return // the size field has 13 bits: no encoder makes such a frame
	}
	for left := size; left > 0; {
		part := min(left, f.limit()-head)
		left -= part
		t.Marker = left == 0
		h := f.begin(t, head, w)
		binary.BigEndian.PutUint16(h, 16)
		binary.BigEndian.PutUint16(h[2:], uint16(size)<<3)
		f.take(&r, part, w)
		w.End()
	}
}

// samples writes a run of G.711: a byte is a sample (RFC 3551 §4.5.14).
func (f *Flow) samples(ring *media.Ring, a *media.AccessUnit, w Writer) {
	r := reader{ring: ring, in: a.Payload}
	t := f.stamp(a.PTS)
	for left := r.left(); left > 0; {
		part := min(left, f.limit())
		f.begin(t, 0, w)
		f.take(&r, part, w)
		w.End()
		left -= part
		t.Time += uint32(part)
	}
}

// take appends the next n bytes of r, or as many as there are.
func (f *Flow) take(r *reader, n int, w Writer) {
	for n > 0 {
		b := r.next(n)
		if len(b) == 0 {
			return
		}
		f.add(b, w)
		n -= len(b)
	}
}

// A reader reads ranges of a ring from front to back.
type reader struct {
	ring *media.Ring
	in   []media.Range
	at   uint32 // bytes read of the first
}

// left returns how many bytes there are.
func (r *reader) left() int {
	n := -int(r.at)
	for _, g := range r.in {
		n += int(g.Len)
	}
	return n
}

// next returns the next bytes that lie together, n at most; none at the end.
func (r *reader) next(n int) []byte {
	for len(r.in) > 0 {
		g := media.Range{Off: r.in[0].Off + uint64(r.at), Len: r.in[0].Len - r.at}
		if g.Len == 0 {
			r.in, r.at = r.in[1:], 0
			continue
		}
		g.Len = min(g.Len, uint32(n))
		r.at += g.Len
		return r.ring.Bytes(g)
	}
	return nil
}

// byte returns the next byte; 0 at the end.
func (r *reader) byte() byte {
	if b := r.next(1); len(b) > 0 {
		return b[0]
	}
	return 0
}
