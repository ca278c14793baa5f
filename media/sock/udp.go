//go:build linux

package sock

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of one segmented send: UDP_MAX_SEGMENTS of kernels before 6.9, and what
// fits a datagram of IPv4.
const (
	maxSegments  = 64
	maxSegmented = 65507
)

// bufferBytes is asked for in both directions: half a second of 16 Mbit/s. The
// kernel grants what net.core.rmem_max and wmem_max allow.
const bufferBytes = 1 << 20

// A UDP is a datagram socket. The zero value is not usable.
type UDP struct {
	waker
	conn    *net.UDPConn
	raw     syscall.RawConn
	control []byte  // UDP_SEGMENT control message
	segment *uint16 // the size in it
	noGSO   bool    // the kernel or the route refused segmentation

	// The state of the call in progress; fields, since closures made per call
	// would allocate.
	recv struct {
		fn   func(fd uintptr) bool
		buf  []byte
		from unix.RawSockaddrAny
		wait bool
		n    int
		err  unix.Errno
	}
	send struct {
		fn  func(fd uintptr) bool
		iov []unix.Iovec
		ctl []byte
		err unix.Errno
	}
}

// ListenUDP opens a socket on local. Port 0 lets the system choose.
func ListenUDP(local netip.AddrPort) (*UDP, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	return newUDP(c)
}

func newUDP(c *net.UDPConn) (*UDP, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("udp socket: %w", err)
	}
	_ = c.SetReadBuffer(bufferBytes) // what is granted is what there is
	_ = c.SetWriteBuffer(bufferBytes)
	u := &UDP{conn: c, raw: raw}
	u.setDeadline = c.SetReadDeadline
	u.control, u.segment = segmentControl()
	u.recv.fn, u.send.fn = u.recvOnce, u.sendOnce
	return u, nil
}

// Local returns the address the socket is bound to.
func (u *UDP) Local() netip.AddrPort {
	a := u.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Close closes the socket and ends a wait in progress. Any goroutine.
func (u *UDP) Close() error { return u.conn.Close() }

// Connect fixes where datagrams go, and from where they are accepted.
func (u *UDP) Connect(remote netip.AddrPort) error {
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(remote.Port()), Addr: remote.Addr().Unmap().As4()}
	if remote.Addr().Unmap().Is6() {
		sa = &unix.SockaddrInet6{Port: int(remote.Port()), Addr: remote.Addr().As16()}
	} else if u.conn.LocalAddr().(*net.UDPAddr).IP.To4() == nil {
		sa = &unix.SockaddrInet6{Port: int(remote.Port()), Addr: netip.AddrFrom16(remote.Addr().As16()).As16()}
	}
	var cerr error
	if err := u.raw.Control(func(fd uintptr) { cerr = unix.Connect(int(fd), sa) }); err != nil {
		return err
	}
	if cerr != nil {
		return fmt.Errorf("connect to %s: %w", remote, cerr)
	}
	return nil
}

// Receive takes one datagram into buf. It waits for one until deadline if wait
// is set. It returns 0 and no error if there was none in time, or Wake was called.
func (u *UDP) Receive(buf []byte, wait bool, deadline time.Time) (int, error) {
	if wait && !u.arm(deadline) {
		wait = false
	}
	r := &u.recv
	r.buf, r.wait, r.n, r.err = buf, wait, 0, 0
	err := u.raw.Read(r.fn)
	r.buf = nil
	switch {
	case timedOut(err):
		return 0, nil
	case err != nil:
		return 0, err
	case r.err == unix.EAGAIN || r.err == unix.EINTR || r.err == unix.ECONNREFUSED:
		return 0, nil // ECONNREFUSED: an ICMP answer to something sent earlier
	case r.err != 0:
		return 0, r.err
	}
	return r.n, nil
}

func (u *UDP) recvOnce(fd uintptr) bool {
	r := &u.recv
	r.n, r.err = recvfrom(fd, r.buf, &r.from)
	return r.err != unix.EAGAIN || !r.wait
}

// From returns who sent the datagram last received.
func (u *UDP) From() netip.AddrPort {
	switch a := &u.recv.from; a.Addr.Family {
	case unix.AF_INET:
		sa := inet4(a)
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), ntohs(sa.Port))
	case unix.AF_INET6:
		sa := inet6(a)
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), ntohs(sa.Port))
	}
	return netip.AddrPort{}
}

// ntohs reads a port as the kernel stores it: big-endian in memory, whatever the
// processor. All targets of this project are little-endian.
func ntohs(p uint16) uint16 { return p<<8 | p>>8 }

// Send sends datagrams first to limit-1 of b to the connected address, as many as
// the kernel takes without waiting, and returns the number after the last one
// taken. Nil error and less than limit: the socket's buffer is full.
func (u *UDP) Send(b *Batch, first, limit int) (int, error) {
	for first < limit {
		end := first + 1
		if !u.noGSO {
			end = min(b.run(first), limit)
		}
		switch errno := u.sendRun(b, first, end); {
		case errno == 0:
			first = end
		case errno == unix.EAGAIN || errno == unix.ENOBUFS:
			return first, nil
		case errno == unix.EINTR || errno == unix.ECONNREFUSED:
			// Refused: an ICMP answer to an earlier datagram, told by this call,
			// which sent nothing. The receiver may be about to open its port.
			if errno = u.sendRun(b, first, end); errno == 0 || errno == unix.ECONNREFUSED {
				first = end
			}
		case end-first > 1 && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EOPNOTSUPP):
			u.noGSO = true // the device cannot checksum, or the kernel is old
		default:
			return first, fmt.Errorf("send: %w", errno)
		}
	}
	return first, nil
}

func (u *UDP) sendRun(b *Batch, first, end int) unix.Errno {
	u.send.iov, u.send.ctl = b.iov[b.start(first):b.ends[end-1]], nil
	if end-first > 1 {
		*u.segment, u.send.ctl = uint16(b.sizes[first]), u.control
	}
	err := u.raw.Write(u.send.fn)
	u.send.iov = nil
	if err != nil {
		return unix.EBADF
	}
	return u.send.err
}

func (u *UDP) sendOnce(fd uintptr) bool {
	_, u.send.err = sendmsg(fd, u.send.iov, u.send.ctl)
	return true
}
