package webrtc

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"districtgateway/media/digest"
)

const (
	acceptPause = 100 * time.Millisecond
	writeWithin = 5 * time.Second // that a far end may take nothing for
	addrShare   = 4               // one address, or network of IPv6, may have 1/4 of the connections
)

// A porch is a listener that lets in no more connections than it has room for, and
// none that would stand still for long while it is written to.
type porch struct {
	net.Listener
	conns *digest.Shares[netip.Addr] // by [digest.Origin]
}

func newPorch(l net.Listener) *porch {
	return &porch{Listener: l, conns: digest.NewShares[netip.Addr](mostConns, addrShare)}
}

// Accept waits for the next connection that there is room for. Errors other than
// that the listener was closed pass: out of descriptors, or the far end has gone.
func (p *porch) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			<-time.After(acceptPause)
			continue
		}
		from := digest.Origin(addressOf(c))
		if p.conns.Enter(from) {
			return newGuest(c, func() { p.conns.Leave(from) }), nil
		}
		c.Close()
	}
}

// addressOf returns the address that a connection comes from.
func addressOf(c net.Conn) netip.Addr {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return a.AddrPort().Addr().Unmap()
}

// A guest is a connection that was let in.
type guest struct {
	net.Conn
	close func() error
}

// newGuest makes a guest, who leaves when it is closed.
func newGuest(c net.Conn, leave func()) *guest {
	return &guest{Conn: c, close: sync.OnceValue(func() error {
		leave()
		return c.Close()
	})}
}

// Write fails if the far end takes too long. Then the connection is closed: where a
// message broke off no other may follow, and the ICE library, which says nothing of
// a write that failed, would go on with the next.
func (g *guest) Write(b []byte) (int, error) {
	err := g.SetWriteDeadline(time.Now().Add(writeWithin))
	n := 0
	if err == nil {
		n, err = g.Conn.Write(b)
	}
	if err != nil {
		_ = g.Close() // what matters is why it is closed
	}
	return n, err
}

// Close closes the connection and makes room. Once or more.
func (g *guest) Close() error { return g.close() }
