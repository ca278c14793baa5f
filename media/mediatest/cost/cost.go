// Package cost tells tests what an input costs.
package cost

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// What one input may cost, whoever it comes from.
const (
	maxInputTime   = 10 * time.Millisecond // of a processor
	maxInputMemory = 8 << 20               // bytes allocated
)

// Bound calls handle, which takes in one input, and fails t if that takes more
// than 10 ms of a processor or allocates more than 8 MB. It counts what its own
// thread used, so that a busy machine is no fault; whoever exceeds a bound is given
// two more tries, since a collection of garbage may fall into one. Handle must not
// depend on being called once. Under the race detector time is not judged.
func Bound(t *testing.T, handle func()) {
	t.Helper()
	if err := exceeded(handle); err != nil {
		t.Error(err)
	}
}

// exceeded returns what was exceeded in each of three tries.
func exceeded(handle func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var spent time.Duration
	var allocated uint64
	for range 3 {
		memory, began := allocations(), threadTime()
		handle()
		spent, allocated = threadTime()-began, allocations()-memory
		if (spent <= maxInputTime || raceDetector) && allocated <= maxInputMemory {
			return nil
		}
	}
	return fmt.Errorf("one input took %s of a processor and %d bytes of memory, want %s and %d at most",
		spent, allocated, maxInputTime, maxInputMemory)
}

// threadTime returns the processor time that the calling thread has used.
func threadTime() time.Duration {
	const ownThread = 1 // RUSAGE_THREAD of getrusage(2)
	var u syscall.Rusage
	if err := syscall.Getrusage(ownThread, &u); err != nil {
		panic(err) // a constant argument and a valid pointer: the kernel is not Linux
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allocations returns the bytes allocated by the process, to within a few pages.
func allocations() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
