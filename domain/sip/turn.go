package sip

import (
	"bytes"
	"net/netip"
	"sync"
	"time"
)

const (
	turnWait   = 500 * time.Millisecond // for a command that came before, and may never be served
	maxTurns   = 8192                   // commands of one host that are being served, or about to be
	maxCommand = 4 << 10                // bytes of a message that moves a camera
	maxBranch  = 128                    // bytes of its branch
)

// turns keep commands to cameras in the order in which they came from a host. sipgo
// serves each request on a goroutine of its own, and of two that are read together the
// later one is mostly first: a camera that was moved and stopped would run on. turns are
// bounded in number and in time, and safe for concurrent use.
type turns struct {
	mu    sync.Mutex
	known map[turnKey]*turn    // from when one is let in until its transaction ends
	held  map[netip.Addr]int   // how many of each host are known: one that floods loses but its own order
	last  map[netip.Addr]*turn // of each host, until it is over
}

// A turnKey is what a transaction is found by at the gate, too.
type turnKey struct {
	host   netip.Addr
	branch string
}

// A turn is one command's. turns.mu guards taken.
type turn struct {
	key    turnKey
	before <-chan struct{} // closed when the one before is over; nil: there is none
	over   chan struct{}
	taken  bool
}

func newTurns() *turns {
	return &turns{known: make(map[turnKey]*turn), held: make(map[netip.Addr]int), last: make(map[netip.Addr]*turn)}
}

// enter gives a message of host that is let in a turn, if it moves a camera and is no
// copy of one that has a turn.
func (s *turns) enter(host netip.Addr, msg []byte) {
	key := turnKey{host, commandBranch(msg)}
	if key.branch == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[key] != nil || s.held[host] >= maxTurns {
		return
	}
	n := &turn{key: key, over: make(chan struct{})}
	if last := s.last[host]; last != nil {
		n.before = last.over
	}
	s.known[key], s.last[host] = n, n
	s.held[host]++
	time.AfterFunc(turnWait, func() { s.expire(n) })
}

// commandBranch returns the branch of a message that may move a camera, else "".
func commandBranch(msg []byte) string {
	if len(msg) > maxCommand || !bytes.Contains(bytes.ToLower(msg), []byte("ptzcmd")) {
		return ""
	}
	_, rest, _ := bytes.Cut(msg, []byte("branch="))
	end := bytes.IndexAny(rest, ";, \t\r\n")
	if end < 0 || end > maxBranch {
		return ""
	}
	return string(rest[:end])
}

// take returns the turn of r, which is to be ended, or nil if it has none.
func (s *turns) take(r *request) *turn {
	branch, _ := r.Via().Params.Get("branch")
	s.mu.Lock()
	n := s.known[turnKey{r.at.addr.Addr(), branch}]
	if n == nil || n.taken {
		s.mu.Unlock()
		return nil
	}
	n.taken = true
	s.mu.Unlock()
	if !r.tx.OnTerminate(func(string, error) { s.forget(n) }) {
		s.forget(n)
	}
	return n
}

// inTurn serves r, after what came before it from its host.
func (s *turns) inTurn(r *request, serve func()) {
	n := s.take(r)
	if n == nil {
		serve()
		return
	}
	if n.before != nil {
		<-n.before
	}
	serve()
	s.end(n)
}

// expire ends a turn that nobody took: sipgo had no use for the message.
func (s *turns) expire(n *turn) {
	s.mu.Lock()
	taken := n.taken
	n.taken = true
	s.mu.Unlock()
	if !taken {
		s.end(n)
		s.forget(n)
	}
}

func (s *turns) end(n *turn) {
	close(n.over)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last[n.key.host] == n {
		delete(s.last, n.key.host)
	}
}

func (s *turns) forget(n *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[n.key] != n {
		return
	}
	delete(s.known, n.key)
	if s.held[n.key.host]--; s.held[n.key.host] == 0 {
		delete(s.held, n.key.host)
	}
}
