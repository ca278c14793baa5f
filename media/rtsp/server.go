package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/sock"
)

// Errors that [ServerConfig].Streams answers with. Any other means that the stream
// cannot be had now.
var (
	ErrNotFound  = errors.New("no such stream")
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
	Listen string // address and port, such as ":8554"
	// Streams returns the running stream of a path such as "CHANNEL" or
	// "CHANNEL/sub". Release is called once, when the user has enough. Any goroutine;
	// it may take its time within ctx.
	Streams func(ctx context.Context, user, path string) (s *media.Stream, release func(), err error)
	Users   Users           // nil: nobody is admitted
	Strikes *digest.Strikes // of wrong passwords, where several servers have the same users; nil: its own
	Realm   string          // of the users' H(A1); empty: District Gateway
	Ports   [2]uint16       // first and last port for UDP; 0: any of 32768 to 60767
	Limit   int             // connections at once, a quarter of them from one address; 0: 512
	Log     *slog.Logger
}

// Bounds of a server.
const (
	defaultLimit = 512
	defaultRealm = "District Gateway"
	addressShare = 4 // one address, or network of IPv6, may have 1/4 of the connections
	acceptPause  = 100 * time.Millisecond
)

// A Server hands streams to whoever may watch them, by RTSP 1.0: at
// rtsp://host/CHANNEL the main stream of a channel, at rtsp://host/CHANNEL/sub its
// sub stream, with RTP interleaved in the connection or over UDP. It is made by
// [NewServer].
//
// One goroutine reads each connection. What is sent is sent by the owner of the
// stream, see [playout]: media, reports, and the answers to requests made while
// media flows.
type Server struct {
	cfg     ServerConfig
	ports   pairs
	strikes *digest.Strikes
	unisons unisons
	conns   *digest.Shares[netip.Addr] // by [digest.Origin]

	bound   chan struct{} // closed once addr is known
	mu      sync.Mutex
	addr    netip.AddrPort
	listens bool // at addr
}

// ServerStats are a server's counters.
type ServerStats struct {
	Open     int    // connections
	Declined uint64 // connections that were one too many
}

// NewServer makes a server. It starts nothing.
func NewServer(cfg ServerConfig) (*Server, error) {
	switch {
	case cfg.Streams == nil:
		return nil, errors.New("rtsp server: no streams")
	case newPairs(cfg.Ports).count < 1, cfg.Ports[0] != 0 && cfg.Ports[0] < leastPort:
		return nil, fmt.Errorf("rtsp server: ports %d-%d: want a range with a pair, from %d on", cfg.Ports[0], cfg.Ports[1], leastPort)
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
	return &Server{cfg: cfg, ports: newPairs(cfg.Ports), strikes: cfg.Strikes,
		conns: digest.NewShares[netip.Addr](cfg.Limit, addressShare), bound: make(chan struct{})}, nil
}

// Stats returns the counters. Any goroutine.
func (s *Server) Stats() ServerStats {
	open, declined := s.conns.Count()
	return ServerStats{open, declined}
}

// Addr returns the address the server is bound to, once it is. Any goroutine.
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

// Listening returns the address the server is bound to; not ok while it is to none.
// Any goroutine.
func (s *Server) Listening() (addr netip.AddrPort, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr, s.listens
}

// Run serves until ctx ends, and returns when every connection is closed. It may be
// called again after it failed.
func (s *Server) Run(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("rtsp server: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var viewers sync.WaitGroup
	defer viewers.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	s.bind(l.Addr().(*net.TCPAddr).AddrPort())
	defer s.unbind()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case err != nil: // out of descriptors, or the far end has gone already
			s.cfg.Log.Warn("connection not accepted", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
		default:
			s.take(ctx, c.(*net.TCPConn), &viewers)
		}
	}
}

// bind makes addr known.
func (s *Server) bind(addr netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr, s.listens = addr, true
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
	s.listens = false
}

// take serves a connection on a goroutine of its own, if there is room.
func (s *Server) take(ctx context.Context, c *net.TCPConn, viewers *sync.WaitGroup) {
	from := digest.Origin(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
	if !s.conns.Enter(from) {
		c.Close()
		return
	}
	conn, err := sock.NewTCP(c)
	if err != nil {
		s.conns.Leave(from)
		s.cfg.Log.Warn("connection not accepted", "err", err)
		return
	}
	viewers.Go(func() {
		defer s.conns.Leave(from)
		v := newViewer(s, conn)
		defer conn.Close()
		err := contained(func() error { return v.run(ctx) })
		s.cfg.Log.Debug("viewer left", "from", conn.Remote(), "err", err)
	})
}

// contained calls f; a panic is its error: one connection never costs another.
func contained(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// ha1 asks the users.
func (s *Server) ha1(user, algorithm string) (string, bool) {
	if s.cfg.Users == nil {
		return "", false
	}
	return s.cfg.Users.HA1(user, algorithm)
}
