package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"districtgateway/media/sock"
)

// Bounds of what strangers get at a port that waits for one connection.
const (
	maxStrangers  = 16 // at once; the oldest goes when there is another
	proveWithin   = 3 * time.Second
	maxEmptyFirst = 16 // empty frames before the first packet
)

// A hall is a port that waits for the one connection that is meant. Whoever comes
// from the host that the answer names is let in at once. Others, which may be the
// same behind a translator of addresses, have to show the agreed SSRC in their first
// packet; meanwhile the port goes on listening.
type hall struct {
	remote  Remote
	came    chan *net.TCPConn
	proven  chan arrived
	waiting []*net.TCPConn // not proven yet, oldest first
	turned  int            // strangers who were turned away
	asking  sync.WaitGroup
}

// An arrived is a connection and what was read from it; empty if it was none of ours.
type arrived struct {
	conn *net.TCPConn
	head []byte
	ours bool
}

// admit waits for the sender's connection and closes the port.
func (r *Receiver) admit(ctx context.Context) (*sock.TCP, []byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, firstPacketWithin, ErrNoConnect)
	defer cancel()
	h := &hall{remote: r.remote, came: make(chan *net.TCPConn), proven: make(chan arrived)}
	l := r.tcp.(*net.TCPListener)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	h.asking.Go(func() { h.listen(ctx, l) })
	a, err := h.choose(ctx)
	cancel()
	l.Close()
	for _, c := range h.waiting {
		c.Close()
	}
	h.asking.Wait()
	switch {
	case errors.Is(err, ErrNoConnect):
		return nil, nil, fmt.Errorf("%w: nobody came to %s but %d strangers", ErrNoConnect, l.Addr(), h.turned+len(h.waiting))
	case err != nil:
		return nil, nil, err
	}
	c, err := sock.NewTCP(a.conn)
	return c, a.head, err
}

// listen hands over every connection that is made until ctx ends.
func (h *hall) listen(ctx context.Context, l *net.TCPListener) {
	for ctx.Err() == nil {
		c, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, or it has gone already
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case h.came <- c:
		case <-ctx.Done():
			c.Close()
		}
	}
}

// choose returns the connection that is meant.
func (h *hall) choose(ctx context.Context) (arrived, error) {
	for {
		select {
		case c := <-h.came:
			if h.remote.from(c.RemoteAddr().(*net.TCPAddr).AddrPort()) {
				return arrived{conn: c}, nil
			}
			h.ask(ctx, c)
		case a := <-h.proven:
			h.forget(a.conn)
			if a.ours {
				return a, nil
			}
			h.turned++
			a.conn.Close()
		case <-ctx.Done():
			return arrived{}, context.Cause(ctx)
		}
	}
}

// ask lets a stranger show who it is.
func (h *hall) ask(ctx context.Context, c *net.TCPConn) {
	if len(h.waiting) == maxStrangers {
		h.waiting[0].Close() // it reports itself
		h.waiting = h.waiting[1:]
	}
	h.waiting = append(h.waiting, c)
	h.asking.Go(func() {
		a := arrived{conn: c}
		a.head, a.ours = h.remote.prove(c)
		select {
		case h.proven <- a:
		case <-ctx.Done():
			c.Close()
		}
	})
}

func (h *hall) forget(c *net.TCPConn) {
	for i := range h.waiting {
		if h.waiting[i] == c {
			h.waiting = append(h.waiting[:i], h.waiting[i+1:]...)
			return
		}
	}
}

// from reports whether a is the host that the answer names.
func (r Remote) from(a netip.AddrPort) bool {
	return r.Addr.Addr().IsValid() && a.Addr().Unmap() == r.Addr.Addr().Unmap()
}

// prove reads the beginning of the first packet of c and reports whether it is of
// the agreed stream.
func (r Remote) prove(c *net.TCPConn) (head []byte, ours bool) {
	_ = c.SetReadDeadline(time.Now().Add(proveWithin))
	var buf [2*maxEmptyFirst + 4 + 12]byte
	for n := 0; n < len(buf); {
		got, err := c.Read(buf[n:])
		n += got
		if ours, enough := r.begins(buf[:n]); enough {
			_ = c.SetReadDeadline(time.Time{})
			return buf[:n], ours
		}
		if err != nil {
			break
		}
	}
	return nil, false
}

// begins reports whether b is the beginning of the agreed stream, if it is enough to
// tell.
func (r Remote) begins(b []byte) (ours, enough bool) {
	for len(b) >= 2 && b[0]|b[1] == 0 {
		b = b[2:]
	}
	if len(b) < 5 {
		return false, false
	}
	prefix := framing(b)
	if prefix == 0 {
		return false, true
	}
	if b = b[prefix:]; len(b) < 12 {
		return false, false
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	if pt := b[1] & 0x7f; pt >= 72 && pt <= 76 { // RTCP
		ssrc = binary.BigEndian.Uint32(b[4:])
	}
	return r.SSRC == 0 || ssrc-r.SSRC < uint32(max(1, len(r.Tracks))), true
}
