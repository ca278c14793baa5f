package media

// A Batch holds the result of an Unpack. Its arrays are reused: a batch that has
// grown to the size of the largest picture allocates no more.
//
// An [Unpacker] fills it from front to back: Begin an access unit, BeginNAL each
// of its NAL units, Append the bytes. NAL units and access units into which
// nothing was put are left out.
type Batch struct {
	Units  []AccessUnit
	nals   []NAL
	ranges []Range
	nal0   int // where the current access unit's NAL units begin in nals
	range0 int // where the current NAL unit's, or frame's, ranges begin in ranges
}

// Reset empties b and keeps its arrays.
func (b *Batch) Reset() {
	b.Units, b.nals, b.ranges = b.Units[:0], b.nals[:0], b.ranges[:0]
	b.nal0, b.range0 = 0, 0
}

// Begin starts the next access unit. NALs and Payload of a are ignored; what
// follows fills them.
func (b *Batch) Begin(a AccessUnit) {
	b.settle()
	a.NALs, a.Payload = nil, nil
	b.Units = append(b.Units, a)
	b.nal0, b.range0 = len(b.nals), len(b.ranges)
}

// BeginNAL starts the next NAL unit of the current access unit. Typ is its
// nal_unit_type; head, at most 2 bytes, goes before what Append adds and is for
// headers that are not in the ring as such.
func (b *Batch) BeginNAL(typ uint8, head ...byte) {
	b.settle()
	n := NAL{Type: typ}
	n.HeadLen = uint8(copy(n.Head[:], head))
	n.Size = uint32(n.HeadLen)
	b.nals = append(b.nals, n)
	b.range0 = len(b.ranges)
	b.current().NALs = b.nals[b.nal0:len(b.nals):len(b.nals)]
}

// Append adds bytes to the current NAL unit or, in an access unit that has none,
// to its payload.
func (b *Batch) Append(g Range) {
	if g.Len == 0 {
		return
	}
	if last := len(b.ranges) - 1; last >= b.range0 && b.ranges[last].End() == g.Off {
		b.ranges[last].Len += g.Len
	} else {
		b.ranges = append(b.ranges, g)
	}
	b.publish(int64(g.Len))
}

// Trim cuts the last n bytes off the current NAL unit or payload: zeros that
// turned out to belong to the next start code. It cuts no more than there is.
func (b *Batch) Trim(n uint32) {
	for n > 0 && len(b.ranges) > b.range0 {
		last := &b.ranges[len(b.ranges)-1]
		cut := min(n, last.Len)
		last.Len -= cut
		n -= cut
		if last.Len == 0 {
			b.ranges = b.ranges[:len(b.ranges)-1]
		}
		b.publish(-int64(cut))
	}
}

// DropNAL removes the current NAL unit, of which a part is missing.
func (b *Batch) DropNAL() {
	if len(b.nals) == b.nal0 {
		return
	}
	b.nals, b.ranges = b.nals[:len(b.nals)-1], b.ranges[:b.range0]
	b.current().NALs = b.nals[b.nal0:len(b.nals):len(b.nals)]
}

// settle removes the current NAL unit if nothing was put into it.
func (b *Batch) settle() {
	if last := len(b.nals) - 1; last >= b.nal0 && b.nals[last].Size == 0 {
		b.DropNAL()
	}
}

// DropUnit removes the current access unit, which turned out to hold nothing.
func (b *Batch) DropUnit() {
	if len(b.Units) == 0 {
		return
	}
	a := b.current()
	b.nals = b.nals[:len(b.nals)-len(a.NALs)]
	b.Units = b.Units[:len(b.Units)-1]
	b.nal0, b.range0 = len(b.nals), len(b.ranges)
}

// Flag adds f to the current access unit.
func (b *Batch) Flag(f UnitFlags) {
	if len(b.Units) > 0 {
		b.current().Flags |= f
	}
}

// current returns the access unit being filled.
func (b *Batch) current() *AccessUnit { return &b.Units[len(b.Units)-1] }

// publish makes the current NAL unit or payload see its ranges, which may have
// moved, and its size, which changed by delta.
func (b *Batch) publish(delta int64) {
	part := b.ranges[b.range0:len(b.ranges):len(b.ranges)]
	if len(b.nals) == b.nal0 {
		b.current().Payload = part
		return
	}
	n := &b.nals[len(b.nals)-1]
	n.Body, n.Size = part, uint32(int64(n.Size)+delta)
}
