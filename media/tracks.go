package media

import (
	"bytes"
	"slices"
)

const (
	maxTracks = 8
	// Bounds of what is kept of a track's parameter sets.
	maxParameters    = 16
	maxParameterSize = 4096
)

// A layout is what a source says of its stream, and what was learnt of it.
type layout struct {
	carriage Carriage
	ordered  bool
	front    uint8 // see [Opened]
	unpacker Unpacker
	tracks   []Track // never written once published
	version  uint32
	pictures Codec  // of the first video track; CodecUnknown if there is none
	floor    uint64 // ring position before which units have another layout
	shifted  bool   // shift is known
	shift    Ticks  // from the source's time to the stream's, in CarriageFrames
	study    *Unit  // unit being unpacked
}

// SetTracks announces the tracks, or that they changed. The slice and what it
// points to belong to the stream from now on. A track without parameters keeps
// those known of the track in its place if the codec is the same. A change of
// codecs, other than by more tracks, is a discontinuity: the next unit is flagged,
// and units before it are no longer held. At most 8 tracks are carried; more are left out. An [Unpacker]
// calls it, from Unpack, when it finds out. Owner only.
func (s *Stream) SetTracks(tracks []Track) {
	next := slices.Clone(tracks[:min(len(tracks), maxTracks)])
	for i := range next {
		next[i].complete()
		if i < len(s.form.tracks) && len(next[i].Parameters) == 0 && s.form.tracks[i].Codec == next[i].Codec {
			next[i].Parameters = s.form.tracks[i].Parameters
		}
	}
	if slices.EqualFunc(next, s.form.tracks, sameTrack) {
		return
	}
	changed := !extends(next, s.form.tracks)
	s.publishTracks(next)
	if changed {
		s.forgetUnits()
	}
	s.setFlows(changed)
}

// complete fills in what a description may leave out, and leaves out parameter
// sets that cannot be read.
func (t *Track) complete() {
	switch {
	case t.ClockRate > 0 && t.ClockRate <= maxClockRate:
	case t.Codec == G711A || t.Codec == G711U:
		t.ClockRate = 8000
	case t.Codec == AAC && len(t.Parameters) > 0:
		info, err := ParseAudioConfig(t.Parameters[0])
		t.ClockRate = info.SampleRate
		if err != nil {
			t.ClockRate = TicksPerSecond
		}
	default:
		t.ClockRate = TicksPerSecond
	}
	if !t.Codec.Video() {
		return
	}
	var sets [][]byte
	for _, p := range t.Parameters {
		if with, _ := withParameter(t.Codec, sets, p); with != nil {
			sets = with
		}
	}
	t.Parameters = sets
}

// sameTrack reports whether a and b are told alike.
func sameTrack(a, b Track) bool {
	return a.Codec == b.Codec && a.ClockRate == b.ClockRate && a.PayloadType == b.PayloadType &&
		a.Channels == b.Channels && slices.EqualFunc(a.Parameters, b.Parameters, bytes.Equal)
}

// sameCoding reports whether what belongs to a can be decoded as b.
func sameCoding(a, b Track) bool { return a.Codec == b.Codec && a.ClockRate == b.ClockRate }

// extends reports whether now is old, perhaps with more tracks after it: sound of
// a program stream shows itself later than its pictures.
func extends(now, old []Track) bool {
	return len(now) >= len(old) && slices.EqualFunc(now[:len(old)], old, sameCoding)
}

// publishTracks makes tracks what everybody sees.
func (s *Stream) publishTracks(tracks []Track) {
	s.form.tracks = tracks
	s.form.version++
	s.form.pictures = CodecUnknown
	for i := range tracks {
		if tracks[i].Codec.Video() {
			s.form.pictures = tracks[i].Codec
			break
		}
	}
	s.shared.setTracks(tracks, &s.form)
}

// forgetUnits makes every unit before now unavailable: it cannot be unpacked any
// more.
func (s *Stream) forgetUnits() {
	s.form.floor = s.Ring().Head()
	if s.form.study != nil {
		s.form.floor = s.form.study.low
	}
	for i := range s.memos {
		s.memos[i].unit = 0
	}
}

// setFlows fits the flows to carriage and tracks.
func (s *Stream) setFlows(changed bool) {
	count := len(s.form.tracks)
	if s.form.carriage == CarriagePS {
		count = 1
	}
	if s.flows == nil {
		s.flows = make([]flow, maxTracks)
	}
	s.flows = s.flows[:count]
	for i := range s.flows {
		s.setFlow(i, changed)
	}
	s.setDecodeClock()
}

// setFlow fits flow i to its track.
func (s *Stream) setFlow(i int, changed bool) {
	f := &s.flows[i]
	f.index, f.jump = uint8(i), f.jump || changed
	track := Track{ClockRate: TicksPerSecond}
	if f.programs = s.form.carriage == CarriagePS; !f.programs {
		f.track = int(f.index)
		track = s.form.tracks[f.track]
		f.payloadType, f.anyType = track.PayloadType, track.PayloadType == 0
	}
	if f.packets.entries == nil {
		f.packets.entries = make([]Packet, s.indexSize(track.Codec))
	}
	if f.codec != track.Codec || f.clock.rate != int64(track.ClockRate) {
		f.codec = track.Codec
		f.reset(s.reorder(), track.ClockRate)
	}
}

// indexSize returns how many packets of a flow are remembered: as many as fit
// the ring if they are of 512 bytes, a quarter of that for sound, which shares the
// ring with pictures. A ring that grows by the bitrate has room for the least that
// a slow stream with sound needs of numbers.
func (s *Stream) indexSize(c Codec) int {
	n, least := s.Ring().Size()/512, 256
	if s.cfg.RingMax > 0 {
		least = leastIndex
	}
	if c != CodecUnknown && !c.Video() {
		n, least = n/4, max(least/2, 256)
	}
	return max(n, least)
}

// reorder returns how many packets a flow may be out of order by.
func (s *Stream) reorder() int {
	if s.form.ordered {
		return 0
	}
	return s.cfg.Reorder
}

// updateParameter takes a parameter set of a track, and reports whether another
// one was known in its place: the coding has really changed.
func (s *Stream) updateParameter(track int, nal []byte) (changed bool) {
	if track >= len(s.form.tracks) || len(nal) > maxParameterSize {
		return false
	}
	t := s.form.tracks[track]
	sets, replaced := withParameter(t.Codec, t.Parameters, nal)
	if sets == nil {
		return false
	}
	tracks := slices.Clone(s.form.tracks)
	tracks[track].Parameters = sets
	s.publishTracks(tracks)
	s.setDecodeClock()
	return replaced
}

// withParameter returns a copy of sets, which are in order, with nal in its
// place, and whether another one was there. It returns nil if nothing would
// change or nal cannot be used.
func withParameter(c Codec, sets [][]byte, nal []byte) (with [][]byte, replaced bool) {
	slot, ok := parameterSlot(c, nal)
	if !ok {
		return nil, false
	}
	at, known := slices.BinarySearchFunc(sets, slot, func(p []byte, slot uint32) int {
		of, _ := parameterSlot(c, p)
		return int(of) - int(slot)
	})
	switch {
	case known && bytes.Equal(sets[at], nal), !known && len(sets) >= maxParameters:
		return nil, false
	case known:
		with = slices.Clone(sets)
		with[at] = bytes.Clone(nal)
		return with, true
	}
	return slices.Insert(slices.Clone(sets), at, bytes.Clone(nal)), false
}

// parameterSlot returns a number by which parameter sets are told apart and put
// in order: kind first, then id. It is not ok for what cannot be read.
func parameterSlot(c Codec, nal []byte) (slot uint32, ok bool) {
	if len(nal) < 4 {
		return 0, false
	}
	t, id := NALType(c, nal[0]), uint32(0)
	switch {
	case c == H264 && t == h264PPS:
		id = (&bitReader{b: nal, at: 1}).ue()
	case c == H265 && t == h265PPS:
		id = (&bitReader{b: nal, at: 2}).ue()
	case c == H265 && t == h265VPS:
		id = uint32(nal[2] >> 4)
	case c == H264 && t == h264SPS, c == H265 && t == h265SPS:
		var err error
		if _, id, err = parseSPS(c, nal); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	return uint32(t)<<8 | id, id < 256
}

// setDecodeClock lets the flow with the pictures know how far they are reordered.
func (s *Stream) setDecodeClock() {
	for i, t := range s.form.tracks {
		if !t.Codec.Video() {
			continue
		}
		f := &s.flows[0]
		if s.form.carriage != CarriagePS {
			f = &s.flows[i]
		}
		for _, p := range t.Parameters {
			if info, err := ParseSPS(t.Codec, p); err == nil {
				f.decode.configure(info)
			}
		}
	}
}
