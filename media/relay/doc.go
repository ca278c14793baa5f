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
	"net/netip"
	"sync"
	"time"
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
)

// Limits of patience. GB/T 28181 Annex D: reconnect after ≥ 1 s, ≥ 3 times;
// Annex K leaves the silence to the platform.
const (
	firstPacketWithin = 10 * time.Second
	silenceLimit      = 15 * time.Second
	connectTries      = 3
	connectPause      = time.Second
	connectTimeout    = 5 * time.Second
)

// Ports hands out media ports of one address. Any goroutine.
type Ports struct {
	addr   netip.Addr
	lo, hi uint16

	mu    sync.Mutex
	next  uint16
	freed map[uint16]time.Time // released ports and until when they rest
	used  map[uint16]bool
}

// portRest is how long a port rests after use: a sender that has not noticed
// the end would pour into the next session (quirk 53 of the field).
const portRest = 15 * time.Second

// NewPorts serves the ports lo to hi of addr; only even ones are used, RTCP's
// being the next odd one (RFC 3550 §11).
func NewPorts(addr netip.Addr, lo, hi uint16) (*Ports, error) {
	if lo == 0 || hi < lo || hi-lo < 1 {
		return nil, fmt.Errorf("media ports %d-%d: want a range of at least two ports", lo, hi)
	}
	return &Ports{addr: addr, lo: lo + lo%2, hi: hi, next: lo + lo%2,
		freed: map[uint16]time.Time{}, used: map[uint16]bool{}}, nil
}

// open calls try with one free port after the other until it succeeds.
func (p *Ports) open(try func(netip.AddrPort) error) (uint16, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var last error
	for n := int(p.hi-p.lo)/2 + 1; n > 0; n-- {
		port := p.take()
		if p.used[port] || time.Now().Before(p.freed[port]) {
			continue
		}
		if last = try(netip.AddrPortFrom(p.addr, port)); last == nil {
			delete(p.freed, port)
			p.used[port] = true
			return port, nil
		}
	}
	if last != nil {
		return 0, fmt.Errorf("%w in %d-%d: %w", ErrNoPort, p.lo, p.hi, last)
	}
	return 0, fmt.Errorf("%w in %d-%d", ErrNoPort, p.lo, p.hi)
}

// take returns the next port of the range, in turn.
func (p *Ports) take() uint16 {
	port := p.next
	if p.next += 2; p.next > p.hi || p.next < p.lo {
		p.next = p.lo
	}
	return port
}

// free lets a port rest, then be used again.
func (p *Ports) free(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, port)
	p.freed[port] = time.Now().Add(portRest)
}
