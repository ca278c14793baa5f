package media_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mirror"
)

const mib = 1 << 20

// Recording comes first: a quarter of what it leaves is kept for it.
func TestViewersLeaveAPartToRecording(t *testing.T) {
	b := media.NewBudget(64 * mib)
	if err := b.Take(24*mib, media.ForRecording); err != nil {
		t.Fatal(err)
	}
	if err := b.Take(30*mib, media.ForViewing); err != nil { // three quarters of 40
		t.Fatal(err)
	}
	err := b.Take(1, media.ForViewing)
	if want := "memory for streams is used up: 54 of 64 MiB, of which recording keeps a part"; !errors.Is(err, media.ErrMemory) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := b.Take(10*mib, media.ForRecording); err != nil {
		t.Errorf("recording: %v", err)
	}
	err = b.Take(1, media.ForRecording)
	if want := "memory for streams is used up: 64 of 64 MiB"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	b.Give(10*mib, media.ForRecording)
	st := b.State()
	if since := time.Since(st.Last); st.Last.IsZero() || since > time.Minute {
		t.Errorf("refused last at %s", st.Last)
	}
	st.Last = time.Time{}
	if want := (media.BudgetState{Limit: 64 * mib, Used: 54 * mib, Refused: 2}); st != want {
		t.Errorf("%+v, want %+v", st, want)
	}
}

func TestBudgetCountsUnderContention(t *testing.T) {
	b := media.NewBudget(100)
	var wg sync.WaitGroup
	for i := range 8 {
		p := media.Purpose(i % 2)
		wg.Go(func() {
			for range 2000 {
				if b.Take(20, p) == nil {
					b.Give(20, p)
				}
			}
		})
	}
	wg.Wait()
	if st := b.State(); st.Used != 0 {
		t.Errorf("%+v", st)
	}
}

// A stream for which there is no memory is refused at once, with the reason, and
// one that ends gives back what it had.
func TestStreamWithoutMemoryIsRefused(t *testing.T) {
	b := media.NewBudget(3 * mib)
	src := mediatest.NewSource(media.Opened{Carriage: media.CarriageRTP, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
	cfg := media.StreamConfig{Name: "cam", Memory: mirror.New, Budget: b, Purpose: media.ForRecording, RingBytes: 2 * mib}
	ctx, stop := context.WithCancel(t.Context())
	first, second := media.NewStream(cfg, src.Open), media.NewStream(cfg, src.Open)
	var running sync.WaitGroup
	running.Go(func() { _ = first.Run(ctx) })
	src.Push(0, (&mediatest.Packetizer{PayloadType: 96}).Video(media.H264, 0, mediatest.Picture(media.H264, true, 1000, 1)...)...)
	if err := first.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := second.Run(t.Context())
	if want := "cam: memory for streams is used up: 2 of 3 MiB"; !errors.Is(err, media.ErrMemory) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := second.WaitReady(t.Context()); !errors.Is(err, media.ErrMemory) {
		t.Errorf("who waits for it is told %v", err)
	}
	stop()
	running.Wait()
	if st := b.State(); st.Used != 0 {
		t.Errorf("%d bytes were not given back", st.Used)
	}
	if opens, _, _ := src.Counts(); opens > 1 {
		t.Error("a source was opened for the stream that was refused")
	}
}

// Where memory cannot be mapped the heap serves, and counts twice.
func TestHeapCountsTwice(t *testing.T) {
	b := media.NewBudget(64 * mib)
	refuse := func(int) ([]byte, bool, func() error, error) { return nil, false, nil, errors.New("not here") }
	s := media.NewStream(media.StreamConfig{Memory: refuse, Budget: b, RingBytes: 2 * mib}, nil)
	s.Adopt(media.Opened{Carriage: media.CarriageFrames, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}}, time.Now())
	if st := b.State(); st.Used != 4*mib {
		t.Errorf("%d bytes taken", st.Used)
	}
}
