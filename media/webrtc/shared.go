package webrtc

import (
	"net"
	"net/netip"
	"time"
)

// A shared is a socket that all sessions send by. The ICE library ends one of them by a
// deadline for writing that is over: whoever else writes at that instant would lose
// a packet. Writing to UDP waits for the network card at most, so nothing need be cut
// short; closing the socket does so in any case.
type shared struct{ *net.UDPConn }

// SetWriteDeadline does nothing.
func (shared) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline bounds reading.
func (s shared) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// ReadFromAddrPort is ReadFrom without allocation; see [ice.AddrPortReaderWriter].
func (s shared) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	return s.ReadFromUDPAddrPort(b)
}

// WriteToAddrPort is WriteTo without allocation.
func (s shared) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return s.WriteToUDPAddrPort(b, to)
}
