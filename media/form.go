package media

import "time"

// Why a unit ended.
type ending uint8

const (
	endedByTime   ending = iota // a packet of another timestamp came
	endedByMarker               // its last packet says so, and is believed
	endedByWait                 // nothing came any more
	endedBySource               // the source or its flow ended
	endedBySize                 // it grew beyond what the ring can hold
)

// accept takes p, the next packet of f, into the unit it belongs to.
func (s *Stream) accept(f *flow, p *Packet, now time.Time) {
	gap := f.seq.takeGap()
	s.count.Lost += uint64(gap)
	body := s.ring.Bytes(p.Body())
	o := &f.open
	if gap > 0 && o.active && (p.Timestamp == o.stamp || !o.marker) {
		o.Flags |= UnitDamaged
	}
	if s.joins(f, p, body) {
		return
	}
	s.endBefore(f, p, body)
	if len(body) == 0 && (!o.active || o.marker) {
		return // padding belongs to no picture
	}
	if !o.active {
		s.beginUnit(f, p, now)
		o.broken = gap > 0
	}
	s.extend(f, p, now)
	s.inspect(f, body)
	s.endAfter(f, p, body)
}

// joins reports whether p, before the first unit of f, is the middle of a picture whose
// beginning went by before the source was there: what is left of it is no picture. The
// next timestamp begins one in any case.
func (s *Stream) joins(f *flow, p *Packet, body []byte) bool {
	o := &f.open
	if o.packets > 0 || len(body) == 0 || s.form.carriage != CarriageRTP || !f.codec.Video() || o.skipped && p.Timestamp != o.stamp {
		return false
	}
	hint := s.look(f, body)
	o.skipped, o.stamp = !hint.begins && (hint.slice || hint.first == 0), p.Timestamp
	return o.skipped
}

// endBefore ends the open unit if p cannot belong to it.
func (s *Stream) endBefore(f *flow, p *Packet, body []byte) {
	o := &f.open
	switch {
	case !o.active:
		again := o.packets > 0 && p.Timestamp == o.stamp && len(body) > 0
		if again && o.why == endedByMarker && !f.audio() && !f.marks.constant {
			f.marks.betrayed() // the marker did not end the unit
			o.why = endedBySource
		}
	case p.Timestamp != o.stamp:
		s.closeUnit(f, endedByTime)
	case f.marks.constant && f.programs && startsPack(body):
		s.closeUnit(f, endedByTime)
	}
}

// beginUnit opens a unit with p, which is not in it yet.
func (s *Stream) beginUnit(f *flow, p *Packet, now time.Time) {
	arrived := s.clock.arrived(now)
	rest := f.open.packets > 0 && f.open.stamp == p.Timestamp && !f.marks.constant
	f.clock.slow, f.clock.live = s.cfg.Patient, s.cfg.Live
	pts, jumped := f.clock.at(p.Timestamp, arrived, max(s.clock.at(arrived), f.after))
	f.open = openUnit{
		Unit:   Unit{Flow: f.index, First: f.packets.next, PTS: pts, Wall: now.UnixNano(), low: p.Off - uint64(p.Front)},
		active: true, timed: arrived, stamp: p.Timestamp, rest: rest,
	}
	if jumped || f.jump {
		f.open.Flags |= UnitDiscontinuity
		f.jump = false
	}
	f.sniffer = programSniffer{codec: s.form.pictures}
}

// extend puts p into the open unit.
func (s *Stream) extend(f *flow, p *Packet, now time.Time) {
	o := &f.open
	f.packets.add(p)
	o.low = min(o.low, p.Off-uint64(p.Front))
	o.last = s.clock.arrived(now)
	o.early = o.early || o.marker
	o.marker = p.Marker
	o.packets++
	o.bytes += uint64(p.Len)
}

// endAfter ends the open unit if p is its last packet for all that can be known.
func (s *Stream) endAfter(f *flow, p *Packet, body []byte) {
	o := &f.open
	switch {
	case f.codec == AAC:
		if o.aac.complete(body) || p.Marker {
			s.closeUnit(f, endedByMarker)
		}
	case f.audio():
		s.closeUnit(f, endedByMarker)
	case p.Marker && (f.marks.trusted || f.marks.constant):
		s.closeUnit(f, endedByMarker)
	case o.bytes > s.ring.size/2 || uint64(o.packets) > uint64(len(f.packets.entries)/2):
		o.Flags |= UnitDamaged
		s.closeUnit(f, endedBySize)
	case o.packets > 1 && o.last-o.timed > TicksPerSecond && !f.marks.constant && !s.cfg.Patient:
		f.marks.constant, f.clock.broken = true, true
	}
}

// closeUnit ends the open unit of f, if there is one, and publishes it.
func (s *Stream) closeUnit(f *flow, why ending) {
	o := &f.open
	if !o.active {
		return
	}
	o.active, o.why = false, why
	if why == endedByTime && !f.audio() && o.Flags&UnitDamaged == 0 {
		f.marks.ended(o.marker, o.early)
	}
	u := o.Unit
	u.End = f.packets.next
	s.judge(f, &u)
	if u.Flags&UnitDiscontinuity != 0 {
		f.decode.restart()
	}
	switch {
	case f.audio():
		u.PTS = f.decode.plain(u.PTS) // nothing is reordered: time only goes on
		u.DTS = u.PTS
	case o.rest:
		u.DTS = f.decode.more()
		u.PTS = max(u.PTS, u.DTS)
	default:
		u.DTS = f.decode.next(u.PTS)
	}
	s.publishUnit(f, u, o.timed)
}

// judge finds out whether u is a key unit and whether it is whole.
func (s *Stream) judge(f *flow, u *Unit) {
	o := &f.open
	if f.programs && f.sniffer.key() || o.hint.starts() {
		u.Flags |= UnitKey
	}
	// What is missing before a unit is of no concern to a sound, nor to a key
	// picture of which the beginning is there: it begins as those before it.
	alike := o.hint.first == f.marks.keys || f.marks.keys == 0
	switch {
	case o.broken && !f.audio() && !(u.Key() && o.hint.begins && alike):
		u.Flags |= UnitDamaged
	case o.rest && !f.audio() && !o.hint.begins:
		u.Flags |= UnitDamaged // the picture was cut: its beginning is in the unit before
	case !o.broken && u.Key():
		f.marks.keys = o.hint.first
	}
}

// publishUnit appends u, which arrived at arrived, to the stream.
func (s *Stream) publishUnit(f *flow, u Unit, arrived Ticks) {
	n := s.units.add(u)
	s.clock.unit(u.PTS, arrived)
	if s.cfg.RingMax > 0 && (!f.audio() || !s.Pictures()) {
		s.fit.gauge.take(u, s.ring.head)
	}
	if f.programs {
		s.study(n)
	}
	s.countUnit(*s.units.at(n))
	if !f.audio() {
		s.pace.picture = true
	}
	s.pace.fresh = true
	s.checkReady(n)
}

// countUnit counts u.
func (s *Stream) countUnit(u Unit) {
	s.count.Units++
	if u.Key() {
		s.count.KeyUnits++
		s.shared.key.Store(false) // a wish that the owner has not seen is granted
	}
	if u.Flags&UnitDamaged != 0 {
		s.count.Damaged++
	}
	if u.Flags&UnitDiscontinuity != 0 {
		s.count.Discontinuities++
	}
}

// CloseUnits ends every open unit: the source knows that nothing more belongs to
// them, or that nothing comes for a while. Owner only.
func (s *Stream) CloseUnits() {
	for i := range s.flows {
		s.drain(&s.flows[i], true, s.moment())
		s.closeUnit(&s.flows[i], endedBySource)
	}
}

// expire ends what has been waited for long enough, and returns when there will
// be something to expire next, or the zero time. A patient stream waits for what
// comes slowly, since all of it comes.
func (s *Stream) expire(now time.Time) (next time.Time) {
	if s.cfg.Patient {
		return time.Time{}
	}
	for i := range s.flows {
		f := &s.flows[i]
		if f.seq.count > 0 {
			due := s.clock.epoch.Add(f.seq.waiting + unitWait)
			if !due.After(now) {
				s.drain(f, true, now)
			} else {
				next = earlier(next, due)
			}
		}
		if f.open.active && !s.awaitsPicture(f) {
			due := s.clock.epoch.Add(f.open.last.Duration() + f.patience())
			if !due.After(now) {
				s.closeUnit(f, endedByWait)
			} else {
				next = earlier(next, due)
			}
		}
	}
	return next
}

// awaitsPicture reports whether the open unit of f holds only what comes before a
// picture (a delimiter, parameter sets): some encoders send the picture itself
// later, with the same timestamp.
func (s *Stream) awaitsPicture(f *flow) bool {
	return s.form.carriage == CarriageRTP && f.codec.Video() && f.open.hint.begins && !f.open.hint.slice
}

// earlier returns the earlier of two instants, of which the zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
