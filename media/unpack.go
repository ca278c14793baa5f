package media

import (
	"encoding/binary"
	"slices"
)

// A memo remembers what a unit was unpacked to, so that consumers that go side by
// side unpack it once.
type memo struct {
	unit  uint64 // number of the unit, plus one; 0: none
	batch Batch
	err   error
}

// memoCount is how many units are remembered unpacked.
const memoCount = 4

// Unpack returns the access units of unit n: usually one; none if it holds
// nothing of use; none of them is empty. The result is valid until the next Unpack of another unit or
// the next Receive. [ErrNotHeld] says that the unit was overwritten; any other
// error, that nothing in it could be used. Owner only.
func (s *Stream) Unpack(n uint64) ([]AccessUnit, error) {
	u := s.units.at(n)
	if u == nil || !s.Held(*u) {
		return nil, ErrNotHeld
	}
	m := &s.memos[n%memoCount]
	if m.unit == n+1 {
		return m.batch.Units, m.err
	}
	m.unit = n + 1
	m.batch.Reset()
	m.err = s.unpack(u, &m.batch)
	m.batch.settle()
	m.batch.Units = slices.DeleteFunc(m.batch.Units, func(a AccessUnit) bool {
		return len(a.NALs) == 0 && len(a.Payload) == 0
	})
	spread(u.Flags, m.batch.Units)
	return m.batch.Units, m.err
}

// spread gives a unit's flags to what it was unpacked to: damage to all of it, a
// discontinuity to the first access unit of each track.
func spread(f UnitFlags, units []AccessUnit) {
	var begun [maxTracks]bool
	for i := range units {
		a := &units[i]
		a.Flags |= f & UnitDamaged
		if track := int(a.Track); track < maxTracks && !begun[track] {
			begun[track] = true
			a.Flags |= f & UnitDiscontinuity
		}
	}
}

// unpack appends the access units of u to b.
func (s *Stream) unpack(u *Unit, b *Batch) error {
	switch {
	case s.form.unpacker != nil:
		return s.unpackBy(s.form.unpacker, u, b)
	case s.form.carriage == CarriagePS || int(u.Flow) >= len(s.form.tracks):
		return ErrNoCarrier
	}
	b.Begin(AccessUnit{Track: u.Flow, Codec: s.form.tracks[u.Flow].Codec, Flags: u.Flags, PTS: u.PTS, DTS: u.DTS})
	switch codec := s.form.tracks[u.Flow].Codec; {
	case s.form.carriage == CarriageFrames && codec.Video():
		s.unpackLengths(u, b, codec)
	case codec.Video():
		s.unpackVideo(u, b, codec)
	case codec == AAC && s.form.carriage == CarriageRTP:
		s.unpackAAC(u, b)
	default:
		for n := u.First; n < u.End; n++ {
			b.Append(s.Packet(u.Flow, n).Body())
		}
	}
	return nil
}

// unpackBy calls an unpacker, of which a panic costs no more than the unit.
func (s *Stream) unpackBy(p Unpacker, u *Unit, b *Batch) (err error) {
	outer := s.form.study
	s.form.study = u
	defer func() {
		s.form.study = outer
		if r := recover(); r != nil {
			s.count.Panics++
			b.Reset()
			err = panicked("unpack", r)
		}
	}()
	return p.Unpack(s, *u, b)
}

// unpackLengths splits one sample of NAL units, each after its length in 4 bytes
// (ISO/IEC 14496-15 §5.3.4.2).
func (s *Stream) unpackLengths(u *Unit, b *Batch, codec Codec) {
	g := s.Packet(u.Flow, u.First).Body()
	for g.Len > 4 {
		head := s.ring.Bytes(Range{g.Off, 5})
		n := binary.BigEndian.Uint32(head)
		if n == 0 || n > g.Len-4 {
			b.Flag(UnitDamaged)
			return
		}
		b.BeginNAL(NALType(codec, head[4]))
		b.Append(Range{g.Off + 4, n})
		g = Range{g.Off + 4 + uint64(n), g.Len - 4 - n}
	}
	if g.Len > 0 {
		b.Flag(UnitDamaged)
	}
}

// unpackVideo takes the NAL units out of RTP packets (RFC 6184, RFC 7798). A NAL
// unit of which a fragment is missing is left out.
func (s *Stream) unpackVideo(u *Unit, b *Batch, codec Codec) {
	d := depacketizer{b: b, codec: codec}
	for n := u.First; n < u.End; n++ {
		p := s.Packet(u.Flow, n)
		if n > u.First && p.Seq != d.next {
			d.lost()
		}
		d.next = p.Seq + 1
		if p.Payload > 0 {
			d.packet(s.ring.Bytes(p.Body()), p.Body())
		}
	}
	d.lost()
}

// unpackAAC takes the frames out of RTP packets (RFC 3640, AAC-hbr).
func (s *Stream) unpackAAC(u *Unit, b *Batch) {
	d := aacDepacketizer{b: b, first: *b.current(), rate: s.form.tracks[u.Flow].ClockRate}
	for n := u.First; n < u.End; n++ {
		g := s.Packet(u.Flow, n).Body()
		d.packet(s.ring.Bytes(g), g)
	}
	if d.left > 0 {
		b.Flag(UnitDamaged)
	}
}
