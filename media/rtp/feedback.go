package rtp

import "encoding/binary"

// Payload-specific feedback (RFC 4585 §6.1) and its formats that ask for a key frame.
const (
	typePayload = 206
	formatPLI   = 1 // Picture Loss Indication (RFC 4585 §6.3.1)
	formatFIR   = 4 // Full Intra Request (RFC 5104 §4.3.1)
)

// WantsKey reports whether a compound RTCP packet asks for a key frame: who receives it
// from a consumer calls [media.Stream.AskKey]. What is damaged asks for nothing.
func WantsKey(compound []byte) bool {
	for b := compound; len(b) >= 4 && b[0]>>6 == 2; {
		size := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b) {
			return false
		}
		if format := b[0] & 0x1f; b[1] == typePayload && size >= 12 && (format == formatPLI || format == formatFIR) {
			return true
		}
		b = b[size:]
	}
	return false
}
