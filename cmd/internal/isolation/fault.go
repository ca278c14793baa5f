package isolation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"districtgateway/media"
	"districtgateway/storage"
)

// A Fault is what is done to one consumer. Inject does it, returns once it has had
// its effect, with an error if that cannot be proven, and leaves the rig as it was.
type Fault struct {
	Name   string
	Cuts   bool // it lasts until its victim is cut for being slow
	Inject func(r *Rig, lasts time.Duration) error
}

// Faults returns every fault there is.
func Faults() []Fault {
	return []Fault{
		{"player over TCP stops reading", true, (*Rig).stallPlayer},
		{"upper over TCP stops reading", true, (*Rig).stallUpper},
		{"player over TCP is slow", false, (*Rig).slowPlayer},
		{"upper over TCP is slow", false, (*Rig).slowUpper},
		{"volume hangs", false, (*Rig).hangVolume},
		{"players and uppers over TCP vanish", false, (*Rig).vanish},
		{"browser vanishes", false, (*Rig).vanishBrowser},
		{"browser over TCP stops reading", true, (*Rig).stallBrowser},
	}
}

// A faucet is a source that can be shut: then nothing is read any more.
type faucet struct {
	media.Source
	shut  *atomic.Bool
	woken chan struct{}
}

// Receive waits, as a program does that hangs.
func (f *faucet) Receive(s *media.Stream, deadline time.Time) error {
	if !f.shut.Load() {
		return f.Source.Receive(s, deadline)
	}
	select {
	case <-time.After(time.Until(deadline)):
	case <-f.woken:
	}
	return nil
}

func (f *faucet) Wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
	f.Source.Wake()
}

// tapped makes what open yields one that shut shuts.
func tapped(open media.Opener, shut *atomic.Bool) media.Opener {
	return func(ctx context.Context) (media.Opened, error) {
		o, err := open(ctx)
		if err == nil {
			o.Source = &faucet{Source: o.Source, shut: shut, woken: make(chan struct{}, 1)}
		}
		return o, err
	}
}

func (r *Rig) stallPlayer(time.Duration) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	return r.stall(ctx, "rtsp tcp", player(r.server(), false))
}

func (r *Rig) stallUpper(time.Duration) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	open, err := r.uplink(ctx, uplink{name: "victim"})
	if err != nil {
		return err
	}
	return r.stall(ctx, "relay tcp", open)
}

// stall makes a consumer of a kind that reads some pictures and then stops: it has
// to be moved on for having been lapped, and then cut.
func (r *Rig) stall(ctx context.Context, kind string, open media.Opener) error {
	var shut atomic.Bool
	before := r.Stream.Stats().Consumers.Cut
	victim := r.watch(ctx, "victim", tapped(open, &shut))
	if err := r.await("the victim has pictures", func() bool { return victim.Tally().Pictures > 3 }); err != nil {
		return err
	}
	shut.Store(true)
	if err := r.await("the victim is cut", func() bool { return r.Stream.Stats().Consumers.Cut > before }); err != nil {
		return err
	}
	last := r.Stream.Stats().Consumers.Last
	cut := last[len(last)-1]
	if cut.Kind != kind || !errors.Is(cut.Why, media.ErrSlow) || cut.Dropped+cut.Lapped == 0 {
		return fmt.Errorf("cut was %+v, want %s, lapped, for being slow", cut, kind)
	}
	return nil
}

func (r *Rig) slowPlayer(time.Duration) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	return r.slow(ctx, names["rtsp"][false], player(r.server(), false))
}

func (r *Rig) slowUpper(time.Duration) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	open, err := r.uplink(ctx, uplink{name: "victim"})
	if err != nil {
		return err
	}
	return r.slow(ctx, names["relay"][false], open)
}

// slow makes a consumer of a kind that stops reading until it was lapped, and then goes on: it
// has to be moved on to a key picture, and not to be cut.
func (r *Rig) slow(ctx context.Context, kind string, open media.Opener) error {
	var shut atomic.Bool
	cut := r.Stream.Stats().Consumers.Cut
	before := r.losses(kind)
	victim := r.watch(ctx, "victim", tapped(open, &shut))
	if err := r.await("the victim has pictures", func() bool { return victim.Tally().Pictures > 3 }); err != nil {
		return err
	}
	shut.Store(true)
	if err := r.await("the victim is lapped", func() bool { return r.losses(kind) > before }); err != nil {
		return err
	}
	shut.Store(false)
	if err := r.await("the victim goes on", func() bool { return victim.Tally().Lost > 0 }); err != nil {
		return err
	}
	from := victim.Tally().Pictures
	if err := r.await("the victim goes on for long", func() bool { return victim.Tally().Pictures > from+30 }); err != nil {
		return err
	}
	t := victim.Tally()
	if now := r.Stream.Stats().Consumers; t.Torn > 0 || t.Doubled+t.Reordered > 0 || now.Cut != cut {
		return fmt.Errorf("the victim, which was lapped, got %+v, want key pictures first; cut: %+v", t, now.Last)
	}
	return nil
}

// losses returns what all consumers of a kind by now have lost by being slow: of one
// by which a witness loses nothing, whatever the machine does.
func (r *Rig) losses(kind string) (n uint64) {
	v, err := r.Stream.Survey(r.ctx)
	if err != nil {
		return 0
	}
	for _, k := range v.Stats.Consumers.Now {
		if k.Kind == kind {
			n += k.Dropped + k.Lapped
		}
	}
	return n
}

// hangVolume keeps the disk from doing anything: the recorder has to note a hole, and
// to be there afterwards.
func (r *Rig) hangVolume(lasts time.Duration) error {
	began, before := time.Now(), r.recorder.SinkStats()
	c := make(chan struct{})
	r.hung.Store(&c)
	select {
	case <-time.After(lasts):
	case <-r.ctx.Done():
	}
	hung := r.Volume.Stats().Disk
	r.release()
	if hung.Stalled < lasts/2 || hung.Queue == 0 {
		return fmt.Errorf("the disk did not hang: %+v", hung)
	}
	if err := r.await("the recorder goes on", func() bool {
		return r.recorder.LastDurable().After(began.Add(lasts))
	}); err != nil {
		return err
	}
	gaps, err := r.Volume.Gaps(r.ctx, channel, began, time.Now())
	holes := 0
	for _, g := range gaps {
		if g.Cause == storage.CauseDisk {
			holes++
		}
	}
	if after := r.recorder.SinkStats(); err != nil || holes == 0 || after.Lapped == before.Lapped {
		return fmt.Errorf("gaps %+v, %w: want one of the disk; recorder %+v, before %+v", gaps, err, after, before)
	}
	return nil
}

// vanish has consumers end as a machine does that is switched off and, when it is
// back, knows of nothing: their connections are reset in the middle of a picture.
func (r *Rig) vanish(time.Duration) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	cut, open := r.Stream.Stats().Consumers.Cut, r.players.Stats().Open
	p, q := &proxy{}, &proxy{}
	defer p.reset()
	defer q.reset()
	server, err := p.before(ctx, r.server())
	if err != nil {
		return err
	}
	upper, err := r.uplink(ctx, uplink{name: "victim", via: func(far netip.AddrPort) (netip.AddrPort, error) { return q.before(ctx, far) }})
	if err != nil {
		return err
	}
	victims := []*Witness{r.watch(ctx, "victim", player(server, false)), r.watch(ctx, "victim", upper)}
	if err := r.await("the victims have pictures", func() bool {
		return victims[0].Tally().Pictures > 3 && victims[1].Tally().Pictures > 3
	}); err != nil {
		return err
	}
	p.reset()
	q.reset()
	return r.await("nothing is left of them", func() bool {
		return r.Stream.Stats().Consumers.Cut > cut && r.players.Stats().Open <= open
	})
}

// A proxy stands between two ends of one TCP connection, and can reset both, or read
// no more of what the far one sends.
type proxy struct {
	full atomic.Bool // the near end takes nothing any more

	mu    sync.Mutex
	over  bool
	conns []*net.TCPConn
}

// before makes p stand before an address, and returns the one to connect to instead.
// It ends with ctx.
func (p *proxy) before(ctx context.Context, to netip.AddrPort) (netip.AddrPort, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return netip.AddrPort{}, err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		defer l.Close()
		a, err := l.AcceptTCP()
		if err != nil || !p.add(a) {
			return
		}
		b, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
		if err != nil || !p.add(b) {
			a.Close()
			return
		}
		go func() { _, _ = io.Copy(a, gate{ctx, b, &p.full}) }() // both end when reset closes them
		_, _ = io.Copy(b, a)
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// A gate is a connection that is read from until it is full.
type gate struct {
	ctx  context.Context
	conn *net.TCPConn
	full *atomic.Bool
}

func (g gate) Read(b []byte) (int, error) {
	if g.full.Load() {
		<-g.ctx.Done()
		return 0, g.ctx.Err()
	}
	return g.conn.Read(b)
}

// add takes a connection, which is reset if it is too late.
func (p *proxy) add(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
	if p.over {
		c.Close()
	}
	return !p.over
}

// reset ends the connections without a goodbye.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, c := range p.conns {
		_ = c.SetLinger(0) // fails only on what is closed
		c.Close()
	}
}
