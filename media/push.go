package media

import "time"

// PushRTP takes the RTP packet that lies at g in the ring, header first, as
// received from flow at now. It puts the flow in order and forms units. A
// packet that is malformed, of a payload type that was not announced or of an
// unknown flow is dropped, counted and told as *[SyntaxError]; the stream goes
// on. Owner only.
func (s *Stream) PushRTP(flow int, g Range, now time.Time) error {
	s.clock.arrived(now)
	f, h, err := s.admit(flow, g)
	if err != nil {
		s.count.Malformed++
		return err
	}
	s.count.Packets++
	s.count.Bytes += uint64(g.Len)
	s.sequence(f, arrival{
		Packet: Packet{
			Range: g, Header: h.Header, Payload: h.Payload,
			Seq: h.Seq, Timestamp: h.Timestamp, Marker: h.Marker, Front: s.form.front,
		},
		ssrc: h.SSRC,
	}, now)
	return nil
}

// CountStray counts a packet that its source did not take for the stream's: of
// another sender or SSRC. Owner only.
func (s *Stream) CountStray() { s.count.Stray++ }

// admit decides whether the packet at g belongs to a flow.
func (s *Stream) admit(flow int, g Range) (*flow, RTP, error) {
	ring := s.Ring()
	if s.form.carriage == CarriageFrames || flow < 0 || flow >= len(s.flows) {
		return nil, RTP{}, &SyntaxError{0, "RTP flow", "one that was announced"}
	}
	if uint64(g.Len) > ring.size || !ring.Holds(g) {
		return nil, RTP{}, &SyntaxError{0, "RTP packet", "one within the ring"}
	}
	f := &s.flows[flow]
	b := ring.Bytes(g)
	h, err := ParseRTP(b)
	if err != nil {
		return nil, RTP{}, err
	}
	if f.programs && startsPack(b[h.Header:]) {
		// Whoever sends packs says what type they are; sound beside them may come on
		// the same port as a type of its own.
		f.payloadType, f.anyType = h.PayloadType, false
	}
	if !f.anyType && h.PayloadType != f.payloadType || !f.programs && f.codec == CodecUnknown {
		return nil, RTP{}, &SyntaxError{1, "RTP payload type", "the announced one"}
	}
	return f, h, nil
}

// sequence hands p, and what it makes available, on in order.
func (s *Stream) sequence(f *flow, p arrival, now time.Time) {
	at := now.Sub(s.clock.epoch)
	switch f.seq.push(p, at) {
	case inOrder:
		if f.seq.count > 0 { // those after it were there first
			s.count.Reordered++
		}
		s.accept(f, &p.Packet, now)
		s.drain(f, false, now)
	case kept:
		s.drain(f, false, now)
	case duplicate:
		s.count.Duplicates++
	case tooLate:
		s.count.Late++
	case stray:
		s.count.Stray++
	case tooFar:
		s.drain(f, true, now)
		f.seq.skipTo(p.Seq)
		s.sequence(f, p, now)
	case restarted:
		s.drain(f, true, now)
		s.restart(f, p, now)
	}
}

// restart begins flow f anew: the sender did.
func (s *Stream) restart(f *flow, p arrival, now time.Time) {
	s.closeUnit(f, endedBySource)
	first, had := f.seq.restart(p)
	sequencer := f.seq
	f.reset(0, int(f.clock.rate))
	f.seq, f.jump = sequencer, true
	if had && s.ring.Holds(first.Range) {
		s.sequence(f, first, now)
	}
	s.sequence(f, p, now)
}

// drain accepts what the sequencer kept, as far as it is in order, or all of it.
func (s *Stream) drain(f *flow, giveUp bool, now time.Time) {
	for f.seq.count > 0 {
		p, ok := f.seq.pop(giveUp, now.Sub(s.clock.epoch))
		if !ok {
			return
		}
		if !s.ring.Holds(p.Range) { // overwritten while it waited
			f.seq.gap++
			continue
		}
		s.accept(f, &p.Packet, now)
	}
}

// A Frame is one sample of a stream whose carriage is [CarriageFrames].
type Frame struct {
	Track         uint8 // index of its track
	Range         Range // its bytes: see CarriageFrames
	PTS, DTS      Ticks // in the source's own time, which the stream shifts when a source follows another
	Wall          int64 // wall clock of its recording, Unix nanoseconds
	Key           bool  // decoding can start here (video)
	Discontinuity bool  // time jumps before it: a hole in the recording, a seek
}

// PushFrame takes one sample as one unit. A sample of an unknown track or beyond
// the ring is dropped, counted and told as *[SyntaxError]. Owner only.
func (s *Stream) PushFrame(fr Frame) error {
	ring := s.Ring()
	switch {
	case s.form.carriage != CarriageFrames || int(fr.Track) >= len(s.flows):
		s.count.Malformed++
		return &SyntaxError{0, "frame track", "one that was announced"}
	case fr.Range.Len == 0 || uint64(fr.Range.Len) > ring.size || !ring.Holds(fr.Range):
		s.count.Malformed++
		return &SyntaxError{0, "frame", "one within the ring"}
	}
	f := &s.flows[fr.Track]
	if !s.form.shifted {
		s.form.shifted = true
		s.form.shift = s.frameShift(fr.DTS)
	}
	s.count.Packets++
	s.count.Bytes += uint64(fr.Range.Len)
	f.packets.add(&Packet{Range: fr.Range, Payload: fr.Range.Len})
	u := Unit{
		Flow: f.index, First: f.packets.next - 1, End: f.packets.next,
		PTS: fr.PTS + s.form.shift, DTS: fr.DTS + s.form.shift, Wall: fr.Wall, low: fr.Range.Off,
	}
	if fr.Key && f.codec.Video() {
		u.Flags |= UnitKey
	}
	if fr.Discontinuity || f.jump {
		u.Flags |= UnitDiscontinuity
		f.jump = false
	}
	s.publishUnit(f, u, s.clock.arrived(s.moment()))
	return nil
}

// frameShift returns what to add to the times of a source whose first frame is
// decoded at dts: nothing for the first source, so that its times are the
// stream's.
func (s *Stream) frameShift(dts Ticks) Ticks {
	if !s.clock.ran {
		return 0
	}
	return s.clock.at(s.clock.arrived(s.moment())) - dts
}

// moment returns the latest moment the owner knows of.
func (s *Stream) moment() time.Time {
	if s.clock.now.IsZero() {
		return time.Now()
	}
	return s.clock.now
}
