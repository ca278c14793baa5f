//go:build linux

package sock

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// past is an instant that has passed: as a deadline it ends a wait at once.
var past = time.Unix(1, 0)

// A waker lets one goroutine end another's wait on a socket.
type waker struct {
	woken       atomic.Bool
	setDeadline func(time.Time) error
}

// Wake ends the wait in progress or the next one. Any goroutine.
func (w *waker) Wake() {
	w.woken.Store(true)
	_ = w.setDeadline(past) // fails only if closed: then nobody waits
}

// arm sets the deadline of the coming wait; it reports false if Wake was called.
// The order here and in Wake is what makes a wake-up impossible to lose: the
// flag is read after the deadline was set, and set before the deadline is.
func (w *waker) arm(deadline time.Time) bool {
	_ = w.setDeadline(deadline)
	return !w.woken.Swap(false)
}

// timedOut reports whether err only says that the deadline passed.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
