package rtp

import (
	"encoding/binary"
	"time"

	"districtgateway/media"
)

// RTCP packet types (RFC 3550 §12.1).
const (
	typeSender  = 200
	typeSource  = 202
	typeGoodbye = 203
)

// An Instant is one moment by the wall clock and by a stream's own.
type Instant struct {
	Wall time.Time
	At   media.Ticks
}

// Sizes of compound RTCP packets in bytes.
const (
	reportBytes  = 28
	sourceBytes  = 8 + 2 + nameBytes + 2 // text and the zeros that end it fill 32-bit words
	nameBytes    = 8 + 8
	ReportSize   = reportBytes + sourceBytes // of what Report writes
	GoodbyeSize  = ReportSize + 8            // of what Goodbye writes
	ntpEpoch     = 2208988800                // seconds from 1900 to 1970
	canonical    = 1                         // SDES item CNAME
	reportsWords = reportBytes/4 - 1
)

// Report writes a sender report and the sender's name into b, of [ReportSize]
// bytes (RFC 3550 §6.4.1, §6.5). Name, the same for all tracks of a session, is
// what tells the far end that they belong together; now is the moment the
// report is about.
func (f *Flow) Report(b []byte, name uint64, now Instant) {
	b[0], b[1] = 2<<6, typeSender
	binary.BigEndian.PutUint16(b[2:], reportsWords)
	binary.BigEndian.PutUint32(b[4:], f.SSRC)
	ns := now.Wall.UnixNano()
	binary.BigEndian.PutUint32(b[8:], uint32(ns/int64(time.Second)+ntpEpoch))
	binary.BigEndian.PutUint32(b[12:], uint32(ns%int64(time.Second)<<32/int64(time.Second)))
	binary.BigEndian.PutUint32(b[16:], Time(now.At, f.Rate))
	binary.BigEndian.PutUint32(b[20:], f.Packets)
	binary.BigEndian.PutUint32(b[24:], f.Octets)
	f.source(b[reportBytes:], name)
}

// source writes the sender's name: 16 hexadecimal digits.
func (f *Flow) source(b []byte, name uint64) {
	clear(b[:sourceBytes])
	b[0], b[1] = 2<<6|1, typeSource
	binary.BigEndian.PutUint16(b[2:], sourceBytes/4-1)
	binary.BigEndian.PutUint32(b[4:], f.SSRC)
	b[8], b[9] = canonical, nameBytes
	for i := range nameBytes {
		b[10+i] = "0123456789abcdef"[name>>(60-4*i)&0xF]
	}
}

// Goodbye writes a last report and that the sender leaves into b, of
// [GoodbyeSize] bytes (RFC 3550 §6.6).
func (f *Flow) Goodbye(b []byte, name uint64, now Instant) {
	f.Report(b, name, now)
	b = b[ReportSize:]
	b[0], b[1] = 2<<6|1, typeGoodbye
	binary.BigEndian.PutUint16(b[2:], 1)
	binary.BigEndian.PutUint32(b[4:], f.SSRC)
}
