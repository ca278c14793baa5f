package storage

import (
	"encoding/binary"
	"hash/crc32"

	"districtgateway/media"
)

// rowVersion is the first byte of every row.
const rowVersion = 1

// maxGapsBefore bounds how many holes a segment remembers before itself; of more,
// the oldest are merged.
const maxGapsBefore = 16

// rowKey is the key of a segment in its channel's bucket: its start, so that keys
// sort by time (times before 1970 do not occur).
func rowKey(start int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(start)) }

// appendRow appends the row of s to b: version, fields, and a CRC-32C of key and
// fields, since the index's database checks no content of its own.
func appendRow(b []byte, s *Segment) []byte {
	at := len(b)
	b = append(b, rowVersion, byte(s.Flags), byte(s.Kind), byte(s.Cause))
	for _, c := range s.Codecs {
		b = append(b, byte(c))
	}
	b = binary.AppendVarint(b, s.End-s.Start)
	b = binary.AppendUvarint(b, uint64(s.Duration))
	b = binary.AppendUvarint(b, uint64(s.Bytes))
	b = binary.BigEndian.AppendUint32(b, s.CRC)
	b = binary.AppendUvarint(b, uint64(s.Frames))
	b = binary.AppendUvarint(b, uint64(s.Keys))
	b = append(b, byte(len(s.Before)))
	for _, g := range s.Before {
		b = append(b, byte(g.Cause))
		b = binary.AppendVarint(b, s.Start-g.From)
		b = binary.AppendVarint(b, g.To-g.From)
	}
	return binary.BigEndian.AppendUint32(b, rowSum(s.Start, b[at:]))
}

func rowSum(start int64, fields []byte) uint32 {
	return crc32.Update(crc32.Checksum(rowKey(start), castagnoli), castagnoli, fields)
}

// parseRow reads a row of channel.
func parseRow(channel string, key, b []byte) (Segment, error) {
	if len(key) != 8 || len(b) < 5 {
		return Segment{}, &SyntaxError{0, "a key of 8 bytes and a row"}
	}
	if checkChannel(channel) != nil { // it becomes part of a path
		return Segment{}, &SyntaxError{0, "a channel's name"}
	}
	if b[0] != rowVersion {
		return Segment{}, &SyntaxError{0, "row version 1"}
	}
	s := Segment{Channel: channel, Start: int64(binary.BigEndian.Uint64(key))}
	fields := b[:len(b)-4]
	if binary.BigEndian.Uint32(b[len(fields):]) != rowSum(s.Start, fields) {
		return Segment{}, &SyntaxError{int64(len(fields)), "the row's checksum"}
	}
	d := decoder{b: fields, off: 1}
	s.Flags, s.Kind, s.Cause = SegmentFlags(d.u8()), Kind(d.u8()), Cause(d.u8())
	for i := range s.Codecs {
		s.Codecs[i] = media.Codec(d.u8())
	}
	s.End = s.Start + d.varint()
	s.Duration = media.Ticks(d.uvarint())
	s.Bytes = int64(d.uvarint())
	s.CRC = d.u32()
	s.Frames, s.Keys = uint32(d.uvarint()), uint32(d.uvarint())
	s.Before = decodeGaps(&d, s.Start)
	return s, checkRow(&d, &s)
}

func decodeGaps(d *decoder, start int64) []Gap {
	n := int(d.u8())
	if n == 0 || n > maxGapsBefore {
		d.bad = d.bad || n > maxGapsBefore
		return nil
	}
	gaps := make([]Gap, n)
	for i := range gaps {
		gaps[i].Cause = Cause(d.u8())
		gaps[i].From = start - d.varint()
		gaps[i].To = gaps[i].From + d.varint()
	}
	return gaps
}

// checkRow refuses fields that no writer writes.
func checkRow(d *decoder, s *Segment) error {
	if err := d.err("more fields of the row"); err != nil {
		return err
	}
	if s.Bytes < 0 || s.Duration < 0 || s.Start < 0 || s.End < s.Start || s.Cause >= causes || s.Kind > KindManual {
		return &SyntaxError{int64(d.off), "fields within their bounds"}
	}
	return nil
}
