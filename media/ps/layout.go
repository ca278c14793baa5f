package ps

import (
	"encoding/binary"

	"districtgateway/media"
)

// The stream_id values that structure a program stream (ISO/IEC 13818-1 table 2-22).
const (
	idEnd        = 0xB9 // MPEG_program_end_code
	idPack       = 0xBA
	idSystem     = 0xBB
	idMap        = 0xBC
	idPrivate1   = 0xBD // private_stream_1: metadata of the maker
	idPadding    = 0xBE
	idPrivate2   = 0xBF
	idAudioFirst = 0xC0
	idAudioLast  = 0xDF
	idVideoFirst = 0xE0
	idVideoLast  = 0xEF
)

// structural reports whether b, after the prefix 000001, begins a structure of
// the program stream. No NAL unit begins so: its forbidden_zero_bit would be set.
func structural(b byte) bool { return b >= idEnd && b <= idVideoLast }

// videoID reports whether id is the stream_id of a video stream.
func videoID(id byte) bool { return id >= idVideoFirst && id <= idVideoLast }

// stampBits is the width of SCR, PTS and DTS; they wrap after 26.5 hours.
const stampBits = 33

const stampMask = 1<<stampBits - 1

// stampOf folds an unwrapped instant into 33 bits.
func stampOf(t media.Ticks) uint64 { return uint64(t) & stampMask }

// stampDiff returns a-b, taking the shorter way round the wrap.
func stampDiff(a, b uint64) media.Ticks {
	return media.Ticks(int64((a-b)<<(64-stampBits)) >> (64 - stampBits))
}

// appendStamp appends the 5 bytes of a PTS or DTS field whose first 4 bits are
// prefix (§2.4.3.6).
func appendStamp(dst []byte, prefix byte, t uint64) []byte {
	return append(dst,
		prefix<<4|byte(t>>29)&0x0E|1,
		byte(t>>22),
		byte(t>>14)|1,
		byte(t>>7),
		byte(t<<1)|1)
}

// stampAt reads the 5 bytes of a PTS or DTS field. Marker bits are not checked:
// some encoders leave them out, and nothing else depends on them.
func stampAt(b []byte) uint64 {
	_ = b[4]
	return uint64(b[0]&0x0E)<<29 | uint64(b[1])<<22 | uint64(b[2]&0xFE)<<14 | uint64(b[3])<<7 | uint64(b[4]>>1)
}

// packSize is the length of a pack header without stuffing.
const packSize = 14

// muxRate is the program_mux_rate we state, in units of 50 byte/s: 80 Mbit/s,
// above any camera. Receivers size nothing by it; a true value would have to
// know the future.
const muxRate = 200_000

// appendPack appends a pack header whose system clock reference is scr, without
// extension or stuffing (§2.5.3.4).
func appendPack(dst []byte, scr uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], (1<<46|
		scr>>30&7<<43|1<<42|
		scr>>15&0x7FFF<<27|1<<26|
		scr&0x7FFF<<11|1<<10|
		1)<<16)
	dst = append(dst, 0, 0, 1, idPack)
	dst = append(dst, b[:6]...)
	return append(dst, muxRate>>14&0xFF, muxRate>>6&0xFF, muxRate<<2&0xFF|3, 0xF8)
}

// crcTable holds the remainders of 4 bits: small enough to stay in cache beside
// the payload, and never written.
var crcTable = [16]uint32{
	0x00000000, 0x04C11DB7, 0x09823B6E, 0x0D4326D9, 0x130476DC, 0x17C56B6B, 0x1A864DB2, 0x1E475005,
	0x2608EDB8, 0x22C9F00F, 0x2F8AD6D6, 0x2B4BCB61, 0x350C9B64, 0x31CD86D3, 0x3C8EA00A, 0x384FBDBD,
}

// crcStart is the crc of nothing.
const crcStart = 0xFFFFFFFF

// crc is the CRC_32 of Annex A: polynomial 04C11DB7, start FFFFFFFF, neither
// reflected nor inverted, continued from c. Over a section with its checksum it
// is 0.
func crc(c uint32, b []byte) uint32 {
	for _, x := range b {
		c = c<<4 ^ crcTable[c>>28^uint32(x>>4)]
		c = c<<4 ^ crcTable[c>>28^uint32(x&15)]
	}
	return c
}
