package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/storage"
)

func channelNumber(n int) domain.Code { return domain.Code(fmt.Sprintf("3301060000132%07d", n)) }

// Channels are spread evenly, and a volume more or less moves no channel but those
// that fall to it.
func TestChannelsFallToVolumesByName(t *testing.T) {
	three := []config.Volume{{Path: "/mnt/a"}, {Path: "/mnt/b"}, {Path: "/elsewhere", ID: "9e7a6f5e-0000-4000-8000-000000000001"}}
	moved := three[2]
	moved.Path = "/mnt/c" // it has an id: where it is mounted does not matter
	count := map[string]int{}
	for n := range 300 {
		c := channelNumber(n)
		first := ranked(three, c)[0]
		count[first.Path]++
		if again := ranked([]config.Volume{moved, three[1], three[0]}, c)[0]; again.ID != first.ID || first.ID == "" && again.Path != first.Path {
			t.Errorf("channel %d falls to %v and %v", n, first, again)
		}
		if fewer := ranked(three[:2], c)[0]; first.ID == "" && fewer.Path != first.Path {
			t.Errorf("channel %d of %s moves to %s, though its volume is there", n, first.Path, fewer.Path)
		}
	}
	for path, n := range count {
		if n < 70 || n > 130 {
			t.Errorf("%d of 300 channels fall to %s", n, path)
		}
	}
}

// A shelf is a gateway's volumes, each of which a test opens and closes.
type shelf struct {
	t     *testing.T
	vs    *volumes
	close map[string]func()
}

func newShelf(t *testing.T, n int) *shelf {
	vs := newVolumes(&volumes{owner: "33010600002000000001", log: slog.New(slog.DiscardHandler)})
	for range n {
		vs.configs = append(vs.configs, config.Volume{Path: t.TempDir(), Create: true, Free: 1})
	}
	return &shelf{t: t, vs: vs, close: map[string]func(){}}
}

// open opens the volume at path, as if it had been open for some time.
func (s *shelf) open(path string, since time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for _, c := range s.vs.configs {
			if c.Path == path {
				if err := s.vs.keep(ctx, c); err != nil {
					s.t.Error(err)
				}
			}
		}
	})
	await(s.t, "volume open", func() bool { return s.look(path) != nil })
	s.vs.mu.Lock()
	v := s.vs.open[path]
	v.since = v.since.Add(-since)
	s.vs.open[path] = v
	s.vs.mu.Unlock()
	s.close[path] = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	s.t.Cleanup(s.close[path])
}

func (s *shelf) look(path string) *storage.Volume {
	s.vs.mu.Lock()
	defer s.vs.mu.Unlock()
	return s.vs.open[path].Volume
}

func TestChannelComesBackToItsVolume(t *testing.T) {
	s := newShelf(t, 2)
	order := ranked(s.vs.configs, camera1)
	own, other := order[0].Path, order[1].Path
	at := ""
	for i, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, ""},
		{func() { s.open(other, 0) }, other},
		{func() { s.open(own, settledFor-5*time.Second) }, other}, // not settled yet
		{func() { s.close[own](); s.open(own, settledFor) }, own},
		{func() { s.close[own]() }, other},
		{func() { s.open(own, 0) }, other},
		{func() { s.close[other]() }, own},
	} {
		step.do()
		if at = s.vs.place(ranked(s.vs.configs, camera1), at); at != step.want {
			t.Fatalf("step %d: on %q, want %q of %q", i, at, step.want, []string{own, other})
		}
	}
}

// A camera goes on without a pause on the volume that is right now.
func TestCameraMovesToItsVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type place struct {
			mediatest.Sink
			wrong atomic.Bool
			gone  chan struct{}
		}
		places := make(chan *place, 3)
		cs := newCameras(&cameras{record: func(*camera) (recording, error) {
			p := &place{gone: make(chan struct{})}
			places <- p
			return recording{sink: &p.Sink, volume: p.gone, misplaced: p.wrong.Load}, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		enc := mediatest.NewSource(media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
		st := media.NewStream(media.StreamConfig{}, enc.Open)
		go func() { _ = st.Run(ctx) }()
		go func() {
			for ctx.Err() == nil && cs.recordOn(ctx, &camera{}, st) == nil {
			}
		}()
		for name, leave := range map[string]func(*place){
			"another is right": func(p *place) { p.wrong.Store(true) },
			"it is gone":       func(p *place) { close(p.gone) },
		} {
			p := <-places
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(p.Closed()) != 0 || len(places) != 0 {
				t.Errorf("%s: left before", name)
			}
			leave(p)
			time.Sleep(placeEvery)
			synctest.Wait()
			if len(p.Closed()) != 1 || len(places) != 1 {
				t.Errorf("%s: closed %d times, %d recorders follow", name, len(p.Closed()), len(places))
			}
		}
		cancel()
		synctest.Wait()
	})
}

// A range that lies on two volumes is listed, and played, as one; what one lacks
// and the other has is no hole.
func TestFootageOfTwoVolumesIsPlayedAsOne(t *testing.T) {
	s := newShelf(t, 2)
	order := ranked(s.vs.configs, camera1)
	own, other := order[0].Path, order[1].Path
	enc := &studio{encoder: mediatest.NewSource(media.Opened{Tracks: []media.Track{recordedTrack()}})}
	st := media.NewStream(media.StreamConfig{}, enc.encoder.Open)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = st.Run(ctx) })
	defer func() { cancel(); running.Wait() }()

	began := time.Now()
	s.open(own, settledFor)
	s.record(st, enc, own)
	s.close[own]() // absent for a while
	s.open(other, settledFor)
	s.record(st, enc, other)
	s.open(own, settledFor)
	s.record(st, enc, own)

	in := domain.Range{From: began.Add(-time.Second), To: time.Now().Add(time.Second)}
	list, err := s.vs.recordings(t.Context(), camera1, in)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d recordings, %v", len(list), err)
	}
	open, err := s.vs.play(t.Context(), camera1, in, storage.PlayerConfig{Speed: 32})
	if err != nil {
		t.Fatal(err)
	}
	k := &mediatest.Sink{Oldest: true}
	played := media.NewStream(media.StreamConfig{Once: true, Patient: true}, open)
	if err := played.Attach(k); err != nil {
		t.Fatal(err)
	}
	if err := played.Run(t.Context()); err != nil {
		t.Error(err)
	}
	_, units := k.Units()
	if len(units) < 54 { // the last picture of each may still have been open
		t.Errorf("%d pictures of 60", len(units))
	}
	for i := 1; i < len(units); i++ {
		if units[i].Wall <= units[i-1].Wall-int64(time.Second) {
			t.Errorf("picture %d is from before the one before", i)
		}
	}
	if d := cmp.Diff([]domain.Code{camera1}, s.vs.channels(s.vs.owner)); d != "" {
		t.Error(d)
	}
	s.vs.holders = func(domain.Code) []domain.Code { return []domain.Code{channelNumber(9), channelNumber(5)} }
	if d := cmp.Diff([]domain.Code{channelNumber(5), channelNumber(9)}, s.vs.channels(s.vs.owner)); d != "" {
		t.Error(d)
	}
	gaps, err := s.vs.gaps(t.Context(), camera1, in)
	if err != nil {
		t.Error(err)
	}
	for _, g := range gaps {
		for _, r := range list {
			if g.From < r.End.UnixNano() && g.To > r.Start.UnixNano() {
				t.Errorf("hole %v in recording %v", g, r)
			}
		}
	}
}

// record records 20 pictures, which takes 0.8 s, on the volume at path.
func (s *shelf) record(st *media.Stream, enc *studio, path string) {
	s.t.Helper()
	r, err := s.vs.recorder(&camera{Code: camera1})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := st.Attach(r.sink); err != nil {
		s.t.Fatal(err)
	}
	before := s.look(path).Stats().Disk.Bytes
	for range 2 {
		enc.pictures()
		<-time.After(400 * time.Millisecond)
	}
	st.Detach(r.sink)
	await(s.t, "footage written", func() bool {
		now := s.look(path).Stats()
		return now.Disk.Bytes > before && now.Disk.Queue == 0 && now.Open == 0
	})
}
