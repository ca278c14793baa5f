package onvif

import (
	"context"
	"encoding/xml"
	"fmt"

	"github.com/use-go/onvif/media"
	xonvif "github.com/use-go/onvif/xsd/onvif"
)

// A Transport is how RTP travels.
type Transport uint8

const (
	// TCP is RTP interleaved in the RTSP connection.
	TCP Transport = iota
	// UDP is RTP over unicast UDP, set up by RTSP.
	UDP
	// HTTP is RTSP with interleaved RTP, tunnelled through HTTP.
	HTTP
	// Multicast is RTP over UDP to a group, set up by RTSP.
	Multicast
)

// protocol is the transport's name in ver10 (Media §5.15.1) and in ver20
// (Media2 §5.4).
func (t Transport) protocol() (ver10, ver20 string) {
	switch t {
	case UDP:
		return "UDP", "RtspUnicast"
	case HTTP:
		return "HTTP", "RtspOverHttp"
	case Multicast:
		return "UDP", "RtspMulticast"
	}
	return "RTSP", "RTSP"
}

type getStreamURI2 struct {
	XMLName      xml.Name `xml:"tr2:GetStreamUri"`
	Protocol     string   `xml:"tr2:Protocol"`
	ProfileToken string   `xml:"tr2:ProfileToken"`
}

type getSnapshotURI2 struct {
	XMLName      xml.Name `xml:"tr2:GetSnapshotUri"`
	ProfileToken string   `xml:"tr2:ProfileToken"`
}

// StreamURI asks where to take the profile's stream (GetStreamUri). The URI has
// the device's host, whatever host the device named, and no user information:
// who opens it authenticates.
func (c *Client) StreamURI(ctx context.Context, p Profile, t Transport) (string, error) {
	old, now := t.protocol()
	k := call{nsMedia2, "GetStreamUri", getStreamURI2{Protocol: now, ProfileToken: p.Token}, nil}
	if !p.Media2 {
		in := media.GetStreamUri{ProfileToken: xonvif.ReferenceToken(p.Token)}
		in.StreamSetup.Stream = "RTP-Unicast"
		if t == Multicast {
			in.StreamSetup.Stream = "RTP-Multicast"
		}
		in.StreamSetup.Transport.Protocol = xonvif.TransportProtocol(old)
		k.ns, k.in = nsMedia, in
	}
	return c.uri(ctx, k, "rtsp", "rtsps", "http", "https")
}

// SnapshotURI asks where to get the profile's latest JPEG by HTTP
// (GetSnapshotUri), with the same guarantees as StreamURI.
func (c *Client) SnapshotURI(ctx context.Context, p Profile) (string, error) {
	k := call{nsMedia2, "GetSnapshotUri", getSnapshotURI2{ProfileToken: p.Token}, nil}
	if !p.Media2 {
		k.ns, k.in = nsMedia, media.GetSnapshotUri{ProfileToken: xonvif.ReferenceToken(p.Token)}
	}
	return c.uri(ctx, k, "http", "https")
}

// uri performs a call answered with Uri (ver20) or MediaUri/Uri (ver10).
func (c *Client) uri(ctx context.Context, k call, schemes ...string) (string, error) {
	var x struct {
		URI      text `xml:"Uri"`
		MediaURI struct {
			URI text `xml:"Uri"`
		} `xml:"MediaUri"`
	}
	k.out = &x
	if err := c.do(ctx, k); err != nil {
		return "", err
	}
	u, err := pin(string(x.URI+x.MediaURI.URI), c.base.Hostname(), schemes...)
	if err != nil {
		return "", fmt.Errorf("onvif %s %s: %w", k.op, c.base.Host, err)
	}
	return u.String(), nil
}
