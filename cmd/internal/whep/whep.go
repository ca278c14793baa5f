// Package whep is a viewer by WebRTC that is no browser: it asks a gateway for a
// stream by WHEP, takes it, and keeps nothing but a count of the pictures. It is for
// rigs and tests, which can take its network away.
package whep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"districtgateway/media/digest"
)

// A Config says who watches what.
type Config struct {
	URL      string // of the endpoint: http://HOST:PORT/CHANNEL/whep
	User     string
	Password string
	TCP      bool                                // media goes by TCP
	Via      func(answer string) (string, error) // changes the answer before it is taken; nil: not
}

// A Refused is an answer that is no session.
type Refused struct {
	Status int    // of HTTP
	Text   string // why
}

func (r *Refused) Error() string { return fmt.Sprintf("%d: %s", r.Status, strings.TrimSpace(r.Text)) }

// A Viewer watches.
type Viewer struct {
	pc       *webrtc.PeerConnection
	socket   *net.UDPConn // nil: it goes by TCP
	mux      ice.UDPMux
	pictures atomic.Int64
	close    func()
}

// Watch asks for a stream and begins to take it. The error wraps a [*Refused] if the
// server says no. The caller owes the viewer a Close.
func Watch(ctx context.Context, cfg Config) (*Viewer, error) {
	v, err := open(cfg.TCP)
	if err != nil {
		return nil, err
	}
	if err := v.agree(ctx, cfg); err != nil {
		v.Close()
		return nil, fmt.Errorf("watch %s: %w", cfg.URL, err)
	}
	return v, nil
}

// open makes a viewer that has asked nobody yet.
func open(tcp bool) (v *Viewer, err error) {
	v = &Viewer{}
	v.close = sync.OnceFunc(v.shut)
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	// The library complains of what is done to it.
	e := webrtc.SettingEngine{LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}}
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	if tcp {
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	} else {
		if v.socket, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			return nil, err
		}
		v.mux = webrtc.NewICEUDPMux(e.LoggerFactory.NewLogger("ice"), v.socket)
		e.SetICEUDPMux(v.mux)
	}
	var engine webrtc.MediaEngine
	if err := engine.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&engine), webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	if v.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return nil, err
	}
	v.pc.OnTrack(v.see)
	_, err = v.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	return v, err
}

// see counts the pictures of a track, until it ends.
func (v *Viewer) see(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		if p.Marker {
			v.pictures.Add(1)
		}
	}
}

// Pictures returns how many pictures have come to their last packet. Any goroutine.
func (v *Viewer) Pictures() int { return int(v.pictures.Load()) }

// Vanish takes the network away from a viewer by UDP, as when a machine is switched
// off: there is no goodbye of ICE, DTLS or WHEP, nor an answer to anything.
func (v *Viewer) Vanish() error { return v.socket.Close() }

// Close ends the viewer, with a goodbye unless it has vanished. Once or more.
func (v *Viewer) Close() { v.close() }

func (v *Viewer) shut() {
	if v.pc != nil {
		_ = v.pc.Close() // there is nobody to tell
	}
	if v.socket != nil {
		_ = v.mux.Close()
		v.socket.Close()
	}
}

// agree offers, and takes the answer.
func (v *Viewer) agree(ctx context.Context, cfg Config) error {
	o, err := v.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(o); err != nil {
		return err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return ctx.Err()
	}
	answer, err := ask(ctx, cfg, v.pc.LocalDescription().SDP)
	if err == nil && cfg.Via != nil {
		answer, err = cfg.Via(answer)
	}
	if err != nil {
		return err
	}
	return v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}

// errNotTaken reports credentials that a server asks for again and again.
var errNotTaken = errors.New("credentials were not taken")

// ask posts an offer, with credentials when they are wanted, and returns the answer.
func ask(ctx context.Context, cfg Config, offer string) (answer string, err error) {
	transport := &http.Transport{MaxConnsPerHost: 1} // a nonce is good on one connection
	defer transport.CloseIdleConnections()
	who := digest.New(digest.Config{User: cfg.User, Password: digest.Secret(cfg.Password)})
	for range 3 {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.URL, strings.NewReader(offer))
		if err != nil {
			return "", err
		}
		a, err := who.Answer(req.Method, req.URL.RequestURI(), nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/sdp")
		if a.Header != "" {
			req.Header.Set("Authorization", a.Header)
		}
		res, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		switch {
		case res.StatusCode == http.StatusCreated:
			return string(text), err
		case res.StatusCode != http.StatusUnauthorized:
			return "", &Refused{res.StatusCode, string(text)}
		}
		if err := who.Challenge(a, res.Header.Values("WWW-Authenticate")); err != nil {
			return "", err
		}
	}
	return "", errNotTaken
}
