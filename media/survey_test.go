package media_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

func TestSurveyTellsWhatTheRingHolds(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		slow := &mediatest.Sink{}
		w.attach(slow)
		w.play(20)
		slow.Stall(true)
		w.play(25)
		v, err := w.s.Survey(w.t.Context())
		if err != nil || len(v.Tracks) != 1 {
			t.Fatalf("%+v, %v", v, err)
		}
		track := v.Tracks[0]
		if track.Group != 10 || track.Interval != 10*3600 || math.Abs(track.FPS()-25) > 0.01 || track.Units != int(v.Stats.Units) {
			t.Errorf("track %+v, %.2f pictures a second, of %d units", track, track.FPS(), v.Stats.Units)
		}
		if want := float64(track.Bytes) / float64(track.Units) * 8 * 25; math.Abs(track.Bits()-want) > 1 {
			t.Errorf("%.0f bit/s, want %.0f", track.Bits(), want)
		}
		if v.Size != 1<<20 || v.Mirrored || v.Span != media.Ticks(track.Units-1)*3600 || v.Held < int64(track.Bytes) || v.Held > int64(v.Stats.Bytes) {
			t.Errorf("ring %+v", v)
		}
		if n := v.Stats.Consumers.Now; len(n) != 0 {
			t.Errorf("%+v: it does not count", n)
		}
	})
}

func TestSurveyOfWhatHasNotBegunOrHasEnded(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		if v, err := w.s.Survey(w.t.Context()); err != nil || v.Held != 0 || v.Tracks != nil && v.Tracks[0].FPS()+v.Tracks[0].Bits() != 0 {
			t.Errorf("%+v, %v", v, err)
		}
		w.end()
		if _, err := w.s.Survey(w.t.Context()); !errors.Is(err, media.ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
	})
	s := media.NewStream(media.StreamConfig{}, nil) // never run: nobody looks
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Survey(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody to look: %v", err)
	}
}

// The first consumer of a recording finds its beginning, though somebody looked
// before.
func TestSurveyIsNoConsumer(t *testing.T) {
	perform(t, media.StreamConfig{Patient: true}, func(w *show) {
		w.play(300)
		if _, err := w.s.Survey(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			for _, b := range w.p.Video(media.H264, w.ts, mediatest.Slice(media.H264, false, 100_000, 1)) {
				w.src.Push(0, b)
			}
			w.ts += 3600
			time.Sleep(frameTime)
		}
		k := &mediatest.Sink{Oldest: true}
		w.attach(k)
		synctest.Wait()
		if numbers, _ := k.Units(); len(numbers) == 0 || numbers[0] != 0 {
			t.Errorf("begins with %v", numbers[:min(len(numbers), 3)])
		}
	})
}

func TestSurveyOfProgramStream(t *testing.T) {
	r := psRig(t)
	p := &mediatest.Packetizer{PayloadType: 96}
	for i := range 80 {
		picture := mediatest.Picture(media.H264, i%20 == 0, 700, byte(i))
		r.push(0, p.Packet(uint32(i)*3600, true, pack(media.H264, i%20 == 0, picture...)))
		r.later(40 * time.Millisecond)
	}
	seen := make(chan media.Survey, 1)
	go func() {
		v, err := r.s.Survey(t.Context())
		if err != nil {
			t.Error(err)
		}
		seen <- v
	}()
	for {
		r.s.Flush(r.now)
		select {
		case v := <-seen:
			if len(v.Tracks) != 1 || v.Tracks[0].Group != 20 || v.Tracks[0].Interval != 20*3600 || math.Abs(v.Tracks[0].FPS()-25) > 0.01 {
				t.Errorf("%+v", v)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// A brittleSink ends with an error that a test gives it.
type brittleSink struct {
	countingSink
	err error
}

func (k *brittleSink) Flush(*media.Stream, time.Time) (time.Time, error) { return time.Time{}, k.err }

func TestCutConsumersAreRememberedForAWhile(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		w.attach(&brittleSink{err: fmt.Errorf("has it all: %w", media.ErrDone)})
		w.play(2)
		if st := w.s.Stats().Consumers; st.Cut != 0 || len(st.Last) != 0 {
			t.Errorf("it was done, not cut: %+v", st)
		}
		var before media.Consumers
		for i := range 20 {
			w.attach(&brittleSink{err: fmt.Errorf("fault %d", i)})
			w.play(1)
			if i == 9 {
				before = w.s.Stats().Consumers
			}
		}
		st := w.s.Stats().Consumers
		if st.Cut != 20 || st.Slow != 0 || len(st.Last) != 16 {
			t.Fatalf("%d cut, %d of them slow, %d remembered", st.Cut, st.Slow, len(st.Last))
		}
		for i, c := range st.Last {
			if want := fmt.Sprintf("fault %d", i+4); c.Why.Error() != want || c.Name != "test" || c.Units != 7 || c.At.Before(c.Since) {
				t.Errorf("%+v, want %s", c, want)
			}
		}
		if len(before.Last) != 10 || !strings.HasSuffix(before.Last[9].Why.Error(), "fault 9") {
			t.Errorf("what was read before has changed: %v", before.Last)
		}
	})
}

// A stuckSink counts, and stands still.
type stuckSink struct{ countingSink }

func (*stuckSink) Position() uint64                                  { return 0 }
func (*stuckSink) Flush(*media.Stream, time.Time) (time.Time, error) { return time.Time{}, nil }

func TestSlowConsumerIsSeenToFallBehindAndThenCut(t *testing.T) {
	perform(t, media.StreamConfig{SlowLimit: 4 * time.Second}, func(w *show) {
		w.attach(&stuckSink{})
		w.play(51)
		if now := w.s.Stats().Consumers.Now; len(now) != 1 || now[0].Behind < 90000 {
			t.Errorf("after 2 s: %+v", now)
		}
		w.play(60)
		st := w.s.Stats().Consumers
		if st.Cut != 1 || st.Slow != 1 || len(st.Last) != 1 || !errors.Is(st.Last[0].Why, media.ErrSlow) || st.Last[0].Behind < 3*90000 {
			t.Errorf("after 4 s: %+v", st)
		}
	})
}
