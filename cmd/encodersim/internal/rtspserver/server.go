// Package rtspserver serves a simulated encoder's profiles over RTSP 1.0, with
// RTP over UDP or interleaved in TCP, digest authentication, and ONVIF's audio
// back-channel (ONVIF Streaming Specification section 5.3).
package rtspserver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Config tells a Server what it serves.
type Config struct {
	Streams     []*Stream
	Credentials func() (user, password string) // asked at every request
	SHA256      bool                           // offer SHA-256 before MD5 (RFC 7616)
	Multicast   netip.AddrPort                 // first group of a /28, and even port of RTP; invalid: none
	BackChannel func(p *rtp.Packet)            // one packet of talk, G.711 A-law; keep nothing
	Joining     func()                         // a reader is about to be added
	Joined      func()                         // it was
	KeyFrame    func()                         // a reader wants a key picture (RTCP PLI or FIR)
	Log         *slog.Logger
}

// A Server is one encoder's RTSP server. It may be run again after Run returned.
type Server struct {
	cfg   Config
	ready chan struct{} // closed when this run's streams are up

	mu       sync.Mutex
	sessions map[*gortsplib.ServerSession]*Session
}

// A Session is one reader, as Sessions tells.
type Session struct {
	Path      string    `json:"path"`
	Remote    string    `json:"remote"`
	Transport string    `json:"transport"` // "UDP" or "TCP"; empty before SETUP
	Playing   bool      `json:"playing"`
	Since     time.Time `json:"since"`
}

// queue is how many packets wait for a slow reader; more are dropped and the
// reader is let go. It is a power of two.
const queue = 2048

// New returns a server that does not listen yet.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, sessions: map[*gortsplib.ServerSession]*Session{}}
}

// Run serves on the sockets, which it owns, until ctx ends. All sessions are
// closed when it returns.
func (s *Server) Run(ctx context.Context, sockets *Sockets) error {
	defer sockets.Close()
	methods := []auth.VerifyMethod{auth.VerifyMethodDigestMD5}
	if s.cfg.SHA256 {
		methods = []auth.VerifyMethod{auth.VerifyMethodDigestSHA256, auth.VerifyMethodDigestMD5}
	}
	lib := &gortsplib.Server{
		Handler:        (*handler)(s),
		RTSPAddress:    sockets.tcp.Addr().String(),
		UDPRTPAddress:  sockets.rtp.LocalAddr().String(),
		UDPRTCPAddress: sockets.rtcp.LocalAddr().String(),
		WriteQueueSize: queue,
		AuthMethods:    methods,
		// Sender reports are the streams' own, so that a simulated clock shows.
		DisableRTCPSenderReports: true,
		Listen:                   func(string, string) (net.Listener, error) { return sockets.tcp, nil },
		ListenPacket:             sockets.packetConn,
	}
	if g := s.cfg.Multicast; g.IsValid() {
		lib.MulticastIPRange = netip.PrefixFrom(g.Addr(), 28).Masked().String()
		lib.MulticastRTPPort, lib.MulticastRTCPPort = int(g.Port()), int(g.Port())+1
	}
	s.ready = make(chan struct{})
	if err := lib.Start(); err != nil {
		return err
	}
	defer lib.Close()
	defer s.down()
	err := s.up(lib)
	close(s.ready)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- lib.Wait() }()
	select {
	case <-ctx.Done():
		lib.Close()
		<-failed
		return nil
	case err := <-failed:
		return err
	}
}

func (s *Server) up(lib *gortsplib.Server) error {
	for _, st := range s.cfg.Streams {
		if err := st.up(lib); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) down() {
	for _, st := range s.cfg.Streams {
		st.down()
	}
}

// packetConn hands the library the UDP socket that is bound to an address.
func (s *Sockets) packetConn(_, addr string) (net.PacketConn, error) {
	for _, c := range []net.PacketConn{s.rtp, s.rtcp} {
		if c.LocalAddr().String() == addr {
			return c, nil
		}
	}
	return nil, errors.New("not a socket of this server: " + addr)
}

// Sessions returns the open sessions, oldest first.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Session, 0, len(s.sessions))
	for _, v := range s.sessions {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b Session) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Remote, b.Remote))
	})
	return out
}

// update changes what is known of a session.
func (s *Server) update(ss *gortsplib.ServerSession, f func(*Session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.sessions[ss]; v != nil {
		f(v)
	}
}

// A handler answers the library's callbacks for a Server.
type handler Server

func (h *handler) server() *Server { return (*Server)(h) }

// OnSessionOpen notes a session.
func (h *handler) OnSessionOpen(ctx *gortsplib.ServerHandlerOnSessionOpenCtx) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[ctx.Session] = &Session{Remote: ctx.Conn.NetConn().RemoteAddr().String(), Since: time.Now()}
}

// OnSessionClose forgets it.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.sessions[ctx.Session]; v != nil {
		h.cfg.Log.Info("session closed", "path", v.Path, "remote", v.Remote, "err", ctx.Error)
	}
	delete(h.sessions, ctx.Session)
}

// OnDescribe answers with the description of a profile.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if res, err := h.refuse(ctx.Conn, ctx.Request); res != nil {
		return res, nil, err
	}
	return h.found(h.stream(ctx.Path))
}

// OnSetup lets a reader take one medium of a profile.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if res, err := h.refuse(ctx.Conn, ctx.Request); res != nil {
		return res, nil, err
	}
	st := h.stream(ctx.Path)
	// A session that was set up before the profile changed is about to be closed.
	if old := ctx.Session.Stream(); old != nil && old != st {
		return &base.Response{StatusCode: base.StatusSessionNotFound}, nil, errors.New("profile changed")
	}
	h.server().update(ctx.Session, func(v *Session) {
		v.Path, v.Transport = ctx.Path, ctx.Transport.Protocol.String()
	})
	return h.found(st)
}

// OnPlay starts a session and listens for its talk.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	if res, err := h.refuse(ctx.Conn, ctx.Request); res != nil {
		return res, err
	}
	ctx.Session.OnPacketRTPAny(func(_ *description.Media, _ format.Format, p *rtp.Packet) {
		h.cfg.BackChannel(p)
	})
	ctx.Session.OnPacketRTCPAny(func(_ *description.Media, p rtcp.Packet) {
		switch p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			h.cfg.KeyFrame()
		}
	})
	h.server().update(ctx.Session, func(v *Session) { v.Playing = true })
	h.reportSoon()
	h.cfg.Joining()
	ctx.Conn.SetUserData(joining{})
	h.cfg.Log.Info("session playing", "path", ctx.Path, "remote", ctx.Conn.NetConn().RemoteAddr().String())
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// joining marks a connection whose PLAY has not been answered.
type joining struct{}

// OnResponse sees that a reader has been added: the library adds it between
// OnPlay and the answer, on this connection's goroutines.
func (h *handler) OnResponse(c *gortsplib.ServerConn, _ *base.Response) {
	if c.UserData() != (joining{}) {
		return
	}
	c.SetUserData(nil)
	h.reportSoon()
	h.cfg.Joined()
}

func (h *handler) reportSoon() {
	for _, st := range h.cfg.Streams {
		st.reportSoon()
	}
}

// OnPause stops a session's media for a while.
func (h *handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	h.server().update(ctx.Session, func(v *Session) { v.Playing = false })
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// refuse answers a request without the right credentials; the library adds the
// challenge or, if wrong ones were given, closes the connection.
func (h *handler) refuse(c *gortsplib.ServerConn, req *base.Request) (*base.Response, error) {
	user, password := h.cfg.Credentials()
	if c.VerifyCredentials(req, user, password) {
		return nil, nil
	}
	return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
}

// stream finds a stream. A request that comes while the streams are being put
// up waits for them: the socket was open before.
func (h *handler) stream(path string) *gortsplib.ServerStream {
	<-h.ready
	for _, st := range h.cfg.Streams {
		if st.path == strings.Trim(path, "/") {
			return st.current()
		}
	}
	return nil
}

func (h *handler) found(st *gortsplib.ServerStream) (*base.Response, *gortsplib.ServerStream, error) {
	if st == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, st, nil
}
