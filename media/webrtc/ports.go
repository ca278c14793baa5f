package webrtc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

const (
	mostAddresses = 16               // of this machine that are offered
	certificateIn = 24 * time.Hour   // a certificate is used for so long
	tcpBuffer     = 64               // packets that wait to be read
	bindWithin    = 10 * time.Second // from connecting by TCP to the first message of ICE
)

// errNoAddress reports a machine without an address to be reached at.
var errNoAddress = errors.New("no address for media")

// ports are the sockets that media goes by, one for each address of this machine: an
// answer has to come from where the question went to (RFC 8445 §7.3). They are
// opened when first wanted, and follow the machine's addresses.
type ports struct {
	at  netip.AddrPort // where to listen; the zero address: everywhere
	log *slog.Logger

	mu     sync.Mutex
	port   uint16 // once one is bound
	udp    map[netip.Addr]*ice.UDPMuxDefault
	tcp    *tcpPort // nil: none
	closed bool
	faults faults
	cert   *webrtc.Certificate
	signed time.Time // when it was made
}

// faults are why ports could not be opened, when that was last tried.
type faults struct{ udp, tcp error }

// A berth is what the sockets are to one session.
type berth struct {
	addrs []netip.Addr
	udp   ice.UDPMux
	tcp   ice.TCPMux
	cert  webrtc.Certificate
}

// berth opens what is missing for a viewer who came to one of our addresses.
func (p *ports) berth(local netip.Addr) (berth, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reach(local)
}

// reach is berth. The caller holds mu.
func (p *ports) reach(local netip.Addr) (berth, error) {
	all, err := p.addresses()
	if p.closed {
		err = net.ErrClosed
	}
	if err != nil {
		return berth{}, err
	}
	p.prune(all)
	b := berth{}
	var muxes []ice.UDPMux
	var faults []error
	for _, a := range offered(all, local) {
		m, err := p.open(a)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		b.addrs, muxes = append(b.addrs, a), append(muxes, m)
	}
	p.faults.udp = errors.Join(faults...)
	if len(muxes) == 0 {
		return berth{}, errors.Join(append(faults, errNoAddress)...)
	}
	b.udp = ice.NewMultiUDPMuxDefault(muxes...)
	if p.listen(); p.tcp != nil {
		b.tcp = p.tcp
	}
	b.cert, err = p.certificate(time.Now())
	return b, err
}

// trouble returns why ports cannot be opened, if so.
func (p *ports) trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults != (faults{}) {
		_, _ = p.reach(netip.Addr{}) // whoever had them may have gone
	}
	return errors.Join(p.faults.udp, p.faults.tcp)
}

// addresses returns those of this machine that are to be listened at.
func (p *ports) addresses() ([]netip.Addr, error) {
	if a := p.at.Addr(); a.IsValid() && !a.IsUnspecified() {
		return []netip.Addr{a}, nil
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of this machine: %w", err)
	}
	var all []netip.Addr
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(n.IP)
		if addr = addr.Unmap(); !ok || addr.IsLinkLocalUnicast() || addr.IsMulticast() {
			continue
		}
		all = append(all, addr)
	}
	return all, nil
}

// offered returns the addresses to offer to a viewer who came to local, that one
// first. Who came from this machine itself is offered nothing else.
func offered(all []netip.Addr, local netip.Addr) []netip.Addr {
	if local.IsLoopback() && slices.Contains(all, local) {
		return []netip.Addr{local}
	}
	out := slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return a.IsLoopback() && len(all) > 1 })
	slices.SortStableFunc(out, func(a, b netip.Addr) int {
		switch {
		case a == local && b != local:
			return -1
		case b == local && a != local:
			return 1
		}
		return 0
	})
	return out[:min(len(out), mostAddresses)]
}

// open returns the socket of an address. One that failed, as the library closes a
// socket for good at the first error, is opened anew.
func (p *ports) open(a netip.Addr) (*ice.UDPMuxDefault, error) {
	if m := p.udp[a]; m != nil && !m.IsClosed() {
		return m, nil
	}
	port := p.at.Port()
	if port == 0 {
		port = p.port
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port)))
	if err != nil {
		return nil, fmt.Errorf("media port: %w", err)
	}
	if p.udp == nil {
		p.udp = map[netip.Addr]*ice.UDPMuxDefault{}
	}
	p.port = conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	p.udp[a] = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: shared{conn}, Logger: logger{p.log}})
	return p.udp[a], nil
}

// prune closes the sockets of addresses that this machine no longer has.
func (p *ports) prune(all []netip.Addr) {
	for a, m := range p.udp {
		if !slices.Contains(all, a) {
			delete(p.udp, a)
			_ = m.Close() // nobody can be reached by it
		}
	}
}

// listen opens the port for viewers whom UDP does not reach. There is media without
// it, too.
func (p *ports) listen() {
	if p.tcp != nil {
		return
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.at.Addr(), p.port)))
	if err != nil {
		if p.faults.tcp == nil { // once
			p.log.Warn("no media by TCP", "err", err)
		}
		p.faults.tcp = fmt.Errorf("media port: %w", err)
		return
	}
	p.faults.tcp = nil
	p.tcp = newTCPPort(newPorch(l), logger{p.log})
}

// certificate returns the one that sessions of today show. Its fingerprint goes with
// the answer (RFC 8122), so that nobody else need know it.
func (p *ports) certificate(now time.Time) (webrtc.Certificate, error) {
	if p.cert == nil || now.Sub(p.signed) > certificateIn {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return webrtc.Certificate{}, fmt.Errorf("certificate: %w", err)
		}
		if p.cert, err = webrtc.GenerateCertificate(key); err != nil {
			return webrtc.Certificate{}, fmt.Errorf("certificate: %w", err)
		}
		p.signed = now
	}
	return *p.cert, nil
}

// close closes every socket.
func (p *ports) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.prune(nil)
	if p.tcp != nil {
		_ = p.tcp.Close() // nothing goes by it any more
	}
}
