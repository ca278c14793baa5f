package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"districtgateway/media/sock"
)

// within returns ctx, which ends with life too: its cause is then net.ErrClosed.
func within(ctx, life context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(life, func() { cancel(net.ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// accept waits for one connection and closes l, so that a second one is refused.
func accept(ctx context.Context, l net.Listener) (*sock.TCP, error) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if t, ok := l.(*net.TCPListener); ok {
		_ = t.SetDeadline(time.Now().Add(firstPacketWithin))
	}
	c, err := l.Accept()
	l.Close()
	switch {
	case ctx.Err() != nil:
		if err == nil {
			c.Close()
		}
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%w: nobody connected to %s: %w", ErrNoConnect, l.Addr(), err)
	}
	return sock.NewTCP(c.(*net.TCPConn))
}

// dial connects to addr, as often as Annex D asks for.
func dial(ctx context.Context, addr netip.AddrPort) (*sock.TCP, error) {
	d := net.Dialer{Timeout: connectTimeout}
	var last error
	for try := range connectTries {
		if try > 0 {
			select {
			case <-time.After(connectPause):
			case <-ctx.Done():
			}
		}
		c, err := d.DialContext(ctx, "tcp", addr.String())
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil, context.Cause(ctx)
		case err == nil:
			return sock.NewTCP(c.(*net.TCPConn))
		}
		last = err
	}
	return nil, fmt.Errorf("%w: %w", ErrNoConnect, last)
}
