package media

import "encoding/binary"

// RTP is the header of an RTP packet (RFC 3550 §5.1).
type RTP struct {
	SSRC        uint32
	Timestamp   uint32
	Payload     uint32 // bytes of payload, padding left out
	Header      uint16 // bytes from the packet's start to its payload: CSRCs and extension included
	Seq         uint16
	PayloadType uint8
	Marker      bool
}

// maxRTPHeader is the longest header whose length Packet.Header can tell. Longer
// ones (an extension of 64 KiB) are not sent.
const maxRTPHeader = 1<<16 - 1

// ParseRTP reads the header of the RTP packet b. Another version than 2, the
// payload types that are RTCP's packet types 200 to 204 (72 to 76, RFC 3550
// §5.1, RFC 5761 §4) and lengths that do not fit are a *[SyntaxError].
func ParseRTP(b []byte) (RTP, error) {
	if len(b) < 12 {
		return RTP{}, &SyntaxError{len(b), "RTP header", "12 bytes"}
	}
	if b[0]>>6 != 2 {
		return RTP{}, &SyntaxError{0, "RTP version", "2"}
	}
	h := RTP{
		Marker:      b[1]&0x80 != 0,
		PayloadType: b[1] & 0x7F,
		Seq:         binary.BigEndian.Uint16(b[2:]),
		Timestamp:   binary.BigEndian.Uint32(b[4:]),
		SSRC:        binary.BigEndian.Uint32(b[8:]),
	}
	if h.PayloadType >= 72 && h.PayloadType <= 76 {
		return RTP{}, &SyntaxError{1, "RTP payload type", "not RTCP"}
	}
	if b[0]&0x3F == 0 { // no padding, extension or CSRC: nearly every packet
		h.Header, h.Payload = 12, uint32(len(b)-12)
		return h, nil
	}
	return h, h.measure(b)
}

// measure finds the payload of a packet whose header is not the plain one.
func (h *RTP) measure(b []byte) error {
	header := 12 + 4*int(b[0]&0x0F)
	if b[0]&0x10 != 0 { // extension (RFC 3550 §5.3.1)
		if header+4 > len(b) {
			return &SyntaxError{header, "RTP header extension", "4 bytes"}
		}
		header += 4 + 4*int(binary.BigEndian.Uint16(b[header+2:]))
	}
	if header > len(b) || header > maxRTPHeader {
		return &SyntaxError{12, "RTP header", "no more than the packet"}
	}
	padding := 0
	if b[0]&0x20 != 0 {
		padding = int(b[len(b)-1])
		if padding == 0 || header+padding > len(b) {
			return &SyntaxError{len(b) - 1, "RTP padding", "1 to the payload's size"}
		}
	}
	h.Header, h.Payload = uint16(header), uint32(len(b)-header-padding)
	return nil
}
