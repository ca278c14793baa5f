package sip

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

// received marks the Dialog of a call that a peer began, so that it is never equal to
// a Tag.
const received = 1 << 63

const maxCalls = 4096

// A call is one INVITE and the dialog that it may become.
type call struct {
	dialog  domain.Dialog
	peer    domain.PeerRef
	channel domain.Code
	kind    domain.Kind
	callID  string
	local   address // From of our requests
	remote  address // their To
	cseq    atomic.Uint32

	mu sync.Mutex
	way
	state callState
	over  chan struct{} // closed with callOver

	in  *incoming // of a call that the peer began
	out *outgoing // of one that we did
}

// A way is how the other end of a dialog is reached.
type way struct {
	at     place     // until agreed, where it was
	target stack.Uri // Request-URI
	routes []string  // Route
}

type callState uint8

// The states of a call.
const (
	callAsked    callState = iota // no final answer to the INVITE yet
	callAnswered                  // ours is given, the ACK is awaited
	callAgreed
	callOver
)

// incoming is what belongs to the INVITE of a peer.
type incoming struct {
	r      *request
	name   description   // of the offer
	answer []byte        // our SDP, given again to a repeated INVITE
	acks   chan struct{} // an ACK came outside of sipgo's transaction
	told   bool          // the processor knows the call; call.mu guards it
}

// outgoing is what belongs to an INVITE of ours.
type outgoing struct {
	cancel chan struct{} // closed by Cancel
	once   sync.Once
	ack    *stack.Request // repeated with each repeated 200; call.mu guards it
}

// calls finds calls. It is safe for concurrent use.
type calls struct {
	mu       sync.Mutex
	byDialog map[domain.Dialog]*call
	byCallID map[string]*call
}

func (s *calls) init() {
	s.byDialog, s.byCallID = make(map[domain.Dialog]*call), make(map[string]*call)
}

func (s *calls) get(d domain.Dialog) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byDialog[d]
}

func (s *calls) find(callID string) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byCallID[callID]
}

// enter adds c unless its Call-ID is known, and returns the call that has it. Nil:
// there are too many.
func (s *calls) enter(c *call) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.byCallID[c.callID]; other != nil {
		return other
	}
	if len(s.byCallID) >= maxCalls {
		return nil
	}
	s.byDialog[c.dialog], s.byCallID[c.callID] = c, c
	return c
}

func (s *calls) leave(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byDialog, c.dialog)
	delete(s.byCallID, c.callID)
}

// move takes c from one state to the next, and reports false if it is not in it.
func (c *call) move(from, to callState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != from {
		return false
	}
	c.set(to)
	return true
}

func (c *call) set(to callState) {
	c.state = to
	if to == callOver {
		close(c.over)
	}
}

// tell marks that the processor knows c, and reports whether c has ended meanwhile.
func (c *call) tell() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in.told = true
	return c.state == callOver
}

// giveUp ends a call that has no answer yet. It reports whether it did, and whether
// the processor is to be told.
func (c *call) giveUp() (ended, told bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != callAsked {
		return false, false
	}
	c.set(callOver)
	return true, c.in.told
}

// agreed reports whether c is a dialog.
func (c *call) agreed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == callAnswered || c.state == callAgreed
}

// end ends c, and returns the state it was in.
func (c *call) end() callState {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.state
	if was != callOver {
		c.set(callOver)
	}
	return was
}

// with reports whether r can be of the other end of c. Tags are not compared, since
// some peers get them wrong: Call-ID, and host or id, have to do.
func (c *call) with(r *request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.addr.Addr() == r.at.addr.Addr() || r.origin.Proved && r.origin.From == c.peer.Code
}

// draft returns the next request of ours in the dialog.
func (c *call) draft(method stack.RequestMethod) draft {
	c.mu.Lock()
	defer c.mu.Unlock()
	return draft{method: method, to: c.at, uri: c.target, from: c.local, target: c.remote, callID: c.callID,
		cseq: c.cseq.Add(1), routes: c.routes}
}

// agree takes the peer's address and route from the message that makes the dialog:
// its Contact if that leads to a host where a peer is known to be, else where the
// message came from. A Contact is often a private address behind a NAT, or
// 0.0.0.0. A connection is never left, nor a route of proxies.
func (c *call) agree(m stack.Message, from place, known func(netip.Addr) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.way.agree(m, from, known)
}

func (c *way) agree(m stack.Message, from place, known func(netip.Addr) bool) {
	c.at, c.routes = from, nil
	for _, h := range m.GetHeaders("record-route") {
		c.routes = append(c.routes, h.Value())
	}
	if _, ok := m.(*stack.Response); ok { // RFC 3261 clause 12.1.2
		slices.Reverse(c.routes)
	}
	h, ok := m.(interface{ Contact() *stack.ContactHeader })
	if !ok || h.Contact() == nil || h.Contact().Address.Wildcard {
		return
	}
	c.target = *h.Contact().Address.Clone()
	c.target.Headers = nil
	ip, err := netip.ParseAddr(strings.Trim(c.target.Host, "[]"))
	if err != nil || from.network != "UDP" || len(c.routes) > 0 || !known(ip.Unmap()) {
		return
	}
	port := c.target.Port
	if port <= 0 || port > 65535 {
		port = 5060
	}
	c.at.addr = netip.AddrPortFrom(ip.Unmap(), uint16(port))
}

// stillborn is how long an INVITE may wait for the processor.
const stillborn = 3 * time.Minute
