package footage

import "encoding/binary"

// A box is one box (ISO/IEC 14496-12 §4.2) that is wholly in memory.
type box struct {
	kind string
	body []byte
	at   int64 // of body in the stream
}

// A header is what stands before a box's body.
type header struct {
	kind string
	size int64 // of the header itself: 8 or 16
	body int64 // bytes that follow; -1: to the end of the stream
}

// maxBox keeps places in the stream far from overflow.
const maxBox = 1 << 56

// parseHeader reads a header from b. More than 8 bytes are needed only for boxes
// beyond 4 GiB: then need is 16 and b was too short.
func parseHeader(b []byte, at int64) (h header, need int, err error) {
	if len(b) < 8 {
		return h, 8, nil
	}
	h = header{kind: string(b[4:8]), size: 8}
	size := int64(binary.BigEndian.Uint32(b))
	switch size {
	case 0:
		h.body = -1
		return h, 0, nil
	case 1:
		if len(b) < 16 {
			return h, 16, nil
		}
		h.size, size = 16, int64(binary.BigEndian.Uint64(b[8:]))
	}
	if h.body = size - h.size; h.body < 0 || h.body > maxBox {
		return h, 0, &SyntaxError{at, "a box with a possible size"}
	}
	return h, 0, nil
}

// each calls visit for every box in b, whose first byte is at at in the stream.
func each(b []byte, at int64, visit func(box) error) error {
	for len(b) > 0 {
		h, need, err := parseHeader(b, at)
		if err != nil {
			return err
		}
		if need > 0 || h.body > int64(len(b))-h.size {
			return &SyntaxError{at, "a whole box"}
		}
		if h.body < 0 {
			h.body = int64(len(b)) - h.size
		}
		end := h.size + h.body
		if err := visit(box{h.kind, b[h.size:end], at + h.size}); err != nil {
			return err
		}
		b, at = b[end:], at+end
	}
	return nil
}

// A fields reads fixed fields from the front of a box; past its end it reads
// zeros and remembers.
type fields struct {
	b     []byte
	at    int64
	short bool
}

func (b box) fields() *fields { return &fields{b: b.body, at: b.at} }

func (f *fields) take(n int) []byte {
	if f.short || n > len(f.b) {
		f.short = true
		return make([]byte, n)
	}
	out := f.b[:n]
	f.b, f.at = f.b[n:], f.at+int64(n)
	return out
}

func (f *fields) u8() uint8   { return f.take(1)[0] }
func (f *fields) u16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// skip passes over n bytes, which may be more than there are.
func (f *fields) skip(n int) {
	if n > len(f.b) {
		f.short = true
		return
	}
	f.b, f.at = f.b[n:], f.at+int64(n)
}

// err reports that the box ended before its fields did.
func (f *fields) err(what string) error {
	if f.short {
		return &SyntaxError{f.at, "the fields of " + what}
	}
	return nil
}
