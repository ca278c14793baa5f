package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"districtgateway/media"
	"districtgateway/media/ps"
	"districtgateway/media/sock"
)

// A ReceiverConfig says where and how to receive.
type ReceiverConfig struct {
	Ports     *Ports
	Transport Transport
}

// A Remote tells a receiver where its media comes from, as the answer says.
type Remote struct {
	Addr netip.AddrPort // where the sender listens (TCPActive); its source address otherwise, for information
	SSRC uint32         // 0: not stated
	// Tracks are set when plain RTP was agreed on instead of program stream: one per payload type.
	Tracks []media.Track
}

// A Receiver is the receiving end of one session. It is made by [OpenReceiver],
// told by Connect where its media comes from, and opened as the source of a
// stream by Open.
type Receiver struct {
	cfg  ReceiverConfig
	port uint16
	udp  *sock.UDP
	tcp  net.Listener // TCPPassive until the sender has connected

	connected chan struct{} // closed by Connect
	once      sync.Once
	remote    Remote

	mu     sync.Mutex
	closed bool
}

// OpenReceiver opens a port to receive on.
func OpenReceiver(cfg ReceiverConfig) (*Receiver, error) {
	r := &Receiver{cfg: cfg, connected: make(chan struct{})}
	var err error
	switch cfg.Transport {
	case UDP:
		r.port, err = cfg.Ports.open(func(a netip.AddrPort) (err error) {
			r.udp, err = sock.ListenUDP(a)
			return err
		})
	case TCPPassive:
		r.port, err = cfg.Ports.open(func(a netip.AddrPort) (err error) {
			r.tcp, err = net.Listen("tcp", a.String())
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Local returns the address to put into the offer. Its port is 0 for TCPActive.
func (r *Receiver) Local() netip.AddrPort { return netip.AddrPortFrom(r.cfg.Ports.addr, r.port) }

// Connect tells where media comes from. Only the first call counts.
func (r *Receiver) Connect(remote Remote) {
	r.once.Do(func() {
		r.remote = remote
		close(r.connected)
	})
}

// Close releases the port. It is needed only if Open was not, or failed; the
// source closes it otherwise. Any goroutine, any number of times.
func (r *Receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var err error
	if r.udp != nil {
		err = r.udp.Close()
	}
	if r.tcp != nil {
		err = errors.Join(err, r.tcp.Close())
	}
	if r.port != 0 {
		r.cfg.Ports.free(r.port)
	}
	return err
}

// Open waits for Connect, makes or awaits the connection (TCP), and returns the
// stream's source. It is a [media.Opener]; it can be used once.
func (r *Receiver) Open(ctx context.Context) (media.Opened, error) {
	select {
	case <-r.connected:
	case <-ctx.Done():
		return media.Opened{}, ctx.Err()
	}
	var src media.Source
	flows := newFlows(r.remote)
	if r.cfg.Transport == UDP {
		src = &udpSource{end: r, sock: r.udp, flows: flows}
	} else {
		c, err := r.connect(ctx)
		if err != nil {
			return media.Opened{}, err
		}
		src = &tcpSource{end: r, sock: c, from: c.Remote(), flows: flows}
	}
	opened := media.Opened{Source: src, Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()}
	if flows.elementary() {
		opened.Carriage, opened.Tracks, opened.Unpacker = media.CarriageRTP, r.remote.Tracks, nil
	}
	return opened, nil
}

// connect makes the TCP connection: by waiting for it, or by calling out.
func (r *Receiver) connect(ctx context.Context) (*sock.TCP, error) {
	if r.cfg.Transport == TCPActive {
		return dial(ctx, r.remote.Addr)
	}
	return accept(ctx, r.tcp)
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
	if err != nil {
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
				return nil, ctx.Err()
			}
		}
		c, err := d.DialContext(ctx, "tcp", addr.String())
		if err == nil {
			return sock.NewTCP(c.(*net.TCPConn))
		}
		last = err
	}
	return nil, fmt.Errorf("%w: %w", ErrNoConnect, last)
}
