package sip

import (
	"net/netip"
	"sync"

	stack "github.com/emiago/sipgo/sip"
)

// Bounds of the bytes of messages that are on their way in or being served. Over UDP
// a message stays for 32 s: 16 MiB are the pages of 40 000 channels.
const (
	maxHostBytes = 16 << 20 // of one host
	maxAllBytes  = 64 << 20 // of all hosts
	bulky        = 64 << 10 // a larger body is decoded alone: its tree takes many times its size
)

// A ledger counts the bytes that messages hold, so that a peer whose every message
// is as large as allowed cannot take the memory of all others. It is safe for
// concurrent use, and bounded: a host that holds nothing is forgotten.
type ledger struct {
	mu    sync.Mutex
	all   int
	hosts map[netip.Addr]int
	bulk  sync.Mutex // held while a bulky body is decoded
}

func newLedger() *ledger { return &ledger{hosts: make(map[netip.Addr]int)} }

// fits reports whether there is room for n more bytes of host.
func (l *ledger) fits(host netip.Addr, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.room(host, n)
}

func (l *ledger) room(host netip.Addr, n int) bool {
	return l.hosts[host]+n <= maxHostBytes && l.all+n <= maxAllBytes
}

// take adds n bytes of host, and reports false, adding nothing, if they do not fit.
func (l *ledger) take(host netip.Addr, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(host, n) {
		return false
	}
	l.move(host, n)
	return true
}

// add adds n bytes of host, or takes them away; what was let in is counted even if
// it came at the same time as others.
func (l *ledger) add(host netip.Addr, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.move(host, n)
}

func (l *ledger) move(host netip.Addr, n int) {
	l.all += n
	if l.hosts[host] += n; l.hosts[host] == 0 {
		delete(l.hosts, host)
	}
}

// weigh returns about how many bytes a request holds.
func weigh(req *stack.Request) int {
	n := len(req.Body())
	for _, h := range req.Headers() {
		n += len(h.Name()) + len(h.Value())
	}
	return n
}
