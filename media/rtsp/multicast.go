package rtsp

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"districtgateway/media/sock"
)

// A group is where a medium is sent to, as far as its description tells.
type group struct {
	addr   netip.Addr // of a group, or of one receiver; invalid: not said
	port   uint16     // of RTP; 0: not said
	rtcp   uint16     // 0: RTCP comes to the port of RTP (RFC 5761), or the port is not said
	source bool       // the encoder says from where it sends (RFC 4570): the group is joined for that source only
}

// groupFrom reads the connection (c=), the ports (m=, a=rtcp) and the source filter
// (a=source-filter: incl) of a medium; host is the encoder's.
func groupFrom(ssd *sdp.SessionDescription, m *sdp.MediaDescription, host string) (g group) {
	for _, c := range []*sdp.ConnectionInformation{m.ConnectionInformation, ssd.ConnectionInformation} {
		if c == nil || c.Address == nil || g.addr.IsMulticast() {
			continue
		}
		text, _, _ := strings.Cut(c.Address.Address, "/")
		if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil && (a.IsMulticast() || !g.addr.IsValid()) {
			g.addr = a
		}
	}
	if p := m.MediaName.Port.Value; p > 0 && p < 65535 {
		g.port, g.rtcp = uint16(p), uint16(p)+1
	}
	for _, a := range slices.Concat(m.Attributes, ssd.Attributes) {
		words := strings.Fields(a.Value)
		switch {
		case a.Key == "source-filter" && len(words) > 4 && strings.EqualFold(words[0], "incl"):
			g.source = g.source || slices.Contains(words[4:], host)
		case a.Key == "rtcp-mux":
			g.rtcp = 0
		case a.Key == "rtcp" && len(words) > 0 && g.rtcp != 0: // RFC 3605
			if n, err := strconv.ParseUint(words[0], 10, 16); err == nil && n > 0 {
				g.rtcp = uint16(n)
			}
		}
	}
	return g
}

// join joins the groups of RTP and RTCP that the answer to SETUP names; what it leaves
// out the description may have told. They are joined on the interface that leads to the
// encoder, and believed from its host only.
func (s *session) join(g group, got transport) error {
	addr, ports := g.addr, [2]uint16{g.port, cmp.Or(g.rtcp, g.port)}
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
	if ports[1] == ports[0] {
		ports[1]++ // nothing comes there, and nothing is lost
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
