package media_test

import (
	"context"
	"errors"
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

// dull pushes n pictures, none of them a key picture.
func (w *show) dull(n int) {
	for range n {
		if w.ts%36000 == 0 {
			w.ts += 3600
		}
		w.play(1)
	}
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
		w.dull(3)
		if _, _, asked := w.src.Counts(); asked != 0 {
			t.Errorf("asked %d times with nobody waiting", asked)
		}
		w.attach(&mediatest.Sink{})
		w.dull(5)
		if _, _, asked := w.src.Counts(); asked != 0 {
			t.Errorf("asked %d times before it could begin by itself", asked)
		}
		w.dull(40)
		if _, _, asked := w.src.Counts(); asked != 1 {
			t.Errorf("asked %d times within two seconds", asked)
		}
	})
}

// TestKeyFrameIsAskedForOnceInTwoSeconds: whoever asks, and however often; a wish that
// came too soon is kept, unless a key frame comes meanwhile.
func TestKeyFrameIsAskedForOnceInTwoSeconds(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		asked := func() int { _, _, n := w.src.Counts(); return n }
		w.play(20) // 800 ms, with two key pictures
		for range 10 {
			w.s.AskKey()
			time.Sleep(10 * time.Millisecond)
		}
		if n := asked(); n != 1 {
			t.Fatalf("ten wishes: asked %d times", n)
		}
		w.s.AskKey()
		time.Sleep(time.Second)
		if n := asked(); n != 1 {
			t.Errorf("asked %d times within 1.1 s", n)
		}
		time.Sleep(time.Second)
		if n := asked(); n != 2 {
			t.Errorf("the wish that came too soon: asked %d times", n)
		}
		w.s.AskKey()
		time.Sleep(100 * time.Millisecond)
		w.ts += 36000 - w.ts%36000
		w.play(1)
		time.Sleep(3 * time.Second)
		if n := asked(); n != 2 {
			t.Errorf("asked %d times though a key frame came", n)
		}
	})
}

// TestManyWishesForAKeyFrameDoNotKeepTheOwnerBusy: a player may have any number.
func TestManyWishesForAKeyFrameDoNotKeepTheOwnerBusy(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		k := &mediatest.Sink{}
		w.attach(k)
		w.play(20)
		before := k.Flushes()
		for range 10000 {
			w.s.AskKey()
			time.Sleep(time.Millisecond)
		}
		if n := k.Flushes() - before; n < 10 || n > 50 {
			t.Errorf("sinks were flushed %d times in 10 s", n)
		}
		if _, _, asked := w.src.Counts(); asked < 4 || asked > 6 {
			t.Errorf("asked %d times in 10 s", asked)
		}
	})
}

// TestWishThatAKeyFrameGrantsIsNotTold: though the owner had not seen it yet.
func TestWishThatAKeyFrameGrantsIsNotTold(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		w.play(20)
		for range 2 { // the second does not wake the owner
			w.s.AskKey()
			time.Sleep(10 * time.Millisecond)
		}
		w.ts += 36000 - w.ts%36000
		w.play(1)
		time.Sleep(3 * time.Second)
		if _, _, asked := w.src.Counts(); asked != 1 {
			t.Errorf("asked %d times though a key frame came", asked)
		}
	})
}

// TestWaitingForTheFirstPictureAsksForIt: a source that does not begin with a key frame.
func TestWaitingForTheFirstPictureAsksForIt(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		if err := w.s.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a key picture: %v", err)
		}
		if _, _, asked := w.src.Counts(); asked != 1 {
			t.Errorf("asked %d times", asked)
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

func TestReopenedStreamKeepsItsSinks(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		sink := &mediatest.Sink{}
		w.attach(sink)
		w.play(3)
		w.s.Reopen()
		time.Sleep(2 * time.Second) // the back-off
		synctest.Wait()
		if n := w.s.Stats().Opened; n != 2 {
			t.Fatalf("opened %d times, want 2", n)
		}
		before, _ := sink.Units()
		w.ts = 36000 * 10
		w.play(5)
		_, units := sink.Units()
		if len(units) < len(before)+3 || units[len(before)].Flags&media.UnitDiscontinuity == 0 || len(sink.Closed()) != 0 {
			t.Errorf("units %+v after %d, closed %v", units, len(before), sink.Closed())
		}
	})
}

func TestTrackThatShowsLaterKeepsWhatIsHeld(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		w.play(5)
		w.src.Do(func(s *media.Stream) {
			s.SetTracks(append([]media.Track{mediatest.VideoTrack(media.H264)}, media.Track{Codec: media.G711A}))
			if _, ok := s.LastKey(); !ok {
				t.Error("the key picture is no longer held")
			}
			s.SetTracks([]media.Track{{Codec: media.H265}})
			if _, ok := s.LastKey(); ok {
				t.Error("a picture of another coding is still held")
			}
		})
		synctest.Wait()
	})
}

// Some encoders send the parameter sets at once and the picture they belong to,
// with the same timestamp, when it is coded.
func TestParameterSetsWaitForTheirPicture(t *testing.T) {
	perform(t, media.StreamConfig{}, func(w *show) {
		sink := &mediatest.Sink{}
		w.attach(sink)
		sets := mediatest.Parameters(media.H264)
		w.src.Push(0, w.p.Packet(0, false, sets[0]), w.p.Packet(0, false, sets[1]))
		time.Sleep(2 * time.Second)
		w.src.Push(0, w.p.Packet(0, true, mediatest.Slice(media.H264, true, 100, 1)))
		w.ts = 3600
		w.play(3)
		samples, _ := sink.Samples()
		if len(samples) == 0 || len(samples[0].NALs) != 3 || samples[0].DTS != samples[0].PTS {
			t.Fatalf("first of %d: %+v", len(samples), samples[:min(1, len(samples))])
		}
	})
}
