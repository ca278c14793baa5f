package media_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mirror"
)

// A broadcast is a stream of frames, driven by hand.
type broadcast struct {
	*rig
	dts media.Ticks
	n   int
	ask []media.Frame // every frame, with where it lies
}

func newBroadcast(t testing.TB, cfg media.StreamConfig) *broadcast {
	t.Helper()
	track := mediatest.VideoTrack(media.H264)
	track.Parameters = mediatest.Parameters(media.H264)
	if cfg.RingBytes == 0 {
		cfg.RingBytes = 256 << 10
	}
	b := &broadcast{rig: newRig(t, cfg, media.Opened{Carriage: media.CarriageFrames, Tracks: []media.Track{track}})}
	b.s.Ring()
	return b
}

// send sends n pictures of size bytes at 25 a second, a key picture every group.
func (b *broadcast) send(n, group, size int) {
	b.t.Helper()
	for range n {
		b.frame(b.n%group == 0, size)
	}
}

func (b *broadcast) frame(key bool, size int) {
	b.t.Helper()
	data := mediatest.Lengths(mediatest.Picture(media.H264, key, size, byte(b.n))...)
	fr := media.Frame{Range: mediatest.Put(b.s, data), PTS: b.dts, DTS: b.dts, Wall: b.now.UnixNano(), Key: key}
	if err := b.s.PushFrame(fr); err != nil {
		b.t.Fatal(err)
	}
	b.ask = append(b.ask, fr)
	b.n++
	b.dts += 3600
	b.later(frameTime)
	b.s.Flush(b.now)
}

// state returns the ring's state as others see it.
func (b *broadcast) state() media.RingState {
	b.later(time.Second)
	b.s.Flush(b.now)
	return b.s.State().Ring
}

// whole reports every unit held whose bytes are not those that were sent.
func (b *broadcast) whole() (held int) {
	b.t.Helper()
	oldest, next := b.s.Units()
	for n := oldest; n < next; n++ {
		fr := b.ask[n]
		want := mediatest.Picture(media.H264, fr.Key, int(fr.Range.Len)-4, byte(n))
		if fr.Key {
			continue // parameter sets ride in front: judged by the others
		}
		if got := b.s.Ring().Bytes(fr.Range)[4:]; !bytes.Equal(got, want[0]) {
			b.t.Fatalf("unit %d is not what was sent", n)
		}
		held++
	}
	return held
}

var memories = map[string]media.MemoryFunc{"heap": mirror.Heap, "mapped": mirror.New}

// A ring comes to hold 6 s of its stream, and a group and 2 s if that is more.
func TestRingGrowsToWhatItsStreamNeeds(t *testing.T) {
	for name, tc := range map[string]struct {
		group, size int
		held        time.Duration
		bytes       int
	}{
		"six seconds":         {50, 8000, 6 * time.Second, 2 << 20},
		"a long group":        {250, 8000, 12 * time.Second, 4 << 20},
		"large and fast":      {25, 40000, 6 * time.Second, 8 << 20},
		"small and slow":      {50, 400, 6 * time.Second, 256 << 10},
		"one picture a group": {1, 8000, 6 * time.Second, 2 << 20},
	} {
		for kind, memory := range memories {
			t.Run(name+" "+kind, func(t *testing.T) {
				b := newBroadcast(t, media.StreamConfig{Memory: memory, RingMax: 32 << 20})
				b.send(1000, tc.group, tc.size)
				st := b.state()
				if st.Span < tc.held || st.Size != tc.bytes {
					t.Errorf("%d bytes hold %v, want %d and %v", st.Size, st.Span, tc.bytes, tc.held)
				}
				if st.Grown > 4 {
					t.Errorf("grown %d times", st.Grown)
				}
				if held := b.whole(); held == 0 && tc.group > 1 {
					t.Error("nothing is held")
				}
			})
		}
	}
}

// What was held before the ring grew is held afterwards, at its place; and so from
// the first picture on: nothing is lost before 6 s of it were sent.
func TestNothingIsLostWhileTheRingGrows(t *testing.T) {
	for kind, memory := range memories {
		t.Run(kind, func(t *testing.T) {
			b := newBroadcast(t, media.StreamConfig{Memory: memory, RingMax: 32 << 20})
			for range 145 {
				b.frame(b.n%50 == 0, 20000)
				if oldest, _ := b.s.Units(); oldest > 0 {
					t.Fatalf("after %d pictures the first one is lost; ring of %d bytes", b.n, b.s.Ring().Size())
				}
				if b.n%24 == 0 {
					b.whole()
				}
			}
			if st := b.state(); st.Grown == 0 {
				t.Fatalf("the ring did not grow: %+v", st)
			}
		})
	}
}

// A group that arrives at once, as the first one does from a sender of ours, is no
// bitrate.
func TestBurstIsNoBitrate(t *testing.T) {
	b := newBroadcast(t, media.StreamConfig{RingMax: 32 << 20, RingBytes: 1 << 20})
	for range 50 {
		b.frame(b.n%50 == 0, 16000)
		b.now = b.now.Add(-frameTime) // all of it in no time
	}
	b.send(500, 50, 16000)
	if st := b.state(); st.Size != 4<<20 {
		t.Errorf("%d bytes for 400 kB a second", st.Size)
	}
}

// A picture of a packetised stream that needs room gets it before it would be cut.
func TestRingGrowsForALargePicture(t *testing.T) {
	r := newRig(t, media.StreamConfig{RingBytes: 256 << 10, RingMax: 8 << 20},
		media.Opened{Carriage: media.CarriageRTP, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
	p := &mediatest.Packetizer{PayloadType: 96}
	for _, packet := range p.Video(media.H264, 0, mediatest.Picture(media.H264, true, 1<<20, 1)...) {
		r.push(0, packet)
		r.later(time.Millisecond / 10)
		r.s.Flush(r.now)
	}
	r.push(0, p.Video(media.H264, 3600, mediatest.Picture(media.H264, false, 1000, 2)...)...)
	if st := r.stats(); st.Damaged != 0 || st.KeyUnits != 1 {
		t.Errorf("%+v, want the key picture whole", st)
	}
}

// A ring that may not grow stays what it is: those of recordings, and by setting.
func TestRingOfFixedSizeStays(t *testing.T) {
	for name, cfg := range map[string]media.StreamConfig{
		"by setting": {},
		"patient":    {RingMax: 32 << 20, Patient: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroadcast(t, cfg)
			b.send(300, 50, 8000)
			if st := b.state(); st.Size != 256<<10 || st.Grown != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A group longer than the largest ring leaves it as large as it may be.
func TestRingIsBounded(t *testing.T) {
	for _, limit := range []int{1 << 20, 1<<20 + 1, 1<<21 - 1} { // a ring has a power of two: never more than its limit
		b := newBroadcast(t, media.StreamConfig{RingMax: limit})
		b.send(1000, 100000, 8000)
		if st := b.state(); st.Size != 1<<20 {
			t.Errorf("%d: %+v", limit, st)
		}
		var c media.Cursor
		if _, ok := c.Next(b.s); ok {
			t.Error("a consumer began without a key picture")
		}
	}
}

// A goroutine that copies out of the ring that was replaced, or out of the one that
// follows it, gets what was written or is told that it is too late.
func TestReadersOutsideTheOwnerSurviveTheGrowth(t *testing.T) {
	for kind, memory := range memories {
		t.Run(kind, func(t *testing.T) {
			b := newBroadcast(t, media.StreamConfig{Memory: memory, RingMax: 4 << 20})
			type job struct {
				ring *media.Ring
				g    media.Range
				want byte
			}
			jobs := make(chan job, 4096)
			var reader sync.WaitGroup
			read := 0
			reader.Go(func() {
				var buf []byte
				for j := range jobs {
					var err error
					buf, err = j.ring.CopyOut(buf[:0], j.g)
					if errors.Is(err, media.ErrLapped) {
						continue
					}
					if want := mediatest.Slice(media.H264, false, int(j.g.Len)-4, j.want); !bytes.Equal(buf[4:], want) {
						t.Errorf("picture %d is torn", j.want)
					}
					read++
				}
			})
			rings := map[*media.Ring]bool{}
			for range 600 {
				b.frame(b.n%50 == 0, 8000)
				ring := b.s.Ring()
				if !rings[ring] {
					rings[ring] = true
					ring.Retain()
				}
				if n := b.n - 1; n%50 != 0 {
					jobs <- job{ring, b.ask[n].Range, byte(n)}
				}
				if n := b.n - 20; n > 0 && n%50 != 0 { // handed over before the ring was this one
					jobs <- job{ring, b.ask[n].Range, byte(n)}
				}
			}
			close(jobs)
			reader.Wait()
			if len(rings) < 2 || read == 0 {
				t.Fatalf("%d rings, %d read", len(rings), read)
			}
			for r := range rings {
				if err := r.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A ring that was replaced is released once the one that follows holds nothing of
// it, and not before: a sink may be sending out of it.
func TestReplacedRingIsReleasedALapLater(t *testing.T) {
	budget := media.NewBudget(64 << 20)
	released := map[int]bool{}
	memory := func(size int) ([]byte, bool, func() error, error) {
		return make([]byte, 2*size), false, func() error { released[size] = true; return nil }, nil
	}
	b := newBroadcast(t, media.StreamConfig{Memory: memory, Budget: budget, RingMax: 32 << 20})
	var first uint64
	for b.s.Ring().Size() == 256<<10 {
		b.frame(b.n%50 == 0, 8000)
		first = b.s.Ring().Head()
	}
	for b.s.Ring().Head()+8000 < first+uint64(b.s.Ring().Size()) {
		if released[256<<10] {
			t.Fatalf("released at %d; the ring that follows began at %d", b.s.Ring().Head(), first)
		}
		b.frame(b.n%50 == 0, 8000)
	}
	b.send(300, 50, 8000)
	if !released[256<<10] {
		t.Error("never released")
	}
	if st := budget.State(); st.Used != int64(b.s.Ring().Size()) {
		t.Errorf("%d bytes are counted for a ring of %d", st.Used, b.s.Ring().Size())
	}
}

// A ring that finds no memory to grow stays, and tries again after a while.
func TestRingThatFindsNoMemoryStays(t *testing.T) {
	budget := media.NewBudget(4 << 20)
	b := newBroadcast(t, media.StreamConfig{Memory: mirror.New, Budget: budget, Purpose: media.ForRecording, RingMax: 32 << 20})
	if err := budget.Take(7<<19, media.ForRecording); err != nil {
		t.Fatal(err)
	}
	b.send(250, 50, 8000)
	st := b.state()
	if st.Size != 256<<10 || st.Refused == 0 || st.Refused > 2 || !st.Short {
		t.Errorf("%+v, want it refused and tried again after 10 s", st)
	}
	budget.Give(7<<19, media.ForRecording)
	b.send(500, 50, 8000)
	if st := b.state(); st.Size == 256<<10 || st.Short {
		t.Errorf("%+v, though there is memory now", st)
	}
}

// One that finds less than it wants takes that.
func TestRingTakesWhatMemoryThereIs(t *testing.T) {
	budget := media.NewBudget(7 << 18)
	b := newBroadcast(t, media.StreamConfig{Memory: mirror.New, Budget: budget, Purpose: media.ForRecording, RingMax: 32 << 20})
	b.send(250, 50, 8000) // 2 MiB would hold it
	if st := b.state(); st.Size != 1<<20 || st.Grown != 2 {
		t.Errorf("%+v", st)
	}
}
