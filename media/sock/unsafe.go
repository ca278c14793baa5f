//go:build linux

package sock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// addVector appends p to iov, joining it with the last piece if that is at or
// after index from and p follows it in memory. The joined piece keeps the first of
// them alive only: whoever adds memory keeps it until it was sent.
func addVector(iov []unix.Iovec, from int, p []byte) []unix.Iovec {
	base := unsafe.SliceData(p)
	if n := len(iov); n > from {
		last := &iov[n-1] // compared as numbers: a pointer past an object's end may be another object's
		if uintptr(unsafe.Pointer(last.Base))+uintptr(last.Len) == uintptr(unsafe.Pointer(base)) {
			last.SetLen(int(last.Len) + len(p))
			return iov
		}
	}
	v := unix.Iovec{Base: base}
	v.SetLen(len(p))
	return append(iov, v)
}

func at(base *byte, n int) *byte { return (*byte)(unsafe.Add(unsafe.Pointer(base), n)) }

func bytesOf(v unix.Iovec) []byte { return unsafe.Slice(v.Base, int(v.Len)) }

// sendmsg sends the iovecs with an optional control message, without blocking.
func sendmsg(fd uintptr, iov []unix.Iovec, control []byte) (int, unix.Errno) {
	var h unix.Msghdr
	h.Iov = unsafe.SliceData(iov)
	h.SetIovlen(len(iov))
	if len(control) > 0 {
		h.Control = unsafe.SliceData(control)
		h.SetControllen(len(control))
	}
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&h)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return int(n), errno
}

// recvfrom receives into b without blocking; the sender's address goes to from.
func recvfrom(fd uintptr, b []byte, flags int, from *unix.RawSockaddrAny) (int, unix.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags|unix.MSG_DONTWAIT),
		uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&size)))
	return int(n), errno
}

// segmentControl returns the control message that asks the kernel to cut a send
// into datagrams of a given size (UDP_SEGMENT, linux/udp.h), and where in it the
// size stands.
func segmentControl() (control []byte, size *uint16) {
	control = make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	return control, (*uint16)(unsafe.Pointer(&control[unix.CmsgLen(0)]))
}

// inet4 and inet6 view a raw address as that of their family.
func inet4(a *unix.RawSockaddrAny) *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
}

func inet6(a *unix.RawSockaddrAny) *unix.RawSockaddrInet6 {
	return (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
}
