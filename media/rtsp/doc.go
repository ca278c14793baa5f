// Package rtsp takes streams from encoders by RTSP 1.0 (RFC 2326), and gives them
// to players, over one TCP connection (interleaved) or over UDP; from encoders also
// by multicast. The words of the
// protocol are those of gortsplib's leaf packages; what happens to media is ours:
// it goes from the socket into the stream's ring, and from there into the sockets
// of those who watch.
//
// [Open] does the whole conversation, DESCRIBE to PLAY, and returns the source of
// a [media.Stream]. Redirects are not followed: an encoder has no business to send
// the gateway elsewhere.
//
// [Push] takes what an encoder sends by itself, by plain RTP, as a description says.
//
// A [Server] is the other side. Each connection is a viewer, whose goroutine reads
// it; a session that plays is a playout, a sink of its stream.
package rtsp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/rtp"
)

// Errors of Open and of a source.
var (
	ErrUnauthorized = errors.New("user or password refused")
	ErrSilent       = errors.New("encoder sends nothing")
	errSilentUDP    = errors.New("nothing came by UDP")
)

// A Config says what to take from where.
type Config struct {
	URL       string // rtsp://host[:port]/path, without user and password
	User      string
	Password  digest.Secret
	Basic     bool          // answer a Basic challenge too, which hands the password to whoever listens
	Transport Transport     // that is preferred
	Timeout   time.Duration // of each exchange; 0: 5 s
	// KeyFrame asks the encoder for a key frame in its own way, besides RTCP; nil: there
	// is none. It is called on a goroutine of its own, and ends with its context.
	KeyFrame func(context.Context) error
	Log      *slog.Logger // nil: discard
}

// A Transport is how RTP comes from an encoder.
type Transport uint8

// The transports.
const (
	TCP       Transport = iota // interleaved in the connection of RTSP
	UDP                        // to ports of ours
	Multicast                  // to a group that is joined on the interface which leads to the encoder (IPv4)
)

func (t Transport) String() string { return [...]string{"tcp", "udp", "multicast"}[t%3] }

// other is what is tried where t does not do.
func (t Transport) other() Transport {
	if t == TCP {
		return UDP
	}
	return TCP
}

// Limits of patience with an encoder that plays.
const (
	silenceLimit = 10 * time.Second
	reportEvery  = 5 * time.Second // receiver reports (RFC 3550 §6.2)
)

// Open connects, asks for the stream's description, sets up one video and one
// audio track of those this gateway can carry, and starts them. A transport that
// the encoder does not know (461) is exchanged for another, and UDP and multicast for TCP
// if nothing comes by them within 3 s. It is the body of a [media.Opener].
func Open(ctx context.Context, cfg Config) (media.Opened, error) {
	cfg = withDefaults(cfg)
	opened, err := open(ctx, cfg)
	if errors.Is(err, errTransport) || errors.Is(err, errSilentUDP) {
		cfg.Log.Warn("trying the other transport", "url", cfg.URL, "transport", cfg.Transport.other(), "err", err)
		cfg.Transport = cfg.Transport.other()
		opened, err = open(ctx, cfg)
	}
	if err != nil {
		return media.Opened{}, fmt.Errorf("open %s: %w", cfg.URL, err)
	}
	return opened, nil
}

func withDefaults(cfg Config) Config {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func open(ctx context.Context, cfg Config) (media.Opened, error) {
	u, err := base.ParseURL(cfg.URL)
	if err != nil {
		return media.Opened{}, err
	}
	if u.Scheme != "rtsp" {
		return media.Opened{}, fmt.Errorf("scheme %.16q: want rtsp", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = "554"
	}
	d := net.Dialer{Timeout: cfg.Timeout}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return media.Opened{}, err
	}
	s := newSession(cfg, c.(*net.TCPConn), u.CloneWithoutCredentials())
	stop := context.AfterFunc(ctx, func() { c.Close() })
	src, err := s.start()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	switch {
	case err != nil && src != nil: // it has taken the connection over
		src.Close()
		return media.Opened{}, err
	case err != nil:
		s.close()
		return media.Opened{}, err
	}
	if u, ok := src.(*udpSource); ok && !u.arrives(ctx) {
		u.Close()
		return media.Opened{}, cmp.Or(ctx.Err(), errSilentUDP)
	}
	opened := media.Opened{Source: src, Carriage: media.CarriageRTP, Tracks: s.tracks, Ordered: cfg.Transport == TCP}
	if cfg.Transport == TCP {
		opened.Front = rtp.FrameSize
	}
	return opened, nil
}
