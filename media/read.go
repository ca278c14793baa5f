package media

import "time"

// Tracks returns the tracks, read only. Owner only.
func (s *Stream) Tracks() []Track { return s.form.tracks }

// Carriage returns how elementary streams lie in the packets. Owner only.
func (s *Stream) Carriage() Carriage { return s.form.carriage }

// TrackVersion returns a number that grows with each change of the tracks or
// their parameters. Owner only.
func (s *Stream) TrackVersion() uint32 { return s.form.version }

// Unit returns unit n, or the zero Unit if it is no longer remembered. Owner only.
func (s *Stream) Unit(n uint64) Unit {
	if u := s.units.at(n); u != nil {
		return *u
	}
	return Unit{}
}

// Units returns the number of the oldest unit held and of the next one to come.
// Units in between need not all be held: see [Stream.Held]. Owner only.
func (s *Stream) Units() (oldest, next uint64) {
	l := &s.units
	if l.next-l.oldest > uint64(len(l.entries)) {
		l.oldest = l.next - uint64(len(l.entries))
	}
	for l.oldest < l.next && !s.Held(*l.at(l.oldest)) {
		l.oldest++
	}
	return l.oldest, l.next
}

// Packet returns packet n of a flow, which a unit that is held names. Owner only.
func (s *Stream) Packet(flow uint8, n uint64) Packet { return *s.flows[flow].packets.at(n) }

// Held reports whether u's packets are intact: their bytes in the ring, and what
// is known of them. The answer is stable until the next Receive. Owner only.
func (s *Stream) Held(u Unit) bool {
	return u.First < u.End && u.low >= s.form.floor && s.ring.holdsFrom(u.low) &&
		int(u.Flow) < len(s.flows) && s.flows[u.Flow].packets.holds(u.First)
}

// LastKey returns the newest key unit held; one that is damaged only if no other
// is held. Owner only.
func (s *Stream) LastKey() (n uint64, ok bool) {
	for _, after := range [...]uint64{s.units.clean, s.units.key} {
		if after == 0 {
			continue
		}
		if u := s.units.at(after - 1); u != nil && s.Held(*u) {
			return after - 1, true
		}
	}
	return 0, false
}

// Pictures reports whether the stream has video, as far as is known: one whose
// tracks are not known may. Owner only.
func (s *Stream) Pictures() bool { return len(s.form.tracks) == 0 || s.form.pictures != CodecUnknown }

// Time returns the stream time of something that arrives at now: what SetClock
// relates to. Owner only.
func (s *Stream) Time(now time.Time) Ticks { return s.clock.at(s.clock.arrived(now)) }

// SetClock tells that RTP timestamp rtp of a flow is the instant at of stream
// time, as the source learnt it from RTP-Info or an RTCP sender report, so that
// flows agree. Without it a flow is aligned by the arrival of its first packet.
// Owner only.
func (s *Stream) SetClock(flow int, rtp uint32, at Ticks) {
	if flow >= 0 && flow < len(s.flows) {
		s.flows[flow].clock.align(rtp, at)
	}
}

// study unpacks unit n, just completed, of a program stream, where that is the
// way to know the tracks and their parameter sets: at key units, and while no
// track is known. Consumers find it unpacked.
func (s *Stream) study(n uint64) {
	u := s.units.at(n)
	known := len(s.form.tracks) > 0
	if s.form.unpacker == nil || known && (!u.Key() || u.Flags&UnitDamaged != 0) {
		return // what is damaged teaches nothing that was not known better
	}
	units, err := s.Unpack(n)
	if err != nil {
		return // damaged, or nothing known yet: consumers see the same
	}
	for i := range units {
		for j := range units[i].NALs {
			nal := &units[i].NALs[j]
			if !ParameterNAL(units[i].Codec, nal.Type) || nal.Size > maxParameterSize {
				continue
			}
			if s.updateParameter(int(units[i].Track), s.joined(nal)) {
				u.Flags |= UnitDiscontinuity
				units[i].Flags |= UnitDiscontinuity
			}
		}
	}
}

// joined returns the bytes of nal in one piece, valid until the next call.
func (s *Stream) joined(nal *NAL) []byte {
	s.scratch = append(s.scratch[:0], nal.Head[:nal.HeadLen]...)
	for _, g := range nal.Body {
		s.scratch = append(s.scratch, s.ring.Bytes(g)...)
	}
	return s.scratch
}

// checkReady finds out whether unit n makes the stream ready.
func (s *Stream) checkReady(n uint64) {
	if s.pace.ready {
		return
	}
	if known := len(s.form.tracks) > 0 || s.form.unpacker == nil; !known {
		return
	}
	if s.units.at(n).Key() || !s.Pictures() {
		s.setReady(true)
	}
}

// setReady notes and publishes whether consumers find something to start with.
func (s *Stream) setReady(ready bool) {
	s.pace.ready = ready
	s.shared.setReady(ready)
}
