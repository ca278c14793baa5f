//go:build linux

package sock

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A TCP is a connected stream socket. The zero value is not usable.
type TCP struct {
	receiver
	local, remote netip.AddrPort

	send struct { // the call in progress
		fn  func(fd uintptr) bool
		iov []unix.Iovec
		n   int
		err unix.Errno
	}
}

// NewTCP takes over c, which must not be used any more.
func NewTCP(c *net.TCPConn) (*TCP, error) {
	t := &TCP{local: c.LocalAddr().(*net.TCPAddr).AddrPort(), remote: c.RemoteAddr().(*net.TCPAddr).AddrPort()}
	d, err := takeOver(c)
	if err != nil {
		return nil, err
	}
	t.prepare(d)
	t.send.fn = t.sendOnce
	return t, nil
}

// Local returns the near end's address.
func (t *TCP) Local() netip.AddrPort { return t.local }

// Remote returns the far end's address.
func (t *TCP) Remote() netip.AddrPort { return t.remote }

// Receive takes what has arrived into buf, at most its length. It waits until
// deadline if wait is set and nothing is there. It returns 0 and no error if
// nothing came in time, or Wake was called; io.EOF when the far end has closed.
func (t *TCP) Receive(buf []byte, wait bool, deadline time.Time) (int, error) {
	some, err := t.take(buf, wait, deadline)
	switch {
	case err != nil || !some:
		return 0, err
	case t.err != 0:
		return 0, fmt.Errorf("receive: %w", t.err)
	case t.n == 0:
		return 0, io.EOF
	}
	return t.n, nil
}

// SetReadBuffer bounds what the kernel keeps of what has arrived.
func (t *TCP) SetReadBuffer(n int) error {
	return t.control("read buffer", func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n) })
}

// CloseWrite tells the far end that no more is sent; what was, still is.
func (t *TCP) CloseWrite() error {
	return t.control("close for writing", func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// Unsent returns how many bytes sent are not acknowledged by the far end yet.
func (t *TCP) Unsent() (n int, err error) {
	err = t.control("unsent bytes", func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		return err
	})
	return n, err
}

// control makes a system call that is none of the media path's.
func (t *TCP) control(what string, call func(fd int) error) error {
	var failed error
	if err := t.raw.Control(func(fd uintptr) { failed = call(int(fd)) }); err != nil {
		return asClosed(err)
	}
	if failed != nil {
		return fmt.Errorf("%s: %w", what, failed)
	}
	return nil
}

// Send writes v as far as the connection takes it without waiting; what remains
// stays in v.
func (t *TCP) Send(v *Vector) error {
	for v.size > 0 {
		end := min(len(v.iov), v.from+maxVectors)
		t.send.iov = v.iov[v.from:end]
		err := t.raw.Write(t.send.fn)
		t.send.iov = nil
		switch {
		case err != nil:
			return asClosed(err)
		case t.send.err == unix.EAGAIN:
			return nil
		case t.send.err == unix.EINTR:
		case t.send.err != 0:
			return fmt.Errorf("send: %w", t.send.err)
		default:
			v.advance(t.send.n)
		}
	}
	return nil
}

func (t *TCP) sendOnce(fd uintptr) bool {
	t.send.n, t.send.err = sendmsg(fd, t.send.iov, nil)
	return true
}
