// Package relay carries streams between domains: RTP as GB/T 28181 wants it
// (MPEG-PS with payload type 96; plain H.264/H.265 RTP between peers that agree),
// over UDP or over TCP in the frames of RFC 4571.
//
// A [Receiver] is the receiving end: it opens its port at once, so that an offer
// can name it, learns of the sender later, and is then the source of a
// [media.Stream]. A [Sender] is the sending end: it opens its port at once, so
// that an answer can name it, and is a sink of any stream. What arrived as
// program stream leaves as program stream packet by packet, with new RTP headers
// only; other carriages are multiplexed from the ring without copying payload.
package relay

import (
	"errors"
	"fmt"
	"time"

	"districtgateway/media/rtp"
)

// Transport is how RTP travels, from the receiver's point of view (GB/T
// 28181-2022 Annex D).
type Transport uint8

// The transports.
const (
	UDP        Transport = iota
	TCPPassive           // the receiver listens, the sender connects
	TCPActive            // the sender listens, the receiver connects
)

// PayloadPS is the RTP payload type of program stream (GB/T 28181-2022 Annex C).
const PayloadPS = 96

// Errors an end of media fails with.
var (
	ErrNoPort    = errors.New("no free media port")
	ErrNoMedia   = errors.New("no media arrived")
	ErrNoConnect = errors.New("media connection was not made")
	ErrRefused   = rtp.ErrRefused                                    // UDP: its host answers that nobody listens
	ErrChanged   = errors.New("stream is no longer what was agreed") // plain RTP: another coding
)

// Limits of patience. GB/T 28181 Annex D: reconnect after ≥ 1 s, ≥ 3 times;
// Annex K leaves the silence to the platform.
const (
	firstPacketWithin = 10 * time.Second
	silenceLimit      = 15 * time.Second
	pauseLimit        = 10 * time.Minute // of a recording that its viewer has paused
	connectTries      = 3
	connectPause      = time.Second
	connectTimeout    = 5 * time.Second
)

// String returns the name used in configuration: udp, tcp-passive, tcp-active.
func (t Transport) String() string {
	if t > TCPActive {
		return fmt.Sprintf("transport(%d)", uint8(t))
	}
	return [...]string{"udp", "tcp-passive", "tcp-active"}[t]
}
