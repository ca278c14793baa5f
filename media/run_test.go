package media_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A show is a stream that runs in a bubble, and its source.
type show struct {
	t      *testing.T
	s      *media.Stream
	src    *mediatest.Source
	p      *mediatest.Packetizer
	ts     uint32
	cancel context.CancelFunc
	ended  chan error
}

// perform runs a stream of H.264 while test lasts.
func perform(t *testing.T, cfg media.StreamConfig, test func(*show)) {
	synctest.Test(t, func(t *testing.T) {
		if cfg.RingBytes == 0 {
			cfg.RingBytes = 1 << 20
		}
		ctx, cancel := context.WithCancel(t.Context())
		src := mediatest.NewSource(media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
		w := &show{
			t: t, src: src, s: media.NewStream(cfg, src.Open), cancel: cancel,
			p: &mediatest.Packetizer{PayloadType: 96}, ended: make(chan error, 1),
		}
		go func() { w.ended <- w.s.Run(ctx) }()
		synctest.Wait()
		test(w)
		w.end()
	})
}

// end ends the stream, if it has not ended.
func (w *show) end() {
	w.cancel()
	synctest.Wait()
	select {
	case <-w.ended:
	default:
		w.t.Error("the stream does not end")
	}
	w.ended <- nil
}

// attach attaches k.
func (w *show) attach(k media.Sink) {
	w.t.Helper()
	if err := w.s.Attach(k); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// play pushes n pictures, 40 ms apart, every tenth a key picture.
func (w *show) play(n int) {
	for range n {
		i := int(w.ts / 3600)
		w.src.Push(0, w.p.Video(media.H264, w.ts, mediatest.Picture(media.H264, i%10 == 0, 3000, byte(i))...)...)
		w.ts += 3600
		time.Sleep(frameTime)
	}
	synctest.Wait()
}

func TestEachSinkGetsEachUnitOnceInOrder(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		sinks := []*mediatest.Sink{{}, {}, {}}
		w.attach(sinks[0])
		w.play(5)
		w.attach(sinks[1])
		w.play(5)
		w.attach(sinks[2])
		w.play(31)
		for i, k := range sinks {
			numbers, units := k.Units()
			for j, n := range numbers {
				if j > 0 && n != numbers[j-1]+1 {
					t.Errorf("sink %d: unit %d after %d", i, n, numbers[j-1])
				}
			}
			if len(units) == 0 || !units[0].Key() || numbers[len(numbers)-1] != 40 {
				t.Errorf("sink %d got units %v", i, numbers)
			}
			if samples, errs := k.Samples(); len(errs) > 0 || len(samples) != len(units) {
				t.Errorf("sink %d: %d samples of %d units, errors %v", i, len(samples), len(units), errs)
			}
		}
		if numbers, _ := sinks[0].Units(); len(numbers) != 41 {
			t.Errorf("the first sink got %d units of 41", len(numbers))
		}
	})
}

// Sinks are flushed once a picture, not once a packet.
func TestSinksAreFlushedOnceAPicture(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &mediatest.Sink{}
		w.attach(k)
		w.play(10)
		before := k.Flushes()
		for range 50 {
			for _, b := range w.p.Video(media.H264, w.ts, mediatest.Slice(media.H264, false, 12000, 1)) {
				w.src.Push(0, b) // ten packets, one after the other
				synctest.Wait()
			}
			w.ts += 3600
			time.Sleep(frameTime)
		}
		if n := k.Flushes() - before; n < 50 || n > 55 {
			t.Errorf("flushed %d times for 50 pictures", n)
		}
	})
}

// Sound comes in many small units: sinks are flushed every 5 ms at most.
func TestSoundIsFlushedEvery5ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := mediatest.NewSource(media.Opened{Tracks: []media.Track{{Codec: media.G711A, PayloadType: 8}}})
		s := media.NewStream(media.StreamConfig{}, src.Open)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		k := &mediatest.Sink{}
		if err := s.Attach(k); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p := &mediatest.Packetizer{PayloadType: 8}
		before := k.Flushes()
		for i := range 100 {
			src.Push(0, p.Packet(uint32(8*i), false, make([]byte, 8)))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
		numbers, _ := k.Units()
		if n := k.Flushes() - before; n < 17 || n > 23 || len(numbers) != 100 {
			t.Errorf("flushed %d times in 100 ms, %d units of 100", n, len(numbers))
		}
		cancel()
		<-ended
	})
}

func TestSinkThatPanicsHurtsNobodyElse(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		good, bad := &mediatest.Sink{}, &mediatest.Sink{}
		var fuse atomic.Int32
		bad.OnFlush = func() error {
			if fuse.Add(1) > 3 {
				panic("sink is broken")
			}
			return nil
		}
		w.attach(bad)
		w.attach(good)
		w.play(20)
		if causes := bad.Closed(); len(causes) != 1 || causes[0] == nil {
			t.Errorf("the bad sink was closed with %v", causes)
		}
		if numbers, _ := good.Units(); len(numbers) < 19 || len(good.Closed()) != 0 {
			t.Errorf("the good sink got %d units of 20 and was closed %d times", len(numbers), len(good.Closed()))
		}
		time.Sleep(2 * time.Second)
		if st := w.s.Stats(); st.Panics != 1 {
			t.Errorf("%d panics counted", st.Panics)
		}
	})
}

func TestSinkThatFailsIsClosedWithItsError(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		broken := errors.New("connection reset")
		k := &mediatest.Sink{OnFlush: func() error { return broken }}
		w.attach(k)
		if causes := k.Closed(); len(causes) != 1 || !errors.Is(causes[0], broken) {
			t.Errorf("closed with %v", causes)
		}
	})
}

func TestSlowSinkIsCut(t *testing.T) {
	perform(t, media.StreamConfig{SlowLimit: 3 * time.Second}, func(w *show) {
		slow, quick := &mediatest.Sink{}, &mediatest.Sink{}
		w.attach(slow)
		w.attach(quick)
		w.play(10)
		slow.Stall(true)
		w.play(70) // 2.8 s
		if n := len(slow.Closed()); n != 0 {
			t.Fatalf("cut after 2.8 s")
		}
		w.play(20)
		if causes := slow.Closed(); len(causes) != 1 || !errors.Is(causes[0], media.ErrSlow) {
			t.Errorf("closed with %v, want ErrSlow", causes)
		}
		if numbers, _ := quick.Units(); len(numbers) < 99 || len(quick.Closed()) != 0 {
			t.Errorf("the quick sink got %d units of 100", len(numbers))
		}
		time.Sleep(time.Minute) // with nothing to take nobody is slow
		if n := len(quick.Closed()); n != 0 {
			t.Errorf("the quick sink was cut during a silence: %v", quick.Closed())
		}
	})
}

// A sink that stalls for less than the limit goes on where it stopped.
func TestStalledSinkGoesOn(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &mediatest.Sink{}
		w.attach(k)
		w.play(10)
		k.Stall(true)
		w.play(50)
		k.Stall(false)
		w.play(10)
		numbers, _ := k.Units()
		if want := 69; len(numbers) < want || k.Lapped() != 0 {
			t.Errorf("%d units of 70, %d lapped", len(numbers), k.Lapped())
		}
	})
}

func TestSinkIsCalledWhenItAskedTo(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &pacedSink{every: 7 * time.Millisecond}
		w.attach(k)
		time.Sleep(700 * time.Millisecond)
		if n := k.calls.Load(); n < 99 || n > 105 {
			t.Errorf("called %d times in 700 ms, asked to be every 7 ms", n)
		}
	})
}

// A pacedSink asks to be called again and again.
type pacedSink struct {
	every time.Duration
	calls atomic.Int64
}

func (k *pacedSink) Flush(_ *media.Stream, now time.Time) (time.Time, error) {
	k.calls.Add(1)
	return now.Add(k.every), nil
}
func (k *pacedSink) Close(error) {}

// A sink that always wants to be called at once does not keep the owner busy.
func TestSinkCannotSpinTheOwner(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &pacedSink{}
		w.attach(k)
		time.Sleep(time.Second)
		if n := k.calls.Load(); n < 900 || n > 1100 {
			t.Errorf("called %d times a second", n)
		}
	})
}

func TestWakeFlushesAtOnce(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &mediatest.Sink{}
		w.attach(k)
		time.Sleep(300 * time.Millisecond)
		before := k.Flushes()
		w.s.Wake()
		synctest.Wait()
		if k.Flushes() != before+1 {
			t.Errorf("flushed %d times", k.Flushes()-before)
		}
	})
}

func TestDetachClosesOnce(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &mediatest.Sink{}
		w.attach(k)
		w.s.Detach(k)
		w.s.Detach(k) // unknown by now: returns all the same
		if causes := k.Closed(); len(causes) != 1 || causes[0] != nil {
			t.Errorf("closed with %v, want once with nil", causes)
		}
	})
}

// The source comes back after a back-off that grows, and time goes on from where
// it was.
func TestSourceComesBack(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &mediatest.Sink{}
		w.attach(k)
		w.play(10)
		w.src.Break(errors.New("connection lost"))
		synctest.Wait()
		if st := w.s.State(); st.Connected || st.Err == nil {
			t.Errorf("state %+v", st)
		}
		time.Sleep(1100 * time.Millisecond)
		w.p = &mediatest.Packetizer{PayloadType: 96, SSRC: 12, Seq: 40000}
		w.ts = 36000 * 10000
		w.play(10)
		if opens, closes, _ := w.src.Counts(); opens != 2 || closes != 1 {
			t.Errorf("opened %d times, closed %d", opens, closes)
		}
		_, units := k.Units()
		jumps := 0
		for i := 1; i < len(units); i++ {
			step := units[i].PTS - units[i-1].PTS
			if units[i].Flags&media.UnitDiscontinuity == 0 {
				if step != 3600 {
					t.Errorf("unit %d comes %d ticks after the one before", i, step)
				}
				continue
			}
			jumps++
			if step < media.TicksPerSecond || step > 13*media.TicksPerSecond/10 {
				t.Errorf("the source was away for 1.1 s, time went on by %v", step.Duration())
			}
		}
		if jumps != 1 || !w.s.State().Connected || w.s.State().Err != nil {
			t.Errorf("%d discontinuities, state %+v", jumps, w.s.State())
		}
	})
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		open := func(context.Context) (media.Opened, error) {
			tries = append(tries, time.Now())
			return media.Opened{}, errors.New("no route")
		}
		s := media.NewStream(media.StreamConfig{MaxBackoff: 8 * time.Second}, open)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		limit := time.Second
		for i := 1; i < len(tries); i++ {
			d := tries[i].Sub(tries[i-1])
			if d < limit/2 || d > limit+time.Millisecond {
				t.Errorf("try %d after %v, want %v to %v", i, d, limit/2, limit)
			}
			limit = min(2*limit, 8*time.Second)
		}
		if len(tries) < 15 {
			t.Errorf("%d tries in two minutes", len(tries))
		}
	})
}

func TestSinksAreServedWhileTheSourceOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(ctx context.Context) (media.Opened, error) {
			<-ctx.Done() // a camera that does not answer
			return media.Opened{}, ctx.Err()
		}
		s := media.NewStream(media.StreamConfig{}, open)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		k := &mediatest.Sink{}
		if err := s.Attach(k); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if k.Flushes() == 0 {
			t.Error("not flushed")
		}
		s.Detach(k)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if causes := k.Closed(); len(causes) != 1 {
			t.Errorf("closed %d times", len(causes))
		}
	})
}

func TestOnceEndsWithItsSource(t *testing.T) {
	broken := errors.New("connection lost")
	for name, tc := range map[string]struct{ cause, run, sink error }{
		"finished": {media.ErrEnded, nil, media.ErrEnded},
		"broken":   {broken, broken, broken},
	} {
		t.Run(name, func(t *testing.T) {
			perform(t, media.StreamConfig{Once: true}, func(w *show) {
				k := &mediatest.Sink{}
				w.attach(k)
				w.play(10)
				w.src.Break(tc.cause)
				if err := <-w.ended; !errors.Is(err, tc.run) {
					t.Errorf("Run: %v, want %v", err, tc.run)
				}
				w.ended <- nil
				if numbers, _ := k.Units(); len(numbers) != 10 {
					t.Errorf("%d units of 10 before the end", len(numbers))
				}
				if causes := k.Closed(); len(causes) != 1 || !errors.Is(causes[0], tc.sink) {
					t.Errorf("closed with %v, want %v", causes, tc.sink)
				}
				if err := w.s.Attach(&mediatest.Sink{}); !errors.Is(err, media.ErrEnded) {
					t.Errorf("Attach: %v, want ErrEnded", err)
				}
				if err := w.s.WaitReady(w.t.Context()); !errors.Is(err, media.ErrEnded) || !errors.Is(err, tc.cause) {
					t.Errorf("WaitReady: %v, want ErrEnded and the cause", err)
				}
				w.s.Detach(k)
			})
		})
	}
}

// What a sink has not sent when the source finished is still sent.
func TestSinkRunsOutAfterTheEnd(t *testing.T) {
	perform(t, media.StreamConfig{Once: true}, func(w *show) {
		k := &lastWords{}
		w.attach(k)
		w.play(10)
		w.src.Break(media.ErrEnded)
		<-w.ended
		w.ended <- nil
		if k.units != 10 {
			t.Errorf("%d units sent of 10", k.units)
		}
	})
}

// lastWords sends one unit in 100 ms.
type lastWords struct {
	cursor media.Cursor
	due    time.Time
	units  int
}

func (k *lastWords) Flush(s *media.Stream, now time.Time) (time.Time, error) {
	if now.Before(k.due) {
		return k.due, nil
	}
	if _, ok := k.cursor.Next(s); !ok {
		return time.Time{}, nil
	}
	k.units++
	k.due = now.Add(100 * time.Millisecond)
	return k.due, nil
}
func (k *lastWords) Close(error) {}

func TestWaitReady(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		if err := w.s.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a picture: %v", err)
		}
		w.play(1)
		time.Sleep(200 * time.Millisecond)
		if err := w.s.WaitReady(w.t.Context()); err != nil {
			t.Errorf("with a key picture: %v", err)
		}
		refused := errors.New("401 unauthorized")
		w.src.Refuse(refused)
		w.src.Break(errors.New("connection lost"))
		time.Sleep(5 * time.Second)
		ctx, cancel = context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		if err := w.s.WaitReady(ctx); !errors.Is(err, refused) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while refused: %v", err)
		}
	})
}

func TestSourceThatPanicsIsOpenedAgain(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		w.src.Do(func(*media.Stream) { panic("reader is broken") })
		time.Sleep(5 * time.Second)
		if opens, closes, _ := w.src.Counts(); opens != 2 || closes != 1 {
			t.Errorf("opened %d times, closed %d", opens, closes)
		}
	})
}

func TestSourceIsAskedForAKeyFrame(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		w.ts = 3600 // the next key picture is far
		w.play(3)
		if _, _, asked := w.src.Counts(); asked != 0 {
			t.Errorf("asked %d times with nobody waiting", asked)
		}
		w.attach(&mediatest.Sink{})
		w.play(5)
		if _, _, asked := w.src.Counts(); asked != 1 {
			t.Errorf("asked %d times within 200 ms", asked)
		}
	})
}

func TestAttachBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := mediatest.NewSource(media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
		s := media.NewStream(media.StreamConfig{}, src.Open)
		k := &mediatest.Sink{}
		if err := s.Attach(k); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Run(ctx); err != nil || k.Flushes() == 0 || len(k.Closed()) != 1 {
			t.Errorf("Run: %v; flushed %d times, closed %d times", err, k.Flushes(), len(k.Closed()))
		}
	})
}

func TestStatsOfSinksAreCollected(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		w.attach(&countingSink{})
		time.Sleep(2 * time.Second)
		if got := w.s.Stats().Sinks; !slices.Equal(got, []media.SinkStats{{Name: "test", Units: 7}}) {
			t.Errorf("%+v", got)
		}
	})
}

type countingSink struct{ pacedSink }

func (*countingSink) SinkStats() media.SinkStats { return media.SinkStats{Name: "test", Units: 7} }
