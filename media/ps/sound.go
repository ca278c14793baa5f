package ps

import "districtgateway/media"

// aacSamples is how many samples of each channel a raw data block codes
// (ISO/IEC 14496-3 §4.5.1.1; the other length, 960, does not occur in ADTS).
const aacSamples = 1024

// recognise finds out what the audio stream e is, and of AAC the configuration.
func (d *demuxer) recognise(e *elementary) {
	if e.sound.size == 0 || e.refused() {
		return
	}
	if !e.declared && e.codec != media.AAC {
		if d.allADTS(e) {
			d.program.set(e, media.AAC)
		} else if e.codec == media.CodecUnknown {
			d.program.set(e, media.G711A)
		}
	}
	if e.codec != media.AAC {
		return
	}
	d.frames.start(d.src.mem, e.sound.ranges)
	if h, ok := parseADTS(d.frames.peek(adtsSize)); ok {
		d.program.configure(e, h.aacConfig)
	}
}

// allADTS reports whether e is ADTS frames and nothing else.
func (d *demuxer) allADTS(e *elementary) bool {
	d.frames.start(d.src.mem, e.sound.ranges)
	for d.frames.more() {
		h, ok := parseADTS(d.frames.peek(adtsSize))
		if !ok || !d.frames.skip(h.size) {
			return false
		}
	}
	return true
}

// configure makes c the configuration of the AAC stream e.
func (m *program) configure(e *elementary, c aacConfig) {
	if e.ready && e.known.aac == c {
		return
	}
	e.known.aac, e.ready, m.stale = c, true, true
	e.known.parameters = [][]byte{c.appendAudioConfig(nil)}
}

// closeSound appends the access units of e to the batch, if it is of a track.
func (d *demuxer) closeSound(e *elementary) {
	s := &e.sound
	d.program.announce()
	if s.size > 0 && e.track >= 0 && e.ready {
		d.frames.start(d.src.mem, s.ranges)
		for i := 0; i < len(s.marks); {
			if e.codec == media.AAC {
				i = d.emitFrames(e, i)
			} else {
				i = d.emitSamples(e, i)
			}
		}
	}
	s.reset()
}

// emitSamples appends one access unit: the samples of packet i and of those
// behind it without a stamp of their own. It returns the packet after them.
func (d *demuxer) emitSamples(e *elementary, i int) (next int) {
	s := &e.sound
	first, flags := s.marks[i], media.UnitFlags(0)
	for next = i; next < len(s.marks); next++ {
		if m := s.marks[next]; m.torn {
			flags = media.UnitDamaged
		} else if next > i && m.stamp.serial != 0 {
			break
		}
	}
	if n := s.end(next) - first.at; n > 0 && d.begin(e, flags, timing{at: first.stamp}) {
		d.frames.take(n, d.out)
	}
	return next
}

// emitFrames appends the AAC frames that lie between packet i and where bytes
// are missing next. It returns the packet behind that place.
func (d *demuxer) emitFrames(e *elementary, i int) (next int) {
	s := &e.sound
	for next = i; next < len(s.marks) && !s.marks[next].torn; {
		next++
	}
	end, flags, had := s.end(next), media.UnitFlags(0), len(d.timing)
	if i > 0 && s.marks[i-1].torn {
		flags = media.UnitDamaged
	}
	var t timing
	for at := s.marks[i].at; at < end; {
		for ; i < next && s.marks[i].at <= at; i++ { // a stamp is for the first frame that begins in its packet
			if s.marks[i].stamp.serial != 0 {
				t = timing{at: s.marks[i].stamp}
			}
		}
		h, ok := parseADTS(d.frames.peek(adtsSize))
		if !ok || at+h.size > end {
			d.blame("aac", "adts frame")
			flags = media.UnitDamaged
			if len(d.timing) > had {
				d.out.Flag(flags)
			}
			resume := s.end(min(i, next)) // the next packet, or where bytes are missing
			d.frames.skip(resume - at)
			at = resume
			continue
		}
		at += h.size
		d.emitFrame(e, h, flags, t)
		t.later += media.Ticks(aacSamples * media.TicksPerSecond / aacRates[h.rate])
		flags = 0
	}
	if next < len(s.marks) {
		next++
	}
	return next
}

// emitFrame appends one AAC frame without its ADTS header.
func (d *demuxer) emitFrame(e *elementary, h adtsHeader, flags media.UnitFlags, t timing) {
	d.program.configure(e, h.aacConfig)
	d.program.announce()
	d.frames.skip(h.header)
	if !d.begin(e, flags, t) {
		d.frames.skip(h.size - h.header)
		return
	}
	d.frames.take(h.size-h.header, d.out)
}

// end returns where mark i is, or where the sound ends.
func (s *sound) end(i int) int {
	if i < len(s.marks) {
		return s.marks[i].at
	}
	return s.size
}
