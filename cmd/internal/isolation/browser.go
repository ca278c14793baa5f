package isolation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"districtgateway/cmd/internal/whep"
	"districtgateway/media"
	"districtgateway/media/webrtc"
)

// startBrowsers starts a server for browsers, which ends with the rig.
func (r *Rig) startBrowsers() (s *webrtc.Server, url string, err error) {
	s, err = webrtc.NewServer(webrtc.ServerConfig{
		Listen: "127.0.0.1:0", Media: "127.0.0.1:0", Users: r,
		Streams: func(context.Context, string, string) (*media.Stream, func(), error) { return r.Stream, func() {}, nil },
	})
	if err != nil {
		return nil, "", err
	}
	r.run(s.Run)
	addr, err := s.Addr(r.ctx)
	return s, "http://" + addr.String() + "/" + channel + "/whep", err
}

// browse starts a server and a browser that watches there by UDP or, with p between
// them, by TCP. The browser ends with ctx.
func (r *Rig) browse(ctx context.Context, p *proxy) (*webrtc.Server, *whep.Viewer, error) {
	cfg := whep.Config{User: user, Password: password}
	if p != nil {
		cfg.TCP, cfg.Via = true, func(answer string) (string, error) { return p.stand(ctx, answer) }
	}
	for { // the port that was free for UDP may be somebody else's by TCP: then another has to do
		s, url, err := r.startBrowsers()
		if err != nil {
			return nil, nil, err
		}
		cfg.URL = url
		b, err := whep.Watch(ctx, cfg)
		if errors.Is(err, errNoTCP) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		context.AfterFunc(ctx, b.Close)
		return s, b, r.await("the browser has pictures", func() bool { return b.Pictures() > 3 })
	}
}

// errNoTCP reports a server that offers no media by TCP.
var errNoTCP = errors.New("no candidate by TCP")

// passive is the candidate of a server that is connected to (RFC 6544 §4.5).
var passive = regexp.MustCompile(`(?m)^(a=candidate:\S+ \d+ tcp \d+) (\S+) (\d+) (.*tcptype passive.*)$`)

// stand makes p stand before the candidate by TCP of an answer.
func (p *proxy) stand(ctx context.Context, answer string) (string, error) {
	m := passive.FindStringSubmatch(answer)
	if m == nil {
		return "", errNoTCP
	}
	far, err := netip.ParseAddrPort(net.JoinHostPort(m[2], m[3]))
	if err != nil {
		return "", err
	}
	near, err := p.before(ctx, far)
	if err != nil {
		return "", err
	}
	return passive.ReplaceAllString(answer, fmt.Sprintf("$1 %s %d $4", near.Addr(), near.Port())), nil
}

// leastSilence is how long the session of a browser that vanished lasts at the least:
// that proves that there was no goodbye. It ends 10 s after the last sign of life, and
// there is one every 2 s.
const leastSilence = 7 * time.Second

// vanishBrowser has a browser end as a machine does that is switched off.
func (r *Rig) vanishBrowser(time.Duration) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	before := r.Stream.Stats().Consumers.Cut
	s, b, err := r.browse(ctx, nil)
	if err != nil {
		return err
	}
	if err := b.Vanish(); err != nil {
		return err
	}
	at, saw, units := time.Now(), b.Pictures(), r.Stream.Stats().Units
	cut, err := r.cutAfter(s, before)
	if err != nil {
		return err
	}
	more, of := b.Pictures()-saw, int(r.Stream.Stats().Units-units)
	if !strings.Contains(cut.Why.Error(), "no sign of life") || cut.At.Sub(at) < leastSilence || more > of/10 {
		return fmt.Errorf("the browser, which vanished, was cut after %s: %+v; it saw %d more of %d pictures", cut.At.Sub(at), cut, more, of)
	}
	return nil
}

// stallBrowser has a browser whose connection takes nothing any more, though it goes
// on to tell that it is there.
func (r *Rig) stallBrowser(time.Duration) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	p := &proxy{}
	defer p.reset()
	before := r.Stream.Stats().Consumers.Cut
	s, _, err := r.browse(ctx, p)
	if err != nil {
		return err
	}
	p.full.Store(true)
	cut, err := r.cutAfter(s, before)
	if err != nil {
		return err
	}
	if !errors.Is(cut.Why, media.ErrSlow) && !strings.HasPrefix(cut.Why.Error(), "send: ") { // whichever limit is less
		return fmt.Errorf("the browser, which takes nothing, was cut: %+v", cut)
	}
	return nil
}

// cutAfter waits for the consumer that is cut after the first n, the browser of a
// server, and until the server has nothing left of it.
func (r *Rig) cutAfter(s *webrtc.Server, n uint64) (media.CutSink, error) {
	if err := r.await("the browser is cut", func() bool { return r.Stream.Stats().Consumers.Cut > n }); err != nil {
		return media.CutSink{}, err
	}
	if err := r.await("nothing is left of the browser", func() bool { return s.Stats().Open == 0 }); err != nil {
		return media.CutSink{}, err
	}
	last := r.Stream.Stats().Consumers.Last
	cut := last[len(last)-1]
	if !strings.HasPrefix(cut.Kind, "webrtc") || !strings.HasPrefix(cut.Name, user+" 127.0.0.1:") {
		return cut, fmt.Errorf("cut was %+v, want the browser", cut)
	}
	return cut, nil
}
