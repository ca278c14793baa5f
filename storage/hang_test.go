package storage

import (
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A hanging is a volume whose disk stands still in a system call while it is told to.
type hanging struct {
	*rig
	other *feeder // the channel whose new segment the disk hangs in

	mu    sync.Mutex
	gate  chan struct{} // nil: the disk works
	stuck chan struct{} // closed when it stands still
}

func newHanging(t *testing.T) *hanging {
	t.Helper()
	h := &hanging{}
	h.rig = newRig(t, func(v *Volume) {
		home := v.disk.home
		v.disk.home = func() error {
			h.mu.Lock()
			gate, stuck := h.gate, h.stuck
			h.mu.Unlock()
			if gate != nil {
				close(stuck)
				<-gate
			}
			return home()
		}
	})
	return h
}

// hang makes the disk stand still, and returns when it does.
func (h *hanging) hang() (release func()) {
	h.t.Helper()
	gate := make(chan struct{})
	h.mu.Lock()
	h.gate, h.stuck = gate, make(chan struct{})
	stuck := h.stuck
	h.mu.Unlock()
	h.other = h.feed(RecorderConfig{Channel: "other"}, noon(), videoTrack(media.H264))
	h.other.frame(true)
	for range 30 {
		h.other.frame(false)
	}
	select {
	case <-stuck:
	case <-time.After(20 * time.Second):
		h.t.Fatal("the disk did not hang")
	}
	return sync.OnceFunc(func() {
		h.mu.Lock()
		h.gate = nil
		h.mu.Unlock()
		close(gate)
	})
}

// A camera is what is recorded over the hang.
type camera struct {
	rate, size, gop int
	sound           int // frames a second
	ring            media.StreamConfig
}

// run sends so much of c, without waiting for the disk.
func (c camera) run(f *feeder, d time.Duration) {
	f.step = media.TicksPerSecond / media.Ticks(c.rate)
	per := 0
	for range int(d.Seconds() * float64(c.rate)) {
		key := f.n%c.gop == 0
		data := mediatest.Lengths(mediatest.Picture(media.H264, key, c.size, byte(f.n))...)
		f.push(media.Frame{PTS: f.dts, DTS: f.dts, Wall: f.now.UnixNano(), Key: key}, data)
		for per += c.sound; per >= c.rate; per -= c.rate {
			f.push(media.Frame{Track: 1, PTS: f.dts, DTS: f.dts, Wall: f.now.UnixNano()}, make([]byte, 160))
		}
		f.tick(f.step)
	}
}

// steady sends seconds of c, no faster than the disk takes them.
func (c camera) steady(f *feeder, seconds int) {
	for range seconds {
		c.run(f, time.Second)
		f.drain()
	}
}

// cameras are the shapes that a queue of fragments and a ring have to hold.
func cameras() map[string]camera {
	auto := media.StreamConfig{RingMax: 32 << 20, RingBytes: 256 << 10}
	return map[string]camera{
		"25 pictures, ring of its need": {rate: 25, size: 8000, gop: 50, sound: 50, ring: auto},
		"60 pictures":                   {rate: 60, size: 4000, gop: 60, sound: 50, ring: auto},
		"one picture a second":          {rate: 1, size: 60000, gop: 1, sound: 25, ring: auto},
		"a group of 10 s":               {rate: 25, size: 8000, gop: 250, sound: 50, ring: auto},
	}
}

// TestDiskMayHangForFiveSeconds: nothing that arrives in 5 s in which the disk
// stands still is lost.
func TestDiskMayHangForFiveSeconds(t *testing.T) {
	for name, c := range cameras() {
		t.Run(name, func(t *testing.T) {
			h := newHanging(t)
			start := noon()
			f := h.feedOn(c.ring, RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264),
				media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1})
			c.steady(f, 10)
			release := h.hang()
			defer release()
			before := h.vol.Stats().Disk
			c.run(f, 5*time.Second)
			if st := h.vol.Stats().Disk; st.Fragments != before.Fragments || st.Queue < 4 {
				t.Fatalf("the disk did not hang: %+v, then %+v", before, st)
			}
			release()
			f.drain()
			c.steady(f, 5)
			f.end()
			h.other.end()
			h.settle()
			gaps, err := h.vol.Gaps(t.Context(), "cam", start, start.Add(20*time.Second-time.Second/2))
			if err != nil || len(gaps) != 0 {
				t.Errorf("gaps %+v, %v", gaps, err)
			}
			recs, err := h.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
			if err != nil || len(recs) != 1 || int(frames(recs[0])) != 20*c.rate {
				t.Errorf("%+v, %v, want %d pictures in one piece", recs, err, 20*c.rate)
			}
			if st := h.vol.Stats().Disk; st.Lapped != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func frames(r Recording) (n uint32) {
	for _, s := range r.Segments {
		n += s.Frames
	}
	return n
}

// TestRingGrowsWhileTheDiskHangs: what was handed to the disk before is copied out
// of the ring that follows.
func TestRingGrowsWhileTheDiskHangs(t *testing.T) {
	h := newHanging(t)
	start := noon()
	c := camera{rate: 25, size: 20000, gop: 50, ring: media.StreamConfig{RingMax: 32 << 20, RingBytes: 256 << 10}}
	f := h.feedOn(c.ring, RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	release := h.hang()
	defer release()
	size := f.stream.Ring().Size()
	c.run(f, 5*time.Second)
	if now := f.stream.Ring().Size(); now <= size {
		t.Fatalf("the ring did not grow: %d bytes", now)
	}
	if q := h.vol.Stats().Disk.Queue; q < 4 {
		t.Fatalf("%d fragments wait: the disk did not hang", q)
	}
	release()
	f.drain()
	f.end()
	h.other.end()
	h.settle()
	if _, _, bad, err := h.vol.Check(t.Context()); err != nil || len(bad) > 0 {
		t.Errorf("check: %v, %v", bad, err)
	}
	p, err := h.vol.OpenPlayback(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if n, _ := readAll(t, p); n != 125 {
		t.Errorf("%d pictures of 125", n)
	}
}

// TestDiskThatHangsLongerIsAHole: what no longer fits is one hole, with the disk as
// its cause.
func TestDiskThatHangsLongerIsAHole(t *testing.T) {
	for name, c := range cameras() {
		t.Run(name, func(t *testing.T) {
			h := newHanging(t)
			start := noon()
			f := h.feedOn(c.ring, RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264),
				media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1})
			c.steady(f, 10)
			release := h.hang()
			defer release()
			c.run(f, 40*time.Second)
			release()
			f.drain()
			c.steady(f, 20)
			f.end()
			h.other.end()
			h.settle()
			gaps, err := h.vol.Gaps(t.Context(), "cam", start, start.Add(69*time.Second))
			if err != nil || len(gaps) != 1 || gaps[0].Cause != CauseDisk {
				t.Errorf("gaps %+v, %v, want one of the disk's", gaps, err)
			}
		})
	}
}
