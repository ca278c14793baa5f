package digest

import (
	"net/netip"
	"sync"
	"time"
)

// Bounds of guessing: an address may err ten times at once, and once every six
// seconds after that. Whoever shares it has to wait with it.
const (
	strikeLimit = 10
	strikeEvery = 6 * time.Second
	maxStrikers = 4096
)

// Strikes count the wrong passwords of each address, for the gates of all servers that
// have the same users.
// The zero value is empty. Any goroutine.
type Strikes struct {
	mu sync.Mutex
	// until is, by address, when all would be forgiven: each strike moves it on.
	until map[netip.Addr]time.Time
}

// Origin returns what counts as one address where somebody's share is bounded: of IPv6
// the network of 64 bits, all of which is one customer's (RFC 6177 §2).
func Origin(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // a has as many bits
		return p.Addr()
	}
	return a
}

// Out reports whether an address has erred too often to be listened to.
func (k *Strikes) Out(a netip.Addr, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.until[Origin(a)].Sub(now) > (strikeLimit-1)*strikeEvery
}

// Add notes a wrong password.
func (k *Strikes) Add(a netip.Addr, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.until == nil {
		k.until = map[netip.Addr]time.Time{}
	}
	a = Origin(a)
	if _, known := k.until[a]; !known && len(k.until) >= maxStrikers {
		k.forget(now)
	}
	from := k.until[a]
	if from.Before(now) {
		from = now
	}
	k.until[a] = from.Add(strikeEvery)
}

// forget makes room: those forgiven go, or else the one that soonest will be.
func (k *Strikes) forget(now time.Time) {
	var soonest netip.Addr
	for a, t := range k.until {
		if !t.After(now) {
			delete(k.until, a)
		} else if first := k.until[soonest]; first.IsZero() || t.Before(first) {
			soonest = a
		}
	}
	if len(k.until) >= maxStrikers {
		delete(k.until, soonest)
	}
}
