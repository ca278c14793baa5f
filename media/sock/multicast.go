//go:build linux

package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Group is what a socket takes of a multicast group.
type Group struct {
	Addr   netip.AddrPort // of the group: IPv4
	Local  netip.Addr     // ours, on the interface it is joined on
	Source netip.Addr     // join for what it sends only (RFC 4607); invalid: for what anybody sends
}

// JoinUDP opens a socket that takes a group's datagrams, besides others on this machine
// that do. The kernel tells the network (IGMP) when it joins, and when it leaves, which
// it does with Close. Without a Source datagrams of anybody come: see [UDP.From].
func JoinUDP(g Group) (*UDP, error) {
	group, local := g.Addr.Addr().Unmap(), g.Local.Unmap()
	if !group.Is4() || !group.IsMulticast() || !local.Is4() || g.Addr.Port() == 0 {
		return nil, fmt.Errorf("join %s from %s: want an IPv4 group with a port, and an IPv4 address of ours", g.Addr, g.Local)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return control(c, share) }}
	// The library binds to every address where it is given a group: what else comes to the
	// port than of the groups joined is kept out by IP_MULTICAST_ALL, and by who reads.
	p, err := lc.ListenPacket(context.Background(), "udp4", netip.AddrPortFrom(group, g.Addr.Port()).String())
	if err != nil {
		return nil, err
	}
	c := p.(*net.UDPConn)
	raw, err := c.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) error { return join(fd, group.As4(), local.As4(), g.Source.Unmap()) })
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("join %s on %s: %w", g.Addr, g.Local, err)
	}
	return newUDP(c)
}

// control runs f on a descriptor.
func control(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	err := c.Control(func(fd uintptr) { inner = f(int(fd)) })
	return errors.Join(err, inner)
}

// share lets several sockets take the same group.
func share(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
}

// join joins a group on the interface with a local address.
func join(fd int, group, local [4]byte, source netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
		return err
	}
	if !source.Is4() {
		return unix.SetsockoptIPMreq(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{Multiaddr: group, Interface: local})
	}
	from := source.As4()
	request := append(append(append(make([]byte, 0, 12), group[:]...), local[:]...), from[:]...) // struct ip_mreq_source
	return unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_ADD_SOURCE_MEMBERSHIP, string(request))
}
