package serial

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// answerWithin is the most that the kernel may take to carry bytes through a
// pseudo-terminal, which it does in a thread of its own. It is real time also where a
// test has a clock of its own: a system call holds that clock.
const answerWithin = 5000 // ms

// A pty is the far end of a pseudo-terminal whose near end stands in for a serial port.
type pty struct {
	t    *testing.T
	path string // of the port
	fd   int
}

// plug makes a pseudo-terminal appear at path.
func plug(t *testing.T, path string) *pty {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{t, path, fd}
	t.Cleanup(p.unplug)
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(fmt.Sprintf("/dev/pts/%d", n), path); err != nil {
		t.Fatal(err)
	}
	return p
}

// unplug makes it vanish.
func (p *pty) unplug() {
	if p.fd < 0 {
		return
	}
	os.Remove(p.path)
	unix.Close(p.fd)
	p.fd = -1
}

// read returns the next n bytes that were sent.
func (p *pty) read(n int) string {
	p.t.Helper()
	b := make([]byte, n)
	for have := 0; have < n; {
		m, err := unix.Read(p.fd, b[have:])
		switch {
		case err == unix.EAGAIN:
			if !p.arrives(answerWithin) {
				p.t.Fatalf("%q came, want %d bytes", b[:have], n)
			}
		case err != nil || m == 0:
			p.t.Fatalf("read of the far end: %d, %v", m, err)
		default:
			have += m
		}
	}
	return string(b)
}

// arrives waits for something to read, milliseconds at most.
func (p *pty) arrives(ms int) bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, ms)
		if err != unix.EINTR {
			return n > 0 && fds[0].Revents&unix.POLLIN != 0
		}
	}
}

// silent checks that nothing else was sent. The mark that is written back and forth
// proves that what the kernel carries has arrived.
func (p *pty) silent() {
	p.t.Helper()
	near, err := os.OpenFile(p.path, unix.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer near.Close()
	if _, err := near.WriteString("mark"); err != nil {
		p.t.Fatal(err)
	}
	if got := p.read(4); got != "mark" {
		p.t.Errorf("%q was sent besides", got)
	}
}

// portOf is where the port of a test is, once it is plugged in.
func portOf(t *testing.T) string { return filepath.Join(t.TempDir(), "port") }

// air is how long the frames of these tests take on the line, the pause included.
const air = 7*charBits*time.Second/2400 + gap

// write sends from the far end.
func (p *pty) write(text string) {
	p.t.Helper()
	if _, err := unix.Write(p.fd, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

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
