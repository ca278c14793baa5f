//go:build linux

package sock

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func listen(t *testing.T, addr string) *UDP {
	t.Helper()
	u, err := ListenUDP(netip.MustParseAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

func TestConnectReachesEveryKindOfAddress(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, as string }{
		"IPv4":                            {"127.0.0.1:0", "127.0.0.1:0", ""},
		"IPv4 mapped into IPv6":           {"127.0.0.1:0", "127.0.0.1:0", "::ffff:127.0.0.1"},
		"IPv6":                            {"[::1]:0", "[::1]:0", ""},
		"IPv4 from every address":         {"0.0.0.0:0", "127.0.0.1:0", ""},
		"IPv4 from every address of IPv6": {"[::]:0", "127.0.0.1:0", ""},
		"IPv6 from every address":         {"[::]:0", "[::1]:0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := listen(t, tc.from), listen(t, tc.to)
			remote := to.Local()
			if tc.as != "" {
				remote = netip.AddrPortFrom(netip.MustParseAddr(tc.as), remote.Port())
			}
			if err := from.Connect(remote); err != nil {
				t.Fatal(err)
			}
			var b Batch
			b.Add([]byte("hello"))
			b.End()
			if n, err := from.Send(&b, 0, 1); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			buf := make([]byte, 100)
			n, err := to.Receive(buf, true, time.Now().Add(5*time.Second))
			if err != nil || string(buf[:n]) != "hello" || to.From().Port() != from.Local().Port() || to.From().Addr() != to.Local().Addr() {
				t.Errorf("%q from %s, %v", buf[:n], to.From(), err)
			}
		})
	}
}

func TestConnectRefusesWhatIsNoAddress(t *testing.T) {
	for name, remote := range map[string]netip.AddrPort{
		"nothing":          {},
		"no port":          netip.MustParseAddrPort("127.0.0.1:0"),
		"every address":    netip.MustParseAddrPort("0.0.0.0:9"),
		"the other family": netip.MustParseAddrPort("[::1]:9"),
		"unknown zone":     netip.MustParseAddrPort("[fe80::1%nowhere]:9"),
	} {
		if err := listen(t, "127.0.0.1:0").Connect(remote); err == nil {
			t.Errorf("%s: connected to %s", name, remote)
		}
	}
}

func TestWhatArrivedIsTakenThoughTheDeadlinePassed(t *testing.T) {
	from, to := udpPair(t)
	a, c := tcpPair(t)
	var b Batch
	b.Add([]byte("x"))
	b.End()
	b.Add([]byte("y"))
	b.End()
	if _, err := from.Send(&b, 0, 2); err != nil {
		t.Fatal(err)
	}
	var v Vector
	v.Add([]byte("x"))
	if err := a.Send(&v); err != nil {
		t.Fatal(err)
	}
	for range 2 { // UDP: waiting and not
		if n, err := to.Receive(make([]byte, 9), true, past); n != 1 || err != nil {
			t.Errorf("UDP: %d, %v", n, err)
		}
	}
	for n := 0; n == 0; { // loopback hands TCP over in a moment
		var err error
		if n, err = c.Receive(make([]byte, 9), false, past); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVanishedReceiverIsNoticedButNoError(t *testing.T) {
	from, to := udpPair(t)
	to.Close()
	var b Batch
	b.Add([]byte("x"))
	b.End()
	deadline := time.Now().Add(10 * time.Second)
	for from.Refused() == 0 {
		if n, err := from.Send(&b, 0, 1); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody told that the port is closed")
		}
	}
}

// TestNarrowPathCarriesDatagramsAll sends over a path whose MTU is less than a
// datagram, in a network namespace of its own.
func TestNarrowPathCarriesDatagramsAll(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace to be had: %v", err)
	}
	narrowLoopback(t, 1300)
	from, to := udpPair(t)
	var b Batch
	for range 5 {
		b.Add(make([]byte, 1412))
		b.End()
	}
	buf := make([]byte, 2000)
	for sent := 0; sent < 5; {
		next, err := from.Send(&b, sent, 5)
		if err != nil {
			t.Fatal(err)
		}
		for ; sent < next; sent++ {
			if n, err := to.Receive(buf, true, time.Now().Add(5*time.Second)); n != 1412 || err != nil {
				t.Fatal(n, err)
			}
		}
	}
	if !from.noGSO {
		t.Error("segments beyond the MTU were not refused: the path is not narrow")
	}
}

// narrowLoopback brings the loopback device up with another MTU.
func narrowLoopback(t *testing.T, mtu uint32) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint32(mtu)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFMTU, req); err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		t.Fatal(err)
	}
}
