//go:build linux

package sock

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// past is an instant that has passed: as a deadline it ends a wait at once.
var past = time.Unix(1, 0)

// A receiver takes what arrives at a socket, and lets another goroutine end its
// wait. The state of the call in progress is in fields, since closures made per
// call would allocate.
type receiver struct {
	descriptor
	woken atomic.Bool

	waiting func(fd uintptr) bool
	looking func(fd uintptr)
	buf     []byte
	flags   int
	from    unix.RawSockaddrAny
	tried   bool
	n       int
	err     unix.Errno
}

func (r *receiver) prepare(d descriptor) {
	r.descriptor = d
	r.waiting = func(fd uintptr) bool {
		r.look(fd)
		return r.err != unix.EAGAIN
	}
	r.looking = r.look
}

func (r *receiver) look(fd uintptr) {
	r.tried = true
	r.n, r.err = recvfrom(fd, r.buf, r.flags, &r.from)
}

// Wake ends the wait in progress or the next one. Any goroutine.
func (r *receiver) Wake() {
	r.woken.Store(true)
	_ = r.file.SetReadDeadline(past) // fails only if closed: then nobody waits
}

// arm sets the deadline of the coming wait; it reports false if Wake was called.
// The order here and in Wake is what makes a wake-up impossible to lose: the
// flag is read after the deadline was set, and set before the deadline is.
func (r *receiver) arm(deadline time.Time) bool {
	_ = r.file.SetReadDeadline(deadline)
	return !r.woken.Swap(false)
}

// take receives into buf once, waiting until deadline if wait is set. It reports
// false if there was nothing. What has arrived is taken even if the deadline has
// passed: an owner that is late with everything must not stop receiving besides.
func (r *receiver) take(buf []byte, wait bool, deadline time.Time) (bool, error) {
	r.buf, r.tried, r.n, r.err = buf, false, 0, 0
	defer func() { r.buf = nil }()
	if wait && r.arm(deadline) {
		if err := r.raw.Read(r.waiting); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return false, asClosed(err)
		}
	}
	if !r.tried {
		if err := r.raw.Control(r.looking); err != nil {
			return false, asClosed(err)
		}
	}
	return r.err != unix.EAGAIN && r.err != unix.EINTR, nil
}
