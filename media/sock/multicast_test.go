//go:build linux

package sock

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	here  = netip.MustParseAddr("127.0.0.1")
	there = netip.MustParseAddr("127.0.0.7")
)

// crier returns a socket that sends to groups on the loopback interface, from an address.
func crier(t *testing.T, from netip.Addr) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := control(raw, func(fd int) error {
		return unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, here.As4())
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

func cry(t *testing.T, c *net.UDPConn, to netip.AddrPort, text string) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, u *UDP, want string, from netip.Addr) {
	t.Helper()
	buf := make([]byte, 64)
	n, err := u.Receive(buf, true, time.Now().Add(5*time.Second))
	if err != nil || string(buf[:n]) != want || u.From().Addr() != from {
		t.Fatalf("heard %q from %s, %v; want %q from %s", buf[:n], u.From(), err, want, from)
	}
}

// freeGroup returns a group with a port that nobody has.
func freeGroup(t *testing.T) netip.AddrPort {
	t.Helper()
	u, err := ListenUDP(netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	return netip.AddrPortFrom(netip.MustParseAddr("239.77.3.1"), u.Local().Port())
}

// TestGroupIsHeardByAllWhoJoined: several on one machine, each all of the group's
// datagrams and none of another group on the same port.
func TestGroupIsHeardByAllWhoJoined(t *testing.T) {
	group := freeGroup(t)
	other := netip.AddrPortFrom(netip.MustParseAddr("239.77.3.2"), group.Port())
	var members []*UDP
	for _, g := range []netip.AddrPort{group, group, other} {
		u, err := JoinUDP(Group{Addr: g, Local: here})
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		members = append(members, u)
	}
	c := crier(t, here)
	cry(t, c, other, "other")
	cry(t, c, group, "ours")
	hear(t, members[0], "ours", here)
	hear(t, members[1], "ours", here)
	hear(t, members[2], "other", here)
}

// TestGroupOfOneSourceIsHeardFromItOnly (RFC 4607).
func TestGroupOfOneSourceIsHeardFromItOnly(t *testing.T) {
	group := freeGroup(t)
	u, err := JoinUDP(Group{Addr: group, Local: here, Source: here})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	cry(t, crier(t, there), group, "stranger")
	cry(t, crier(t, here), group, "encoder")
	hear(t, u, "encoder", here)
}

func TestImpossibleGroupsAreRefused(t *testing.T) {
	for name, g := range map[string]Group{
		"no group":     {Addr: netip.MustParseAddrPort("192.0.2.1:5000"), Local: here},
		"no port":      {Addr: netip.MustParseAddrPort("239.1.1.1:0"), Local: here},
		"IPv6":         {Addr: netip.MustParseAddrPort("[ff0e::1]:5000"), Local: netip.MustParseAddr("::1")},
		"not our host": {Addr: netip.MustParseAddrPort("239.1.1.1:50001"), Local: netip.MustParseAddr("192.0.2.77")},
	} {
		if u, err := JoinUDP(g); err == nil {
			u.Close()
			t.Errorf("%s was joined", name)
		}
	}
}
