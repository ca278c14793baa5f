package storage

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// TestHolesHaveTheirCauses makes a hole in each way there is.
func TestHolesHaveTheirCauses(t *testing.T) {
	hole := 20 * time.Second
	for name, tc := range map[string]struct {
		cause Cause
		make  func(f *feeder)
	}{
		"source silent, then goes on": {CauseEncoder, func(f *feeder) { f.tick(media.TicksOf(hole)) }},
		"source silent, noticed": {CauseEncoder, func(f *feeder) {
			f.tick(media.TicksOf(hole))
			f.stream.Flush(f.now)
		}},
		"source restarted": {CauseEncoder, func(f *feeder) {
			f.now = f.now.Add(hole)
			f.stream.Adopt(media.Opened{Carriage: media.CarriageFrames, Tracks: f.tracks}, f.now)
			f.dts = 77
		}},
		"packets lost": {CauseNetwork, func(f *feeder) {
			f.rec.run.damaged = true // as a unit cut short would
			f.tick(media.TicksOf(hole))
		}},
		"stopped": {CauseStopped, func(f *feeder) {
			f.end()
			f.tick(media.TicksOf(hole))
			f.again()
		}},
		"disabled": {CauseDisabled, func(f *feeder) {
			f.rec.Disable()
			f.end()
			f.tick(media.TicksOf(hole))
			f.again()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			start := noon()
			f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
			f.run(250, 25)
			tc.make(f)
			f.run(250, 25)
			f.end()
			r.settle()
			got, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(40*time.Second))
			end := start.Add(10 * time.Second)
			want := []Gap{{end.UnixNano(), end.Add(hole).UnixNano(), tc.cause}}
			if d := cmp.Diff(want, roundGaps(got)); d != "" || err != nil {
				t.Errorf("%v %s", err, d)
			}
			recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
			if err != nil || len(recs) != 2 {
				t.Errorf("%d recordings, %v", len(recs), err)
			}
		})
	}
}

// again attaches a new recorder of the same channel.
func (f *feeder) again() {
	f.r.t.Helper()
	rec, err := NewRecorder(f.r.vol, RecorderConfig{Channel: f.rec.cfg.Channel})
	if err != nil {
		f.r.t.Fatal(err)
	}
	// Footage of these tests is an hour old: so is the hole that the recorder begins with.
	f.r.vol.holes.m[f.rec.cfg.Channel] = nil
	f.rec = rec
	if err := f.stream.Attach(rec); err != nil {
		f.r.t.Fatal(err)
	}
}

// TestStalledDiskIsAHoleNotAWait keeps the disk goroutine from working.
func TestStalledDiskIsAHoleNotAWait(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(100, 25)
	r.settle()
	f.rec.ring.mu.Lock() // the disk goroutine stops at its next fragment
	for i := range 25 * 20 {
		f.frame(i%25 == 0)
	}
	f.rec.ring.mu.Unlock()
	f.drain()
	f.run(100, 25)
	f.end()
	r.settle()
	gaps, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(28*time.Second))
	if err != nil || len(gaps) != 1 || gaps[0].Cause != CauseDisk {
		t.Fatalf("gaps %+v, %v, want one of the disk's", gaps, err)
	}
	if from := time.Unix(0, gaps[0].From).Sub(start); from < 10*time.Second {
		t.Errorf("the hole begins at %v: less than 6 s were kept", from)
	}
	if to := time.Unix(0, gaps[0].To).Sub(start); to.Round(time.Second) != 24*time.Second {
		t.Errorf("the hole ends at %v, want 24 s", to)
	}
}

// TestSecondsThatDoNotFitTheRingAreRecorded has more bytes a second than the ring
// holds: a fragment of a second would be overwritten before it is handed over.
func TestSecondsThatDoNotFitTheRingAreRecorded(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feedOn(media.StreamConfig{RingBytes: 1 << 20}, RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.size = 60_000
	for i := range 250 {
		f.frame(i%25 == 0)
		f.drain()
	}
	f.end()
	r.settle()
	gaps, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(10*time.Second))
	if st := r.vol.Stats().Disk; err != nil || len(gaps) != 0 || st.Lapped != 0 {
		t.Errorf("gaps %+v, %v; disk %+v", gaps, err, st)
	}
}

// TestLappedRingIsAHole lets the ring overtake the disk.
func TestLappedRingIsAHole(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(100, 25)
	r.settle()
	f.rec.ring.mu.Lock()
	f.run(49, 25)
	f.stream.Ring().Reserve(f.stream.Ring().Size()) // everything held is gone
	f.rec.ring.mu.Unlock()
	f.drain()
	f.run(100, 25)
	f.end()
	r.settle()
	if st := r.vol.Stats(); st.Disk.Lapped == 0 {
		t.Fatal("nothing was overwritten")
	}
	gaps, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(9*time.Second))
	if err != nil || len(gaps) != 1 || gaps[0].Cause != CauseDisk {
		t.Errorf("gaps %+v, %v, want one of the disk's", gaps, err)
	}
	if _, _, bad, err := r.vol.Check(t.Context()); err != nil || len(bad) > 0 {
		t.Errorf("check: %v, %v", bad, err)
	}
}

// TestStreamMayEndWhileTheDiskIsBusy takes the ring's memory away right after
// Close, with fragments still waiting: they are written.
func TestStreamMayEndWhileTheDiskIsBusy(t *testing.T) {
	r := newRig(t)
	mem, err := unix.Mmap(-1, 0, 8<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	ring := media.NewRing(mem, false)
	f.rec.bind(ring)
	var au media.AccessUnit
	f.rec.setTracks(f.tracks, 1)
	for i := range 126 {
		g := ring.Reserve(600)
		for k := range g {
			g[k] = byte(i)
		}
		at := ring.Commit(600)
		au = media.AccessUnit{Codec: media.H264, DTS: f.dts, PTS: f.dts, NALs: []media.NAL{{Size: 600, Body: []media.Range{at}}}}
		if i%25 == 0 {
			au.Flags = media.UnitKey
		}
		u := media.Unit{Wall: f.now.UnixNano()}
		f.rec.take(&u, &au, f.now)
		f.tick(3600)
	}
	f.rec.Close(nil)
	if err := unix.Munmap(mem); err != nil {
		t.Fatal(err)
	}
	await(t, "fragments written", func() bool { return len(f.rec.free) == jobsPerRecorder })
	r.settle()
	recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 1 || recs[0].Segments[0].Frames != 126 {
		t.Errorf("%+v, %v, want 126 pictures", recs, err)
	}
}

// TestFailingDiskIsAHoleAndThenRecordingGoesOn keeps the volume from making files.
func TestFailingDiskIsAHoleAndThenRecordingGoesOn(t *testing.T) {
	r := newRig(t)
	blocked := filepath.Join(r.vol.cfg.Dir, recDir)
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file where a directory must be
		t.Fatal(err)
	}
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(100, 25)
	f.drain()
	if st := r.vol.Stats(); st.Disk.Failures == 0 || r.vol.Failing() == 0 {
		t.Fatal("nothing failed")
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	f.run(100, 25)
	f.end()
	r.settle()
	recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 1 || recs[0].End.Sub(start).Round(time.Second) != 8*time.Second {
		t.Errorf("%+v, %v", recs, err)
	}
	if d := r.vol.Failing(); d != 0 {
		t.Errorf("fails for %v", d)
	}
}

// TestFullDiskKeepsWhatWasDurable makes the file of an open segment answer that the
// disk is full, once.
func TestFullDiskKeepsWhatWasDurable(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Fatal("no /dev/full here")
	}
	var told atomic.Int32
	r := newRig(t, func(v *Volume) {
		v.disk.onFull = func() { told.Add(1) } // would make room by deleting what this test looks at
	})
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(101, 25)
	f.drain()
	await(t, "4 s durable", func() bool {
		recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
		return err == nil && len(recs) == 1 && recs[0].End.Sub(start) == 4*time.Second
	})
	fillDisk(t, onlyFile(t, r.vol.cfg.Dir, "cam"))
	f.run(100, 25)
	f.drain()
	f.run(100, 25)
	f.end()
	r.settle()
	if told.Load() == 0 {
		t.Error("nobody was told to make room")
	}
	recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 2 || recs[0].End.Sub(start) != 4*time.Second || !recs[0].Complete {
		t.Fatalf("%+v, %v, want 4 s, a hole, and more", recs, err)
	}
	gaps, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(10*time.Second))
	if err != nil || len(gaps) != 1 || gaps[0].Cause != CauseDisk || gaps[0].From != recs[0].End.UnixNano() {
		t.Errorf("gaps %+v, %v, want one of the disk's", gaps, err)
	}
	p, err := r.vol.OpenPlayback(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if n, _ := readAll(t, p); n < 200 {
		t.Errorf("%d samples read", n)
	}
}

// fillDisk puts /dev/full under our descriptor of name.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	fullDev, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fullDev.Close()
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, _ := os.Readlink(l); to == name {
			fd, err := strconv.Atoi(filepath.Base(l))
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Dup3(int(fullDev.Fd()), fd, unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the segment is not open")
}

// TestFullIsToldFromOtherFailures checks what file systems answer.
func TestFullIsToldFromOtherFailures(t *testing.T) {
	for _, err := range []error{unix.ENOSPC, unix.EDQUOT} {
		if got := full(err); !errors.Is(got, ErrFull) || !errors.Is(got, err) {
			t.Errorf("full(%v) = %v", err, got)
		}
	}
	if got := full(unix.EIO); errors.Is(got, ErrFull) {
		t.Errorf("full(EIO) = %v", got)
	}
}

// TestNoHoleWhileRecording asks at every moment, between two segments too.
func TestNoHoleWhileRecording(t *testing.T) {
	r := newRig(t)
	start := time.Now().Add(-12 * time.Second)
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 2 * time.Second}, start, videoTrack(media.H264))
	for i := range 250 {
		f.frame(i%25 == 0)
		if i%10 == 9 {
			f.drain()
		}
		gaps, err := r.vol.Gaps(t.Context(), "cam", start.Add(time.Second), time.Now())
		if recs, _ := r.vol.Recordings(t.Context(), "cam", start, time.Now()); err != nil || len(recs) > 0 && len(gaps) > 0 {
			t.Fatalf("frame %d: %+v, %v", i, gaps, err)
		}
	}
	f.end()
}

// TestWallClockSteps sets the clock forward in the middle of footage.
func TestWallClockSteps(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(100, 25)
	f.now = f.now.Add(time.Minute)
	f.run(25*20, 25)
	f.end()
	r.settle()
	gaps, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(80*time.Second))
	if err != nil || len(gaps) != 1 || gaps[0].Cause != CauseClock {
		t.Errorf("gaps %+v, %v, want one of the clock's", gaps, err)
	}
}

// TestHoleIsNotHiddenBySoundThatComesFirst: a source that comes back within the
// time of silence sends sound before its first picture.
func TestHoleIsNotHiddenBySoundThatComesFirst(t *testing.T) {
	r := newRig(t)
	start := noon()
	sound := media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1}
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264), sound)
	f.run(250, 25)
	f.now = f.now.Add(2 * time.Second)
	f.stream.Flush(f.now) // what was gathered goes to disk: the fragment that follows begins with sound
	f.now = f.now.Add(3 * time.Second)
	f.stream.Adopt(media.Opened{Carriage: media.CarriageFrames, Tracks: f.tracks}, f.now)
	f.dts = 77
	for range 5 {
		f.push(media.Frame{Track: 1, PTS: f.dts, DTS: f.dts, Wall: f.now.UnixNano()}, make([]byte, 320))
		f.tick(f.step)
	}
	f.run(250, 25)
	f.end()
	r.settle()
	recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 2 || recs[0].End.After(start.Add(11*time.Second)) || recs[1].Start.Before(start.Add(14*time.Second)) {
		t.Fatalf("%+v, %v", recs, err)
	}
	gaps, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(20*time.Second))
	if err != nil || len(gaps) != 1 || gaps[0].Cause != CauseEncoder {
		t.Errorf("%+v, %v", gaps, err)
	}
}
