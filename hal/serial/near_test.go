package serial

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// portOf is where the port of a test is, once it is plugged in.
func portOf(t *testing.T) string { return filepath.Join(t.TempDir(), "port") }

// air is how long the frames of these tests take on the line, the pause included.
const air = 7*charBits*time.Second/2400 + gap

// answerWithin is the most, in milliseconds, that bytes may take through the kernel.
const answerWithin = 5000

// A near is the port as somebody else sees it.
type near struct{ fd int }

func openNear(path string) (near, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	return near{fd}, err
}

func (n near) close() { unix.Close(n.fd) }

// waiting returns how many bytes have come in, once there are as many as wanted.
func (n near) waiting(want int) int {
	fds := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}}
	if want > 0 {
		_, _ = unix.Poll(fds, answerWithin)
	}
	have, err := unix.IoctlGetInt(n.fd, unix.TIOCINQ)
	if err != nil {
		return -1
	}
	return have
}

// fill writes until the port takes no more, and returns how much that was.
func (n near) fill() (taken int) {
	fds := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLOUT}}
	for {
		m, err := unix.Write(n.fd, make([]byte, 64))
		taken += max(m, 0)
		if err != nil || m < 1 {
			if room, _ := unix.Poll(fds, 200); room < 1 {
				return taken
			}
		}
	}
}
