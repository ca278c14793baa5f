// Package encoder puts one simulated encoder together: its player, RTSP server,
// ONVIF services and identity, and the faults it can be told to have.
package encoder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/encodersim/internal/clip"
	"districtgateway/cmd/encodersim/internal/discovery"
	"districtgateway/cmd/encodersim/internal/onvifserver"
	"districtgateway/cmd/encodersim/internal/player"
	"districtgateway/cmd/encodersim/internal/rtspserver"
)

// Profiles are the tokens of the profiles, which are also the paths of their
// streams.
func Profiles() []string { return []string{"main", "sub"} }

// Config is one encoder.
type Config struct {
	Identity   onvifserver.Identity
	Scopes     []string // beyond those that follow from the identity
	User       string
	Password   string
	Listen     Addresses
	SHA256     bool // RTSP offers SHA-256 as well as MD5
	PTZ        bool
	NoZoom     bool // the head pans and tilts only
	KeyOnPlay  bool // a new reader gets a key picture at once, as from most real encoders
	H265       bool // codec at the start
	Library    Library
	Bitrate    int           // bit/s the main profile is padded to; 0 for none
	RebootTime time.Duration // a reboot asked for by ONVIF takes this long
	Talk       io.Writer     // gets the back-channel's G.711 A-law; may be nil
	Log        *slog.Logger
}

// A Library is what an encoder can show, shared between encoders.
type Library struct {
	H264, H265 [2]*clip.Video // by profile
	Audio      *clip.Audio    // nil for none
}

// Videos returns the profiles' pictures in a codec.
func (l *Library) Videos(h265 bool) [2]*clip.Video {
	if h265 {
		return l.H265
	}
	return l.H264
}

// An Encoder is one simulated encoder.
type Encoder struct {
	cfg     Config
	addrs   Addresses // concrete after New
	player  *player.Player
	streams []*rtspserver.Stream
	rtsp    *rtspserver.Server
	onvif   *onvifserver.Server
	talk    talk
	reboots chan time.Duration

	asks    struct{ rtcp, onvif atomic.Uint64 } // for key pictures
	skew    atomic.Int64                        // nanoseconds the clock is wrong by
	loss    atomic.Pointer[loss]
	mu      sync.Mutex // guards what follows
	state   settings
	sockets *sockets // bound and not yet served
}

// settings is what faults change.
type settings struct {
	password string
	h265     bool
	swapped  bool // main and sub show each other's pictures
	up       bool
	instance uint32 // grows with every start
}

// Addresses are what an encoder listens on.
type Addresses struct {
	HTTP, RTSP string         // port 0 takes a free one
	RTPPort    int            // even; 0 takes a free pair
	Multicast  netip.AddrPort // first group and even port of RTP; invalid: none
}

// sockets are an encoder's listeners.
type sockets struct {
	http net.Listener
	rtsp *rtspserver.Sockets
}

func listen(a Addresses) (*sockets, error) {
	h, err := net.Listen("tcp", a.HTTP)
	if err != nil {
		return nil, err
	}
	r, err := rtspserver.Listen(a.RTSP, a.RTPPort)
	if err != nil {
		h.Close()
		return nil, err
	}
	return &sockets{h, r}, nil
}

func (s *sockets) close() {
	s.http.Close()
	s.rtsp.Close()
}

// New binds the encoder's sockets, so that its addresses are known, and starts
// nothing. The caller owes it a Run or a Close.
func New(cfg Config) (*Encoder, error) {
	if cfg.User == "" || cfg.Password == "" {
		return nil, errors.New("want a user and a password")
	}
	bound, err := listen(cfg.Listen)
	if err != nil {
		return nil, err
	}
	e := &Encoder{cfg: cfg, sockets: bound, reboots: make(chan time.Duration, 1)}
	e.addrs = Addresses{bound.http.Addr().String(), bound.rtsp.Addr().String(), bound.rtsp.RTPPort(), cfg.Listen.Multicast}
	e.cfg.Identity = e.identity()
	e.state = settings{password: cfg.Password, h265: cfg.H265, up: true, instance: uint32(time.Now().Unix())}
	e.talk.out = cfg.Talk
	videos := cfg.Library.Videos(cfg.H265)
	e.player, err = player.New(player.Config{
		Videos: videos[:], Audio: cfg.Library.Audio, Bitrate: cfg.Bitrate, Output: (*output)(e),
	})
	if err != nil {
		bound.close()
		return nil, err
	}
	e.build(videos)
	return e, nil
}

// build makes the servers.
func (e *Encoder) build(videos [2]*clip.Video) {
	for i, path := range Profiles() {
		e.streams = append(e.streams, rtspserver.NewStream(rtspserver.StreamConfig{
			Path: path, Video: videos[i], Audio: e.cfg.Library.Audio, Drop: e.drop, Clock: e.clockError,
		}))
	}
	e.rtsp = rtspserver.New(rtspserver.Config{
		Streams: e.streams, Multicast: e.cfg.Listen.Multicast, Credentials: e.credentials, SHA256: e.cfg.SHA256, BackChannel: e.talk.hear,
		Joining: e.joining, Joined: e.joined, KeyFrame: e.keyFrame(&e.asks.rtcp), Log: e.cfg.Log,
	})
	e.onvif = onvifserver.New(onvifserver.Config{
		Identity: e.cfg.Identity, Scopes: e.scopes(), Credentials: e.credentials, Profiles: e.profiles, Picture: e.picture,
		RTSPPort: portOf(e.addrs.RTSP), Multicast: e.cfg.Listen.Multicast.IsValid(), PTZ: e.cfg.PTZ, NoZoom: e.cfg.NoZoom, Clock: e.clock, SetClock: e.setClock,
		KeyFrame: e.keyFrame(&e.asks.onvif), Reboot: func() { e.Reboot(e.cfg.RebootTime) }, Log: e.cfg.Log,
	})
}

// Close frees the sockets of an encoder that was never run.
func (e *Encoder) Close() {
	if b := e.takeSockets(); b != nil {
		b.close()
	}
}

func (e *Encoder) takeSockets() *sockets {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.sockets
	e.sockets = nil
	return b
}

// Run serves until ctx ends, through any number of reboots. announce is told of
// each going and coming back; it may be nil.
func (e *Encoder) Run(ctx context.Context, announce func(t *discovery.Target, up bool)) error {
	for {
		off, err := e.powered(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		e.cfg.Log.Info("encoder down", "for", off.String())
		e.setUp(false, announce)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(off):
		}
		bound, err := listen(e.addrs)
		if err != nil {
			return fmt.Errorf("come back: %w", err)
		}
		e.mu.Lock()
		e.sockets = bound
		e.mu.Unlock()
		e.setUp(true, announce)
		e.cfg.Log.Info("encoder up")
	}
}

func (e *Encoder) setUp(up bool, announce func(*discovery.Target, bool)) {
	e.mu.Lock()
	e.state.up = up
	if up {
		e.state.instance++
	}
	e.mu.Unlock()
	if announce != nil {
		announce(e.Target(), up)
	}
}

// powered serves until ctx ends or a reboot is asked for, which it returns the
// length of.
func (e *Encoder) powered(ctx context.Context) (off time.Duration, err error) {
	bound := e.takeSockets()
	if bound == nil {
		return 0, errors.New("encoder was closed")
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error { return e.rtsp.Run(ctx, bound.rtsp) })
	g.Go(func() error { return e.player.Run(ctx) })
	g.Go(func() error { return serveHTTP(ctx, bound.http, e.onvif) })
	g.Go(func() error {
		select {
		case off = <-e.reboots:
			stop()
		case <-ctx.Done():
		}
		return nil
	})
	return off, g.Wait()
}

// serveHTTP serves until ctx ends; answers under way get a second.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	<-failed
	return nil
}

// output takes the player's pictures and sound to the streams.
type output Encoder

func (o *output) Video(profile int, p player.Picture) {
	o.streams[profile].WriteVideo(p.NALs, p.H265, p.Ticks, p.At)
}

func (o *output) Audio(s player.Sound) {
	for _, st := range o.streams {
		st.WriteAudio(s.Data, s.Samples, s.At)
	}
}

// joining and joined make a key picture the first that a new reader gets.
func (e *Encoder) joining() {
	if e.cfg.KeyOnPlay {
		e.player.Hold()
	}
}

func (e *Encoder) joined() {
	if e.cfg.KeyOnPlay {
		e.player.Key()
	}
}

// keyFrame makes what answers requests for a key picture, and counts them.
func (e *Encoder) keyFrame(count *atomic.Uint64) func() {
	return func() {
		count.Add(1)
		e.player.Key()
	}
}

func (e *Encoder) credentials() (user, password string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cfg.User, e.state.password
}

func (e *Encoder) clockError() time.Duration { return time.Duration(e.skew.Load()) }

func (e *Encoder) clock() time.Time { return time.Now().Add(e.clockError()) }

// setClock sets the device's time; zero follows the host.
func (e *Encoder) setClock(t time.Time) {
	if t.IsZero() {
		e.skew.Store(0)
		return
	}
	e.skew.Store(int64(time.Until(t)))
}

func portOf(addr string) int {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port) // it is a listener's own
	return n
}

// RandomPassword returns 16 letters and digits from the system's randomness.
func RandomPassword() string { return rand.Text()[:16] }
