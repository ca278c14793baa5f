package storage

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/media"
)

// recordMinute records n seconds at 25 pictures a second, with sound.
func recordSeconds(t *testing.T, r *rig, n int) time.Time {
	t.Helper()
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 4 * time.Second}, start, videoTrack(media.H264),
		media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1})
	f.run(25*n, 25)
	f.end()
	r.settle()
	return start
}

// A viewer plays into a stream until the end and notes when units came.
type viewer struct {
	stream *media.Stream
	player *Player
	began  time.Time
	last   uint64
	at     []time.Duration // when each unit came
	units  []media.Unit
}

func watch(t *testing.T, r *rig, start time.Time, cfg PlayerConfig) *viewer {
	t.Helper()
	v := &viewer{stream: media.NewStream(media.StreamConfig{}, nil), began: time.Now()}
	cfg.OnOpen = func(p *Player) { v.player = p }
	o, err := r.vol.Open("cam", start, start.Add(time.Hour), cfg)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.stream.Adopt(o, time.Now())
	return v
}

// run plays until the end or until stop says so.
func (v *viewer) run(t *testing.T, stop func() bool) {
	t.Helper()
	for !stop() {
		err := v.player.Receive(v.stream, time.Now().Add(100*time.Millisecond))
		v.stream.Flush(time.Now())
		for _, next := v.stream.Units(); v.last < next; v.last++ {
			v.at = append(v.at, time.Since(v.began))
			v.units = append(v.units, v.stream.Unit(v.last))
		}
		if errors.Is(err, media.ErrEnded) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func never() bool { return false }

func TestPlaybackIsPacedInRealTime(t *testing.T) {
	r := newRig(t)
	start := recordSeconds(t, r, 12)
	for name, tc := range map[string]struct {
		cfg   PlayerConfig
		units int
		took  time.Duration
	}{
		"as it was":        {PlayerConfig{}, 600, 11460 * time.Millisecond},
		"shown twice fast": {PlayerConfig{Scale: 2}, 300, 5480 * time.Millisecond},
		"key frames only":  {PlayerConfig{Scale: 8}, 12, 875 * time.Millisecond},
		"downloaded":       {PlayerConfig{Speed: 4}, 600, 2490 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := watch(t, r, start, tc.cfg)
				defer v.player.Close()
				v.run(t, never)
				if len(v.units) != tc.units {
					t.Fatalf("%d units, want %d", len(v.units), tc.units)
				}
				if took := v.at[len(v.at)-1]; (took - tc.took).Abs() > 50*time.Millisecond {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				speed := max(tc.cfg.Speed, 1)
				for i, u := range v.units {
					due := time.Duration(float64((u.DTS - v.units[0].DTS).Duration()) / speed)
					if early := due - v.at[i]; early > 510*time.Millisecond || early < 400*time.Millisecond && due > 500*time.Millisecond {
						t.Fatalf("unit %d, due at %v, came at %v", i, due, v.at[i])
					}
				}
			})
		})
	}
}

// Who was kept waiting by its reader goes on at the same pace, without a rush to
// make up for it.
func TestPlaybackThatWaitedGoesOnAtItsPace(t *testing.T) {
	r := newRig(t)
	start := recordSeconds(t, r, 12)
	synctest.Test(t, func(t *testing.T) {
		v := watch(t, r, start, PlayerConfig{})
		defer v.player.Close()
		v.run(t, func() bool { return len(v.units) > 100 })
		time.Sleep(time.Minute) // the stream does not ask
		v.run(t, never)
		if took := v.at[len(v.at)-1] - v.at[102]; took < 8*time.Second || took > 11*time.Second {
			t.Errorf("what is left of 12 s was shown in %v", took)
		}
	})
}

func TestViewerPausesAndSeeks(t *testing.T) {
	r := newRig(t)
	start := recordSeconds(t, r, 12)
	synctest.Test(t, func(t *testing.T) {
		v := watch(t, r, start, PlayerConfig{})
		defer v.player.Close()
		v.run(t, func() bool { return time.Since(v.began) > 2*time.Second })
		v.player.Pause()
		n := len(v.units)
		v.run(t, func() bool { return time.Since(v.began) > 7*time.Second })
		if len(v.units) > n+2 {
			t.Errorf("%d units came while paused", len(v.units)-n)
		}
		v.player.Seek(start.Add(9500 * time.Millisecond))
		v.player.Resume()
		n = len(v.units)
		v.run(t, never)
		first := v.units[n]
		if at := time.Duration(first.Wall - start.UnixNano()).Round(100 * time.Millisecond); at != 9*time.Second || !first.Key() || first.Flags&media.UnitDiscontinuity == 0 {
			t.Errorf("after the seek: %v (%+v), want the key frame at 9 s", at, first)
		}
		if first.DTS <= v.units[n-1].DTS {
			t.Errorf("time went back from %d to %d", v.units[n-1].DTS, first.DTS)
		}
		if got := len(v.units) - n; got != 150 {
			t.Errorf("%d units after the seek, want 150", got)
		}
	})
}
