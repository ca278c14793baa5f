package storage

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"districtgateway/media"
)

func TestKilledChildComesBackAndGetsItsRows(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 2 * time.Second}, start, videoTrack(media.H264))
	r.settle()
	for range 3 {
		f.run(150, 25)
		r.procs.signal(t, syscall.SIGKILL)
		f.run(150, 25)
		starts := r.vol.Stats().ChildStarts
		await(t, "new child", func() bool { return r.vol.Stats().ChildStarts > starts || r.vol.Stats().Pending == 0 })
	}
	f.end()
	r.settle()
	if n := r.vol.Stats().ChildStarts; n < 4 {
		t.Fatalf("the child was started %d times: it was not killed", n)
	}
	await(t, "what it holds of memory", func() bool { return r.vol.Stats().ChildMemory > 64<<10 })
	rows, err := r.vol.askRows(t.Context(), query{channel: "cam", to: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	held, _ := r.vol.recent.query("cam", start.UnixNano(), 1<<62)
	if len(rows) != len(held) || len(rows) < 15 {
		t.Errorf("the index has %d rows, memory %d", len(rows), len(held))
	}
	recs := joinSegments(rows)
	if len(recs) != 1 || recs[0].End.Sub(start).Round(time.Millisecond) != 36*time.Second {
		t.Errorf("the index says %+v", recs)
	}
}

func TestStalledChildStallsNobody(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 2 * time.Second}, start, videoTrack(media.H264))
	f.run(150, 25)
	r.settle()
	r.procs.signal(t, syscall.SIGSTOP)
	defer r.procs.signal(t, syscall.SIGCONT)
	f.run(150, 25)
	f.end()
	await(t, "footage durable", func() bool {
		recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
		return err == nil && len(recs) == 1 && recs[0].Complete && recs[0].End.Sub(start).Round(time.Millisecond) == 12*time.Second
	})
	began := time.Now()
	_, err := r.vol.Recordings(t.Context(), "cam", start.AddDate(0, 0, -3), start)
	if took := time.Since(began); !errors.Is(err, ErrVolumeStalled) || took < time.Second || took > 4*time.Second {
		t.Errorf("old footage: %v after %v, want %v after 2 s", err, took, ErrVolumeStalled)
	}
	if st := r.vol.Stats(); st.Pending == 0 {
		t.Error("no row is waiting: the child was not stalled")
	}
	r.procs.signal(t, syscall.SIGCONT)
	r.settle()
	if _, err := r.vol.Recordings(t.Context(), "cam", start.AddDate(0, 0, -3), start); err != nil {
		t.Errorf("after the stall: %v", err)
	}
}
