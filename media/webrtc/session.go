package webrtc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"districtgateway/media"
	"districtgateway/media/digest"
)

// Limits of patience with a browser.
const (
	connectWithin = 10 * time.Second // from the answer to the first packet that may go
	silentAfter   = 5 * time.Second  // without a sign of life it counts as disconnected
	goneAfter     = 5 * time.Second  // more, and it has gone (RFC 7675: browsers ask every 5 s at most)
	lookEvery     = 5 * time.Second  // at whether the user may still watch
)

// Why a session ends.
var (
	errLeft       = fmt.Errorf("%w: viewer left", media.ErrDone)
	errNoContact  = errors.New("browser did not connect in time")
	errGone       = errors.New("browser gives no sign of life")
	errRevoked    = errors.New("user may not watch any more")
	errAgreement  = errors.New("no agreement with the browser")
	errNoAnswerIn = errors.New("answer takes too long")
)

// A session is one browser that watches one stream. Its goroutine, [session.run],
// owns everything here but what is the owner's of the stream.
type session struct {
	key
	who     digest.Credential
	path    string // of the stream that is sent
	leftOut string // of it
	srv     *Server
	stream  *media.Stream
	release func()

	pc     *webrtc.PeerConnection
	lanes  []*lane
	states chan webrtc.PeerConnectionState
	lost   *losses
	leave  func() // tells it to end; once or more
	left   chan struct{}
	ended  chan struct{} // closed when nothing is left of it
}

// A key is what a session is known by.
type key struct {
	id, etag string // unguessable
	ufrag    string // of the browser
}

// newSession makes a session of a stream, of which a choice is to be sent.
func newSession(s *Server, c choice, b berth) (*session, error) {
	v := &session{key: key{id: rand.Text(), etag: `"` + rand.Text() + `"`}, srv: s, leftOut: c.leftOut, lost: newLosses(),
		states: make(chan webrtc.PeerConnectionState, 8), left: make(chan struct{}), ended: make(chan struct{})}
	v.leave = sync.OnceFunc(func() { close(v.left) })
	for i, t := range c.tracks {
		v.lanes = append(v.lanes, newLane(uint8(i), t))
	}
	api, err := v.api(b)
	if err != nil {
		return nil, err
	}
	v.pc, err = api.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{b.cert}})
	if err != nil {
		return nil, err
	}
	v.pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		select {
		case v.states <- st:
		default: // it changes its mind too often; the last state is looked at besides
		}
	})
	return v, nil
}

// api makes the library as this session needs it: it knows no coding but those that
// were chosen.
func (v *session) api(b berth) (*webrtc.API, error) {
	var engine webrtc.MediaEngine
	for _, l := range v.lanes {
		if err := engine.RegisterCodec(l.codec, l.kind()); err != nil {
			return nil, fmt.Errorf("register %s: %w", l.codec.MimeType, err)
		}
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(&engine), webrtc.WithSettingEngine(settings(b, v.srv.cfg.Log)),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{})), nil
}

// agree answers the part of an offer that was chosen.
func (v *session) agree(ctx context.Context, described string) (answer string, err error) {
	for _, l := range v.lanes {
		t, err := v.pc.AddTransceiverFromTrack(l, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return "", fmt.Errorf("%w: %w", errAgreement, err)
		}
		l.sender = t.Sender()
		l.flow.SSRC = uint32(l.sender.GetParameters().Encodings[0].SSRC)
	}
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: described}); err != nil {
		return "", fmt.Errorf("%w: %w", errAgreement, err)
	}
	own, err := v.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errAgreement, err)
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(own); err != nil {
		return "", fmt.Errorf("%w: %w", errAgreement, err)
	}
	select {
	case <-gathered:
		return v.pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", errNoAnswerIn
	}
}

// run sends until the session ends, and leaves nothing of it.
func (v *session) run(ctx context.Context) {
	err := contained(func() error {
		if err := v.connected(ctx); err != nil {
			return err
		}
		return v.play(ctx)
	})
	v.srv.forget(v)
	_ = v.pc.GracefulClose() // what it may complain of has gone
	v.release()
	close(v.ended)
	v.srv.cfg.Log.Info("viewer left", "user", v.who.User, "stream", v.path, "err", err)
}

// undo leaves nothing of a session that does not run.
func (v *session) undo() {
	_ = v.pc.GracefulClose() // nobody was told of it
	v.release()
}

// connected waits for the browser.
func (v *session) connected(ctx context.Context) error {
	limit := time.NewTimer(connectWithin)
	defer limit.Stop()
	for {
		select {
		case st := <-v.states:
			if st == webrtc.PeerConnectionStateConnected {
				return nil
			}
			if err := verdict(st); err != nil {
				return err
			}
		case <-limit.C:
			return errNoContact
		case <-v.left:
			return errLeft
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// verdict returns why a state ends the session, if it does.
func verdict(st webrtc.PeerConnectionState) error {
	switch st {
	case webrtc.PeerConnectionStateFailed:
		return errGone
	case webrtc.PeerConnectionStateClosed:
		return errLeft
	}
	return nil
}

// play sends until there is a reason not to.
func (v *session) play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newPlayout(v.far(), v.stream, v.lanes)
	if err := v.stream.Attach(p); err != nil {
		return err
	}
	v.srv.cfg.Log.Info("viewer watches", "user", v.who.User, "stream", v.path, "from", v.remote())
	var busy sync.WaitGroup
	defer func() {
		cancel()
		v.stream.Detach(p)
		_ = v.pc.GracefulClose() // ends those that read and write
		busy.Wait()
	}()
	failed := make(chan error, 1+len(v.lanes))
	busy.Go(func() { failed <- contained(func() error { return v.send(ctx, p.out.queue) }) })
	for _, l := range v.lanes {
		busy.Go(func() {
			// Otherwise it ends with the connection, of which others tell.
			if err := contained(func() error { return l.hear(p, v.lost) }); errors.Is(err, errPanic) {
				failed <- err
			}
		})
	}
	err := v.watch(ctx, p, failed)
	if ctx.Err() == nil {
		p.cut(err)
	}
	return err
}

// errPanic reports a fault of ours, or of the library's.
var errPanic = errors.New("panic")

// contained calls f; a panic is its error: one session never costs another.
func contained(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, r, debug.Stack())
		}
	}()
	return f()
}

// watch returns why the session is to end, once it is.
func (v *session) watch(ctx context.Context, p *playout, failed <-chan error) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case cause := <-p.over:
			return cause
		case err := <-failed:
			return err
		case st := <-v.states:
			if err := verdict(st); err != nil {
				return err
			}
		case <-look.C:
			if ha1, ok := v.srv.ha1(v.who.User, v.who.Algorithm); !ok || ha1 != v.who.HA1 {
				return errRevoked
			}
			if err := verdict(v.pc.ConnectionState()); err != nil {
				return err
			}
		case <-v.left:
			return errLeft
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends what is in the queue, and again what the browser misses.
func (v *session) send(ctx context.Context, q *queue) error {
	b := make([]byte, slotSize)
	for ctx.Err() == nil {
		t, ok := v.next(q, b)
		if ok {
			if err := v.write(b[:t.size], t); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			continue
		}
		select {
		case <-q.more:
		case <-v.lost.more:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// next returns the packet to be sent next: one that is missed, if it is still there,
// goes before new ones.
func (v *session) next(q *queue, b []byte) (t tag, ok bool) {
	for {
		l, missed := v.lost.take()
		if !missed {
			if t, ok = q.take(b); ok {
				v.lost.earn()
			}
			return t, ok
		}
		if t, ok := q.find(b, l.lane, l.seq); ok {
			return t, true
		}
	}
}

// write sends one packet.
func (v *session) write(p []byte, t tag) error {
	if !t.report {
		return v.lanes[t.lane].write(p)
	}
	reports, err := rtcp.Unmarshal(p)
	if err != nil {
		return err
	}
	return v.pc.WriteRTCP(reports)
}

// far returns the kind and name of the far end, as far as is known.
func (v *session) far() far {
	f := far{"webrtc", v.who.User + " " + v.remote()}
	if pair := v.pair(); pair != nil {
		f.kind += " " + pair.Local.Protocol.String()
	}
	return f
}

// pair returns the way that was chosen, or nil.
func (v *session) pair() *webrtc.ICECandidatePair {
	pair, err := v.lanes[0].sender.Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil {
		return nil
	}
	return pair
}

// remote returns where the browser is, as far as is known.
func (v *session) remote() string {
	pair := v.pair()
	if pair == nil {
		return "?"
	}
	a, err := netip.ParseAddr(pair.Remote.Address)
	if err != nil {
		return pair.Remote.Address
	}
	return netip.AddrPortFrom(a, pair.Remote.Port).String()
}
