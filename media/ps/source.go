package ps

import "districtgateway/media"

// A memory is where ranges lie: a ring, or the flat memory of [Read].
type memory interface {
	Bytes(media.Range) []byte
}

// A source is a run of bytes in several ranges, none missing in between, read
// from front to back.
type source struct {
	mem  memory
	in   []media.Range // what comes after cur
	cur  media.Range   // the unread part of the current range
	b    []byte        // its bytes
	pos  int           // bytes read
	copy [6 + maxMap]byte
}

// start makes in the bytes to read.
func (s *source) start(mem memory, in []media.Range) {
	s.mem, s.in, s.cur, s.b = mem, in, media.Range{}, nil
	s.more()
}

// more moves to the next range with bytes in it if the current one is used up,
// and reports whether there are bytes to read.
func (s *source) more() bool {
	for len(s.b) == 0 && len(s.in) > 0 {
		s.cur, s.in = s.in[0], s.in[1:]
		s.b = s.mem.Bytes(s.cur)
	}
	return len(s.b) > 0
}

// advance moves n bytes on within the current range.
func (s *source) advance(n int) {
	s.b = s.b[n:]
	s.cur.Off += uint64(n)
	s.cur.Len -= uint32(n)
	s.pos += n
	s.more()
}

// skip moves n bytes on and reports whether there were so many.
func (s *source) skip(n int) bool {
	for n > 0 && len(s.b) > 0 {
		step := min(n, len(s.b))
		s.advance(step)
		n -= step
	}
	return n == 0
}

// peek returns the next n bytes, at most len(s.copy), or as many as there are,
// without moving. Only bytes that lie in more than one range are copied.
func (s *source) peek(n int) []byte {
	if n <= len(s.b) {
		return s.b[:n]
	}
	got := s.copy[:copy(s.copy[:n], s.b)]
	for _, g := range s.in {
		if len(got) == n {
			break
		}
		g.Len = min(g.Len, uint32(n-len(got)))
		got = append(got, s.mem.Bytes(g)...)
	}
	return got
}

// take moves n bytes on and appends their ranges to b's current access unit.
func (s *source) take(n int, b *media.Batch) {
	for n > 0 && len(s.b) > 0 {
		step := min(n, len(s.b))
		b.Append(media.Range{Off: s.cur.Off, Len: uint32(step)})
		s.advance(step)
		n -= step
	}
}
