package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/relay"
	"districtgateway/storage"
)

// How long a leg waits: for the first picture of a stream, and for the word that
// it may start, which comes with the peer's ACK.
const (
	readyWithin = 15 * time.Second
	startWithin = 40 * time.Second
)

// sources provides streams of this gateway's own.
type sources interface {
	// live joins the running stream of a channel, or starts it. Release must be called once.
	live(channel domain.Code, profile uint8) (s *media.Stream, release func(), err error)
	// play prepares a recording as a stream of its own, not running yet. opened, if not
	// nil, is given what controls it.
	play(id domain.StreamID, speed int, opened func(*storage.Player)) (*media.Stream, error)
	// askKey wants a key frame on each stream of a channel that runs.
	askKey(channel domain.Code)
}

// legs performs the media effects of the domain: each leg is one goroutine from
// the effect that opens it to the event that tells its end. It is the
// [domain.Media] of the daemon.
type legs struct {
	ports   *relay.Ports
	host    func(domain.PeerRef) string // the address a peer reaches us at
	memory  *memory
	sources sources
	post    func(domain.Event) bool
	log     *slog.Logger

	ctx    context.Context // ends all legs
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	open map[domain.LegID]*leg
}

// A leg is one end of media.
type leg struct {
	id      domain.LegID
	cancel  context.CancelFunc
	connect chan domain.Endpoint // receiver: where media comes from; one value
	start   chan struct{}        // sender: closed by StartSender

	mu     sync.Mutex
	stream *media.Stream // receiver: what it receives, once open
	name   domain.StreamID
	from   domain.Code // receiver: who sends
	ready  bool        // receiver: it can be read
	closed bool        // by CloseLeg: its end is not told
	begun  bool        // start was closed

	receiver *relay.Receiver
	player   *storage.Player // sender: of a recording of our own
}

// newLegs completes what the caller has set.
func newLegs(l *legs) *legs {
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.open = map[domain.LegID]*leg{}
	return l
}

// Run returns when ctx has ended and every leg with it.
func (l *legs) Run(ctx context.Context) error {
	<-ctx.Done()
	l.cancel()
	l.wg.Wait()
	return nil
}

// Do performs a media effect; see [domain.Media].
func (l *legs) Do(e domain.Effect) {
	switch e := e.(type) {
	case domain.OpenReceiver:
		l.begin(e.Leg, func(ctx context.Context, g *leg) error { return l.receive(ctx, g, e) })
	case domain.OpenSender:
		l.begin(e.Leg, func(ctx context.Context, g *leg) error { return l.send(ctx, g, e) })
	case domain.ConnectReceiver:
		if g := l.leg(e.Leg); g != nil {
			select {
			case g.connect <- e.Answer:
			default: // told already
			}
		}
	case domain.StartSender:
		if g := l.leg(e.Leg); g != nil {
			g.startOnce()
		}
	case domain.HoldReceiver:
		if g := l.leg(e.Leg); g != nil {
			g.hold(e.Held)
		}
	case domain.ControlSender:
		if g := l.leg(e.Leg); g != nil {
			g.control(e.Command)
		}
	case domain.WantKeyFrame:
		l.sources.askKey(e.Channel)
	case domain.CloseLeg:
		if g := l.leg(e.Leg); g != nil {
			g.close()
		}
	}
}

func (l *legs) leg(id domain.LegID) *leg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[id]
}

// stream returns what a receiving leg receives, or nil.
func (l *legs) stream(id domain.LegID) *media.Stream {
	g := l.leg(id)
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stream
}

// begin runs a leg on a goroutine of its own and tells how it ended.
func (l *legs) begin(id domain.LegID, f func(context.Context, *leg) error) {
	ctx, cancel := context.WithCancel(l.ctx)
	g := &leg{id: id, cancel: cancel, connect: make(chan domain.Endpoint, 1), start: make(chan struct{})}
	l.mu.Lock()
	l.open[id] = g
	l.mu.Unlock()
	l.wg.Go(func() {
		defer cancel()
		err := guard(func() error { return f(ctx, g) })
		l.mu.Lock()
		delete(l.open, id)
		l.mu.Unlock()
		if g.wasClosed() {
			return
		}
		if p := (*panicError)(nil); errors.As(err, &p) {
			l.log.Error("leg panicked", "err", err, "stack", string(p.stack))
		}
		l.post(domain.MediaEnded{Leg: id, Err: mediaError(err)})
	})
}

// mediaError turns the ways media ends into the words of the domain.
func mediaError(err error) error {
	switch {
	case errors.Is(err, media.ErrMemory): // first: it may be what a stream ended for that was waited for
		return fmt.Errorf("%w: %w", domain.ErrNoMemory, err)
	case err == nil || errors.Is(err, media.ErrEnded):
		return nil
	case errors.Is(err, relay.ErrNoMedia), errors.Is(err, relay.ErrNoConnect), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", domain.ErrTimeout, err)
	case errors.Is(err, relay.ErrNoPort):
		return fmt.Errorf("%w: %w", domain.ErrBusy, err)
	}
	for _, said := range []error{domain.ErrDenied, domain.ErrNoChannel, domain.ErrNoRecording, domain.ErrOffline,
		domain.ErrPeerOffline, domain.ErrBusy, domain.ErrMedia, domain.ErrGone, domain.ErrTimeout} {
		if errors.Is(err, said) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", domain.ErrBroken, err)
}

// close ends the leg. A recording that came in by TCP is still read to its end by
// whom reads it, however slowly.
func (g *leg) close() {
	g.mu.Lock()
	g.closed = true
	s, read := g.stream, g.ready
	g.mu.Unlock()
	if read && s.Patient() {
		s.StopAlone()
		return
	}
	g.cancel()
}

func (g *leg) wasClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

func (g *leg) startOnce() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.begun {
		g.begun = true
		close(g.start)
	}
}

// hold tells a receiver that its sender was paused, or goes on.
func (g *leg) hold(held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.receiver != nil {
		g.receiver.Hold(held)
	}
}

// plays takes what controls the leg's recording.
func (g *leg) plays(id domain.StreamID, p *storage.Player) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.name, g.player = id, p
}

// control does with a recording what its viewer wants. The domain has checked that it
// can be done.
func (g *leg) control(c domain.Command) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.player == nil {
		return
	}
	if c.Verb == domain.CommandPause {
		g.player.Pause()
		return
	}
	if c.Seek {
		g.player.Seek(g.name.Range.From.Add(c.From))
	}
	switch {
	case c.Scale > 0:
		g.player.SetScale(c.Scale)
	case c.Now:
		g.player.SetScale(1)
	}
	g.player.Resume()
}

// receive is the life of a receiving leg.
func (l *legs) receive(ctx context.Context, g *leg, e domain.OpenReceiver) error {
	end := relay.ReceiverConfig{Ports: l.ports, Transport: relay.Transport(e.Transport), Finite: e.Stream.Kind != domain.Live}
	if !end.Finite {
		end.AskKey = func() error { return l.askKey(e.Leg) }
	}
	r, err := relay.OpenReceiver(end)
	if err != nil {
		return err
	}
	defer r.Close()
	g.mu.Lock()
	g.receiver = r
	g.mu.Unlock()
	offer := domain.Endpoint{Host: l.host(e.Peer), Port: r.Local().Port(), Transport: e.Transport, SSRC: e.SSRC}
	if e.Elementary {
		offer.Elementary, offer.Tracks = true, elementaryOffer()
	}
	l.post(domain.ReceiverOpened{Leg: g.id, Offer: offer})
	select {
	case answer := <-g.connect:
		remote, err := remoteOf(answer)
		if err != nil {
			return fmt.Errorf("%w: %w", domain.ErrMedia, err)
		}
		r.Connect(remote)
	case <-ctx.Done():
		return ctx.Err()
	}
	live := e.Stream.Kind == domain.Live
	cfg := l.memory.stream(string(e.Stream.Channel), media.ForViewing, live)
	cfg.Once, cfg.Patient, cfg.Log = true, !live && e.Transport != domain.MediaUDP, l.log
	s := media.NewStream(cfg, r.Open)
	g.mu.Lock()
	g.stream, g.name, g.from = s, e.Stream, e.Peer.Code
	g.mu.Unlock()
	return l.runStream(ctx, s, func() {
		g.mu.Lock()
		g.ready = true
		g.mu.Unlock()
		l.post(domain.ReceiverReady{Leg: g.id})
	})
}

// errFull reports that the domain takes no event now.
var errFull = errors.New("the domain is busy")

// askKey tells the domain that who reads from a leg waits for a key frame.
func (l *legs) askKey(id domain.LegID) error {
	if !l.post(domain.KeyFrameWanted{Leg: id}) {
		return errFull
	}
	return nil
}

// runStream runs a stream that belongs to one leg, and calls ready once it can
// be shown.
func (l *legs) runStream(ctx context.Context, s *media.Stream, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	var late error
	waiting.Go(func() {
		within, stop := context.WithTimeout(ctx, readyWithin)
		defer stop()
		if err := s.WaitReady(within); err == nil {
			ready()
		} else if ctx.Err() == nil {
			late = err
			cancel()
		}
	})
	err := s.Run(ctx)
	cancel()
	waiting.Wait()
	if late != nil {
		return late
	}
	return err
}

// send is the life of a sending leg.
func (l *legs) send(ctx context.Context, g *leg, e domain.OpenSender) error {
	s, release, err := l.sourceOf(ctx, e, func(p *storage.Player) { g.plays(e.Stream, p) })
	if err != nil {
		return err
	}
	defer release()
	remote, err := endpointAddr(e.Offer)
	if err != nil {
		return fmt.Errorf("%w: %w", domain.ErrMedia, err)
	}
	cfg := relay.SenderConfig{
		Ports: l.ports, Transport: relay.Transport(e.Offer.Transport), Remote: remote, SSRC: e.SSRC,
		Name: fmt.Sprintf("%s %s", e.Peer.Code, remote), Oldest: e.Stream.Kind != domain.Live,
	}
	answer := domain.Endpoint{Host: l.host(e.Peer), Transport: e.Offer.Transport, SSRC: e.SSRC}
	if e.Offer.Elementary {
		if infos, tracks, ok := agree(e.Offer.Tracks, s.State()); ok {
			answer.Elementary, answer.Tracks, cfg.Tracks = true, infos, tracks
		}
	}
	sender, err := relay.OpenSender(cfg)
	if err != nil {
		return err
	}
	defer sender.Close(nil)
	answer.Port = sender.Local().Port()
	l.post(domain.SenderOpened{Leg: g.id, Answer: answer})
	return l.flow(ctx, g, s, sender)
}

// flow waits for the start, then sends until one side ends it.
func (l *legs) flow(ctx context.Context, g *leg, s *media.Stream, sender *relay.Sender) error {
	select {
	case <-g.start:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startWithin):
		return fmt.Errorf("%w: start was never given", domain.ErrTimeout)
	}
	if err := sender.Connect(ctx); err != nil {
		return err
	}
	if err := s.Attach(sender); err != nil {
		return err
	}
	select {
	case <-sender.Ended():
		return sender.Cause()
	case <-ctx.Done():
		s.Detach(sender)
		return ctx.Err()
	}
}

// sourceOf finds the stream a sender sends, and waits until it can be shown. A
// recording begins to run only now, so that nothing of it is missed.
func (l *legs) sourceOf(ctx context.Context, e domain.OpenSender, opened func(*storage.Player)) (s *media.Stream, release func(), err error) {
	switch {
	case e.Source != 0:
		if s = l.stream(e.Source); s == nil {
			return nil, nil, domain.ErrGone
		}
		return s, func() {}, nil
	case e.Stream.Kind == domain.Live:
		s, release, err = l.sources.live(e.Stream.Channel, e.Stream.Profile)
	default:
		s, release, err = l.recorded(ctx, e.Stream, e.Speed, opened)
	}
	if err != nil {
		return nil, nil, err
	}
	within, stop := context.WithTimeout(ctx, readyWithin)
	defer stop()
	if err := s.WaitReady(within); err != nil {
		release()
		if errors.Is(err, media.ErrMemory) {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("%w: %w", domain.ErrOffline, err)
	}
	return s, release, nil
}

// recorded starts the stream of a recording; release ends it.
func (l *legs) recorded(ctx context.Context, id domain.StreamID, speed int, opened func(*storage.Player)) (*media.Stream, func(), error) {
	s, err := l.sources.play(id, speed, opened)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil && !errors.Is(err, media.ErrEnded) && ctx.Err() == nil {
			l.log.Warn("playback broke off", "channel", id.Channel, "err", err)
		}
	})
	return s, func() {
		cancel()
		running.Wait()
	}, nil
}

// endpointAddr returns the address of an endpoint.
func endpointAddr(e domain.Endpoint) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(e.Host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("media address %.64q: want an IP address", e.Host)
	}
	return netip.AddrPortFrom(addr, e.Port), nil
}

// remoteOf reads an answer as what a receiver needs.
func remoteOf(answer domain.Endpoint) (relay.Remote, error) {
	addr, err := endpointAddr(answer)
	if err != nil {
		return relay.Remote{}, err
	}
	remote := relay.Remote{Addr: addr, SSRC: answer.SSRC}
	if answer.Elementary {
		remote.Tracks, err = tracksOf(answer.Tracks)
	}
	return remote, err
}
