package onvif

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// probe writes a Probe message (WS-Discovery 2005/04 §5.2) for one device type,
// which must use the prefix dn or tds.
func probe(uuid, deviceType string) []byte {
	return []byte(xml.Header + `<s:Envelope xmlns:s="` + nsSOAP +
		`" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"` +
		` xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"` +
		` xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="` + nsDevice + `"><s:Header>` +
		`<a:MessageID>urn:uuid:` + uuid + `</a:MessageID>` +
		`<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
		`<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>` +
		`<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header>` +
		`<s:Body><d:Probe><d:Types>` + deviceType + `</d:Types></d:Probe></s:Body></s:Envelope>`)
}

// A Reason is why a reply, or an address in one, was ignored.
type Reason string

const (
	IgnoredOversize Reason = "oversize"         // datagram larger than 16 KiB
	IgnoredSyntax   Reason = "syntax"           // not XML, or XML we refuse
	IgnoredKind     Reason = "not probe match"  // XML, but nothing we asked for
	IgnoredStray    Reason = "not our probe"    // answers somebody else's probe
	IgnoredNoXAddr  Reason = "no usable xaddr"  // nothing left to connect to
	IgnoredScheme   Reason = "xaddr not http"   // one address: not an http(s) URL
	IgnoredLoopback Reason = "xaddr loopback"   // one address: ours to ourselves, from elsewhere
	IgnoredSelf     Reason = "xaddr is us"      // one address: one of our own, from elsewhere
	IgnoredTooMany  Reason = "too many devices" // more than 4096 endpoints
	SendFailed      Reason = "send failed"      // a probe did not leave
)

// Bounds of one reply.
const (
	maxDatagram = 16 << 10
	maxMatches  = 64
	maxXAddrs   = 16
	maxScopes   = 64
)

// A match is one ProbeMatch as it came, bounded but not yet believed.
type match struct {
	endpoint string
	types    []string
	scopes   []string
	xaddrs   []string
}

type probeReplyXML struct {
	RelatesTo text `xml:"Header>RelatesTo"`
	Matches   []struct {
		Address text `xml:"EndpointReference>Address"`
		Types   text
		Scopes  longText
		XAddrs  longText
	} `xml:"Body>ProbeMatches>ProbeMatch"`
}

// A longText holds a list of URIs.
type longText string

// UnmarshalText implements encoding.TextUnmarshaler and never fails.
func (t *longText) UnmarshalText(b []byte) error {
	*t = longText(b[:min(len(b), maxDatagram)])
	return nil
}

// fields splits a list at blanks and keeps at most most of it.
func (t longText) fields(most int) []string {
	f := strings.Fields(string(t))
	return f[:min(len(f), most)]
}

var errNotMatch = errors.New("not a probe match")

// parseReply reads the matches of one discovery reply and the message it relates
// to, which is empty when the device does not say. Errors are *SyntaxError and
// errNotMatch.
func parseReply(b []byte) (relates string, list []match, err error) {
	d, g := newDecoder(b)
	start, ok, err := nextStart(d)
	if err != nil {
		return "", nil, g.wrap(err)
	}
	if !ok || start.Name.Local != "Envelope" {
		return "", nil, errNotMatch
	}
	var x probeReplyXML
	if err := d.DecodeElement(&x, &start); err != nil {
		return "", nil, g.wrap(err)
	}
	if len(x.Matches) == 0 {
		return "", nil, errNotMatch
	}
	for _, m := range x.Matches[:min(len(x.Matches), maxMatches)] {
		list = append(list, match{endpointUUID(string(m.Address)), longText(m.Types).fields(maxScopes),
			m.Scopes.fields(maxScopes), m.XAddrs.fields(maxXAddrs)})
	}
	return endpointUUID(string(x.RelatesTo)), list, nil
}

// endpointUUID strips what devices put around the UUID of an endpoint address or
// message: urn:uuid: or uuid:, and lowers its case.
func endpointUUID(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	return strings.TrimPrefix(strings.TrimPrefix(s, "urn:"), "uuid:")
}

// scopeValues reads the ONVIF scopes (ONVIF Core §7.3.3.2) into f: what follows
// onvif://www.onvif.org/name/, hardware/, location/ and the unofficial mac/; of
// equal kinds the first counts, except for location, whose levels are joined.
func (f *Found) scopeValues() {
	for _, s := range f.Scopes {
		_, rest, ok := strings.Cut(s, "www.onvif.org/")
		if !ok {
			continue
		}
		kind, value, _ := strings.Cut(rest, "/")
		if v, err := url.PathUnescape(value); err == nil {
			value = v
		}
		value = strings.ToValidUTF8(strings.TrimSpace(value), "\uFFFD")
		f.setScope(strings.ToLower(kind), value)
	}
}

func (f *Found) setScope(kind, value string) {
	switch {
	case value == "":
	case kind == "name" && f.Name == "":
		f.Name = value
	case kind == "hardware" && f.Hardware == "":
		f.Hardware = value
	case kind == "mac" && f.HardwareAddress == "":
		f.HardwareAddress = hardwareAddress(value)
	case kind == "location" && f.Location == "":
		f.Location = value
	case kind == "location":
		f.Location += ", " + value
	}
}

// A judge decides which addresses of a reply are worth connecting to.
type judge struct {
	ours map[netip.Addr]bool // addresses of this machine
}

// xaddr returns the address to use for one XAddr of a reply from the source from,
// or why to ignore it. The host becomes the source when it leads nowhere from
// here: a name, unspecified, multicast, or link-local while the source is not.
// Loopback and our own addresses are refused unless the source is one of them:
// they would make us talk to ourselves on a stranger's word.
func (j judge) xaddr(raw string, from netip.Addr) (string, Reason) {
	u, err := pin(raw, from.String(), "http", "https")
	if err != nil {
		return "", IgnoredScheme
	}
	given, _ := url.Parse(raw) // pin has parsed it
	host, err := netip.ParseAddr(given.Hostname())
	host = host.Unmap()
	switch {
	case err == nil && host == from:
	case strings.EqualFold(given.Hostname(), "localhost") || err == nil && host.IsLoopback():
		if !from.IsLoopback() {
			return "", IgnoredLoopback
		}
	case err == nil && j.ours[host] && !j.ours[from]:
		return "", IgnoredSelf
	case err == nil && routable(host, from):
		u.Host = joinHost(host.String(), given.Port())
	}
	return u.String(), ""
}

func routable(host, from netip.Addr) bool {
	if !host.IsValid() || host.IsUnspecified() || host.IsMulticast() || host == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	return host.Zone() == "" && (!host.IsLinkLocalUnicast() || from.IsLinkLocalUnicast())
}

// found makes a Found of a match, counting what it ignores; ok is false if
// nothing to connect to is left.
func (j judge) found(m match, from netip.AddrPort, count func(Reason)) (f Found, ok bool) {
	f = Found{Endpoint: m.endpoint, Types: m.types, Scopes: m.scopes, From: from}
	for _, raw := range m.xaddrs {
		addr, why := j.xaddr(raw, from.Addr())
		if why != "" {
			count(why)
			continue
		}
		f.addXAddr(addr)
	}
	if len(f.XAddrs) == 0 {
		count(IgnoredNoXAddr)
		return Found{}, false
	}
	f.scopeValues()
	return f, true
}

// addXAddr adds an address unless it is there; those on the source come first.
func (f *Found) addXAddr(addr string) {
	for _, have := range f.XAddrs {
		if have == addr {
			return
		}
	}
	if len(f.XAddrs) >= maxXAddrs {
		return
	}
	u, err := url.Parse(addr)
	if err == nil && u.Hostname() == f.From.Addr().String() {
		f.XAddrs = append([]string{addr}, f.XAddrs...)
		return
	}
	f.XAddrs = append(f.XAddrs, addr)
}

// key is what makes two replies the same device: the endpoint, and the hardware
// address if the device tells it, since some models share one endpoint UUID. A
// reply without an endpoint is known by where it came from.
func (f Found) key() string {
	if f.Endpoint == "" {
		return "from " + f.From.Addr().String()
	}
	return f.Endpoint + " " + f.HardwareAddress
}

// String names the device for logs.
func (f Found) String() string {
	return fmt.Sprintf("%s at %s", f.Endpoint, f.From.Addr())
}
