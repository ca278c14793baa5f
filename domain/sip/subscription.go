package sip

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

const (
	defaultSubscription = 10 * time.Minute // where a SUBSCRIBE says nothing (GB/T 28181-2022: 600 s)
	maxEvent            = 128              // bytes of an Event header that are given back
)

// A subscription is the dialog that a SUBSCRIBE made: of an upper to us, or of us to a
// lower.
type subscription struct {
	dialog domain.Dialog
	peer   domain.PeerRef
	callID string
	event  string  // header Event, as whoever subscribed wrote it
	local  address // From of our requests
	cseq   atomic.Uint32

	mu sync.Mutex
	way
	remote address // their To
}

// subscriptions finds them. It is bounded by the processor, which has one a peer, and
// safe for concurrent use.
type subscriptions struct {
	mu       sync.Mutex
	byDialog map[domain.Dialog]*subscription
	byCallID map[string]*subscription
}

func (s *subscriptions) init() {
	s.byDialog, s.byCallID = make(map[domain.Dialog]*subscription), make(map[string]*subscription)
}

func (s *subscriptions) get(d domain.Dialog) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byDialog[d]
}

// find returns the subscription at a peer of that role which r belongs to, or nil.
func (s *subscriptions) find(r *request, role domain.Role) *subscription {
	s.mu.Lock()
	sub := s.byCallID[r.CallID().Value()]
	s.mu.Unlock()
	if sub == nil || sub.peer.Role != role || !sub.with(r) {
		return nil
	}
	return sub
}

func (s *subscriptions) enter(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byDialog[sub.dialog], s.byCallID[sub.callID] = sub, sub
}

// leave forgets a subscription, and returns it if it was known.
func (s *subscriptions) leave(d domain.Dialog) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.byDialog[d]
	if sub == nil {
		return nil
	}
	delete(s.byDialog, d)
	if s.byCallID[sub.callID] == sub { // not of the one that replaced it
		delete(s.byCallID, sub.callID)
	}
	return sub
}

// with reports whether r can be of the other end; see [call.with].
func (s *subscription) with(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.addr.Addr() == r.at.addr.Addr() || r.origin.Proved && r.origin.From == s.peer.Code
}

// follow takes the other end's address anew from a request in the dialog (RFC 6665
// clause 4.4.1: SUBSCRIBE refreshes the target). A route of proxies stays.
func (s *subscription) follow(r *request, known func(netip.Addr) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.routes) == 0 {
		s.agree(r.Request, r.at, known)
	}
}

// draft returns the next request of ours in the dialog.
func (s *subscription) draft(method stack.RequestMethod) draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	return draft{method: method, to: s.at, uri: s.target, from: s.local, target: s.remote, callID: s.callID,
		cseq: s.cseq.Add(1), routes: s.routes}
}

// catalogEvent reports whether an Event header is of the catalogue, "Catalog;id=4711".
func catalogEvent(s string) bool {
	name, _, _ := strings.Cut(s, ";")
	return strings.EqualFold(strings.TrimSpace(name), "Catalog")
}

// eventHeader returns the Event header of a SUBSCRIBE.
func eventHeader(r *stack.Request) string {
	v := header(r, "Event")
	if v == "" {
		v = header(r, "o") // RFC 6665 clause 8.2.1: its compact form
	}
	return clean(v, maxEvent)
}

// subscriptionState reads a Subscription-State header: whether the subscription has
// ended, and when to come back if that is told.
func subscriptionState(s string) (ended bool, retryAfter time.Duration) {
	name, params, _ := strings.Cut(s, ";")
	if !strings.EqualFold(strings.TrimSpace(name), "terminated") {
		return false, 0
	}
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(key), "retry-after") {
			retryAfter, _ = seconds(value)
		}
	}
	return true, retryAfter
}
