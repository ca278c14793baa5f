package rtsp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

// errNoTransport reports that none of the transports asked for can be had.
var errNoTransport = errors.New("want RTP/AVP/TCP or RTP/AVP, unicast, with ports of one's own")

// maxTransports bounds the alternatives that are looked at.
const maxTransports = 8

// choice returns the first transport asked for that can be had by a viewer at
// from. Media goes to the viewer's own address only, and to no port that could be
// a service's.
func choice(v base.HeaderValue, from netip.Addr) (headers.Transport, error) {
	tried := 0
	for _, value := range v {
		for part := range splitList(value, ",") {
			if tried++; tried > maxTransports {
				return headers.Transport{}, errNoTransport
			}
			var t headers.Transport
			if t.Unmarshal(base.HeaderValue{part}) == nil && acceptable(t, from) {
				return t, nil
			}
		}
	}
	return headers.Transport{}, errNoTransport
}

// acceptable judges one alternative.
func acceptable(t headers.Transport, from netip.Addr) bool {
	switch {
	case t.Profile != headers.TransportProfileAVP,
		t.Delivery != nil && *t.Delivery != headers.TransportDeliveryUnicast,
		t.Mode != nil && *t.Mode != headers.TransportModePlay:
		return false
	case t.Protocol == headers.TransportProtocolTCP:
		return t.InterleavedIDs == nil || t.InterleavedIDs[0] != t.InterleavedIDs[1] && max(t.InterleavedIDs[0], t.InterleavedIDs[1]) <= 255
	case t.Destination2 != nil:
		if to, err := netip.ParseAddr(strings.Trim(*t.Destination2, "[]")); err != nil || to.Unmap() != from {
			return false
		}
	}
	p := t.ClientPorts
	return p != nil && p[0] != p[1] && min(p[0], p[1]) >= leastPort && max(p[0], p[1]) <= 65535
}

// prepare makes the lane of a track, by the transport that was chosen.
func (o *offer) prepare(track int, t headers.Transport, conn *sock.TCP, ports *pairs) (*lane, error) {
	l := &lane{track: track, flow: o.flows[track], unison: o.common[track], told: o.tracks[track].Parameters}
	udp := t.Protocol == headers.TransportProtocolUDP
	if len(o.lanes) > 0 && udp != (o.lanes[0].ports != nil) {
		return nil, fmt.Errorf("another transport than the other track's: %w", errNoTransport)
	}
	if !udp {
		l.channels = o.freeChannels(t.InterleavedIDs)
		if n := l.unison; n != nil && n.Channel() != l.channels[0] {
			l.unison = nil
		}
		return l, nil
	}
	var err error
	if l.ports, err = ports.open(conn.Local().Addr().Unmap()); err != nil {
		return nil, err
	}
	l.ports.host = conn.Remote().Addr().Unmap()
	if err := l.ports.connect(uint16(t.ClientPorts[0]), uint16(t.ClientPorts[1])); err != nil {
		l.close()
		return nil, err
	}
	l.out = rtp.NewDatagrams(l.ports.rtp)
	return l, nil
}

// freeChannels returns the channels asked for, or else two that no other lane has.
func (o *offer) freeChannels(asked *[2]int) [2]byte {
	used := map[int]bool{}
	for _, l := range o.lanes {
		used[int(l.channels[0])], used[int(l.channels[1])] = true, true
	}
	if asked != nil && !used[asked[0]] && !used[asked[1]] {
		return [2]byte{byte(asked[0]), byte(asked[1])}
	}
	n := 0
	for used[n] || used[n+1] {
		n += 2
	}
	return [2]byte{byte(n), byte(n + 1)}
}

// transport tells the viewer what was agreed.
func (l *lane) transport(asked headers.Transport) base.HeaderValue {
	unicast := headers.TransportDeliveryUnicast
	t := headers.Transport{Protocol: asked.Protocol, Delivery: &unicast, SSRC: &l.flow.SSRC}
	if l.ports == nil {
		t.InterleavedIDs = &[2]int{int(l.channels[0]), int(l.channels[1])}
	} else {
		first := int(l.ports.rtp.Local().Port())
		t.ClientPorts, t.ServerPorts = asked.ClientPorts, &[2]int{first, first + 1}
	}
	return t.Marshal()
}
