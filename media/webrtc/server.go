package webrtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"districtgateway/media"
	"districtgateway/media/digest"
)

// Errors that [ServerConfig].Streams answers with. Any other means that the stream
// cannot be had now.
var (
	ErrNotFound  = errors.New("no such channel")
	ErrForbidden = errors.New("not for this user")
)

// Users are those who may watch.
type Users interface {
	// HA1 returns H(user:realm:password) in lower-case hexadecimal (RFC 7616
	// §3.4.2) by the algorithm "MD5" or "SHA-256"; not ok if there is no such user,
	// or none who may watch. Any goroutine.
	HA1(user, algorithm string) (ha1 string, ok bool)
}

// A ServerConfig says what to serve, where, and to whom.
type ServerConfig struct {
	Listen    string       // address and TCP port of HTTP, such as ":8889"
	Media     string       // address and port of media by UDP and TCP, such as ":8189"
	Addresses []netip.Addr // at which the media port is reached besides, through a NAT
	// Streams returns the running stream of a path such as "CHANNEL" or
	// "CHANNEL/sub". Release is called once, when the user has enough. Any goroutine;
	// it may take its time within ctx.
	Streams func(ctx context.Context, user, path string) (s *media.Stream, release func(), err error)
	// Channels returns what there is to watch, in the order to be shown in. Any
	// goroutine. Nil: there is no list.
	Channels func(ctx context.Context) ([]Channel, error)
	Cameras  Cameras         // nil: nobody moves cameras from here
	Users    Users           // nil: nobody is admitted
	Strikes  *digest.Strikes // of wrong passwords, where several servers have the same users; nil: its own
	Realm    string          // of the users' H(A1); empty: District Gateway
	Limit    int             // sessions at once; 0: 64
	Log      *slog.Logger
}

// Bounds of a server.
const (
	defaultLimit = 64
	defaultRealm = "District Gateway"
	userShare    = 2   // one user may have half of the sessions
	mostConns    = 256 // connections to a port, a quarter of them from one address
	headWithin   = 10 * time.Second
	bodyWithin   = 20 * time.Second
	idleWithin   = time.Minute
	mostHead     = 16 << 10 // bytes of a request's header
	listEvery    = time.Second
)

// A Server hands streams to browsers. It is made by [NewServer].
type Server struct {
	cfg     ServerConfig
	media   netip.AddrPort // of Media; the zero address: every one of this machine
	pages   pages
	strikes *digest.Strikes
	pace    *pace // of what is asked about cameras

	bound    chan struct{} // closed once addr is known
	mu       sync.Mutex
	addr     netip.AddrPort
	ports    *ports                 // nil: nobody listens at addr
	sessions map[string]*session    // by their secret names
	seats    *digest.Shares[string] // of users: sessions, and those being made
}

// ServerStats are a server's counters.
type ServerStats struct {
	Open     int    // sessions, those being made included
	Declined uint64 // sessions that were one too many
}

// NewServer makes a server. It starts nothing.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Streams == nil {
		return nil, errors.New("webrtc server: no streams")
	}
	at, err := net.ResolveUDPAddr("udp", cfg.Media)
	if err != nil {
		return nil, fmt.Errorf("webrtc server: %w", err)
	}
	if cfg.Realm == "" {
		cfg.Realm = defaultRealm
	}
	if cfg.Limit <= 0 {
		cfg.Limit = defaultLimit
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Strikes == nil {
		cfg.Strikes = new(digest.Strikes)
	}
	media := netip.AddrPortFrom(at.AddrPort().Addr().Unmap(), at.AddrPort().Port())
	return &Server{cfg: cfg, media: media, pages: newPages(), strikes: cfg.Strikes, pace: newPace(), bound: make(chan struct{}),
		sessions: map[string]*session{}, seats: digest.NewShares[string](cfg.Limit, userShare)}, nil
}

// Stats returns the counters. Any goroutine.
func (s *Server) Stats() ServerStats {
	open, declined := s.seats.Count()
	return ServerStats{open, declined}
}

// Addr returns the address of HTTP, once it is bound. Any goroutine.
func (s *Server) Addr(ctx context.Context) (netip.AddrPort, error) {
	select {
	case <-s.bound:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.addr, nil
	case <-ctx.Done():
		return netip.AddrPort{}, ctx.Err()
	}
}

// Listening returns the address of HTTP; not ok while the server is bound to none.
// Fault is why media cannot go by its port, or not by TCP, as far as is known. Any
// goroutine.
func (s *Server) Listening() (addr netip.AddrPort, fault error, ok bool) {
	s.mu.Lock()
	addr, p := s.addr, s.ports
	s.mu.Unlock()
	if p == nil {
		return addr, nil, false
	}
	return addr, p.trouble(), true
}

// Run serves until ctx ends, and returns when every session has ended. It may be
// called again after it failed.
func (s *Server) Run(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("webrtc server: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	h := &house{srv: s, ctx: ctx, ports: &ports{at: s.media, log: s.cfg.Log}}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headWithin, ReadTimeout: bodyWithin, IdleTimeout: idleWithin, MaxHeaderBytes: mostHead,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: s.welcome,
		ErrorLog:    slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	_, _ = h.ports.berth(netip.Addr{}) // who asks how the server is hears of it before the first browser does
	s.bind(l.Addr().(*net.TCPAddr).AddrPort(), h.ports)
	err = server.Serve(newPorch(l))
	over := ctx.Err() != nil
	cancel()
	stop()
	server.Close()
	s.unbind()
	h.close()
	if over {
		return nil
	}
	return fmt.Errorf("webrtc server: %w", err)
}

// bind makes addr known.
func (s *Server) bind(addr netip.AddrPort, p *ports) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr, s.ports = addr, p
	select {
	case <-s.bound:
	default:
		close(s.bound)
	}
}

// unbind notes that nobody listens any more.
func (s *Server) unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports = nil
}

// enter makes a session known by its name.
func (s *Server) enter(v *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[v.id] = v
}

// forget makes a session's name mean nothing.
func (s *Server) forget(v *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, v.id)
}

// session returns the session of a name, if it is one of the user's.
func (s *Server) session(id, user string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.sessions[id]; v != nil && v.who.User == user {
		return v
	}
	return nil
}

// ha1 asks the users.
func (s *Server) ha1(user, algorithm string) (string, bool) {
	if s.cfg.Users == nil {
		return "", false
	}
	return s.cfg.Users.HA1(user, algorithm)
}

// A house is a server that runs: whoever is in it goes before it is closed.
type house struct {
	srv   *Server
	ctx   context.Context // of the run
	ports *ports

	catalogue catalogue

	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup // requests and sessions
}

// A catalogue is what there was to watch when that was asked last.
type catalogue struct {
	mu    sync.Mutex
	all   []Channel // read only
	err   error
	until time.Time // when it is asked again
}

// let counts somebody in; false: the house is closed.
func (h *house) let() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.inside.Add(1)
	return true
}

// close lets nobody in any more, waits until all have gone, and closes the ports.
func (h *house) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.inside.Wait()
	h.ports.close()
}
