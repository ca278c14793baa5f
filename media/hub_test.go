package media_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

var camera = media.Key{Channel: "33010200001320000001", Profile: "main"}

// withHub runs a hub in a bubble while test lasts.
func withHub(t *testing.T, test func(t *testing.T, h *media.Hub, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		h := media.NewHub(media.HubConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		stop := func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
			ended <- nil
		}
		test(t, h, stop)
		stop()
	})
}

func newSource() *mediatest.Source {
	return mediatest.NewSource(media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
}

func TestHubSharesOneStreamAndLetsItLinger(t *testing.T) {
	withHub(t, func(t *testing.T, h *media.Hub, _ func()) {
		src := newSource()
		a, releaseA := h.Acquire(camera, media.StreamConfig{}, src.Open)
		b, releaseB := h.Acquire(camera, media.StreamConfig{}, src.Open)
		synctest.Wait()
		if opens, _, _ := src.Counts(); a != b || opens != 1 {
			t.Fatalf("two streams, or opened %d times", opens)
		}
		if got, ok := h.Lookup(camera); !ok || got != a {
			t.Error("Lookup does not find the stream")
		}
		releaseA()
		releaseA() // once more does nothing
		time.Sleep(time.Minute)
		if all := h.Streams(); len(all) != 1 || all[0].Users != 1 || !all[0].State.Connected {
			t.Fatalf("while used: %+v", all)
		}
		releaseB()
		time.Sleep(9 * time.Second)
		c, releaseC := h.Acquire(camera, media.StreamConfig{}, src.Open)
		time.Sleep(time.Minute)
		if opens, closes, _ := src.Counts(); c != a || opens != 1 || closes != 0 {
			t.Fatalf("opened %d times, closed %d although used again within 10 s", opens, closes)
		}
		releaseC()
		time.Sleep(11 * time.Second)
		if _, closes, _ := src.Counts(); closes != 1 || len(h.Streams()) != 0 {
			t.Errorf("closed %d times 11 s after the last user; %d streams", closes, len(h.Streams()))
		}
	})
}

// A stream that ended by itself is replaced, and the new one does not open before
// the old one has closed.
func TestHubReplacesAStreamThatEnded(t *testing.T) {
	withHub(t, func(t *testing.T, h *media.Hub, _ func()) {
		src := newSource()
		a, releaseA := h.Acquire(camera, media.StreamConfig{Once: true}, src.Open)
		defer releaseA()
		synctest.Wait()
		src.Break(media.ErrEnded)
		synctest.Wait()
		if err := a.Attach(&mediatest.Sink{}); !errors.Is(err, media.ErrEnded) {
			t.Errorf("Attach: %v, want ErrEnded", err)
		}
		b, releaseB := h.Acquire(camera, media.StreamConfig{Once: true}, src.Open)
		defer releaseB()
		synctest.Wait()
		if opens, closes, _ := src.Counts(); a == b || opens != 2 || closes != 1 {
			t.Errorf("opened %d times, closed %d", opens, closes)
		}
		releaseA() // late, of the stream that is gone
		time.Sleep(time.Minute)
		if all := h.Streams(); len(all) != 1 || all[0].Users != 1 {
			t.Errorf("%+v", all)
		}
	})
}

func TestHubEndsItsStreamsAndRefusesNewOnes(t *testing.T) {
	withHub(t, func(t *testing.T, h *media.Hub, stop func()) {
		src := newSource()
		s, _ := h.Acquire(camera, media.StreamConfig{}, src.Open)
		k := &mediatest.Sink{}
		if err := s.Attach(k); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		if _, closes, _ := src.Counts(); closes != 1 || len(k.Closed()) != 1 {
			t.Errorf("source closed %d times, sink %d times", closes, len(k.Closed()))
		}
		late, release := h.Acquire(camera, media.StreamConfig{}, src.Open)
		defer release()
		if err := late.Attach(k); !errors.Is(err, media.ErrEnded) {
			t.Errorf("Attach: %v, want ErrEnded", err)
		}
		if err := late.WaitReady(t.Context()); !errors.Is(err, media.ErrEnded) {
			t.Errorf("WaitReady: %v, want ErrEnded", err)
		}
		late.Detach(k)
	})
}

func TestHubStartsWhatWasAcquiredBeforeItRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := media.NewHub(media.HubConfig{Linger: time.Second})
		src := newSource()
		_, release := h.Acquire(camera, media.StreamConfig{}, src.Open)
		release()
		other := media.Key{Channel: camera.Channel, Profile: "sub"}
		_, releaseOther := h.Acquire(other, media.StreamConfig{}, newSource().Open)
		defer releaseOther()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		ended := make(chan struct{})
		go func() { defer close(ended); _ = h.Run(ctx) }()
		time.Sleep(500 * time.Millisecond)
		if all := h.Streams(); len(all) != 2 || all[0].Key != camera || all[1].Key != other {
			t.Errorf("%+v", all)
		}
		<-ended
		if opens, closes, _ := src.Counts(); opens != 1 || closes != 1 {
			t.Errorf("opened %d times, closed %d", opens, closes)
		}
	})
}

// A slowSource takes its time to close, as a camera does that is asked to.
type slowSource struct {
	*mediatest.Source
	mu    sync.Mutex
	order []string // what happened
}

func (k *slowSource) note(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.order = append(k.order, what)
}

func (k *slowSource) happened() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.order)
}

func (k *slowSource) Open(ctx context.Context) (media.Opened, error) {
	k.note("open")
	o, err := k.Source.Open(ctx)
	o.Source = k
	return o, err
}

func (k *slowSource) Close() error {
	time.Sleep(3 * time.Second)
	k.note("closed")
	return k.Source.Close()
}

// Encoders allow few connections: the next one is not made before the last one is
// gone.
func TestHubOpensAfterTheOldStreamClosed(t *testing.T) {
	withHub(t, func(t *testing.T, h *media.Hub, _ func()) {
		src := &slowSource{Source: newSource()}
		_, release := h.Acquire(camera, media.StreamConfig{}, src.Open)
		synctest.Wait()
		release()
		time.Sleep(11 * time.Second) // it is closing
		s, release := h.Acquire(camera, media.StreamConfig{}, src.Open)
		time.Sleep(5 * time.Second)
		if got, want := src.happened(), []string{"open", "closed", "open"}; !slices.Equal(got, want) || !s.State().Connected {
			t.Errorf("%v, want %v", got, want)
		}
		release()
	})
}
