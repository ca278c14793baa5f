package storage

import (
	"encoding/binary"
	"hash/crc32"

	"districtgateway/media"
)

// A fragEntry is a fragment's line in the tail's table.
type fragEntry struct {
	off      int64 // in the file
	total    uint32
	wall     int64
	dts      media.Ticks
	duration media.Ticks
	keys     uint16
}

// A tally sums up a segment fragment by fragment. Writer and scanner use the same,
// so that a row rebuilt equals the row that was written.
type tally struct {
	first   media.Ticks // file time of the first sample
	end     int64
	ticks   media.Ticks
	size    int64 // bytes from the start of the file to the end of the last fragment
	crc     uint32
	frames  uint32
	keys    uint32
	damaged bool
	cause   Cause
	table   []fragEntry
}

const usualFragments = 64 // of a minute, of a second each

// add counts the fragment with head h at offset off.
func (t *tally) add(h *fragHead, off int64) {
	if len(t.table) == 0 {
		t.first = h.dts
	}
	t.end = h.wall + int64(h.duration.Duration())
	t.ticks = h.dts + h.duration - t.first
	t.size = off + int64(h.total)
	t.crc = sumWord(t.crc, h.crc)
	t.frames += h.frames
	t.keys += uint32(h.keys)
	t.damaged = t.damaged || h.flags&fragDamaged != 0
	if t.table == nil {
		t.table = make([]fragEntry, 0, usualFragments)
	}
	t.table = append(t.table, fragEntry{off, h.total, h.wall, h.dts, h.duration, h.keys})
}

// sumWord adds a word, big-endian, to a checksum. The library would allocate it.
func sumWord(crc, w uint32) uint32 {
	crc = ^crc
	for shift := 24; shift >= 0; shift -= 8 {
		crc = castagnoli[byte(crc)^byte(w>>shift)] ^ crc>>8
	}
	return ^crc
}

// row returns the index's row for a segment with header h; bytes is the length of
// the file.
func (t *tally) row(h *header, bytes int64) Segment {
	s := Segment{
		Channel: h.channel, Start: h.start, End: max(t.end, h.start), Duration: t.ticks, Bytes: bytes, CRC: t.crc,
		Frames: t.frames, Keys: t.keys, Kind: h.kind, Cause: t.cause, Before: h.before,
	}
	for i := range min(len(h.tracks), len(s.Codecs)) {
		s.Codecs[i] = h.tracks[i].Codec
	}
	if t.damaged {
		s.Flags |= SegmentDamaged
	}
	return s
}

var tailMagic = [4]byte{'D', 'G', 'T', '1'}

// appendTail appends the section that closes a segment: padding, then our box,
// which ends with its own length and a magic, so that it is found from the file's
// end. The section is a whole number of blocks.
func appendTail(b []byte, h *header, t *tally) []byte {
	from := len(b)
	b = appendTailBox(b, h, t)
	n := len(b) - from
	b = append(b, make([]byte, padding(n))...)
	copy(b[from+padding(n):], b[from:from+n])
	appendFree(b[from:from], padding(n))
	return b
}

func appendTailBox(b []byte, h *header, t *tally) []byte {
	b, at := openUUID(b, &tailID)
	body := len(b)
	b = append(b, formatVersion, byte(t.cause), 0, 0)
	if t.damaged {
		b[len(b)-2] = 1
	}
	b = append(b, h.volume[:]...)
	b = binary.BigEndian.AppendUint64(b, h.session)
	b = binary.BigEndian.AppendUint64(b, uint64(t.end))
	b = binary.BigEndian.AppendUint64(b, uint64(t.ticks))
	b = binary.BigEndian.AppendUint64(b, uint64(t.size))
	b = binary.BigEndian.AppendUint32(b, t.crc)
	b = binary.BigEndian.AppendUint32(b, t.frames)
	b = binary.BigEndian.AppendUint32(b, t.keys)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.table)))
	wall, dts := h.start, media.Ticks(0)
	for i := range t.table {
		e := &t.table[i]
		b = binary.AppendUvarint(b, uint64(e.total/block))
		b = binary.AppendVarint(b, e.wall-wall)
		b = binary.AppendVarint(b, int64(e.dts-dts))
		b = binary.AppendUvarint(b, uint64(e.duration))
		b = binary.AppendUvarint(b, uint64(e.keys))
		wall, dts = e.wall, e.dts
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[body:], castagnoli))
	b = binary.BigEndian.AppendUint32(b, uint32(len(b)+8-at))
	b = append(b, tailMagic[:]...)
	closeBox(b, at)
	return b
}

// tailLength returns the length of the tail box that ends at the end of b.
func tailLength(b []byte) (int, bool) {
	if len(b) < 8 || [4]byte(b[len(b)-4:]) != tailMagic {
		return 0, false
	}
	n := binary.BigEndian.Uint32(b[len(b)-8:])
	return int(n), n >= 24+16 && n <= maxTail
}

// parseTail reads the tail box b of a segment with header h.
func parseTail(b []byte, h *header) (*tally, error) {
	n := len(b)
	if n < 24+16 || int(binary.BigEndian.Uint32(b)) != n || string(b[4:8]) != "uuid" || boxID(b[8:24]) != tailID {
		return nil, &SyntaxError{0, "the segment's tail box"}
	}
	fields := b[24 : n-12]
	if binary.BigEndian.Uint32(b[n-12:]) != crc32.Checksum(fields, castagnoli) {
		return nil, &SyntaxError{int64(n - 12), "the tail's checksum"}
	}
	d := decoder{b: fields}
	version := d.u8()
	t := &tally{cause: Cause(d.u8()), damaged: d.u8() != 0}
	d.u8()
	if volume, session := d.volume(), d.u64(); version != formatVersion || t.cause >= causes || volume != h.volume || session != h.session {
		return nil, &SyntaxError{24, "the tail of this segment"}
	}
	t.end, t.ticks, t.size = int64(d.u64()), media.Ticks(d.u64()), int64(d.u64())
	t.crc, t.frames, t.keys = d.u32(), d.u32(), d.u32()
	if err := t.decodeTable(&d, h); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *tally) decodeTable(d *decoder, h *header) error {
	n := d.u32()
	if uint64(n) > uint64(len(d.b)) { // an entry is at least 5 bytes
		return &SyntaxError{int64(d.off), "a table that fits"}
	}
	off, wall, dts := int64(h.size), h.start, media.Ticks(0)
	t.table = make([]fragEntry, n)
	for i := range t.table {
		e := &t.table[i]
		blocks := d.uvarint()
		if d.bad || blocks > maxFragment/block {
			return &SyntaxError{int64(d.off), "the fragments' table"}
		}
		wall += d.varint()
		dts += media.Ticks(d.varint())
		*e = fragEntry{off, uint32(blocks * block), wall, dts, media.Ticks(d.uvarint()), uint16(d.uvarint())}
		off += int64(e.total)
	}
	if d.bad || off != t.size || t.ticks < 0 || t.end < 0 {
		return &SyntaxError{int64(d.off), "a table that adds up"}
	}
	if n > 0 {
		t.first = t.table[0].dts
	}
	return nil
}
