package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"districtgateway/media"
)

func filesOf(t *testing.T, dir, channel string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, recDir, channel, "*", "*.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOldestFootageGoesWhenTheBudgetIsSpent(t *testing.T) {
	dir, procs := t.TempDir(), new(processes)
	cfg := config(dir, procs)
	cfg.MaxBytes = 600 << 10
	r := openRig(t, cfg, procs)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 2 * time.Second}, start, videoTrack(media.H264))
	f.run(25*120, 25)
	f.end()
	r.settle()
	await(t, "within the budget", func() bool {
		recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
		return err == nil && len(recs) == 1 && recs[0].Bytes <= cfg.MaxBytes && r.vol.Stats().Expired > 0
	})
	recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 1 {
		t.Fatalf("%+v, %v", recs, err)
	}
	if got := recs[0].End.Sub(start).Round(time.Millisecond); got != 120*time.Second {
		t.Errorf("the newest footage ends after %v", got)
	}
	if got := recs[0].Bytes; got > cfg.MaxBytes || got < cfg.MaxBytes/2 {
		t.Errorf("%d bytes kept of %d", got, cfg.MaxBytes)
	}
	await(t, "files gone", func() bool { return len(filesOf(t, dir, "cam")) == len(recs[0].Segments) })
}

func TestFootageIsKeptForItsDays(t *testing.T) {
	dir, procs := t.TempDir(), new(processes)
	cfg := config(dir, procs)
	r := openRig(t, cfg, procs)
	for _, ch := range []string{"week", "month"} {
		for _, age := range []int{40, 20, 3} {
			f := r.feed(RecorderConfig{Channel: ch}, noon().AddDate(0, 0, -age), videoTrack(media.H264))
			f.run(50, 25)
			f.end()
		}
	}
	r.settle()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	cfg.Days, cfg.ChannelDays = 7, map[string]int{"month": 30}
	again := openRig(t, cfg, procs)
	again.settle()
	await(t, "old footage gone", func() bool { return again.vol.Stats().Expired == 3 })
	for ch, want := range map[string]int{"week": 1, "month": 2} {
		recs, err := again.vol.Recordings(t.Context(), ch, noon().AddDate(0, 0, -60), time.Now())
		if err != nil || len(recs) != want {
			t.Errorf("%s: %d recordings (%v), want %d", ch, len(recs), err, want)
		}
		await(t, "files gone", func() bool { return len(filesOf(t, dir, ch)) == want })
	}
}

func TestOpenReaderOutlivesDeletion(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(100, 25)
	f.end()
	r.settle()
	p, err := r.vol.OpenPlayback(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := r.vol.child.ask(t.Context(), opMark, (&expiry{bytes: 1, limit: 1}).encode()); err != nil {
		t.Fatal(err)
	}
	if err := r.vol.purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(filesOf(t, r.vol.cfg.Dir, "cam")); n != 0 {
		t.Fatalf("%d files left", n)
	}
	if n, _ := readAll(t, p); n != 100 {
		t.Errorf("%d samples read, want 100", n)
	}
}

func TestWrongVolumeIsRefused(t *testing.T) {
	procs := new(processes)
	dir := t.TempDir()
	cfg := config(dir, procs)
	cfg.Create = false
	if _, err := OpenVolume(t.Context(), cfg); !errors.Is(err, ErrWrongVolume) {
		t.Errorf("without an identity: %v", err)
	}
	cfg.Volume = "01234567-89ab-4def-8123-456789abcdef"
	if _, err := OpenVolume(t.Context(), cfg); !errors.Is(err, ErrWrongVolume) {
		t.Errorf("empty mount point: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("something was written into an empty mount point: %v", left)
	}
	made, err := OpenVolume(t.Context(), config(dir, procs))
	if err != nil {
		t.Fatal(err)
	}
	made.Close()
	if _, err := OpenVolume(t.Context(), cfg); !errors.Is(err, ErrWrongVolume) {
		t.Errorf("another volume: %v", err)
	}
	cfg.Volume = made.Identity().Volume
	again, err := OpenVolume(t.Context(), cfg)
	if err != nil {
		t.Fatalf("the right volume: %v", err)
	}
	again.Close()
	full := config(t.TempDir(), procs)
	os.WriteFile(filepath.Join(full.Dir, "letter.txt"), nil, 0o600)
	if _, err := OpenVolume(t.Context(), full); !errors.Is(err, ErrWrongVolume) {
		t.Errorf("somebody's directory: %v", err)
	}
}

// TestUnmountedVolumeEnds: nothing is written into the mount point that it leaves, and
// what was recorded is there when it comes back.
func TestUnmountedVolumeEnds(t *testing.T) {
	procs := new(processes)
	cfg := config(filepath.Join(t.TempDir(), "volume"), procs)
	if err := os.Mkdir(cfg.Dir, 0o750); err != nil {
		t.Fatal(err)
	}
	vol, err := OpenVolume(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	vol.tempo = tempo{5 * time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}
	done := make(chan error, 1)
	go func() { done <- vol.Run(t.Context()) }()
	r := &rig{t: t, vol: vol, procs: procs}
	f := r.feed(RecorderConfig{Channel: "cam"}, noon(), videoTrack(media.H264))
	f.run(50, 25)
	f.drain()
	r.settle() // the child process has opened its index
	if err := errors.Join(os.Rename(cfg.Dir, cfg.Dir+".away"), os.Mkdir(cfg.Dir, 0o750)); err != nil {
		t.Fatal(err)
	}
	f.run(50, 25) // the segment that is open goes on
	f.drain()
	other := r.feed(RecorderConfig{Channel: "other"}, noon(), videoTrack(media.H264))
	other.frame(true)
	other.run(49, 25)
	if err := <-done; !errors.Is(err, ErrWrongVolume) {
		t.Errorf("run: %v", err)
	}
	if left, _ := os.ReadDir(cfg.Dir); len(left) > 0 {
		t.Errorf("written into the mount point: %v", left)
	}
	if err := errors.Join(os.Remove(cfg.Dir), os.Rename(cfg.Dir+".away", cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	again := openRig(t, cfg, procs)
	again.settle()
	list, err := again.vol.Recordings(t.Context(), "cam", noon().Add(-time.Hour), noon().Add(time.Hour))
	if err != nil || len(list) != 1 || list[0].End.Sub(list[0].Start) < 3*time.Second {
		t.Errorf("%v %v", list, err)
	}
}

func TestVolumeHasOneOwner(t *testing.T) {
	procs := new(processes)
	cfg := config(t.TempDir(), procs)
	first, err := OpenVolume(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.Owner = "box-2"
	for name, c := range map[string]VolumeConfig{"twice": cfg, "by another": other} {
		var use *InUseError
		_, err := OpenVolume(t.Context(), c)
		if !errors.Is(err, ErrVolumeInUse) || !errors.As(err, &use) || use.Owner != "box-1" || !use.Alive {
			t.Errorf("opened %s: %v", name, err)
		}
	}
	other.TakeOver = "box-1"
	if _, err := OpenVolume(t.Context(), other); !errors.Is(err, ErrVolumeInUse) {
		t.Errorf("taken from a live owner: %v", err)
	}
	first.Close()
	other.TakeOver = ""
	if _, err := OpenVolume(t.Context(), other); !errors.Is(err, ErrVolumeInUse) {
		t.Errorf("taken without confirmation: %v", err)
	}
	other.TakeOver = "box-1"
	second, err := OpenVolume(t.Context(), other)
	if err != nil {
		t.Fatalf("taken over with confirmation: %v", err)
	}
	second.Close()
	if _, err := OpenVolume(t.Context(), cfg); !errors.Is(err, ErrVolumeInUse) {
		t.Errorf("the old owner came back: %v", err)
	}
}

func TestOpeningIsNotWaitedForForEver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := config(t.TempDir(), new(processes))
	answer, claimed := make(chan struct{}), make(chan struct{})
	_, err := openVolume(ctx, cfg, func(cfg *VolumeConfig) (Identity, *os.File, error) {
		defer close(claimed)
		<-answer
		return claim(cfg)
	})
	if !errors.Is(err, ErrVolumeStalled) {
		t.Fatal(err)
	}
	close(answer)
	<-claimed
	await(t, "the volume is given up", func() bool {
		v, err := OpenVolume(t.Context(), cfg)
		if err != nil && !errors.Is(err, ErrVolumeInUse) {
			t.Fatal(err)
		}
		return err == nil && v.Close() == nil
	})
}
