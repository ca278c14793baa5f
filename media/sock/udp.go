//go:build linux

package sock

import (
	"fmt"
	"net"
	"net/netip"
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
	receiver
	local   netip.AddrPort
	control []byte  // UDP_SEGMENT control message
	segment *uint16 // the size in it
	noGSO   bool    // the kernel or the route refused segmentation
	refused uint64  // see Refused

	send struct { // the call in progress
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
	_ = c.SetReadBuffer(bufferBytes) // what is granted is what there is
	_ = c.SetWriteBuffer(bufferBytes)
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	u := &UDP{local: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}
	d, err := takeOver(c)
	if err != nil {
		return nil, err
	}
	u.prepare(d)
	u.control, u.segment = segmentControl()
	u.send.fn = u.sendOnce
	return u, nil
}

// Local returns the address the socket is bound to.
func (u *UDP) Local() netip.AddrPort { return u.local }

// Connect fixes where datagrams go, and from where they are accepted.
func (u *UDP) Connect(remote netip.AddrPort) error {
	if !remote.IsValid() || remote.Port() == 0 || remote.Addr().IsUnspecified() {
		return fmt.Errorf("connect to %s: want an address and a port", remote)
	}
	var cerr error
	err := u.raw.Control(func(fd uintptr) {
		var sa unix.Sockaddr
		if sa, cerr = addressFor(int(fd), remote); cerr == nil {
			cerr = unix.Connect(int(fd), sa)
		}
	})
	if err != nil {
		cerr = asClosed(err)
	}
	if cerr != nil {
		return fmt.Errorf("connect to %s: %w", remote, cerr)
	}
	return nil
}

// addressFor returns remote in the address family of a socket: one bound to every
// address is of IPv6, and takes IPv4 addresses mapped into it (RFC 4291 §2.5.5.2).
func addressFor(fd int, remote netip.AddrPort) (unix.Sockaddr, error) {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	addr, port := remote.Addr().Unmap(), int(remote.Port())
	switch {
	case err != nil:
		return nil, err
	case family == unix.AF_INET && addr.Is4():
		return &unix.SockaddrInet4{Port: port, Addr: addr.As4()}, nil
	case family == unix.AF_INET:
		return nil, unix.EAFNOSUPPORT
	}
	sa := &unix.SockaddrInet6{Port: port, Addr: addr.As16()}
	if zone := addr.Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, err
		}
		sa.ZoneId = uint32(i.Index)
	}
	return sa, nil
}

// mostEmpty is how many datagrams of nothing are passed over in one call: a flood of
// them must not keep the owner.
const mostEmpty = 64

// Receive takes one datagram into buf. It waits for one until deadline if wait
// is set. It returns 0 and no error if there was none in time, or Wake was called.
// Datagrams of no bytes are passed over.
func (u *UDP) Receive(buf []byte, wait bool, deadline time.Time) (int, error) {
	for range mostEmpty {
		some, err := u.take(buf, wait, deadline)
		switch {
		case err != nil || !some:
			return 0, err
		case lostOnTheWay(u.err):
			return 0, nil // an answer to something sent earlier
		case u.err != 0:
			return 0, fmt.Errorf("receive: %w", u.err)
		case u.n > 0:
			return u.n, nil
		case u.flags&unix.MSG_PEEK != 0:
			u.discard(buf) // or it would stay for ever
		}
	}
	return 0, nil
}

// Peek is Receive, but the datagram stays: the next Receive gets it again.
func (u *UDP) Peek(buf []byte, wait bool, deadline time.Time) (int, error) {
	u.flags = unix.MSG_PEEK
	defer func() { u.flags = 0 }()
	return u.Receive(buf, wait, deadline)
}

// discard takes the datagram that a Peek has seen.
func (u *UDP) discard(buf []byte) {
	u.flags = 0
	_, _ = u.take(buf, false, time.Time{}) // what is wrong with the socket the next call says
	u.flags = unix.MSG_PEEK
}

// From returns who sent the datagram last received.
func (u *UDP) From() netip.AddrPort {
	switch a := &u.receiver.from; a.Addr.Family {
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
// taken. Nil error and less than limit: the socket's buffer is full. A datagram
// that finds no way is lost, like one lost on the way; see Refused.
func (u *UDP) Send(b *Batch, first, limit int) (int, error) {
	for first < limit {
		end := first + 1
		if !u.noGSO {
			end = min(b.run(first), limit)
		}
		errno, err := u.sendRun(b, first, end)
		switch {
		case err != nil:
			return first, err
		case errno == 0:
			first = end
		case errno == unix.EAGAIN || errno == unix.ENOBUFS:
			return first, nil
		case errno == unix.EINTR:
		case end-first > 1 && refusesSegments(errno):
			u.noGSO = true
		case lostOnTheWay(errno):
			if first, err = u.sendAgain(b, first, end); err != nil {
				return first, err
			}
		default:
			return first, fmt.Errorf("send: %w", errno)
		}
	}
	return first, nil
}

// sendAgain sends after an error that may tell of an earlier datagram (ICMP): the
// call that reports it sends nothing. If the error stays, the datagrams are lost.
func (u *UDP) sendAgain(b *Batch, first, end int) (int, error) {
	u.refused++
	errno, err := u.sendRun(b, first, end)
	if err == nil && (errno == 0 || lostOnTheWay(errno)) {
		first = end
	}
	return first, err // anything else comes again at the next call
}

// Refused returns how often the far end, or the way there, told that datagrams do
// not arrive: nobody listens at the port, or there is no route. The receiver may
// be about to open its port, so that this is no error of Send.
func (u *UDP) Refused() uint64 { return u.refused }

// refusesSegments reports whether errno can mean that only segmented sends fail:
// the device cannot checksum, the kernel is old, or a segment exceeds the MTU of
// the way, where single datagrams are fragmented.
func refusesSegments(errno unix.Errno) bool {
	switch errno {
	case unix.EIO, unix.EINVAL, unix.EOPNOTSUPP, unix.EMSGSIZE:
		return true
	}
	return false
}

// lostOnTheWay reports whether errno tells of one datagram, now or by an ICMP
// answer to an earlier one, rather than of the socket.
func lostOnTheWay(errno unix.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN,
		unix.EMSGSIZE, unix.ENOPROTOOPT, unix.EPERM:
		return true
	}
	return false
}

func (u *UDP) sendRun(b *Batch, first, end int) (unix.Errno, error) {
	u.send.iov, u.send.ctl = b.iov[b.start(first):b.ends[end-1]], nil
	if end-first > 1 {
		*u.segment, u.send.ctl = uint16(b.sizes[first]), u.control
	}
	err := u.raw.Write(u.send.fn)
	u.send.iov = nil
	if err != nil {
		err = asClosed(err)
	}
	return u.send.err, err
}

func (u *UDP) sendOnce(fd uintptr) bool {
	_, u.send.err = sendmsg(fd, u.send.iov, u.send.ctl)
	return true
}
