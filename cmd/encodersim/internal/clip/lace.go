package clip

// Kinds of lacing: several frames in one block (RFC 9559 section 10.3).
const (
	laceNone = iota
	laceXiph
	laceFixed
	laceEBML
)

// laces returns the frames of a block's body, sharing the file.
func (m *matroska) laces(e element, lacing byte) ([][]byte, error) {
	if lacing == laceNone {
		return [][]byte{m.file[e.from:e.to:e.to]}, nil
	}
	if e.from >= e.to {
		return nil, &SyntaxError{e.from, "a lace count"}
	}
	count := int(m.file[e.from]) + 1
	e.from++
	sizes, ok := make([]int, 0, count), true
	switch lacing {
	case laceXiph:
		sizes, e.from, ok = m.xiphSizes(e, sizes)
	case laceEBML:
		sizes, e.from, ok = m.ebmlSizes(e, sizes)
	case laceFixed:
		for range count - 1 {
			sizes = append(sizes, (e.to-e.from)/count)
		}
	}
	var frames [][]byte
	if !ok {
		return nil, &SyntaxError{e.from, "lace sizes"}
	}
	for _, size := range sizes {
		if size < 0 || size > e.to-e.from {
			return nil, &SyntaxError{e.from, "laces that fit the block"}
		}
		frames = append(frames, m.file[e.from:e.from+size:e.from+size])
		e.from += size
	}
	return append(frames, m.file[e.from:e.to:e.to]), nil // the last has what is left
}

// xiphSizes reads all sizes but the last: bytes of 255 add up, another ends one.
func (m *matroska) xiphSizes(e element, sizes []int) (_ []int, at int, ok bool) {
	at = e.from
	for len(sizes) < cap(sizes)-1 {
		size := 0
		for {
			if at >= e.to {
				return nil, e.to, false
			}
			c := m.file[at]
			at++
			size += int(c)
			if c != 0xff {
				break
			}
		}
		sizes = append(sizes, size)
	}
	return sizes, at, true
}

// ebmlSizes reads all sizes but the last: the first as it is, the others as
// differences biased to be positive.
func (m *matroska) ebmlSizes(e element, sizes []int) (_ []int, at int, ok bool) {
	at = e.from
	for len(sizes) < cap(sizes)-1 {
		v, used := m.vint(at, e.to, 8, true)
		if used == 0 || v > 1<<40 && v != unknownSize {
			return sizes, at, false
		}
		at += used
		size := int(v)
		if n := len(sizes); n > 0 {
			size = sizes[n-1] + int(v) - (1<<(7*used-1) - 1)
		}
		if size < 0 || size > e.to-e.from {
			return append(sizes, -1), at, false
		}
		sizes = append(sizes, size)
	}
	return sizes, at, true
}
