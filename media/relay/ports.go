package relay

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"
)

// Ports hands out media ports of one address. Any goroutine.
type Ports struct {
	addr   netip.Addr
	lo, hi int // even ports, both ends included

	mu    sync.Mutex
	next  int
	freed map[uint16]time.Time // released ports and until when they rest
	used  map[uint16]bool
}

// portRest is how long a port rests after use: a sender that has not noticed
// the end would pour into the next session (quirk 53 of the field).
const portRest = 15 * time.Second

// NewPorts serves the ports lo to hi of addr; only even ones are used, RTCP's
// being the next odd one (RFC 3550 §11), which is in the range too.
func NewPorts(addr netip.Addr, lo, hi uint16) (*Ports, error) {
	first, last := int(lo)+int(lo)%2, (int(hi)-1)&^1
	if lo == 0 || hi == 0 || last < first {
		return nil, fmt.Errorf("media ports %d-%d: want a range with an even port and the next", lo, hi)
	}
	return &Ports{addr: addr, lo: first, hi: last, next: first,
		freed: map[uint16]time.Time{}, used: map[uint16]bool{}}, nil
}

// open calls try with one free port after the other until it succeeds.
func (p *Ports) open(try func(netip.AddrPort) error) (uint16, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var last error
	for range (p.hi-p.lo)/2 + 1 {
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
	if p.next += 2; p.next > p.hi {
		p.next = p.lo
	}
	return uint16(port)
}

// free lets a port rest, then be used again. Port 0 is none.
func (p *Ports) free(port uint16) {
	if port == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(p.freed, func(_ uint16, until time.Time) bool { return !now.Before(until) })
	delete(p.used, port)
	p.freed[port] = now.Add(portRest)
}
