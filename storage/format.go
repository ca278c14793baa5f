package storage

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// The on-disk format; docs/design/recording-format.md draws it.
const (
	formatVersion = 1
	block         = 4096 // every section of a segment begins at a multiple of this: the unit of direct I/O

	maxHeader   = 64 << 10 // bytes of a segment's header
	maxTail     = 1 << 20  // bytes of a segment's tail
	maxFragment = 64 << 20 // bytes of a fragment that a reader accepts
)

// A boxID is the extended type of a `uuid` box (ISO/IEC 14496-12 §4.2).
type boxID [16]byte

// The extended types of our boxes; made at random, once.
var (
	headerID   = boxID{0x5e, 0x0d, 0x1c, 0x3a, 0x77, 0x42, 0x4b, 0x0f, 0x9a, 0x61, 0x2e, 0xc8, 0x14, 0xb3, 0xd0, 0x01}
	fragmentID = boxID{0x5e, 0x0d, 0x1c, 0x3a, 0x77, 0x42, 0x4b, 0x0f, 0x9a, 0x61, 0x2e, 0xc8, 0x14, 0xb3, 0xd0, 0x02}
	tailID     = boxID{0x5e, 0x0d, 0x1c, 0x3a, 0x77, 0x42, 0x4b, 0x0f, 0x9a, 0x61, 0x2e, 0xc8, 0x14, 0xb3, 0xd0, 0x03}
)

// A VolumeID identifies a volume for ever, wherever it is mounted.
type VolumeID [16]byte

// String returns the id in the usual form of a UUID (RFC 9562 §4).
func (id VolumeID) String() string {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseVolumeID reads what String writes.
func ParseVolumeID(s string) (VolumeID, error) {
	var id VolumeID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errors.New("volume id: want 8-4-4-4-12 hexadecimal digits")
	}
	if _, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return VolumeID{}, errors.New("volume id: want hexadecimal digits")
	}
	return id, nil
}

// openBox begins a box and returns where, for closeBox.
func openBox(b []byte, kind string) ([]byte, int) {
	return append(append(b, 0, 0, 0, 0), kind...), len(b)
}

// openUUID begins a `uuid` box.
func openUUID(b []byte, id *boxID) ([]byte, int) {
	b, at := openBox(b, "uuid")
	return append(b, id[:]...), at
}

// closeBox sets the size of the box that began at at.
func closeBox(b []byte, at int) { binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at)) }

// padding returns how long a `free` box after n bytes must be to end at a multiple
// of block: 0 or at least 8.
func padding(n int) int {
	p := -n & (block - 1)
	if p > 0 && p < 8 {
		p += block
	}
	return p
}

// appendFree appends a `free` box of n bytes in all; nothing for 0.
func appendFree(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	b = append(binary.BigEndian.AppendUint32(b, uint32(n)), "free"...)
	b = grow(b, n-8)
	clear(b[len(b)-(n-8):])
	return b
}

// grow makes b n bytes longer without promising what they hold.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	return append(b, make([]byte, n)...)
}
