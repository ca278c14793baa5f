package storage

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"districtgateway/media"
)

// recordOn records n seconds from start on r.
func recordOn(r *rig, start time.Time, n int) { recordAs(r, "cam", start, n) }

func recordAs(r *rig, channel string, start time.Time, n int) {
	f := r.feed(RecorderConfig{Channel: channel, Segment: 4 * time.Second}, start, videoTrack(media.H264))
	f.run(25*n, 25)
	f.end()
	r.settle()
}

// Footage that moved between volumes, and back, is played as one.
func TestPlaybackGoesOverVolumes(t *testing.T) {
	a, b := newRig(t), newRig(t)
	start := noon()
	recordOn(a, start, 8)
	recordOn(b, start.Add(8*time.Second), 8)
	recordOn(a, start.Add(20*time.Second), 8)
	vols := Volumes{b.vol, a.vol}
	for name, tc := range map[string]struct {
		from, to       time.Duration
		samples, jumps int
	}{
		"all":                 {0, time.Hour, 600, 3},
		"from one to another": {6 * time.Second, 10 * time.Second, 100, 2},
		"over the hole":       {12 * time.Second, 22 * time.Second, 150, 2},
		"one alone":           {9 * time.Second, 11 * time.Second, 50, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := vols.OpenPlayback(t.Context(), Always("cam"), start.Add(tc.from), start.Add(tc.to))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if samples, jumps := readAll(t, p); samples != tc.samples || jumps > tc.jumps {
				t.Errorf("%d samples, %d discontinuities, want %d and %d", samples, jumps, tc.samples, tc.jumps)
			}
		})
	}
	p, err := vols.OpenPlayback(t.Context(), Always("cam"), start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, at := range []time.Duration{10 * time.Second, time.Second, 21 * time.Second} {
		if err := p.Seek(t.Context(), start.Add(at)); err != nil {
			t.Fatal(err)
		}
		s, err := p.Next(nil)
		if off := time.Duration(s.Wall - start.Add(at).UnixNano()); err != nil || off > 0 || off < -time.Second {
			t.Errorf("seek to %v: came %v beside it, %v", at, off, err)
		}
	}
}

// Footage from before a channel got its name is found, listed and played with the
// rest, and nothing of who has its old name now.
func TestFootageOfFormerNamesIsTheChannels(t *testing.T) {
	a, b := newRig(t), newRig(t)
	start := noon()
	moved := start.Add(10 * time.Second)
	recordAs(a, "old", start, 8)
	recordAs(b, "new", start.Add(12*time.Second), 8)
	recordAs(b, "old", start.Add(12*time.Second), 8) // another has the name now
	vols := Volumes{a.vol, b.vol}
	of := []Tenure{{Channel: "new"}, {Channel: "old", Until: start.Add(11 * time.Second), Left: moved}}
	p, err := vols.OpenPlayback(t.Context(), of, start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if samples, jumps := readAll(t, p); samples != 400 || jumps != 2 {
		t.Errorf("%d samples, %d discontinuities", samples, jumps)
	}
	list, err := vols.Recordings(t.Context(), of, start, start.Add(time.Hour))
	if err != nil || len(list) != 2 || !list[0].Start.Equal(start) {
		t.Errorf("%+v, %v", list, err)
	}
	list, err = vols.Recordings(t.Context(), []Tenure{{Channel: "old", From: start.Add(11 * time.Second)}}, start, start.Add(time.Hour))
	if err != nil || len(list) != 1 || list[0].Start.Before(moved) {
		t.Errorf("under the old name %+v, %v", list, err)
	}
	gaps, err := vols.Gaps(t.Context(), of, start, start.Add(20*time.Second))
	for _, g := range roundGaps(gaps) {
		if g.From < start.Add(8*time.Second).UnixNano() || g.To > start.Add(12*time.Second).UnixNano() {
			t.Errorf("hole %v", g)
		}
	}
	if err != nil || len(gaps) == 0 {
		t.Errorf("holes %v, %v", gaps, err)
	}
}

// A volume that does not answer may hold what is missing: only what is whole
// without it is played.
func TestPlaybackDoesNotPassOverAVolumeThatIsSilent(t *testing.T) {
	a, b := newRig(t), newRig(t)
	start := noon().Add(-72 * time.Hour) // older than what is kept in memory
	recordOn(a, start, 8)
	recordOn(b, start.Add(8*time.Second), 8)
	await(t, "the index knows its channels", func() bool { return a.vol.keeper.totals.Load() != nil && len(a.vol.Channels()) > 0 })
	a.procs.signal(t, syscall.SIGSTOP)
	for name, tc := range map[string]struct {
		from, to time.Duration
		want     error
	}{
		"some may be missing": {6 * time.Second, 10 * time.Second, ErrVolumeStalled},
		"the other has all":   {9 * time.Second, 15 * time.Second, nil},
	} {
		p, err := Volumes{a.vol, b.vol}.OpenPlayback(t.Context(), Always("cam"), start.Add(tc.from), start.Add(tc.to))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			p.Close()
		}
	}
}

// A volume says for how long nothing could be written, until something is, or the
// failure is long ago.
func TestVolumeTellsThatItFails(t *testing.T) {
	const minute = int64(time.Minute)
	var s diskStats
	for i, tc := range []struct {
		do    func()
		at    int64
		since int64
	}{
		{nil, minute, 0},
		{func() { s.bad(2 * minute) }, 3 * minute, 2 * minute},
		{func() { s.bad(4 * minute) }, 5 * minute, 2 * minute},
		{nil, 15 * minute, 0},
		{func() { s.bad(16 * minute) }, 17 * minute, 16 * minute},
		{func() { s.badSince.Store(0) }, 17 * minute, 0}, // written
		{func() { s.busySince.Store(18 * minute) }, 18 * minute, 0},
		{nil, 19 * minute, 18 * minute},
	} {
		if tc.do != nil {
			tc.do()
		}
		if got := s.failing(tc.at); got != tc.since {
			t.Errorf("%d: fails since %d, want %d", i, got, tc.since)
		}
	}
}
