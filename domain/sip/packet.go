package sip

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

const (
	maxDatagram = 65507 // bytes of UDP payload over IPv4
	maxRetries  = 1000  // errors in a row of a socket that is not closed
)

// A packetGate is a UDP socket behind a gate: sipgo reads only what is let in.
type packetGate struct {
	net.PacketConn
	gate    *gate
	reading chan struct{} // closed when sipgo reads, and so knows the socket
	once    sync.Once
}

// ReadFrom returns the next message that is let in. Errors of single datagrams
// are passed over, since sipgo gives up at the first.
func (p *packetGate) ReadFrom(b []byte) (int, net.Addr, error) {
	p.once.Do(func() { close(p.reading) })
	for failed := 0; ; {
		n, from, err := p.PacketConn.ReadFrom(b)
		if err != nil {
			if failed++; errors.Is(err, net.ErrClosed) || failed == maxRetries {
				return 0, nil, err
			}
			continue
		}
		failed = 0
		at, ok := addrPort(from)
		if !ok {
			continue
		}
		write := func(out []byte) error {
			_, err := p.PacketConn.WriteTo(out, from)
			return err
		}
		if msg, ok := p.gate.admit(b[:n], visit{place{"UDP", at}, write}); ok && len(msg) <= len(b) {
			return copy(b, msg), net.UDPAddrFromAddrPort(at), nil
		}
	}
}

// addrPort returns the address of a socket without IPv4-in-IPv6.
func addrPort(a net.Addr) (netip.AddrPort, bool) {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort()), true
	case *net.TCPAddr:
		return unmap(a.AddrPort()), true
	}
	return netip.AddrPort{}, false
}
