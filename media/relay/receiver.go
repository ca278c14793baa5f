package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"districtgateway/media"
	"districtgateway/media/ps"
	"districtgateway/media/sock"
)

// A ReceiverConfig says where and how to receive.
type ReceiverConfig struct {
	Ports     *Ports
	Transport Transport
	// Finite says that what is received has an end (recordings): a TCP connection
	// that closes between two frames is the end of the stream, not a fault.
	Finite bool
	// AskKey asks the sender for a key frame, by whatever way leads to it; nil: there is
	// none. It is called by the stream's owner, and must not block.
	AskKey func() error
}

// errNoAsk reports a sender that cannot be asked for a key frame.
var errNoAsk = errors.New("no way to ask the sender for a key frame")

// askKey makes the sources of r a [media.KeyAsker].
func (r *Receiver) askKey() error {
	if r.cfg.AskKey == nil {
		return errNoAsk
	}
	return r.cfg.AskKey()
}

// A Remote tells a receiver where its media comes from, as the answer says.
type Remote struct {
	// Addr is where the sender listens (TCPActive). Otherwise its host is what media
	// is expected from: others have to show SSRC first.
	Addr netip.AddrPort
	SSRC uint32 // 0: not stated
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

	held      atomic.Bool   // see Hold
	connected chan struct{} // closed by Connect
	once      sync.Once
	remote    Remote

	life context.Context // ends with Close
	end  context.CancelFunc
	mu   sync.Mutex // held while closing
}

// OpenReceiver opens a port to receive on.
func OpenReceiver(cfg ReceiverConfig) (*Receiver, error) {
	r := &Receiver{cfg: cfg, connected: make(chan struct{})}
	r.life, r.end = context.WithCancel(context.Background())
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
	case TCPActive:
	default:
		err = fmt.Errorf("%s: unknown", cfg.Transport)
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

// Hold says that the sender was paused, so that its silence is not the end, for 10
// minutes at most; or that it goes on. Any goroutine.
func (r *Receiver) Hold(held bool) { r.held.Store(held) }

// Close releases the port and ends an Open in progress. It is needed only if
// Open was not called, or failed; the source closes it otherwise. Any goroutine,
// any number of times.
func (r *Receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Err() != nil {
		return nil
	}
	r.end()
	var err error
	if r.udp != nil {
		err = r.udp.Close()
	}
	if r.tcp != nil {
		if e := r.tcp.Close(); !errors.Is(e, net.ErrClosed) { // accept closes it first
			err = e
		}
	}
	r.cfg.Ports.free(r.port)
	return err
}

// Open waits for Connect, makes or awaits the connection (TCP), and returns the
// stream's source. It is a [media.Opener]; it can be used once.
func (r *Receiver) Open(ctx context.Context) (media.Opened, error) {
	ctx, cancel := within(ctx, r.life)
	defer cancel()
	select {
	case <-r.connected:
	case <-ctx.Done():
		return media.Opened{}, context.Cause(ctx)
	}
	var src media.Source
	flows := newFlows(r.remote)
	flows.held = &r.held
	if r.cfg.Transport == UDP {
		src = &udpSource{end: r, sock: r.udp, flows: flows}
	} else {
		c, head, err := r.connect(ctx)
		if err != nil {
			return media.Opened{}, err
		}
		src = &tcpSource{end: r, sock: c, from: c.Remote(), flows: flows, head: head}
	}
	opened := media.Opened{
		Source: src, Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker(), Ordered: r.cfg.Transport != UDP,
	}
	if flows.plain {
		opened.Carriage, opened.Tracks, opened.Unpacker = media.CarriageRTP, r.remote.Tracks, nil
	}
	return opened, nil
}

// finiteBuffer is what the kernel may hold of a recording that its reader takes
// slowly: enough for 8 MB/s over 30 ms.
const finiteBuffer = 256 << 10

// connect makes the TCP connection: by waiting for it, or by calling out. Head is
// what was read from it already.
func (r *Receiver) connect(ctx context.Context) (c *sock.TCP, head []byte, err error) {
	if r.cfg.Transport == TCPActive {
		c, err = dial(ctx, r.remote.Addr)
	} else {
		c, head, err = r.admit(ctx)
	}
	if err == nil && r.cfg.Finite {
		_ = c.SetReadBuffer(finiteBuffer) // a wish
	}
	return c, head, err
}
