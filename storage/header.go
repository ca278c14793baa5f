package storage

import (
	"encoding/binary"
	"hash/crc32"

	"districtgateway/media"
)

// A header is the first section of a segment: who wrote it, what is in it, and
// what was missing before it.
type header struct {
	volume  VolumeID
	session uint64 // one opening of the volume; tells a segment being written from one left behind
	channel string
	kind    Kind
	start   int64       // wall clock of the first fragment, Unix nanoseconds
	base    media.Ticks // the source's time at which the file's own time is 0
	tracks  []media.Track
	before  []Gap
	boxes   []byte // ftyp and moov of the tracks, if they are known already
	size    int    // bytes of the section; set by parseHeader
}

const maxTracks = 4

// appendHeader appends the section: ftyp, moov, our box, padding.
func appendHeader(b []byte, h *header) ([]byte, error) {
	from := len(b)
	if h.boxes == nil {
		boxes, err := initBoxes(h.tracks)
		if err != nil {
			return b, err
		}
		h.boxes = boxes
	}
	b = append(b, h.boxes...)
	b, at := openUUID(b, &headerID)
	body := len(b)
	b = append(b, formatVersion, byte(h.kind), 0, 0)
	b = append(b, h.volume[:]...)
	b = binary.BigEndian.AppendUint64(b, h.session)
	b = binary.BigEndian.AppendUint64(b, uint64(h.start))
	b = binary.BigEndian.AppendUint64(b, uint64(h.base))
	b = appendStr(b, h.channel)
	b = appendTracks(b, h.tracks)
	b = append(b, byte(len(h.before)))
	for _, g := range h.before {
		b = append(b, byte(g.Cause))
		b = binary.AppendVarint(b, h.start-g.From)
		b = binary.AppendVarint(b, g.To-g.From)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[body:], castagnoli))
	closeBox(b, at)
	b = appendFree(b, padding(len(b)-from))
	if len(b)-from > maxHeader {
		return b[:from], &SyntaxError{int64(len(b) - from), "a header of at most 64 KiB"}
	}
	return b, nil
}

func appendTracks(b []byte, tracks []media.Track) []byte {
	b = append(b, byte(len(tracks)))
	for i := range tracks {
		t := &tracks[i]
		b = append(b, byte(t.Codec), byte(t.Channels))
		b = binary.AppendUvarint(b, uint64(t.ClockRate))
		b = append(b, byte(len(t.Parameters)))
		for _, p := range t.Parameters {
			b = appendBlob(b, p)
		}
	}
	return b
}

func decodeTracks(d *decoder) []media.Track {
	n := int(d.u8())
	if n == 0 || n > maxTracks {
		d.bad = true
		return nil
	}
	tracks := make([]media.Track, n)
	for i := range tracks {
		t := &tracks[i]
		t.Codec, t.Channels = media.Codec(d.u8()), int(d.u8())
		t.ClockRate = int(d.uvarint() & 0xffffff)
		for range d.u8() {
			t.Parameters = append(t.Parameters, append([]byte(nil), d.blob(maxHeader)...))
		}
		d.bad = d.bad || t.Codec > media.AAC || timescale(t) == 0
	}
	return tracks
}

// A boxSpan is one box of a section.
type boxSpan struct {
	kind     string
	off, end int
	body     []byte
}

// nextBox reads the box at off of b.
func nextBox(b []byte, off int) (boxSpan, error) {
	if len(b)-off < 8 {
		return boxSpan{}, &SyntaxError{int64(off), "a box"}
	}
	size := binary.BigEndian.Uint32(b[off:])
	if size < 8 || uint64(size) > uint64(len(b)-off) {
		return boxSpan{}, &SyntaxError{int64(off), "a box that fits"}
	}
	end := off + int(size)
	return boxSpan{string(b[off+4 : off+8]), off, end, b[off+8 : end]}, nil
}

// parseHeader reads the section at the start of b, which is the file's first
// maxHeader bytes or all of it.
func parseHeader(b []byte) (*header, error) {
	off := 0
	for _, want := range []string{"ftyp", "moov"} {
		x, err := nextBox(b, off)
		if err != nil {
			return nil, err
		}
		if x.kind != want {
			return nil, &SyntaxError{int64(off), "box " + want}
		}
		off = x.end
	}
	x, err := nextBox(b, off)
	if err != nil {
		return nil, err
	}
	h, err := parseHeaderBox(x)
	if err != nil {
		return nil, err
	}
	h.size = x.end + padding(x.end)
	if h.size > len(b) {
		return nil, &SyntaxError{int64(len(b)), "the whole header"}
	}
	return h, nil
}

func parseHeaderBox(x boxSpan) (*header, error) {
	body := x.body
	if x.kind != "uuid" || len(body) < 16+5 || boxID(body[:16]) != headerID {
		return nil, &SyntaxError{int64(x.off), "the segment's header box"}
	}
	fields := body[16 : len(body)-4]
	if fields[0] != formatVersion {
		return nil, &SyntaxError{int64(x.off), "format version 1"}
	}
	if binary.BigEndian.Uint32(body[len(body)-4:]) != crc32.Checksum(fields, castagnoli) {
		return nil, &SyntaxError{int64(x.end - 4), "the header's checksum"}
	}
	d := decoder{b: fields, off: 1}
	h := &header{kind: Kind(d.u8())}
	d.take(2)
	h.volume = d.volume()
	h.session, h.start, h.base = d.u64(), int64(d.u64()), media.Ticks(d.u64())
	h.channel = d.str(64)
	h.tracks = decodeTracks(&d)
	h.before = decodeGaps(&d, h.start)
	if d.bad || checkChannel(h.channel) != nil || h.kind > KindManual || h.start < 0 {
		return nil, &SyntaxError{int64(x.off + 24 + d.off), "header fields within their bounds"}
	}
	return h, nil
}
