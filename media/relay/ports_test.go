package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// twoPorts returns a range of exactly two pairs that nobody has.
func twoPorts(t *testing.T) *Ports {
	t.Helper()
	for range 50 {
		p := testPorts(t)
		p.hi = p.lo + 2
		free := true
		for port := p.lo; port <= p.hi+1; port++ {
			u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if free = free && err == nil; err == nil {
				u.Close()
			}
		}
		if free {
			return p
		}
	}
	t.Fatal("no two free pairs of ports")
	return nil
}

func TestPortsRestBeforeTheyAreUsedAgain(t *testing.T) {
	p := twoPorts(t)
	open := func() (*Receiver, error) { return OpenReceiver(ReceiverConfig{Ports: p}) }
	a, err := open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if a.Local() == b.Local() || a.Local().Port()%2 != 0 {
		t.Errorf("ports %s and %s", a.Local(), b.Local())
	}
	a.Close()
	a.Close() // again: harmless
	if _, err := open(); !errors.Is(err, ErrNoPort) {
		t.Errorf("a port was used again at once: %v", err)
	}
	p.freed[a.Local().Port()] = time.Now()
	if c, err := open(); err != nil || c.Local() != a.Local() {
		t.Errorf("after its rest: %v", err)
	} else {
		c.Close()
	}
	b.Close()
}

func TestRangesHoldWholePairs(t *testing.T) {
	addr := netip.MustParseAddr("127.0.0.1")
	for _, tc := range []struct{ lo, hi, first, last uint16 }{
		{30000, 30001, 30000, 30000}, {30001, 30005, 30002, 30004}, {30000, 30002, 30000, 30000},
		{65534, 65535, 65534, 65534}, {1, 65535, 2, 65534},
		{0, 100, 0, 0}, {30001, 30002, 0, 0}, {30000, 30000, 0, 0}, {65535, 65535, 0, 0}, {5, 4, 0, 0}, {1, 0, 0, 0},
	} {
		p, err := NewPorts(addr, tc.lo, tc.hi)
		if (err != nil) != (tc.first == 0) {
			t.Errorf("%d-%d: %v", tc.lo, tc.hi, err)
		} else if err == nil && (p.lo != int(tc.first) || p.hi != int(tc.last)) {
			t.Errorf("%d-%d: pairs from %d to %d", tc.lo, tc.hi, p.lo, p.hi)
		}
	}
}

// TestNothingIsLeftOpen goes every way a session can fail, and counts what the
// process has open.
func TestNothingIsLeftOpen(t *testing.T) {
	ports := testPorts(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	dead := deadPort(t)
	receiver := func(tr Transport) *Receiver {
		r, err := OpenReceiver(ReceiverConfig{Ports: ports, Transport: tr})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	sender := func(tr Transport, remote netip.AddrPort) *Sender {
		s, err := OpenSender(SenderConfig{Ports: ports, Transport: tr, Remote: remote})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, try := range map[string]func(tr Transport) error{
		"receiver never opened": func(tr Transport) error { return receiver(tr).Close() },
		"receiver cancelled before it was told": func(tr Transport) error {
			r := receiver(tr)
			_, err := r.Open(ended)
			return errors.Join(expect(err, context.Canceled), r.Close())
		},
		"receiver closed while it opens": func(tr Transport) error {
			r := receiver(tr)
			done := make(chan error)
			go func() {
				_, err := r.Open(t.Context())
				done <- err
			}()
			r.Close()
			return expect(<-done, net.ErrClosed)
		},
		"sender without a receiver": func(tr Transport) error {
			s := sender(tr, dead)
			err := s.Connect(ended)
			s.Close(nil)
			s.Close(nil)
			if tr == UDP { // needs nobody
				return err
			}
			return expect(err, context.Canceled)
		},
		"sender closed while it connects": func(tr Transport) error {
			s := sender(tr, dead)
			done := make(chan error)
			go func() { done <- s.Connect(t.Context()) }()
			s.Close(nil)
			if err := <-done; err != nil { // UDP may have been faster
				return expect(err, net.ErrClosed)
			}
			return nil
		},
		"sender to nowhere": func(tr Transport) error {
			s := sender(tr, netip.AddrPort{})
			defer s.Close(nil)
			if err := s.Connect(ended); err == nil {
				return errors.New("connected to nowhere")
			}
			return nil
		},
	} {
		for _, tr := range []Transport{UDP, TCPPassive, TCPActive} {
			before := openFiles(t)
			if err := try(tr); err != nil {
				t.Errorf("%s, %s: %v", name, tr, err)
			}
			// A listener that two close at once is closed a moment after both returned.
			wait(t, fmt.Sprintf("%s, %s: more files are open than the %d before", name, tr, before), func() bool { return openFiles(t) <= before })
			if len(ports.used) > 0 {
				t.Errorf("%s, %s: ports %v are not freed", name, tr, ports.used)
			}
		}
	}
	if _, err := OpenReceiver(ReceiverConfig{Ports: ports, Transport: 9}); err == nil {
		t.Error("a transport that does not exist was opened")
	}
	if _, err := OpenSender(SenderConfig{Ports: ports, Transport: 9}); err == nil {
		t.Error("a transport that does not exist was opened")
	}
}

func expect(got, want error) error {
	if errors.Is(got, want) {
		return nil
	}
	return errors.Join(errors.New("want "+want.Error()), got)
}

// deadPort is a port that nobody listens at.
func deadPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// What is remembered of ports does not grow with how many were used.
func TestPortsThatHaveRestedAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := NewPorts(netip.MustParseAddr("127.0.0.1"), 30000, 39999)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			port, err := p.open(func(netip.AddrPort) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			p.free(port)
			<-time.After(time.Second)
		}
		if n := len(p.freed); n != int(portRest/time.Second) {
			t.Errorf("%d ports are remembered", n)
		}
	})
}
