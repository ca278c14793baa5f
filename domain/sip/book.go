package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// A place is a transport address.
type place struct {
	network string // "UDP" or "TCP"
	addr    netip.AddrPort
}

// String returns the form of [domain.Origin.Address], "udp:192.0.2.20:5060".
func (p place) String() string { return strings.ToLower(p.network) + ":" + p.addr.String() }

// parsePlace reads that form back.
func parsePlace(s string) (place, bool) {
	network, rest, ok := strings.Cut(s, ":")
	addr, err := netip.ParseAddrPort(rest)
	network = strings.ToUpper(network)
	return place{network, addr}, ok && err == nil && (network == "UDP" || network == "TCP")
}

// A neighbour is what is known of a peer now.
type neighbour struct {
	cfg      Peer
	at       place // where it is reached; zero: unknown
	until    time.Time
	version  domain.Version
	callID   string // of its last accepted REGISTER
	cseq     uint32
	accepted time.Time
}

// A book knows where the peers are. It is safe for concurrent use.
type book struct {
	mu    sync.RWMutex
	peers map[domain.PeerRef]*neighbour
	hosts map[netip.Addr]int // neighbours there
}

func newBook(cfg Config) *book {
	b := &book{peers: make(map[domain.PeerRef]*neighbour), hosts: make(map[netip.Addr]int)}
	for _, p := range cfg.Peers {
		n := &neighbour{cfg: p, version: p.Version}
		b.peers[p.ref()] = n
		if addr, err := netip.ParseAddrPort(p.Address); p.Role == domain.Upper && err == nil {
			b.settle(n, place{p.network(), unmap(addr)})
		}
	}
	for _, l := range cfg.Links {
		n := b.peers[domain.PeerRef{Code: l.Peer, Role: domain.Lower}]
		if at, ok := parsePlace(l.Address); n != nil && l.Role == domain.Lower && ok {
			n.until = l.Expires
			if n.cfg.Version == domain.VersionUnknown {
				n.version = l.Version
			}
			b.settle(n, at)
		}
	}
	return b
}

func (p Peer) network() string {
	if p.Transport == "tcp" {
		return "TCP"
	}
	return "UDP"
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// settle moves n; the caller holds the lock, or is alone.
func (b *book) settle(n *neighbour, at place) {
	if n.at.addr.IsValid() {
		if h := n.at.addr.Addr(); b.hosts[h] > 1 {
			b.hosts[h]--
		} else {
			delete(b.hosts, h)
		}
	}
	if at.addr.IsValid() {
		b.hosts[at.addr.Addr()]++
	}
	n.at = at
}

// knows reports whether some peer is at host.
func (b *book) knows(host netip.Addr) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.hosts[host] > 0
}

// proves reports whether a message from code, coming from at, is of a peer that is
// registered there, or of the upper that is configured there. The port is not
// compared: it moves behind a NAT.
func (b *book) proves(now time.Time, code domain.Code, at place) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, role := range []domain.Role{domain.Upper, domain.Lower} {
		n := b.peers[domain.PeerRef{Code: code, Role: role}]
		if n != nil && n.at.addr.IsValid() && n.at.addr.Addr() == at.addr.Addr() &&
			(role == domain.Upper || now.Before(n.until)) {
			return true
		}
	}
	return false
}

// find returns a copy of what is known of a peer.
func (b *book) find(ref domain.PeerRef) (neighbour, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := b.peers[ref]
	if n == nil {
		return neighbour{}, false
	}
	return *n, true
}

// caller returns the peer that a message from code is of: as an upper if it asks
// something, else as a lower, whichever it is.
func (b *book) caller(code domain.Code, asks bool) (neighbour, bool) {
	first, second := domain.Lower, domain.Upper
	if asks {
		first, second = second, first
	}
	if n, ok := b.find(domain.PeerRef{Code: code, Role: first}); ok {
		return n, true
	}
	return b.find(domain.PeerRef{Code: code, Role: second})
}

// register binds a lower to where it registered from.
func (b *book) register(in *registration, now time.Time, expires time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.peers[domain.PeerRef{Code: in.code, Role: domain.Lower}]
	if n == nil {
		return
	}
	n.callID, n.cseq, n.accepted = in.callID, in.cseq, now
	if in.expires == 0 {
		if n.at.addr.Addr() == in.at.addr.Addr() { // a stranger's goodbye moves nobody
			b.settle(n, place{})
		}
		return
	}
	n.until = now.Add(expires)
	if n.cfg.Version == domain.VersionUnknown {
		n.version = in.version
	}
	b.settle(n, in.at)
}

// outdated reports whether a REGISTER was overtaken by a later one of the same
// Call-ID on its way. Only just then: some devices start again from CSeq 1.
func (b *book) outdated(in *registration, now time.Time) bool {
	n, ok := b.find(domain.PeerRef{Code: in.code, Role: domain.Lower})
	return ok && in.callID == n.callID && in.cseq < n.cseq && now.Sub(n.accepted) < 32*time.Second
}

// follow takes a new port, or transport, of a lower on the same host.
func (b *book) follow(code domain.Code, at place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.peers[domain.PeerRef{Code: code, Role: domain.Lower}]
	if n != nil && n.at.addr.Addr() == at.addr.Addr() && n.at != at {
		b.settle(n, at)
	}
}

// heard notes the edition that an upper announced.
func (b *book) heard(ref domain.PeerRef, v domain.Version) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.peers[ref]; n != nil && n.cfg.Version == domain.VersionUnknown && v != domain.VersionUnknown {
		n.version = v
	}
}

// locate returns a peer with its place, resolving the name of an upper if need be.
func (b *book) locate(ctx context.Context, ref domain.PeerRef, again bool) (neighbour, error) {
	n, ok := b.find(ref)
	if !ok {
		return n, errUnknown
	}
	_, err := netip.ParseAddrPort(n.cfg.Address)
	named := ref.Role == domain.Upper && err != nil
	if named && (again || !n.at.addr.IsValid()) {
		addr, err := resolve(ctx, n.cfg.Address)
		switch {
		case err == nil:
			n.at = place{n.cfg.network(), addr}
			b.mu.Lock()
			b.settle(b.peers[ref], n.at)
			b.mu.Unlock()
		case !n.at.addr.IsValid(): // else it is where it was
			return n, fmt.Errorf("resolve %.100s: %w", n.cfg.Address, err)
		}
	}
	if !n.at.addr.IsValid() {
		return n, errUnknown
	}
	return n, nil
}

func resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	best := ips[0]
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			best = ip
			break
		}
	}
	return netip.AddrPortFrom(best.Unmap(), uint16(port)), nil
}

func (n neighbour) ref() domain.PeerRef { return n.cfg.ref() }

// profile is how to write bodies for it.
func (n neighbour) profile() manscdp.Profile {
	return manscdp.Profile{Version: editionOf(n.version), Charset: n.cfg.Charset}
}
