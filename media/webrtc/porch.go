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

	mu   sync.Mutex
	open int
	from map[netip.Addr]int // by [digest.Origin]
}

func newPorch(l net.Listener) *porch { return &porch{Listener: l, from: map[netip.Addr]int{}} }

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
		from := originOf(c)
		if p.enter(from) {
			return &guest{Conn: c, leave: sync.OnceFunc(func() { p.leave(from) })}, nil
		}
		c.Close()
	}
}

// originOf returns the address that a connection comes from.
func originOf(c net.Conn) netip.Addr {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return a.AddrPort().Addr().Unmap()
}

func (p *porch) enter(from netip.Addr) bool {
	from = digest.Origin(from)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open >= mostConns || p.from[from] >= mostConns/addrShare {
		return false
	}
	p.open++
	p.from[from]++
	return true
}

func (p *porch) leave(from netip.Addr) {
	from = digest.Origin(from)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	if p.from[from]--; p.from[from] == 0 {
		delete(p.from, from)
	}
}

// A guest is a connection that was let in.
type guest struct {
	net.Conn
	leave func()
}

// Write fails if the far end takes too long. Then that was the last word: what follows
// half a message is none, and the library would go on, waiting as long each time.
func (g *guest) Write(b []byte) (int, error) {
	if err := g.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(b)
	if err != nil {
		_ = g.Close() // there is nothing to lose
	}
	return n, err
}

// Close closes the connection and makes room.
func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}
