package mirror_test

import (
	"bytes"
	"runtime"
	"sync"
	"testing"

	"districtgateway/media"
	"districtgateway/media/mirror"
)

var _ media.MemoryFunc = mirror.New
var _ media.MemoryFunc = mirror.Heap

const size = 64 << 10

func mapped(t *testing.T) []byte {
	t.Helper()
	mem, mirrored, release, err := mirror.New(size)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && !mirrored {
		t.Fatal("memory is not mirrored on Linux")
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	return mem
}

func TestHalvesAreTheSameMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("mapped on Linux only")
	}
	mem := mapped(t)
	for i := range size {
		mem[i] = byte(i * 7)
	}
	if !bytes.Equal(mem[:size], mem[size:]) {
		t.Error("what was written to the first half is not in the second")
	}
	mem[size+4095] ^= 0xFF
	if mem[4095] != mem[size+4095] {
		t.Error("what was written to the second half is not in the first")
	}
}

func TestSizesThatCannotBeMappedAreRefused(t *testing.T) {
	for _, n := range []int{0, -1, 1000, 3 * 4096, 1 << 30} {
		if _, _, _, err := mirror.New(n); err == nil {
			t.Errorf("New(%d) succeeded", n)
		}
	}
}

func TestReleaseTwiceUnmapsOnce(t *testing.T) {
	_, _, release, err := mirror.New(size)
	if err != nil || release == nil {
		t.Skipf("not mapped: %v", err)
	}
	for range 2 {
		if err := release(); err != nil {
			t.Error(err)
		}
	}
}

// A reader on another goroutine sees either what was written or ErrLapped, and
// never bytes of two laps.
func TestLappedReaderNoticesOnMappedMemory(t *testing.T) {
	mem := mapped(t)
	r := media.NewRing(mem, true)
	ranges := make(chan media.Range, 256)
	var lapped, read int
	var reader sync.WaitGroup
	reader.Go(func() {
		var buf []byte
		for g := range ranges {
			var err error
			if buf, err = r.CopyOut(buf[:0], g); err != nil {
				lapped++
				continue
			}
			read++
			if want := bytes.Repeat(buf[:1], int(g.Len)); !bytes.Equal(buf, want) {
				t.Errorf("torn read at %d", g.Off)
				return
			}
		}
	})
	const n = 5000
	for i := range 4000 {
		b := r.Reserve(n)
		for j := range b {
			b[j] = byte(i)
		}
		g := r.Commit(n)
		if i < 5 || i%3 == 0 {
			ranges <- g
		}
	}
	close(ranges)
	reader.Wait()
	if read == 0 {
		t.Errorf("nothing was read; %d lapped", lapped)
	}
}
