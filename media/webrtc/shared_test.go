package webrtc

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/ice/v4"
)

// A deadline for writing, which the library sets to end one session, costs the others
// nothing.
func TestEndOfASessionCostsOthersNoPacket(t *testing.T) {
	far, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	var s interface {
		net.PacketConn
		ice.AddrPortReaderWriter
	} = shared{near}
	over := time.Now().Add(-time.Second)
	for _, end := range []func(time.Time) error{s.SetWriteDeadline, s.SetDeadline} {
		if err := end(over); err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteTo([]byte("media"), far.LocalAddr()); err != nil {
			t.Error(err)
		}
		if _, err := s.WriteToAddrPort([]byte("media"), far.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := s.ReadFromAddrPort(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading goes on: %v", err)
	}
	if err := near.SetWriteDeadline(over); err != nil {
		t.Fatal(err)
	}
	if _, err := near.WriteTo([]byte("media"), far.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a socket of its own goes on, too: %v", err) // the fault is none
	}
}

func TestMediaPortsAreShared(t *testing.T) {
	p := &ports{at: netip.MustParseAddrPort("127.0.0.1:0"), log: slog.New(slog.DiscardHandler)}
	defer p.close()
	local := netip.MustParseAddr("127.0.0.1")
	m, err := p.open(local)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := m.GetConn("x", m.LocalAddr()); err != nil {
		t.Error(err)
	} else if _, ok := c.(ice.AddrPortReaderWriter); !ok {
		t.Errorf("%T writes with an allocation a packet", c)
	}
}
