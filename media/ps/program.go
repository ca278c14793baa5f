package ps

import (
	"encoding/binary"

	"districtgateway/media"
)

// The stream_type values of a program stream map that this package carries
// (ISO/IEC 13818-1 table 2-34, GB/T 28181-2022 Annex C).
const (
	typeAAC   = 0x0F
	typeH264  = 0x1B
	typeH265  = 0x24
	typeG711A = 0x90
	typeG711U = 0x91
)

// typeOf returns the stream_type of a coding, 0 if it has none.
func typeOf(c media.Codec) byte {
	switch c {
	case media.H264:
		return typeH264
	case media.H265:
		return typeH265
	case media.G711A:
		return typeG711A
	case media.G711U:
		return typeG711U
	case media.AAC:
		return typeAAC
	}
	return 0
}

// codecOf returns what a stream_type declares. Known is false where the type
// says nothing and the bytes have to tell; a known type of CodecUnknown is a
// coding this package does not carry, and must not be taken for one it does.
func codecOf(streamType byte) (c media.Codec, known bool) {
	switch streamType {
	case typeH264:
		return media.H264, true
	case typeH265:
		return media.H265, true
	case typeG711A:
		return media.G711A, true
	case typeG711U:
		return media.G711U, true
	case typeAAC:
		return media.AAC, true
	case 0x01, 0x02, 0x03, 0x04, // MPEG-1 and MPEG-2 video and audio
		0x10, 0x11, // MPEG-4 video, AAC in LATM
		0x80, 0x92, 0x93, 0x99, 0x9B: // SVAC video, G.722.1, G.723.1, G.729, SVAC audio
		return media.CodecUnknown, true
	}
	return media.CodecUnknown, false
}

// maxStreams bounds the elementary streams of one program, both ways.
const maxStreams = 8

// maxMap is the greatest program_stream_map_length (§2.5.4.2).
const maxMap = 0x3FA

// A mapping is one line of a program stream map.
type mapping struct {
	id         byte // elementary_stream_id
	streamType byte
}

// mapCode is the start code of a program stream map; its checksum covers it.
var mapCode = []byte{0, 0, 1, idMap}

// parseMap reads a program stream map from its length field to its checksum, and
// appends its lines for audio and video streams to dst. It reports false, and
// dst unchanged, for a map that cannot be believed: wrong checksum, lengths that
// do not add up, or not yet in force.
func parseMap(dst []mapping, b []byte) ([]mapping, bool) {
	const fixed = 2 + 2 + 2 + 2 + 4 // everything but descriptors and lines
	if len(b) < fixed || int(binary.BigEndian.Uint16(b)) != len(b)-2 || b[2]&0x80 == 0 ||
		crc(crc(crcStart, mapCode), b) != 0 {
		return dst, false
	}
	body := b[4 : len(b)-4]
	info := int(binary.BigEndian.Uint16(body))
	if info+4 > len(body) || int(binary.BigEndian.Uint16(body[2+info:])) != len(body)-4-info {
		return dst, false
	}
	had := len(dst)
	for lines := body[4+info:]; len(lines) > 0; {
		if len(lines) < 4 {
			return dst[:had], false
		}
		n := 4 + int(binary.BigEndian.Uint16(lines[2:]))
		if n > len(lines) {
			return dst[:had], false
		}
		if m := (mapping{lines[1], lines[0]}); m.id >= idAudioFirst && m.id <= idVideoLast && len(dst)-had < maxStreams {
			dst = append(dst, m)
		}
		lines = lines[n:]
	}
	return dst, true
}

// appendMap appends a program stream map with its checksum (§2.5.4).
func appendMap(dst []byte, lines []mapping, version byte) []byte {
	at := len(dst)
	n := len(lines) * 4
	dst = append(append(dst, mapCode...), 0, byte(n+10),
		0xE0|version&0x1F, 0xFF, // in force; reserved bits set
		0, 0, // no program descriptors
		0, byte(n))
	for _, m := range lines {
		dst = append(dst, m.streamType, m.id, 0, 0)
	}
	return binary.BigEndian.AppendUint32(dst, crc(crcStart, dst[at:]))
}

// Decoder buffer sizes we state in the system header: 4 MiB for video, in units
// of 1024 bytes; 8 KiB for audio, in units of 128 (§2.5.3.6).
const (
	videoBuffer = 4096
	audioBuffer = 64
)

// appendSystem appends a system header (§2.5.3.6).
func appendSystem(dst []byte, lines []mapping) []byte {
	video := 0
	for _, m := range lines {
		if videoID(m.id) {
			video++
		}
	}
	audio := len(lines) - video
	rate := uint32(1<<23 | muxRate<<1 | 1)
	dst = append(dst, 0, 0, 1, idSystem, 0, byte(6+3*len(lines)),
		byte(rate>>16), byte(rate>>8), byte(rate),
		byte(audio)<<2,        // neither fixed rate nor constrained parameters
		0xE0|byte(video)&0x1F, // audio and video locked to the system clock
		0x7F)
	for _, m := range lines {
		bound := uint16(0xC000 | audioBuffer)
		if videoID(m.id) {
			bound = 0xE000 | videoBuffer
		}
		dst = append(dst, m.id, byte(bound>>8), byte(bound))
	}
	return dst
}
