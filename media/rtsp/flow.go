package rtsp

import (
	"encoding/binary"
	"time"

	"districtgateway/media"
)

// A flow is one track's RTP and what its receiver reports need (RFC 3550 §6.4,
// A.3, A.8).
type flow struct {
	index    int
	rate     int // timestamp units a second
	pt       uint8
	channels [2]int // interleaved: of RTP and RTCP

	info  info
	begun bool
	pleas pleas

	ssrc       uint32
	first, top uint32 // extended sequence numbers
	received   uint32
	prior      struct{ expected, received uint32 }
	srTime     uint32 // middle of the last sender report's NTP time
	srAt       time.Time
}

// takes reports whether p is an RTP packet of the flow.
func (f *flow) takes(p []byte) bool { return len(p) >= 12 && p[0]>>6 == 2 && p[1]&0x7f == f.pt }

// push gives one packet to the stream.
func (f *flow) push(s *media.Stream, g media.Range, now time.Time) {
	p := s.Ring().Bytes(g)
	if !f.takes(p) {
		return
	}
	ts := binary.BigEndian.Uint32(p[4:])
	if !f.begun {
		f.begin(s, ts, now)
	}
	f.count(binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[8:]))
	_ = s.PushRTP(f.index, g, now) // malformed: dropped, and counted by the stream
}

// An info is what RTP-Info tells of a flow: its timestamp at an instant that is the same
// for all flows of the session (RFC 2326 §12.33).
type info struct {
	timestamp uint32
	at        *instant // nil: nothing was told
}

// An instant is known once the first flow has begun.
type instant struct {
	known bool
	time  media.Ticks
}

// infoTrust is how far, in seconds, a first timestamp may be from what RTP-Info
// told: some encoders tell zero, or that of another session.
const infoTrust = 5

// begin aligns the flow with the others by RTP-Info: also one whose first packet comes
// late, behind a second of another flow that had waited.
func (f *flow) begin(s *media.Stream, ts uint32, now time.Time) {
	f.begun = true
	off := int64(int32(ts - f.info.timestamp))
	if f.info.at == nil || max(off, -off) > infoTrust*int64(f.rate) {
		return
	}
	if !f.info.at.known {
		*f.info.at = instant{true, s.Time(now)}
	}
	s.SetClock(f.index, f.info.timestamp, f.info.at.time)
}

// count keeps the statistics for receiver reports.
func (f *flow) count(seq uint16, ssrc uint32) {
	if f.received == 0 || ssrc != f.ssrc {
		f.ssrc, f.received, f.first, f.top = ssrc, 0, uint32(seq), uint32(seq)
		f.prior.expected, f.prior.received = 0, 0
	}
	f.received++
	if step := int16(seq - uint16(f.top)); step > 0 {
		f.top += uint32(step)
	}
}

// sender notes a sender report in a compound packet, if it is of the flow's sender.
func (f *flow) sender(p []byte, now time.Time) bool {
	if len(p) < 28 || p[0]>>6 != 2 || p[1] != 200 || f.received > 0 && binary.BigEndian.Uint32(p[4:]) != f.ssrc {
		return false
	}
	f.srTime, f.srAt = binary.BigEndian.Uint32(p[10:]), now
	return true
}

// reportBytes is the size of a receiver report with one block.
const reportBytes = 32

// report writes a receiver report into b.
func (f *flow) report(b []byte, own uint32, now time.Time) {
	expected := f.top - f.first + 1
	lost := int64(expected) - int64(f.received)
	since, got := expected-f.prior.expected, f.received-f.prior.received
	f.prior.expected, f.prior.received = expected, f.received
	var fraction uint8
	if since > got {
		fraction = uint8(uint64(since-got) << 8 / uint64(since))
	}
	b[0], b[1] = 2<<6|1, typeReceiver
	binary.BigEndian.PutUint16(b[2:], reportBytes/4-1)
	binary.BigEndian.PutUint32(b[4:], own)
	binary.BigEndian.PutUint32(b[8:], f.ssrc)
	binary.BigEndian.PutUint32(b[12:], uint32(min(max(lost, 0), 1<<23-1))|uint32(fraction)<<24)
	binary.BigEndian.PutUint32(b[16:], f.top)
	binary.BigEndian.PutUint32(b[20:], 0) // jitter is not measured: packets are read in batches
	binary.BigEndian.PutUint32(b[24:], f.srTime)
	delay := uint32(0)
	if f.srTime != 0 {
		delay = uint32(min(now.Sub(f.srAt), time.Hour) * 65536 / time.Second)
	}
	binary.BigEndian.PutUint32(b[28:], delay)
}
