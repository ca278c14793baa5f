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

func TestStatsOfSinksAreCollected(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		began := time.Now()
		w.attach(&countingSink{})
		time.Sleep(2 * time.Second)
		if got := w.s.Stats().Consumers.Now; !slices.Equal(got, []media.SinkStats{{Name: "test", Since: began, Units: 7}}) {
			t.Errorf("%+v", got)
		}
	})
}

type countingSink struct{ pacedSink }

func (*countingSink) SinkStats() media.SinkStats { return media.SinkStats{Name: "test", Units: 7} }
