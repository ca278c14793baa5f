package clip

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// Element identifiers of Matroska (RFC 9559 section 5.1) and EBML (RFC 8794).
const (
	idEBML        = 0x1A45DFA3
	idSegment     = 0x18538067
	idInfo        = 0x1549A966
	idScale       = 0x2AD7B1
	idTracks      = 0x1654AE6B
	idTrackEntry  = 0xAE
	idTrackNumber = 0xD7
	idCodecID     = 0x86
	idCodecConfig = 0x63A2
	idDefaultDur  = 0x23E383
	idAudio       = 0xE1
	idRate        = 0xB5
	idChannels    = 0x9F
	idEncodings   = 0x6D80
	idEncoding    = 0x6240
	idCompression = 0x5034
	idAlgorithm   = 0x4254
	idSettings    = 0x4255
	idCluster     = 0x1F43B675
	idClusterTime = 0xE7
	idSimpleBlock = 0xA3
	idBlockGroup  = 0xA0
	idBlock       = 0xA1
	idReference   = 0xFB
)

// unknownSize marks an element that ends where its parent's next child begins.
const unknownSize = math.MaxInt

// A matroska reads the elements that playing needs, whole in memory.
type matroska struct {
	file   []byte
	scale  uint64 // nanoseconds a tick
	tracks []*matroskaTrack
	time   int64 // of the cluster, in ticks
	left   int   // bytes that samples may still claim
}

type matroskaTrack struct {
	track
	number    uint64
	codec     string
	duration  uint64 // nanoseconds a frame; 0 is unknown
	encodings int    // compressions and encryptions, one upon the other
	algorithm uint64 // of the compression
	prefix    []byte // header stripping: put in front of each frame
}

// readMatroska reads H.264, H.265, AAC and G.711 tracks of a Matroska file.
func readMatroska(file []byte) ([]*track, error) {
	m := &matroska{file: file, scale: 1_000_000, left: 2 * len(file)}
	if err := m.each(0, len(file), m.element); err != nil {
		return nil, err
	}
	var out []*track
	for _, t := range m.tracks {
		t.scale = clockOf(m.scale)
		if t.kind.video() {
			t.orderTimes()
		} else {
			t.joinPCM()
		}
		out = append(out, &t.track)
	}
	return out, nil
}

// clockOf turns nanoseconds a tick into ticks a second.
func clockOf(nanos uint64) int64 { return int64(1_000_000_000 / max(nanos, 1)) }

// An element is one EBML element: its identifier and the extent of its body.
type element struct {
	id       uint32
	from, to int
}

// each calls f for every element between two offsets. The children of plain
// containers follow as if they were siblings, so that nesting costs a hostile
// file's reader no stack and a segment or cluster of unknown size, as live
// writers leave, needs no special case.
func (m *matroska) each(from, to int, f func(element) error) error {
	for n := 0; from < to && n < maxSamples*2; n++ {
		id, used := m.vint(from, to, 4, false)
		if used == 0 {
			return &SyntaxError{from, "an element identifier"}
		}
		size, sizeUsed := m.vint(from+used, to, 8, true)
		if sizeUsed == 0 {
			return &SyntaxError{from + used, "an element size"}
		}
		body := from + used + sizeUsed
		if transparent(uint32(id)) {
			size = 0
		}
		if size > uint64(to-body) {
			return nil // cut short while it was being written
		}
		from = body + int(size)
		if err := f(element{uint32(id), body, from}); err != nil {
			return err
		}
	}
	return nil
}

// transparent reports whether each reads an element's children in its place.
func transparent(id uint32) bool {
	switch id {
	case idSegment, idInfo, idCluster, idTracks, idAudio, idEncodings, idEncoding, idCompression:
		return true
	}
	return false
}

// vint reads a variable-size integer (RFC 8794 section 4), with its marker
// removed if it is a size. used is 0 if there is none.
func (m *matroska) vint(at, to, limit int, size bool) (v uint64, used int) {
	if at >= to || m.file[at] == 0 {
		return 0, 0
	}
	used = 1
	for mask := byte(0x80); m.file[at]&mask == 0; mask >>= 1 {
		used++
	}
	if used > limit || used > to-at {
		return 0, 0
	}
	for _, c := range m.file[at : at+used] {
		v = v<<8 | uint64(c)
	}
	if !size {
		return v, used
	}
	all := uint64(1)<<(7*used) - 1
	if v &= all; v == all {
		return unknownSize, used
	}
	return v, used
}

func (m *matroska) body(e element) []byte { return m.file[e.from:e.to] }

// number reads an unsigned integer element, which is up to 8 bytes long.
func (m *matroska) number(e element) (v uint64) {
	body := m.body(e)
	for _, c := range body[:min(len(body), 8)] {
		v = v<<8 | uint64(c)
	}
	return v
}

func (m *matroska) float(e element) float64 {
	switch body := m.body(e); len(body) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(body)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(body))
	}
	return 0
}

// element reads the segment and everything below it that is not a track.
func (m *matroska) element(e element) error {
	switch e.id {
	case idScale:
		if m.scale = m.number(e); m.scale == 0 || m.scale > 1_000_000_000 {
			return &SyntaxError{e.from, "a scale of 1 ns to 1 s"}
		}
	case idTrackEntry:
		t := &matroskaTrack{}
		t.channels, t.rate = 1, 8000 // the defaults
		if err := m.each(e.from, e.to, func(e element) error { return m.entry(t, e) }); err != nil {
			return err
		}
		t.identify()
		m.tracks = append(m.tracks, t)
	case idClusterTime:
		m.time = int64(min(m.number(e), maxTick))
	case idSimpleBlock:
		return m.block(e, len(m.body(e)) > 3 && m.body(e)[3]&0x80 != 0)
	case idBlockGroup:
		return m.group(e)
	}
	return nil
}

// entry reads a track's description.
func (m *matroska) entry(t *matroskaTrack, e element) error {
	switch e.id {
	case idEncoding:
		t.encodings++
	case idTrackNumber:
		t.number = m.number(e)
	case idCodecID:
		t.codec = strings.TrimRight(string(m.body(e)), "\x00")
	case idCodecConfig:
		t.config = clone(m.body(e))
	case idDefaultDur:
		t.duration = min(m.number(e), 1_000_000_000_000)
	case idRate:
		t.rate = int(min(max(m.float(e), 0), 1<<20))
	case idChannels:
		t.channels = int(min(m.number(e), 255))
	case idSettings:
		t.prefix = clone(m.body(e))
	case idAlgorithm:
		t.algorithm = m.number(e)
	}
	return nil
}

// identify turns the codec's name into what we play. Header stripping is the one
// compression undone.
func (t *matroskaTrack) identify() {
	const headerStripping, maxPrefix = 3, 64
	if t.encodings > 1 || t.encodings == 1 && t.algorithm != headerStripping || len(t.prefix) > maxPrefix {
		return
	}
	switch {
	case t.codec == "V_MPEG4/ISO/AVC":
		t.kind = trackH264
	case t.codec == "V_MPEGH/ISO/HEVC":
		t.kind = trackH265
	case t.codec == "A_AAC":
		t.kind = trackAAC
	case t.codec == "A_MS/ACM" && len(t.config) >= 2: // WAVEFORMATEX
		switch binary.LittleEndian.Uint16(t.config) {
		case 6:
			t.kind = trackPCMA
		case 7:
			t.kind = trackPCMU
		}
	}
}

func (m *matroska) group(e element) error {
	key := true
	var block element
	err := m.each(e.from, e.to, func(e element) error {
		switch e.id {
		case idBlock:
			block = e
		case idReference:
			key = false
		}
		return nil
	})
	if err != nil || block.to == 0 {
		return err
	}
	return m.block(block, key)
}

// block reads one block (RFC 9559 section 10): its track, time and frames.
func (m *matroska) block(e element, key bool) error {
	number, used := m.vint(e.from, e.to, 8, true)
	if used == 0 || e.to-e.from < used+3 {
		return &SyntaxError{e.from, "a block header"}
	}
	i := slices.IndexFunc(m.tracks, func(t *matroskaTrack) bool { return t.number == number })
	if i < 0 || m.tracks[i].kind == trackUnknown {
		return nil
	}
	t := m.tracks[i]
	head := m.file[e.from+used:]
	at := m.time + int64(int16(binary.BigEndian.Uint16(head)))
	frames, err := m.laces(element{from: e.from + used + 3, to: e.to}, head[2]>>1&3)
	if err != nil {
		return err
	}
	dur := int64(t.duration / m.scale)
	for n, data := range frames {
		if m.left -= len(data) + len(t.prefix) + 1; m.left < 0 || len(t.samples) == maxSamples {
			return &SyntaxError{e.from, "fewer frames"}
		}
		if t.prefix != nil {
			data = append(slices.Clip(t.prefix), data...)
		}
		pts := at + int64(n)*int64(t.duration)/int64(m.scale)
		t.samples = append(t.samples, sample{dts: pts, pts: pts, dur: dur, key: key, data: data})
	}
	return nil
}

// orderTimes gives each picture a decoding time, which Matroska does not store:
// the presentation times in ascending order, shifted so that none is decoded
// after it is due.
func (t *matroskaTrack) orderTimes() {
	n := len(t.samples)
	if n == 0 {
		return
	}
	times := make([]int64, n)
	for i, s := range t.samples {
		times[i] = s.pts
	}
	slices.Sort(times)
	var late int64
	for i, s := range t.samples {
		late = max(late, times[i]-s.pts)
	}
	for i := range t.samples {
		t.samples[i].dts = times[i] - late
	}
	if last := &t.samples[n-1]; last.dur <= 0 && n > 1 {
		last.dur = (times[n-1] - times[0]) / int64(n-1)
	}
}
