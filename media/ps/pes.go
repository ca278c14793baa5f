package ps

import "encoding/binary"

// A stamp is the time a PES packet carries.
type stamp struct {
	pts, dts uint64 // 33 bits, 1/90000 s; equal unless both were sent
	serial   int    // counts the stamps of a pass from 1; 0: no stamp
}

// A pesHeader is what precedes the payload of a PES packet, after its stream_id.
type pesHeader struct {
	header  int // bytes from behind the stream_id to the payload
	payload int // bytes of payload, -1 if the packet does not state its length
	stamp   stamp
}

// maxPESHeader is how much of a packet parsePES needs to see: the length, 16
// bytes of MPEG-1 stuffing, buffer size and two time stamps.
const maxPESHeader = 2 + 16 + 2 + 10

// parsePES reads the header of a PES packet from behind its stream_id: of MPEG-2
// (§2.4.3.6) or, as old multiplexers write, of MPEG-1 (ISO/IEC 11172-1
// §2.4.3.3). It reports false if b ends too soon or the lengths contradict.
func parsePES(b []byte) (pesHeader, bool) {
	if len(b) < 5 {
		return pesHeader{}, false
	}
	length := int(binary.BigEndian.Uint16(b))
	h, ok := pesHeader{}, false
	if b[2]&0xC0 == 0x80 {
		h, ok = parsePES2(b)
	} else {
		h, ok = parsePES1(b)
	}
	h.payload = length + 2 - h.header
	if length == 0 {
		h.payload = -1
	}
	return h, ok && (length == 0 || h.payload >= 0)
}

func parsePES2(b []byte) (h pesHeader, ok bool) {
	if len(b) < 5 {
		return h, false
	}
	n, flags := int(b[4]), b[3]>>6
	h.header = 5 + n
	if flags < 2 {
		return h, true
	}
	return h, h.stamp.parse(b[5:min(len(b), h.header)], flags == 3)
}

func parsePES1(b []byte) (h pesHeader, ok bool) {
	at := 2
	for at < len(b) && at < 2+16 && b[at] == 0xFF {
		at++
	}
	if at+2 < len(b) && b[at]&0xC0 == 0x40 { // buffer scale and size
		at += 2
	}
	if at == len(b) {
		return h, false
	}
	switch b[at] & 0xF0 {
	case 0x20:
		h.header = at + 5
		return h, h.stamp.parse(b[at:], false)
	case 0x30:
		h.header = at + 10
		return h, h.stamp.parse(b[at:], true)
	}
	h.header = at + 1
	return h, b[at] == 0x0F
}

// parse reads a PTS and, if both, the DTS behind it.
func (s *stamp) parse(b []byte, both bool) bool {
	if len(b) < 5 || both && len(b) < 10 {
		return false
	}
	s.pts, s.serial = stampAt(b), 1
	s.dts = s.pts
	if both {
		s.dts = stampAt(b[5:])
	}
	return true
}
