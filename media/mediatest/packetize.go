package mediatest

import (
	"encoding/binary"

	"districtgateway/media"
)

// A Packetizer makes the RTP packets of one flow. Seq counts on.
type Packetizer struct {
	PayloadType uint8
	SSRC        uint32
	Seq         uint16 // of the next packet
	MTU         int    // largest payload, bytes; 0: 1200
	NoMarker    bool   // never set the marker, as some devices do
}

// Packet makes one packet of a payload.
func (p *Packetizer) Packet(ts uint32, marker bool, payload []byte) []byte {
	b := make([]byte, 12, 12+len(payload))
	b[0], b[1] = 0x80, p.PayloadType
	if marker && !p.NoMarker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], p.Seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], p.SSRC)
	p.Seq++
	return append(b, payload...)
}

// Packets makes one packet of each payload, the marker on the last.
func (p *Packetizer) Packets(ts uint32, payloads ...[]byte) [][]byte {
	out := make([][]byte, len(payloads))
	for i, b := range payloads {
		out[i] = p.Packet(ts, i == len(payloads)-1, b)
	}
	return out
}

// Video makes the packets of one picture: NAL units that fit alone, others in
// fragments (RFC 6184 §5.8, RFC 7798 §4.4.3).
func (p *Packetizer) Video(c media.Codec, ts uint32, nals ...[]byte) [][]byte {
	var payloads [][]byte
	for _, nal := range nals {
		payloads = append(payloads, Fragment(c, nal, p.mtu())...)
	}
	return p.Packets(ts, payloads...)
}

// Cut makes packets of bytes as they are, such as a pack of program stream.
func (p *Packetizer) Cut(ts uint32, b []byte) [][]byte {
	var payloads [][]byte
	for len(b) > 0 {
		n := min(len(b), p.mtu())
		payloads, b = append(payloads, b[:n]), b[n:]
	}
	return p.Packets(ts, payloads...)
}

// AAC makes one packet of several frames (RFC 3640, AAC-hbr).
func (p *Packetizer) AAC(ts uint32, frames ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(16*len(frames)))
	for _, f := range frames {
		b = binary.BigEndian.AppendUint16(b, uint16(len(f)<<3))
	}
	for _, f := range frames {
		b = append(b, f...)
	}
	return p.Packet(ts, true, b)
}

// AACFragments makes the packets of one frame that is cut at the MTU.
func (p *Packetizer) AACFragments(ts uint32, frame []byte) [][]byte {
	head := binary.BigEndian.AppendUint16([]byte{0, 16}, uint16(len(frame)<<3))
	var payloads [][]byte
	for len(frame) > 0 {
		n := min(len(frame), p.mtu()-len(head))
		payloads = append(payloads, append(head[:len(head):len(head)], frame[:n]...))
		frame = frame[n:]
	}
	return p.Packets(ts, payloads...)
}

func (p *Packetizer) mtu() int {
	if p.MTU > 0 {
		return p.MTU
	}
	return 1200
}

// Fragment returns the payloads that carry one NAL unit.
func Fragment(c media.Codec, nal []byte, mtu int) [][]byte {
	if len(nal) <= mtu {
		return [][]byte{nal}
	}
	head, fu := fragmentHead(c, nal)
	rest := nal[len(head)-1:]
	var out [][]byte
	for first := true; len(rest) > 0; first = false {
		n := min(len(rest), mtu-len(head))
		b := append(head[:len(head):len(head)], rest[:n]...)
		b[len(head)-1] = fu
		if first {
			b[len(head)-1] |= 0x80
		}
		if rest = rest[n:]; len(rest) == 0 {
			b[len(head)-1] |= 0x40
		}
		out = append(out, b)
	}
	return out
}

// fragmentHead returns the bytes that begin each fragment, the last of them the
// FU header, and that header without its start and end bits.
func fragmentHead(c media.Codec, nal []byte) (head []byte, fu byte) {
	if c == media.H265 {
		return []byte{nal[0]&0x81 | 49<<1, nal[1], 0}, nal[0] >> 1 & 0x3F
	}
	return []byte{nal[0]&0xE0 | 28, 0}, nal[0] & 0x1F
}

// Aggregate returns the payload that carries several NAL units (STAP-A of RFC
// 6184 §5.7.1, aggregation packet of RFC 7798 §4.4.2).
func Aggregate(c media.Codec, nals ...[]byte) []byte {
	b := []byte{24}
	if c == media.H265 {
		b = []byte{48 << 1, 1}
	}
	for _, nal := range nals {
		b = binary.BigEndian.AppendUint16(b, uint16(len(nal)))
		b = append(b, nal...)
	}
	return b
}

// Lengths returns NAL units each after its length in 4 bytes, as
// media.CarriageFrames has them.
func Lengths(nals ...[]byte) []byte {
	var b []byte
	for _, nal := range nals {
		b = binary.BigEndian.AppendUint32(b, uint32(len(nal)))
		b = append(b, nal...)
	}
	return b
}
