package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Defaults of [StreamConfig], and the owner's own times.
const (
	defaultRingBytes  = 4 << 20
	firstRingBytes    = 1 << 20 // of a ring that grows
	minRingBytes      = 64 << 10
	maxRingBytes      = 1 << 30
	defaultMaxBackoff = 30 * time.Second
	defaultSlowLimit  = 10 * time.Second
	firstBackoff      = time.Second
	goodRun           = 30 * time.Second // a source that lasted so long is opened again without delay growing
	flushEvery        = 5 * time.Millisecond
	lookEvery         = time.Second // the longest wait without looking after the sinks
)

// A Stream receives one encoding of a channel and serves it to its sinks. One
// goroutine, the one that called Run, owns it: see the package's comment.
type Stream struct {
	cfg    StreamConfig
	open   Opener
	ring   *Ring
	form   layout
	flows  []flow
	units  unitLog
	memos  [memoCount]memo
	clock  streamClock
	count  StreamStats
	seats  []seat
	pace   pace
	fit    fit
	shared shared

	scratch []byte // see joined
}

// pace is what decides when sinks are flushed.
type pace struct {
	fresh   bool // a unit was completed since the last flush
	picture bool // one with a picture was
	begun   bool // a sink was attached
	ready   bool
	flushed time.Time   // last flush of all sinks
	counted time.Time   // last collection of the sinks' counters
	sinks   []SinkStats // scratch of it
	key     keyWish
}

// NewStream makes a stream of what open yields. It starts nothing and allocates
// no ring.
func NewStream(cfg StreamConfig, open Opener) *Stream {
	if cfg.Patient {
		cfg.RingMax = 0 // it waits instead; what it needs is room for the largest picture
	}
	switch {
	case cfg.RingBytes > 0:
	case cfg.RingMax > 0:
		cfg.RingBytes = firstRingBytes
	default:
		cfg.RingBytes = defaultRingBytes
	}
	cfg.RingBytes = ringSize(cfg.RingBytes)
	if cfg.RingMax > 0 {
		cfg.RingMax = ringSize(cfg.RingMax/2 + 1) // the largest power of two that is no more
	}
	if cfg.Reorder <= 0 {
		cfg.Reorder = defaultReorder
	}
	if cfg.MaxBackoff <= 0 {
		cfg.MaxBackoff = defaultMaxBackoff
	}
	switch {
	case cfg.SlowLimit > 0:
	case cfg.Patient:
		cfg.SlowLimit = patienceLimit
	default:
		cfg.SlowLimit = defaultSlowLimit
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stream{cfg: cfg, open: open}
	s.shared.prepare()
	return s
}

// Run owns the stream until ctx ends: it opens the source, receives, lets the
// sinks send, and opens the source again, after a back-off, when it breaks. With
// StreamConfig.Once it ends with the source, and returns why that broke unless it
// just finished. A stream for which there is no memory ends at once, with
// [ErrMemory]. Every sink has been closed when Run returns. It may be called
// once.
func (s *Stream) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.Wake)
	defer stop()
	err := s.allocate()
	if err == nil {
		err = s.cycle(ctx)
	}
	s.finish(err)
	if errors.Is(err, ErrEnded) || errors.Is(err, ErrStopped) {
		return nil
	}
	return err
}

// cycle opens sources one after the other. It returns [ErrStopped] if ctx ended.
func (s *Stream) cycle(ctx context.Context) error {
	backoff, told := firstBackoff, loss{}
	for ctx.Err() == nil {
		began := time.Now()
		err := s.session(ctx)
		now := time.Now()
		if ctx.Err() != nil {
			break
		}
		s.shared.setConnected(false, err, now)
		s.setReady(false)
		if s.cfg.Once {
			return err
		}
		if now.Sub(began) >= goodRun {
			backoff = firstBackoff
		}
		if told.news(err, now) {
			s.cfg.Log.Warn("source lost", "stream", s.cfg.Name, "err", err, "retry", backoff)
		}
		// Between half and all of it, so that what broke together does not come
		// back together.
		s.idle(ctx, backoff/2+rand.N(backoff/2+1))
		backoff = min(2*backoff, s.cfg.MaxBackoff)
	}
	return ErrStopped
}

// A loss is what was last said of a source that is not there.
type loss struct {
	cause string
	at    time.Time
}

// news reports whether a loss is worth saying, and takes it for said if so: the same
// cause is said every 30 s at most, however often the source is tried.
func (l *loss) news(err error, now time.Time) bool {
	cause := fmt.Sprint(err)
	if cause == l.cause && now.Sub(l.at) < defaultMaxBackoff {
		return false
	}
	*l = loss{cause, now}
	return true
}

// session opens a source and runs it until it breaks or ctx ends.
func (s *Stream) session(ctx context.Context) error {
	o, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.cfg.Name, err)
	}
	defer s.closeSource(o.Source)
	s.Adopt(o, time.Now())
	s.pace.key.opened(time.Now())
	s.shared.setSource(o.Source)
	s.Wake() // who called it before there was a source must not wait
	s.shared.setConnected(true, nil, time.Now())
	s.cfg.Log.Info("source open", "stream", s.cfg.Name, "tracks", len(o.Tracks))
	err = s.pump(ctx, o.Source)
	s.CloseUnits()
	if s.cfg.Once && errors.Is(err, ErrEnded) {
		s.runOut(ctx)
	}
	return err
}

// wait waits for done, for d, or until somebody wakes the owner.
func (s *Stream) wait(done <-chan struct{}, d time.Duration) (isDone bool) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-s.shared.kick:
	case <-timer.C:
	}
	return false
}

// Adopt takes over a source that was opened at now: what it says of the stream
// becomes the stream's layout, and time goes on from what was received before.
// [Stream.Run] calls it; only who drives a stream by hand does so besides, and
// then receives himself. Owner only.
func (s *Stream) Adopt(o Opened, now time.Time) {
	s.CloseUnits()
	again := s.count.Opened > 0
	s.count.Opened++
	s.clock.resume(now)
	if again && s.form.carriage != o.Carriage {
		s.publishTracks(nil)
		s.forgetUnits()
	}
	s.form.carriage, s.form.unpacker, s.form.ordered, s.form.front = o.Carriage, o.Unpacker, o.Ordered, o.Front
	s.form.shifted = false
	if len(o.Tracks) > 0 {
		s.SetTracks(o.Tracks)
	}
	s.setFlows(again)
	for i := range s.flows {
		s.flows[i].reset(s.reorder(), int(s.flows[i].clock.rate))
	}
	s.shared.setTracks(s.form.tracks, &s.form)
}

// pump receives until the source breaks or ctx ends.
func (s *Stream) pump(ctx context.Context, src Source) error {
	asker, _ := src.(KeyAsker)
	again := time.Time{}
	for ctx.Err() == nil {
		s.linger(ctx)
		deadline := earlier(time.Now().Add(lookEvery), again)
		if err := s.receive(src, deadline); err != nil {
			return err
		}
		if s.shared.reopen.Swap(false) {
			return errReopen
		}
		now := time.Now()
		again = s.turn(now)
		if s.alone() {
			return ErrStopped
		}
		again = earlier(again, s.askKey(asker, now))
	}
	return ctx.Err()
}

// receive calls Receive. A panic is the source's error.
func (s *Stream) receive(src Source, deadline time.Time) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.count.Panics++
			err = panicked("receive", r)
		}
	}()
	return src.Receive(s, deadline)
}

// turn flushes what there is reason to flush: all sinks when a picture is
// complete or somebody woke the owner, at most every 5 ms for sound, otherwise
// those sinks that asked for it. It returns when to look again.
func (s *Stream) turn(now time.Time) (again time.Time) {
	s.fitRing(now)
	again = s.expire(now)
	due := s.pace.flushed.Add(flushEvery)
	switch {
	case s.shared.woken.Swap(false), s.pace.picture, s.pace.fresh && !due.After(now),
		now.Sub(s.pace.flushed) >= lookEvery:
		s.pace.flushed, s.pace.fresh, s.pace.picture = now, false, false
		return s.Flush(now)
	case s.pace.fresh:
		again = earlier(again, due)
	}
	return earlier(again, s.flushSinks(now, false))
}

// connect opens a source on a goroutine of its own, which it waits for, and keeps
// the sinks going meanwhile.
func (s *Stream) connect(ctx context.Context) (Opened, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var o Opened
	var err error
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		defer func() {
			if r := recover(); r != nil {
				err = panicked("open", r)
			}
		}()
		o, err = s.open(ctx)
	}()
	s.tend(opened)
	switch {
	case err == nil && o.Source == nil:
		return Opened{}, errors.New("opener yielded no source")
	case err == nil && ctx.Err() != nil:
		s.closeSource(o.Source)
		return Opened{}, ctx.Err()
	}
	return o, err
}

// idle waits for d or until ctx ends, and keeps the sinks going.
func (s *Stream) idle(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	s.tend(ctx.Done())
}

// tend keeps the sinks going until done is closed.
func (s *Stream) tend(done <-chan struct{}) {
	for {
		now := time.Now()
		again := earlier(now.Add(lookEvery), s.Flush(now))
		if s.wait(done, again.Sub(now)) {
			return
		}
	}
}

// closeSource closes src, which nobody wakes any more. A panic is contained.
func (s *Stream) closeSource(src Source) {
	s.shared.setSource(nil)
	defer func() {
		if r := recover(); r != nil {
			s.count.Panics++
			s.cfg.Log.Error("source panicked", "stream", s.cfg.Name, "err", panicked("close", r))
		}
	}()
	if err := src.Close(); err != nil {
		s.cfg.Log.Warn("source not closed cleanly", "stream", s.cfg.Name, "err", err)
	}
}

// finish closes every sink, those still waiting to be attached too, and gives up
// the ring.
func (s *Stream) finish(cause error) {
	left := s.shared.end(cause)
	for _, st := range s.seats {
		s.closeSink(st.sink, cause)
	}
	s.seats = nil
	for _, r := range left {
		if r.sink != nil && r.gone == nil {
			s.closeSink(r.sink, cause)
		}
	}
	s.publishStats(time.Now())
	close(s.shared.done)
	s.freeRings()
}
