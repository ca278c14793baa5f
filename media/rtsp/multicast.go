package rtsp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pion/sdp/v3"

	"districtgateway/media/sock"
)

// A group is where a medium is sent by multicast, as far as its description tells.
type group struct {
	addr   netip.Addr // invalid: not said
	port   uint16     // 0: not said
	source bool       // the encoder says from where it sends (RFC 4570): the group is joined for that source only
}

// groupFrom reads the connection (c=), the port (m=) and the source filter
// (a=source-filter: incl) of a medium; host is the encoder's.
func groupFrom(ssd *sdp.SessionDescription, m *sdp.MediaDescription, host string) (g group) {
	for _, c := range []*sdp.ConnectionInformation{m.ConnectionInformation, ssd.ConnectionInformation} {
		if c == nil || c.Address == nil {
			continue
		}
		text, _, _ := strings.Cut(c.Address.Address, "/")
		if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil && a.IsMulticast() {
			g.addr = a
			break
		}
	}
	if p := m.MediaName.Port.Value; p > 0 && p < 65535 {
		g.port = uint16(p)
	}
	for _, a := range slices.Concat(m.Attributes, ssd.Attributes) {
		if words := strings.Fields(a.Value); a.Key == "source-filter" && len(words) > 4 && strings.EqualFold(words[0], "incl") {
			g.source = g.source || slices.Contains(words[4:], host)
		}
	}
	return g
}

// join joins the groups of RTP and RTCP that the answer to SETUP names; what it leaves
// out the description may have told. They are joined on the interface that leads to the
// encoder, and believed from its host only.
func (s *session) join(g group, got transport) error {
	addr, ports := g.addr, [2]uint16{g.port, g.port + 1}
	if got.group.IsValid() {
		addr = got.group
	}
	if got.groupPorts != nil {
		ports = [2]uint16{uint16(got.groupPorts[0]), uint16(got.groupPorts[1])}
	}
	if !addr.IsMulticast() || ports[0] == 0 || ports[1] == 0 {
		return fmt.Errorf("no group with ports is named: %w", errTransport)
	}
	p := udpPorts{host: s.host(), connected: true, shared: true}
	local := s.conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr()
	source := netip.Addr{}
	if g.source {
		source = p.host
	}
	var err error
	if p.rtp, err = sock.JoinUDP(sock.Group{Addr: netip.AddrPortFrom(addr, ports[0]), Local: local, Source: source}); err != nil {
		return fmt.Errorf("%w: %w", errTransport, err)
	}
	if p.rtcp, err = sock.JoinUDP(sock.Group{Addr: netip.AddrPortFrom(addr, ports[1]), Local: local, Source: source}); err != nil {
		p.rtp.Close()
		return fmt.Errorf("%w: %w", errTransport, err)
	}
	s.ports = append(s.ports, p)
	return nil
}

// host returns the encoder's address.
func (s *session) host() netip.Addr {
	return s.conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
}
