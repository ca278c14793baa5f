// Package rtp sends RTP (RFC 3550) out of a stream's ring. Headers are memory of
// an [Arena], payload stays where it was received: a [Writer] puts both together,
// and an [Output] gives them to the kernel, as [Datagrams] (UDP, paced) or as
// [Frames] on a connection (RFC 4571, or interleaved with RTSP). A [Flow] is what
// the packets of one track have in common; it forwards packets under new headers,
// or cuts access units into packets (RFC 6184, RFC 7798, RFC 3551, RFC 3640). A
// [Unison] makes the packets that many connections get alike once, in the ring.
//
// Everything here belongs to the owner of one stream, and nothing allocates in
// steady state.
package rtp

import (
	"errors"
	"time"
)

// HeaderSize is the size in bytes of the RTP headers written here (RFC 3550 §5.1).
const HeaderSize = 12

// What a packet carries at most, in bytes.
const (
	// MaxPayload keeps a packet, with RTP, UDP and IP headers, clear of an Ethernet
	// frame's 1500 bytes, tunnels included.
	MaxPayload = 1400
	// MaxForward is what may be sent on as it came: it just fits an Ethernet frame.
	MaxForward = 1440
)

// ErrRefused reports a receiver whose host answers that nobody listens.
var ErrRefused = errors.New("receiver refuses media")

// silenceLimit is how long a host may say so (GB/T 28181-2022 Annex K leaves it to
// the platform).
const silenceLimit = 15 * time.Second

// A Writer builds packets.
type Writer interface {
	Header(n int) []byte // begins a packet: n bytes of memory of the writer's own
	Add(b []byte)        // appends memory to the packet, which must stay as it is until it was sent
	End()                // finishes it
}

// An Output sends the packets of one unit at a time.
type Output interface {
	Writer
	Reset()        // forgets everything; begins a unit
	Pending() bool // something is not sent yet
	Flush(now time.Time) (again time.Time, err error)
	// Abandon drops what was not sent, as far as framing allows. It returns how
	// many packets that were and their payload, and how many are sent.
	Abandon() (dropped, size, sent int)
}
