package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/domain"
)

const (
	city     domain.Code = "33010000002000000001"
	district domain.Code = "33010200002000000001"
	other    domain.Code = "33010300002000000001"
	camera   domain.Code = "33010200001320000001"
	password             = "Demo-Pass-01"
)

// A memnet is a network in memory, so that tests run under synctest's clock.
type memnet struct {
	mu        sync.Mutex
	packets   map[netip.AddrPort]*memPacket
	listeners map[netip.AddrPort]*memListener
	port      uint16
	lose      func(from, to netip.AddrPort, data []byte) bool // nil: nothing is lost
}

func newMemnet() *memnet {
	return &memnet{packets: make(map[netip.AddrPort]*memPacket), listeners: make(map[netip.AddrPort]*memListener), port: 40000}
}

func (m *memnet) setLoss(f func(from, to netip.AddrPort, data []byte) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose = f
}

type datagram struct {
	data []byte
	from netip.AddrPort
}

type memPacket struct {
	net  *memnet
	at   netip.AddrPort
	in   chan datagram
	done chan struct{}
	once sync.Once
}

func (m *memnet) packet(at netip.AddrPort) (*memPacket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &memPacket{net: m, at: at, in: make(chan datagram, 4096), done: make(chan struct{})}
	m.packets[at] = p
	return p, nil
}

func (p *memPacket) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-p.in:
		return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
	case <-p.done:
		return 0, nil, net.ErrClosed
	}
}

func (p *memPacket) WriteTo(b []byte, to net.Addr) (int, error) {
	addr, _ := addrPort(to)
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	dest := p.net.packets[addr]
	if dest == nil || p.net.lose != nil && p.net.lose(p.at, addr, b) {
		return len(b), nil
	}
	select {
	case dest.in <- datagram{append([]byte(nil), b...), p.at}:
	default:
	}
	return len(b), nil
}

func (p *memPacket) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
func (p *memPacket) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(p.at) }
func (p *memPacket) SetDeadline(time.Time) error      { return nil }
func (p *memPacket) SetReadDeadline(time.Time) error  { return nil }
func (p *memPacket) SetWriteDeadline(time.Time) error { return nil }

type memListener struct {
	at   netip.AddrPort
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.in:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}
func (l *memListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

type memConn struct {
	net.Conn
	local, remote netip.AddrPort
}

func (c *memConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *memConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (m *memnet) listen(at netip.AddrPort) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &memListener{at: at, in: make(chan net.Conn), done: make(chan struct{})}
	m.listeners[at] = l
	return l, nil
}

// dial connects from a host to a listener.
func (m *memnet) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[to]
	m.port++
	local := netip.AddrPortFrom(from, m.port)
	m.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case l.in <- &memConn{far, to, local}:
		return &memConn{near, local, to}, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memnet) sockets(host netip.Addr) sockets {
	return sockets{
		packet: func(at netip.AddrPort) (net.PacketConn, error) { return m.packet(at) },
		listen: m.listen,
		dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return m.dial(ctx, host, to)
		},
	}
}

// A station is a transceiver with a scripted processor: every event waits in events,
// and reply may answer it.
type station struct {
	*Transceiver
	t      testing.TB
	at     netip.AddrPort
	events chan domain.Event
	stop   func()
	mu     sync.Mutex
	reply  func(*station, domain.Event)
	tag    domain.Tag
}

// agreeable answers everything with yes.
func agreeable(s *station, ev domain.Event) {
	switch ev := ev.(type) {
	case domain.RegisterIn:
		s.Answer(domain.ReplyRegister{Ref: ev.Ref, Expires: ev.Expires, Caps: ev.Caps})
	case domain.KeepaliveIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.QueryIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.SubscribeIn:
		s.Answer(domain.ReplySubscribe{Ref: ev.Ref, Expires: ev.Expires})
	case domain.CatalogIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.RecordsIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.DeviceInfoIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.DeviceStatusIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.MediaStatusIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.KeyFrameIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	case domain.PTZIn:
		s.Answer(domain.Reply{Ref: ev.Ref})
	}
}

// newStation starts a transceiver; nil sockets are the system's.
func newStation(t testing.TB, cfg Config, net *sockets) *station {
	t.Helper()
	s := &station{t: t, events: make(chan domain.Event, 1<<16), reply: agreeable}
	cfg.Post = func(ev domain.Event) bool {
		s.mu.Lock()
		reply := s.reply
		s.mu.Unlock()
		s.events <- ev // before the answer, after which the next may come
		reply(s, ev)
		return true
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Transceiver = tr
	if net != nil {
		tr.net = *net
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tr.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	at, err := tr.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.at = at
	return s
}

func (s *station) script(f func(*station, domain.Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = f
}

// expect returns the next event of type E, passing over others.
func expect[E domain.Event](s *station) E {
	s.t.Helper()
	timeout := time.NewTimer(2 * time.Minute)
	defer timeout.Stop()
	for {
		select {
		case ev := <-s.events:
			if e, ok := ev.(E); ok {
				return e
			}
		case <-timeout.C:
			var want E
			s.t.Fatalf("no %T came", want)
			return want
		}
	}
}

// quiet fails if an event of type E is waiting.
func quiet[E domain.Event](s *station) {
	s.t.Helper()
	for {
		select {
		case ev := <-s.events:
			if e, ok := ev.(E); ok {
				s.t.Errorf("unexpected %+v", e)
			}
		default:
			return
		}
	}
}

func (s *station) nextTag() domain.Tag { s.tag++; return s.tag }

// answer sends an effect made for a tag and returns its outcome.
func (s *station) answer(fx func(domain.Tag) domain.Effect) domain.Answered {
	s.t.Helper()
	tag := s.nextTag()
	s.Send(fx(tag))
	for {
		if a := expect[domain.Answered](s); a.Tag == tag {
			return a
		}
	}
}

func (s *station) registerAt(upper domain.Code) domain.Answered {
	s.t.Helper()
	return s.answer(func(tag domain.Tag) domain.Effect {
		return domain.Register{Tag: tag, Peer: upper, Expires: time.Hour, Caps: domain.CapPush | domain.CapElementary}
	})
}

// A world is a city and a district below it.
type world struct {
	net         *memnet
	up, down    *station
	upAt, lowAt netip.AddrPort
}

// inWorld runs f under synctest with both stations on a network in memory.
func inWorld(t *testing.T, transport string, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{net: newMemnet(), upAt: netip.MustParseAddrPort("10.0.0.1:5060"), lowAt: netip.MustParseAddrPort("10.0.0.2:5060")}
		upNet, lowNet := w.net.sockets(w.upAt.Addr()), w.net.sockets(w.lowAt.Addr())
		w.up = newStation(t, cityConfig(w.upAt), &upNet)
		defer w.up.stop()
		w.down = newStation(t, districtConfig(w.lowAt, w.upAt, transport), &lowNet)
		defer w.down.stop()
		f(t, w)
	})
}

func cityConfig(at netip.AddrPort) Config {
	return Config{Self: city, Name: "City", Listen: at, Caps: 0xFF, UserAgent: "test/1",
		Peers: []Peer{{Code: district, Role: domain.Lower, Password: password}, {Code: other, Role: domain.Lower, Password: "x"}}}
}

func districtConfig(at, upper netip.AddrPort, transport string) Config {
	return Config{Self: district, Name: "上城区", Listen: at, Caps: 0xFF, Instance: "run-1",
		Peers: []Peer{{Code: city, Role: domain.Upper, Address: upper.String(), Transport: transport, Password: password}}}
}

// joined is inWorld with the district registered.
func joined(t *testing.T, transport string, f func(t *testing.T, w *world)) {
	t.Helper()
	inWorld(t, transport, func(t *testing.T, w *world) {
		if a := w.down.registerAt(city); a.Status != 200 {
			t.Fatalf("register: %+v", a)
		}
		expect[domain.RegisterIn](w.up)
		f(t, w)
	})
}

type addr = netip.AddrPort

func netipAt(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func upperRef() domain.PeerRef { return domain.PeerRef{Code: city, Role: domain.Upper} }
func lowerRef() domain.PeerRef { return domain.PeerRef{Code: district, Role: domain.Lower} }

// eachTransport runs f over both.
func eachTransport(t *testing.T, f func(t *testing.T, transport string)) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) { f(t, transport) })
	}
}
