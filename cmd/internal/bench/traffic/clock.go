package traffic

import (
	"time"

	"golang.org/x/sys/unix"
)

// now reads the machine's monotonic clock, which is the same for the processes
// of the source and of the sinks.
func now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // every Linux has it
	return time.Duration(t.Nano())
}
