package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// onlyFile returns the one segment of a channel.
func onlyFile(t *testing.T, dir, channel string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, recDir, channel, "*", "*.mp4"))
	if len(files) != 1 {
		t.Fatalf("%d segments of %s", len(files), channel)
	}
	return files[0]
}

// makeSegment records n pictures and returns the finished file's bytes.
func makeSegment(t *testing.T, n int) (b []byte, name string) {
	t.Helper()
	r := newRig(t)
	f := r.feed(RecorderConfig{Channel: "cam"}, noon(), videoTrack(media.H264))
	f.run(n, 25)
	f.end()
	r.settle()
	full := onlyFile(t, r.vol.cfg.Dir, "cam")
	b, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	rel, _ := filepath.Rel(r.vol.cfg.Dir, full)
	return b, rel
}

// TestTornSegmentKeepsItsDurablePrefix cuts a segment at every 512 bytes: what is
// whole before the cut is found, nothing else.
func TestTornSegmentKeepsItsDurablePrefix(t *testing.T) {
	b, _ := makeSegment(t, 100)
	var buf []byte
	whole, err := scanSegment(bytes.NewReader(b), int64(len(b)), &buf)
	if err != nil || !whole.finished || len(whole.tally.table) != 4 {
		t.Fatalf("scan: %+v, %v", whole, err)
	}
	for n := 0; n < len(b); n += 512 {
		want := 0
		for _, e := range whole.tally.table {
			if e.off+int64(e.total) <= int64(n) {
				want++
			}
		}
		got, err := scanSegment(bytes.NewReader(b[:n]), int64(n), &buf)
		if n < whole.header.size {
			if err == nil {
				t.Errorf("%d bytes: header found", n)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if d := cmp.Diff(whole.tally.table[:want], got.tally.table[:len(got.tally.table):len(got.tally.table)], cmp.AllowUnexported(fragEntry{})); d != "" && want+len(got.tally.table) > 0 {
			t.Errorf("%d bytes: %s", n, d)
		}
		if got.finished || got.tally.cause != CauseUnclean {
			t.Errorf("%d bytes: finished %v, cause %v", n, got.finished, got.tally.cause)
		}
	}
}

// TestBitRotInTheMiddleCostsOneFragment flips a byte of each fragment in turn.
func TestBitRotInTheMiddleCostsOneFragment(t *testing.T) {
	b, _ := makeSegment(t, 100)
	var buf []byte
	whole, err := scanSegment(bytes.NewReader(b), int64(len(b)), &buf)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range whole.tally.table {
		bad := bytes.Clone(b)
		bad[e.off+200] ^= 1
		got, err := scanFragments(bytes.NewReader(bad), int64(len(bad)), whole.header, &buf)
		if err != nil || len(got.tally.table) != len(whole.tally.table)-1 {
			t.Errorf("fragment %d: %d fragments left, %v", i, len(got.tally.table), err)
		}
		if holed := i < len(whole.tally.table)-1; got.holed != holed {
			t.Errorf("fragment %d: holed %v", i, got.holed)
		}
	}
}

// TestPowerCutLosesNothingDurable takes a copy of the volume while it records, as a
// power cut would leave it, and opens that.
func TestPowerCutLosesNothingDurable(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(260, 25)
	f.drain()
	await(t, "10 fragments durable", func() bool {
		recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
		return err == nil && len(recs) == 1 && !recs[0].Complete && recs[0].End.Sub(start) >= 10*time.Second
	})
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(r.vol.cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(copied, lockName))
	torn := onlyFile(t, copied, "cam")
	g, err := os.OpenFile(torn, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.Write(make([]byte, 5000)) // a fragment that was being written
	g.Close()

	procs := new(processes)
	after := openRig(t, config(copied, procs), procs)
	after.settle()
	recs, err := after.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 1 {
		t.Fatalf("%+v, %v", recs, err)
	}
	if got := recs[0].End.Sub(start); got != 10*time.Second || !recs[0].Complete {
		t.Errorf("%v of footage (complete %v), want 10 s", got, recs[0].Complete)
	}
	gaps, err := after.vol.Gaps(t.Context(), "cam", start, time.Now())
	if err != nil || len(gaps) != 1 || gaps[0].Cause != CauseUnclean || gaps[0].From != recs[0].End.UnixNano() {
		t.Errorf("gaps %+v, %v, want one, unclean", gaps, err)
	}
	if _, _, bad, err := after.vol.Check(t.Context()); err != nil || len(bad) > 0 {
		t.Errorf("check: %v, %v", bad, err)
	}
}

// describe returns all that can be asked of a channel.
func describe(t *testing.T, v *Volume, channel string, from, to time.Time) any {
	t.Helper()
	recs, err := v.Recordings(t.Context(), channel, from, to)
	if err != nil {
		t.Fatal(err)
	}
	gaps, err := v.Gaps(t.Context(), channel, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return struct {
		Recordings []Recording
		Gaps       []Gap
	}{recs, gaps}
}

// TestIndexIsRebuiltFromSegmentsAlone deletes, empties and damages the index: the
// answers stay the same.
func TestIndexIsRebuiltFromSegmentsAlone(t *testing.T) {
	dir, procs := t.TempDir(), new(processes)
	r := openRig(t, config(dir, procs), procs)
	start := noon().AddDate(0, 0, -40) // so that more than one month, and the child, is asked
	for _, ch := range []string{"a", "b"} {
		f := r.feed(RecorderConfig{Channel: ch, Segment: 4 * time.Second}, start, videoTrack(media.H265))
		f.run(500, 25)
		f.now = f.now.Add(time.Hour)
		f.dts += media.TicksOf(time.Hour) // the source was silent
		f.run(200, 25)
		f.end()
		g := r.feed(RecorderConfig{Channel: ch, Kind: KindAlarm}, start.AddDate(0, 0, 20), videoTrack(media.H264))
		g.run(200, 25)
		g.end()
	}
	r.settle()
	from, to := start.Add(-time.Hour), start.AddDate(0, 0, 30)
	want := map[string]any{"a": describe(t, r.vol, "a", from, to), "b": describe(t, r.vol, "b", from, to)}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, indexDir, "*.db"))
	if len(files) < 2 {
		t.Fatalf("index files %v", files)
	}
	for name, damage := range map[string]func(string) error{
		"left alone":  func(string) error { return nil },
		"deleted":     os.Remove,
		"emptied":     func(f string) error { return os.Truncate(f, 0) },
		"cut in half": func(f string) error { return os.Truncate(f, 16384) },
		"garbage":     func(f string) error { return os.WriteFile(f, bytes.Repeat([]byte("rubbish!"), 4096), 0o640) },
		"died open":   func(f string) error { return os.WriteFile(stateName(f), []byte("opening"), 0o640) },
	} {
		for _, f := range files {
			if err := damage(f); err != nil {
				t.Fatal(err)
			}
		}
		again := openRig(t, config(dir, procs), procs)
		again.settle()
		for ch := range want {
			if d := cmp.Diff(want[ch], describe(t, again.vol, ch, from, to)); d != "" {
				t.Errorf("index %s, channel %s: %s", name, ch, d)
			}
		}
		if err := again.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLiveRebuildKeepsAnswers asks for a rebuild while recording goes on.
func TestLiveRebuildKeepsAnswers(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 2 * time.Second}, start, videoTrack(media.H264))
	f.run(300, 25)
	if err := r.vol.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.run(300, 25)
	f.end()
	r.settle()
	recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 1 || recs[0].End.Sub(start).Round(time.Millisecond) != 24*time.Second {
		t.Errorf("%+v, %v", recs, err)
	}
}
