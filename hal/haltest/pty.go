// Package haltest is test support of hal: it stands in for hardware.
package haltest

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// answerWithin is the most that the kernel may take to carry bytes through a
// pseudo-terminal, which it does in a thread of its own. It is real time also where a
// test has a clock of its own: a system call holds that clock.
const answerWithin = 5000 // ms

// A PTY is the far end of a pseudo-terminal whose near end stands in for a serial port.
type PTY struct {
	t    *testing.T
	path string // of the port
	fd   int
}

// Plug makes a pseudo-terminal appear at path, until it is unplugged or the test ends.
func Plug(t *testing.T, path string) *PTY {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &PTY{t, path, fd}
	t.Cleanup(p.Unplug)
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

// Unplug makes it vanish: whoever has it open sees a port that was pulled out.
func (p *PTY) Unplug() {
	if p.fd < 0 {
		return
	}
	os.Remove(p.path)
	unix.Close(p.fd)
	p.fd = -1
}

// Read returns the next n bytes that were sent.
func (p *PTY) Read(n int) string {
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
func (p *PTY) arrives(ms int) bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, ms)
		if err != unix.EINTR {
			return n > 0 && fds[0].Revents&unix.POLLIN != 0
		}
	}
}

// Silent checks that nothing else was sent: a mark that is written to the port arrives
// first.
func (p *PTY) Silent() {
	p.t.Helper()
	near, err := os.OpenFile(p.path, unix.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer near.Close()
	if _, err := near.WriteString("mark"); err != nil {
		p.t.Fatal(err)
	}
	if got := p.Read(4); got != "mark" {
		p.t.Errorf("%q was sent besides", got)
	}
}

// Write sends from the far end.
func (p *PTY) Write(text string) {
	p.t.Helper()
	if _, err := unix.Write(p.fd, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}
