package ps

import "districtgateway/media"

// An Unpacker is the [media.Unpacker] of [media.CarriagePS]. It finds the access
// units of audio and video in the packets of a unit and tells the stream its
// tracks: the codings by the program stream map or, where that is missing or
// broken, by the first bytes of parameter sets (never of slices); the parameter
// sets as they come in the video, the audio configuration from ADTS. Tracks are
// told first when all of the video's parameter sets are known, so that no
// consumer begins without them; access units of a stream that is not a track yet
// are left out.
//
// The first picture of a unit is due at the unit's PTS, everything else as much
// later or earlier as its PES time stamp says.
type Unpacker struct {
	demuxer demuxer
	in      []piece
}

// NewUnpacker returns an unpacker that knows nothing of its stream.
func NewUnpacker() *Unpacker { return new(Unpacker) }

// Unpack implements [media.Unpacker]. A video access unit has
// [media.UnitDamaged] if anything at all is missing in the unit or was not
// understood, an audio access unit only if that is in or beside it. NAL units and
// AAC frames of which a part is known to be missing are left out. The error is a [*media.SyntaxError],
// whose offset counts the payload bytes of the unit.
func (x *Unpacker) Unpack(s *media.Stream, u media.Unit, b *media.Batch) error {
	x.in = x.in[:0]
	var seq uint16
	for n := u.First; n < u.End; n++ {
		p := s.Packet(u.Flow, n)
		x.in = append(x.in, piece{p.Body(), n > u.First && p.Seq != seq+1})
		seq = p.Seq
	}
	err := x.unpack(s.Ring(), u, b)
	if x.demuxer.program.changed {
		x.demuxer.program.changed = false
		s.SetTracks(x.demuxer.program.tracks)
	}
	return err
}

// unpack appends the access units of u, whose packets are x.in, to b.
func (x *Unpacker) unpack(mem memory, u media.Unit, b *media.Batch) error {
	d := &x.demuxer
	had := len(b.Units)
	d.pass(mem, x.in, b)
	units := b.Units[had:]
	if len(units) == 0 && d.damaged {
		err := d.fault
		return &err
	}
	damaged := d.damaged || u.Flags&media.UnitDamaged != 0
	var seen [maxStreams]bool
	for i := range units {
		a := &units[i]
		if damaged && a.Codec.Video() {
			a.Flags |= media.UnitDamaged
		}
		if !seen[a.Track] {
			seen[a.Track] = true
			a.Flags |= u.Flags & media.UnitDiscontinuity
		}
	}
	d.date(units, u)
	return nil
}

// strayTicks is how far from its unit an access unit can be by its stamp before
// we rather believe that its stream has a clock of its own: 10 s.
const strayTicks = 10 * media.TicksPerSecond

// date gives units, of unit u, their times. Where the stream never states
// decoding times, the first picture's is the unit's, which was derived from the
// order of the pictures.
func (d *demuxer) date(units []media.AccessUnit, u media.Unit) {
	base := baseOf(units, d.timing)
	for i := range units {
		a, t := &units[i], d.timing[i]
		a.PTS, a.DTS = u.PTS+t.later, u.PTS+t.later
		if off := stampDiff(t.at.pts, base.pts); t.at.serial != 0 && max(off, -off) <= strayTicks {
			a.PTS, a.DTS = a.PTS+off, a.DTS+off
		}
		if !a.Codec.Video() {
			continue
		}
		ahead := stampDiff(t.at.pts, t.at.dts)
		switch {
		case ahead > 0 && ahead <= strayTicks:
			a.DTS -= ahead
		case t.at.serial == base.serial && !d.program.decodes:
			a.DTS = min(a.PTS, u.DTS)
		}
	}
}

// baseOf returns the stamp that is due at the unit's PTS: of the first picture
// or, without one, the first there is.
func baseOf(units []media.AccessUnit, timing []timing) stamp {
	var base stamp
	for i := range units {
		if timing[i].at.serial == 0 {
			continue
		}
		if units[i].Codec.Video() {
			return timing[i].at
		}
		if base.serial == 0 {
			base = timing[i].at
		}
	}
	return base
}
