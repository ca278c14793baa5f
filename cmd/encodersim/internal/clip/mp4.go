package clip

import (
	"encoding/binary"
	"fmt"
)

// mp4 reads the boxes of ISO/IEC 14496-12 that playing needs, whole in memory.
// Samples stay slices of the file; together they may claim twice its size at
// most, which bounds all work a hostile file can cause.
type mp4 struct {
	file   []byte
	tracks []*mp4Track
	moof   int // offset of the movie fragment being read
	left   int // bytes that samples may still claim
}

// An mp4Track is a track with the tables that place its samples.
type mp4Track struct {
	track
	id    uint32
	table map[string][]byte // bodies of stts, ctts, stsc, stsz, stco, co64, stss
	trex  [4]uint32         // defaults: description, duration, size, flags
	next  int64             // decoding time after the last fragment's sample
}

// maxBoxes bounds the boxes of one level; no real file comes near.
const maxBoxes = 1 << 20

// readMP4 reads a plain or fragmented MP4 or QuickTime file.
func readMP4(file []byte) ([]*track, error) {
	m := &mp4{file: file, left: 2 * len(file)}
	if err := m.each(0, len(file), m.top); err != nil {
		return nil, err
	}
	var out []*track
	for _, t := range m.tracks {
		out = append(out, &t.track)
	}
	return out, nil
}

// A box is one box's type and the extent of its body in the file.
type box struct {
	kind     string
	from, to int
}

// each calls f for every box between two offsets. What lies in the plain
// containers of a track follows as if it lay beside them, so that nesting costs
// a hostile file's reader no stack.
func (m *mp4) each(from, to int, f func(box) error) error {
	for n := 0; from+8 <= to && n < maxBoxes; n++ {
		size, head := uint64(binary.BigEndian.Uint32(m.file[from:])), 8
		kind := string(m.file[from+4 : from+8])
		switch {
		case size == 0: // to the end
			size = uint64(to - from)
		case size == 1 && from+16 <= to:
			size, head = binary.BigEndian.Uint64(m.file[from+8:]), 16
		}
		if size < uint64(head) || size > uint64(to-from) {
			return &SyntaxError{from, "a box that fits"}
		}
		if err := f(box{kind, from + head, from + int(size)}); err != nil {
			return err
		}
		switch kind {
		case "mdia", "minf", "stbl", "edts":
			from += head
		default:
			from += int(size)
		}
	}
	return nil
}

func (m *mp4) body(b box) []byte { return m.file[b.from:b.to] }

func (m *mp4) top(b box) error {
	switch b.kind {
	case "moov":
		return m.each(b.from, b.to, m.movie)
	case "moof":
		m.moof = b.from - 8
		return m.each(b.from, b.to, m.movie)
	}
	return nil
}

func (m *mp4) movie(b box) error {
	switch b.kind {
	case "trak":
		t := &mp4Track{table: map[string][]byte{}}
		if err := m.each(b.from, b.to, func(b box) error { return m.trak(t, b) }); err != nil {
			return err
		}
		m.tracks = append(m.tracks, t)
		return m.place(t, b.from)
	case "mvex":
		return m.each(b.from, b.to, m.extends)
	case "traf":
		return m.fragment(b)
	}
	return nil
}

// trak collects what describes one track.
func (m *mp4) trak(t *mp4Track, b box) error {
	body := m.body(b)
	switch b.kind {
	case "tkhd":
		at := 12
		if version(body) == 1 {
			at = 20
		}
		t.id = be32(body, at)
	case "mdhd":
		at := 12
		if version(body) == 1 {
			at = 20
		}
		t.scale = int64(be32(body, at))
	case "elst":
		t.shift = editShift(body)
	case "stsd":
		return m.describe(t, b)
	case "stts", "ctts", "stsc", "stsz", "stco", "co64", "stss":
		t.table[b.kind] = body
	}
	return nil
}

// editShift returns the media time the first real edit starts at: the part of
// an edit list (ISO/IEC 14496-12 section 8.6.6) that moves sound against picture.
func editShift(body []byte) int64 {
	n, entry := int64(be32(body, 4)), 12
	if version(body) == 1 {
		entry = 20
	}
	for i := range min(n, int64(len(body)/entry)) {
		at := 8 + int(i)*entry
		media := int64(int32(be32(body, at+4)))
		if version(body) == 1 {
			media = int64(be64(body, at+8))
		}
		if media >= 0 {
			return media
		}
	}
	return 0
}

// describe reads the first sample entry.
func (m *mp4) describe(t *mp4Track, b box) error {
	if b.to-b.from < 8 {
		return nil
	}
	return m.each(b.from+8, b.to, func(e box) error {
		if t.kind != trackUnknown {
			return nil
		}
		switch e.kind {
		case "avc1", "avc3":
			return m.visual(t, e, trackH264, "avcC")
		case "hvc1", "hev1":
			return m.visual(t, e, trackH265, "hvcC")
		case "mp4a", "alaw", "ulaw":
			return m.sound(t, e)
		}
		return nil
	})
}

func (m *mp4) visual(t *mp4Track, e box, kind trackKind, config string) error {
	const head = 78 // VisualSampleEntry
	if e.to-e.from < head {
		return &SyntaxError{e.from, "a visual sample entry"}
	}
	return m.each(e.from+head, e.to, func(b box) error {
		if b.kind == config {
			t.kind, t.config = kind, clone(m.body(b))
		}
		return nil
	})
}

func (m *mp4) sound(t *mp4Track, e box) error {
	body := m.body(e)
	head := 28 // AudioSampleEntry
	if len(body) < head {
		return &SyntaxError{e.from, "an audio sample entry"}
	}
	t.channels, t.rate = int(binary.BigEndian.Uint16(body[16:])), int(be32(body, 24)>>16)
	switch e.kind {
	case "alaw":
		t.kind = trackPCMA
		return nil
	case "ulaw":
		t.kind = trackPCMU
		return nil
	}
	switch binary.BigEndian.Uint16(body[8:]) { // QuickTime's version of the entry
	case 1:
		head += 16
	case 2:
		head += 36
	}
	if e.to-e.from < head {
		return &SyntaxError{e.from, "an audio sample entry"}
	}
	return m.each(e.from+head, e.to, func(b box) error {
		if b.kind == "esds" && b.to-b.from > 4 {
			if config := esConfig(m.body(b)[4:]); config != nil {
				t.kind, t.config = trackAAC, clone(config)
			}
		}
		return nil
	})
}

// esConfig finds the AudioSpecificConfig in an ES descriptor
// (ISO/IEC 14496-1 section 7.2.6): tags 3, 4 and 5, one inside the other.
func esConfig(b []byte) []byte {
	for _, level := range []struct {
		tag  byte
		head int
	}{{3, 3}, {4, 13}, {5, 0}} {
		if len(b) < 2 || b[0] != level.tag {
			return nil
		}
		size, used := 0, 1
		for used < min(len(b), 5) {
			c := b[used]
			used++
			size = size<<7 | int(c&0x7f)
			if c&0x80 == 0 {
				break
			}
		}
		b = b[used:]
		if size > len(b) || size < level.head {
			return nil
		}
		b = b[level.head:size]
	}
	return b
}

// sampleAt returns size bytes at an offset and charges them, and one more for
// the sample itself, to what the file may claim.
func (m *mp4) sampleAt(off uint64, size uint32) ([]byte, error) {
	if off > uint64(len(m.file)) || uint64(size) > uint64(len(m.file))-off {
		return nil, &SyntaxError{len(m.file), fmt.Sprintf("a sample of %d bytes at %d", size, off)}
	}
	if m.left -= int(size) + 1; m.left < 0 {
		return nil, &SyntaxError{int(off), "samples that fit the file together"}
	}
	return m.file[off : off+uint64(size) : off+uint64(size)], nil
}

func version(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// be32 reads a big-endian word, 0 beyond the end.
func be32(b []byte, at int) uint32 {
	if at < 0 || at+4 > len(b) {
		return 0
	}
	return binary.BigEndian.Uint32(b[at:])
}

func be64(b []byte, at int) uint64 {
	return uint64(be32(b, at))<<32 | uint64(be32(b, at+4))
}
