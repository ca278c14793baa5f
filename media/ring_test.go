package media_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"districtgateway/media"
	"districtgateway/media/mirror"
)

// ringSize is one page: small enough to wrap often.
const ringSize = 4096

// eachRing runs a test on heap memory, where the race detector sees everything,
// and on memory mapped twice.
func eachRing(t *testing.T, test func(*testing.T, *media.Ring)) {
	for name, memory := range map[string]media.MemoryFunc{"heap": mirror.Heap, "mapped": mirror.New} {
		t.Run(name, func(t *testing.T) {
			mem, mirrored, release, err := memory(ringSize)
			if err != nil {
				t.Fatal(err)
			}
			if release != nil {
				t.Cleanup(func() { _ = release() })
			}
			test(t, media.NewRing(mem, mirrored))
		})
	}
}

// put writes n bytes of value v.
func put(r *media.Ring, n int, v byte) media.Range {
	b := r.Reserve(n)
	for i := range b {
		b[i] = v
	}
	return r.Commit(n)
}

func TestRangesAreContiguousAcrossTheWrap(t *testing.T) {
	eachRing(t, func(t *testing.T, r *media.Ring) {
		var last media.Range
		for i := range 200 {
			g := put(r, 700, byte(i))
			if !r.Holds(g) || !bytes.Equal(r.Bytes(g), bytes.Repeat([]byte{byte(i)}, 700)) {
				t.Fatalf("range %d is not what was written", i)
			}
			if i > 0 && (!r.Holds(last) || !bytes.Equal(r.Bytes(last), bytes.Repeat([]byte{byte(i - 1)}, 700))) {
				t.Fatalf("range %d, the one before, was lost", i-1)
			}
			last = g
		}
	})
}

// What is written over is the same for every range that has it, wherever the ring wraps,
// and nothing beside it changes: a goroutine that copies that is not in its way.
func TestRewrittenBytesAreTheSameInEveryRange(t *testing.T) {
	eachRing(t, func(t *testing.T, r *media.Ring) {
		old := bytes.Repeat([]byte{1}, ringSize)
		first := put(r, ringSize, 1)
		for at := range uint64(3 * ringSize / 7) {
			if at > 0 {
				put(r, 7, 1) // the oldest bytes go
			}
			oldest := r.Head() - ringSize
			copied := make(chan error)
			go func() {
				b, err := r.CopyOut(nil, media.Range{Off: oldest + 2000, Len: ringSize - 2000})
				if err == nil && !bytes.Equal(b, old[2000:]) {
					err = errors.New("other bytes changed")
				}
				copied <- err
			}()
			r.Rewrite(oldest+1000, []byte("rewritten"))
			if err := <-copied; err != nil {
				t.Fatal(err)
			}
			want := append(append(bytes.Clone(old[:1000]), "rewritten"...), old[1009:]...)
			for _, from := range []uint64{0, 500, 1000, 1004} {
				if got := r.Bytes(media.Range{Off: oldest + from, Len: uint32(ringSize - from)}); !bytes.Equal(got, want[from:]) {
					t.Fatalf("from %d of %d on it is not what was written", from, oldest)
				}
			}
			r.Rewrite(oldest+1000, old[:9])
		}
		if r.Holds(first) {
			t.Error("the ring did not wrap")
		}
	})
}

// A packet that came in two pieces, as over TCP, is one range, wherever the ring
// wraps.
func TestRangeOverTwoCommitsIsContiguous(t *testing.T) {
	eachRing(t, func(t *testing.T, r *media.Ring) {
		for i := range 100 {
			a, b := put(r, 500, byte(i)), put(r, 333, byte(i))
			g := media.Range{Off: a.Off, Len: a.Len + b.Len}
			if !bytes.Equal(r.Bytes(g), bytes.Repeat([]byte{byte(i)}, 833)) {
				t.Fatalf("range %d at %d is not what was written", i, g.Off)
			}
		}
	})
}

func TestReserveLosesWhatItMayOverwrite(t *testing.T) {
	eachRing(t, func(t *testing.T, r *media.Ring) {
		first := put(r, 1000, 1)
		put(r, 1000, 2)
		r.Reserve(ringSize - 2000) // fills the ring exactly
		if !r.Holds(first) {
			t.Error("lost before it may have been overwritten")
		}
		r.Reserve(ringSize - 2000 + 1)
		if r.Holds(first) {
			t.Error("held although one byte may have been overwritten")
		}
		if _, err := r.CopyOut(nil, first); !errors.Is(err, media.ErrLapped) {
			t.Errorf("CopyOut: %v, want ErrLapped", err)
		}
		r.Commit(0) // nothing came: what was reserved stays lost
		if r.Holds(first) {
			t.Error("held again")
		}
	})
}

func TestHoldsNothingThatWasNotCommitted(t *testing.T) {
	eachRing(t, func(t *testing.T, r *media.Ring) {
		g := put(r, 10, 1)
		if r.Holds(media.Range{Off: g.Off, Len: 11}) || r.Holds(media.Range{Off: 11, Len: 1}) {
			t.Error("holds bytes that were never written")
		}
	})
}

// A reader on another goroutine gets what was written or ErrLapped.
func TestLappedReaderOnAnotherGoroutineNotices(t *testing.T) {
	eachRing(t, func(t *testing.T, r *media.Ring) {
		ranges := make(chan media.Range, 64)
		var read, lapped int
		var reader sync.WaitGroup
		r.Retain()
		reader.Go(func() {
			defer r.Release()
			var buf []byte
			for g := range ranges {
				var err error
				if buf, err = r.CopyOut(buf[:0], g); err != nil {
					lapped++
				} else if read++; !bytes.Equal(buf, bytes.Repeat(buf[:1], int(g.Len))) {
					t.Errorf("torn read at %d", g.Off)
				}
			}
		})
		for i := range 5000 {
			g := put(r, 900, byte(i))
			select {
			case ranges <- g:
			default: // the reader is behind already
			}
		}
		close(ranges)
		reader.Wait()
		if read+lapped == 0 {
			t.Error("the reader saw nothing")
		}
	})
}

func TestMemoryIsReleasedByTheLastUser(t *testing.T) {
	released := 0
	s := media.NewStream(media.StreamConfig{
		RingBytes: 64 << 10,
		Memory: func(size int) ([]byte, bool, func() error, error) {
			return make([]byte, 2*size), false, func() error { released++; return nil }, nil
		},
	}, nil)
	r := s.Ring()
	r.Retain()
	if err := r.Release(); err != nil || released != 0 {
		t.Errorf("released %d times while the owner holds it (%v)", released, err)
	}
	if err := r.Release(); err != nil || released != 1 {
		t.Errorf("released %d times, want once (%v)", released, err)
	}
}

func TestRingRefusesOtherSizes(t *testing.T) {
	for _, n := range []int{0, 2 * 1000, 4097} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewRing took %d bytes", n)
				}
			}()
			media.NewRing(make([]byte, n), false)
		}()
	}
}
