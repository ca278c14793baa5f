package storage

import (
	"encoding/binary"
	"hash/crc32"
)

// castagnoli is the polynomial of every checksum here: CRC-32C, which processors
// compute themselves.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A decoder reads fields one after another. After the first that is missing every
// further one is zero and err tells where.
type decoder struct {
	b   []byte
	off int
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || len(d.b)-d.off < n {
		d.bad = true
		return nil
	}
	d.off += n
	return d.b[d.off-n : d.off : d.off]
}

func (d *decoder) u8() uint8 {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) volume() (id VolumeID) {
	copy(id[:], d.take(16))
	return id
}

func (d *decoder) uvarint() uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.b[d.off:])
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.off += n
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// blob reads a run of bytes after its length, at most limit.
func (d *decoder) blob(limit int) []byte {
	n := d.uvarint()
	if n > uint64(limit) {
		d.bad = true
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) str(limit int) string { return string(d.blob(limit)) }

// err returns nil if every field was there.
func (d *decoder) err(want string) error {
	if d.bad {
		return &SyntaxError{int64(d.off), want}
	}
	return nil
}

func appendBlob(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendStr(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}
