package rtp

import (
	"encoding/binary"

	"districtgateway/media"
)

// A Stamp is what an RTP header says (RFC 3550 §5.1).
type Stamp struct {
	PayloadType uint8
	Marker      bool
	Seq         uint16
	Time        uint32
	SSRC        uint32
}

// PutHeader writes the header that says t into h, of [HeaderSize] bytes.
func PutHeader(h []byte, t Stamp) {
	h[0], h[1] = 2<<6, t.PayloadType
	if t.Marker {
		h[1] |= 1 << 7
	}
	binary.BigEndian.PutUint16(h[2:], t.Seq)
	binary.BigEndian.PutUint32(h[4:], t.Time)
	binary.BigEndian.PutUint32(h[8:], t.SSRC)
}

// Time returns t in units of a clock of rate units a second.
func Time(t media.Ticks, rate int) uint32 {
	if rate == media.TicksPerSecond {
		return uint32(t)
	}
	seconds, rest := int64(t)/media.TicksPerSecond, int64(t)%media.TicksPerSecond
	return uint32(seconds*int64(rate) + (rest*int64(rate)+media.TicksPerSecond/2)/media.TicksPerSecond)
}

// A Flow is one track as it is sent. Timestamps are the stream's own time, which
// goes on when its source is replaced; sequence numbers go on over units that
// were skipped.
type Flow struct {
	Codec       media.Codec
	Rate        int // timestamp units a second
	PayloadType uint8
	Limit       int // bytes of payload in a packet that Packetize writes; 0: MaxPayload
	SSRC        uint32
	Seq         uint16 // of the next packet
	Packets     uint32 // written
	Octets      uint32 // of payload, in those
}

// Forward writes the packets of u, which is a unit of the flow's track in
// [media.CarriageRTP], under headers of the flow's own. Where packets are missing
// in u, sequence numbers are missing too: the far end must see it.
func (f *Flow) Forward(s *media.Stream, u media.Unit, w Writer) {
	t := f.stamp(u.PTS)
	var last uint16
	for i := u.First; i < u.End; i++ {
		p := s.Packet(u.Flow, i)
		if i > u.First {
			f.Seq += p.Seq - last - 1
		}
		last, t.Marker = p.Seq, f.marks(u, i, p)
		f.begin(t, 0, w)
		f.add(s.Ring().Bytes(p.Body()), w)
		w.End()
	}
}

// marks reports whether packet i of u, which is p, is sent on with the marker: the last
// one of a picture, whatever it came with.
func (f *Flow) marks(u media.Unit, i uint64, p media.Packet) bool {
	if f.Codec.Video() {
		return i == u.End-1
	}
	return p.Marker
}

// stamp returns what the packets of an instant have in common.
func (f *Flow) stamp(at media.Ticks) Stamp {
	return Stamp{PayloadType: f.PayloadType, Time: Time(at, f.Rate), SSRC: f.SSRC}
}

// begin begins the next packet, and returns n bytes that follow its header.
func (f *Flow) begin(t Stamp, n int, w Writer) []byte {
	h := w.Header(HeaderSize + n)
	t.Seq = f.Seq
	PutHeader(h, t)
	f.Seq++
	f.Packets++
	f.Octets += uint32(n)
	return h[HeaderSize:]
}

// add appends payload.
func (f *Flow) add(b []byte, w Writer) {
	w.Add(b)
	f.Octets += uint32(len(b))
}
