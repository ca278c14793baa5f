package traffic

import "time"

// A mark is the end of each picture's slice. It is written in half bytes from
// 0x40 on, so that it makes no start code.
type mark struct {
	number uint32
	sent   int64 // nanoseconds of the machine's monotonic clock, one for all its processes
	size   uint32
}

const markSize = 8 + 16 + 8 // bytes

func (m mark) put(b []byte) {
	putNibbles(b[:8], uint64(m.number))
	putNibbles(b[8:24], uint64(m.sent))
	putNibbles(b[24:markSize], uint64(m.size))
}

// readMark reads the mark at the end of a slice, if there is one.
func readMark(slice []byte) (m mark, ok bool) {
	if len(slice) < markSize {
		return m, false
	}
	b := slice[len(slice)-markSize:]
	for _, c := range b {
		if c&0xf0 != 0x40 {
			return m, false
		}
	}
	return mark{uint32(nibbles(b[:8])), int64(nibbles(b[8:24])), uint32(nibbles(b[24:]))}, true
}

func putNibbles(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = 0x40 | byte(v&0xf)
		v >>= 4
	}
}

func nibbles(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<4 | uint64(c&0xf)
	}
	return v
}

// since returns how long ago a picture with this mark was sent.
func (m mark) since(now time.Duration) time.Duration { return now - time.Duration(m.sent) }
