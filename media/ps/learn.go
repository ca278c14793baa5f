package ps

import (
	"bytes"
	"cmp"
	"slices"

	"districtgateway/media"
)

// A knowledge is what a decoder needs of a stream before anything else.
type knowledge struct {
	sets       []parameterSet // of video
	parameters [][]byte       // as published in the track
	aac        aacConfig
}

// A parameterSet is a VPS, SPS or PPS.
type parameterSet struct {
	key uint16 // nal_unit_type<<8 | id, so that several can be in use at once
	nal []byte // never written
}

const (
	maxParameter = 4096 // bytes of a parameter set
	maxSets      = 16   // of one stream
)

// A program is what is known of a program stream.
type program struct {
	streams []elementary
	tracks  []media.Track // as announced; a new slice with every change
	changed bool          // tracks changed since that was last cleared
	stale   bool          // tracks may have to change
	table   []byte        // the last good map, from its length field
	lines   []mapping     // scratch
	heard   int           // audio packets
	decodes bool          // a decoding time was stated: where it is not, it equals the PTS
}

// patience is how many audio packets, about a second's, we wait for video before
// we take a stream without a map for one without video.
const patience = 25

// stream returns the elementary stream with that id, made if need be, or nil if
// there are too many.
func (m *program) stream(id byte) *elementary {
	for i := range m.streams {
		if m.streams[i].id == id {
			return &m.streams[i]
		}
	}
	if len(m.streams) == maxStreams {
		return nil
	}
	if m.streams == nil {
		m.streams = make([]elementary, 0, maxStreams) // never moves: pointers into it are held
	}
	m.streams = append(m.streams, elementary{id: id, track: -1})
	return &m.streams[len(m.streams)-1]
}

// believe takes b, a program stream map from its length field on, as the truth
// unless it is broken.
func (d *demuxer) believe(b []byte) bool {
	m := &d.program
	if bytes.Equal(b, m.table) {
		return true
	}
	lines, ok := parseMap(m.lines[:0], b)
	if !ok {
		return false
	}
	m.lines, m.table = lines, append(m.table[:0], b...)
	for _, line := range lines {
		e := m.stream(line.id)
		if e == nil {
			continue
		}
		c, known := codecOf(line.streamType)
		e.declared = known
		if known {
			d.adopt(e, c)
		}
	}
	m.stale = true
	return true
}

// adopt makes c the coding of e. What was read of the former coding is completed.
func (d *demuxer) adopt(e *elementary, c media.Codec) {
	if c == e.codec {
		return
	}
	if e.codec != media.CodecUnknown {
		if e.video() {
			d.closePicture(e)
		} else {
			d.closeSound(e)
		}
	}
	d.program.set(e, c)
}

// set makes c the coding of e, of which nothing else is known then.
func (m *program) set(e *elementary, c media.Codec) {
	e.codec, e.known = c, knowledge{}
	e.ready = c == media.G711A || c == media.G711U
	m.stale = true
}

// announce makes the tracks those of the streams that are ready. The first
// announcement waits for video if there is any.
func (m *program) announce() {
	if !m.stale || !m.settled() {
		return
	}
	m.stale = false
	tracks := slices.Clone(m.tracks)
	for _, video := range [...]bool{true, false} {
		for i := range m.streams {
			e := &m.streams[i]
			if !e.ready || e.video() != video {
				continue
			}
			if e.track < 0 {
				e.track, tracks = len(tracks), append(tracks, media.Track{})
			}
			tracks[e.track] = e.describe()
			m.changed = true
		}
	}
	m.tracks = tracks
}

// settled reports whether it is time to say what the tracks are.
func (m *program) settled() bool {
	waiting := false
	for i := range m.streams {
		e := &m.streams[i]
		if e.track >= 0 || e.video() && e.ready {
			return true
		}
		waiting = waiting || e.video() && !e.refused()
	}
	return !waiting && (m.table != nil || m.heard >= patience)
}

func (e *elementary) describe() media.Track {
	t := media.Track{Codec: e.codec, Parameters: e.known.parameters}
	switch e.codec {
	case media.AAC:
		t.ClockRate, t.Channels = aacRates[e.known.aac.rate], e.known.aac.channelCount()
	case media.G711A, media.G711U:
		t.ClockRate, t.Channels = 8000, 1
	default:
		t.ClockRate = media.TicksPerSecond
	}
	return t
}

// learnPicture takes over the parameter sets of the picture of e.
func (d *demuxer) learnPicture(e *elementary) {
	p, k := &e.picture, &e.known
	news := false
	var types uint64
	found := d.found[:0]
	for i := range p.nals {
		typ := media.NALType(e.codec, p.nals[i].head[0])
		if !media.ParameterNAL(e.codec, typ) || len(found) == cap(found) {
			continue
		}
		types |= 1 << typ
		found = append(found, i)
		nal := d.gather(&p.nals[i], p)
		news = news || nal != nil && !k.has(nal)
	}
	if !news {
		return
	}
	need := parameterTypes(e.codec)
	sets := slices.Clone(k.sets)
	if types&need == need {
		sets = nil // complete: what is not among them is no longer used
	}
	for _, i := range found {
		sets = update(sets, e.codec, d.gather(&p.nals[i], p))
	}
	k.sets = sets
	d.publish(e, need)
}

// publish makes the parameter sets of e those of its track if none is missing.
func (d *demuxer) publish(e *elementary, need uint64) {
	var have uint64
	var nals [][]byte
	for _, s := range e.known.sets {
		have |= 1 << (s.key >> 8)
		nals = append(nals, s.nal)
	}
	if have&need != need || slices.EqualFunc(nals, e.known.parameters, bytes.Equal) {
		return
	}
	e.known.parameters, e.ready, d.program.stale = nals, true, true
}

// gather returns the bytes of n, in scratch memory if they are in several
// places, or nil if it is too long for a parameter set.
func (d *demuxer) gather(n *rawNAL, p *picture) []byte {
	if n.size > maxParameter {
		return nil
	}
	if n.end-n.first == 1 {
		return d.src.mem.Bytes(p.ranges[n.first])
	}
	d.scratch = d.scratch[:0]
	for _, g := range p.ranges[n.first:n.end] {
		d.scratch = append(d.scratch, d.src.mem.Bytes(g)...)
	}
	return d.scratch
}

func (k *knowledge) has(nal []byte) bool {
	for _, s := range k.sets {
		if bytes.Equal(s.nal, nal) {
			return true
		}
	}
	return false
}

// update replaces the set that nal is a new version of, or adds it, unless it is
// empty or cannot be read.
func update(sets []parameterSet, c media.Codec, nal []byte) []parameterSet {
	if len(nal) == 0 {
		return sets
	}
	typ := media.NALType(c, nal[0])
	if typ == spsType(c) {
		if _, err := media.ParseSPS(c, nal); err != nil {
			return sets
		}
	}
	s := parameterSet{uint16(typ)<<8 | uint16(setID(c, typ, nal)), bytes.Clone(nal)}
	i, found := slices.BinarySearchFunc(sets, s.key, func(s parameterSet, key uint16) int { return cmp.Compare(s.key, key) })
	switch {
	case found:
		sets[i] = s
	case len(sets) < maxSets:
		sets = slices.Insert(sets, i, s)
	}
	return sets
}

func spsType(c media.Codec) uint8 {
	if c == media.H265 {
		return 33
	}
	return 7
}

// setID reads the id of a parameter set where it is in reach: of an SPS or PPS of
// H.264 (§7.3.2.1.1, §7.3.2.2), of a PPS of H.265 (§7.3.2.3.1). Of others, and if
// it makes no sense, it is 0.
func setID(c media.Codec, typ uint8, nal []byte) uint8 {
	skip := 1 // NAL unit header
	switch {
	case c == media.H264 && typ == 7:
		skip = 4 // and profile, constraints, level
	case c == media.H265 && typ == 34:
		skip = 2
	case c == media.H265:
		return 0
	}
	var b [4]byte
	if len(nal) > skip {
		copy(b[:], nal[skip:])
	}
	bits := bitReader(uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40)
	zeros := uint(0)
	for zeros < 8 && bits.take(1) == 0 { // ue(v), ITU-T H.264 §9.1
		zeros++
	}
	if zeros == 8 {
		return 0
	}
	return uint8(1<<zeros - 1 + bits.take(zeros))
}
