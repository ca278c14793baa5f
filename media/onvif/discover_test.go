package onvif

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/ipv4"
)

// probeMatches writes a reply as one vendor does; relates may be empty.
func probeMatches(relates, uuid, scopes, xaddrs string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"
xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:wsdd="http://schemas.xmlsoap.org/ws/2005/04/discovery"><SOAP-ENV:Header>
<wsa:RelatesTo>` + relates + `</wsa:RelatesTo></SOAP-ENV:Header><SOAP-ENV:Body><wsdd:ProbeMatches><wsdd:ProbeMatch>
<wsa:EndpointReference><wsa:Address>` + uuid + `</wsa:Address></wsa:EndpointReference><wsdd:Types>dn:NetworkVideoTransmitter tds:Device</wsdd:Types>
<wsdd:Scopes>` + scopes + `</wsdd:Scopes><wsdd:XAddrs>` + xaddrs + `</wsdd:XAddrs><wsdd:MetadataVersion>1</wsdd:MetadataVersion>
</wsdd:ProbeMatch></wsdd:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>`
}

const someScopes = `onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Gate%20%E4%B8%9C onvif://www.onvif.org/hardware/X1
onvif://www.onvif.org/location/country/china onvif://www.onvif.org/location/city/x onvif://www.onvif.org/MAC/02:00:00:00:00:09 urn:other`

// replyCases also seed FuzzParseReply.
var replyCases = map[string]struct {
	in      string
	relates string
	want    []match
	err     string // "", "kind" or "syntax"
}{
	"whole": {
		probeMatches("uuid:AB", "urn:uuid:CD-1", "a b", "http://192.0.2.1/d http://[::1]/d"), "ab",
		[]match{{"cd-1", []string{"dn:NetworkVideoTransmitter", "tds:Device"}, []string{"a", "b"}, []string{"http://192.0.2.1/d", "http://[::1]/d"}}}, "",
	},
	"no prefixes, two matches": {
		plain(`<ProbeMatches><ProbeMatch><EndpointReference><Address>x</Address></EndpointReference><XAddrs>u</XAddrs></ProbeMatch><ProbeMatch/></ProbeMatches>`), "",
		[]match{{"x", []string{}, []string{}, []string{"u"}}, {"", []string{}, []string{}, []string{}}}, "",
	},
	"empty xaddrs":    {probeMatches("", "urn:uuid:1", "", ""), "", []match{{"1", []string{"dn:NetworkVideoTransmitter", "tds:Device"}, []string{}, []string{}}}, ""},
	"gbk in a name":   {probeMatches("", "urn:uuid:1", "\xb6\xab", "u"), "", []match{{"1", []string{"dn:NetworkVideoTransmitter", "tds:Device"}, []string{"\uFFFD"}, []string{"u"}}}, ""},
	"empty":           {"", "", nil, "syntax"},
	"not xml":         {"notxml", "", nil, "syntax"},
	"cut off":         {probeMatches("", "urn:uuid:1", "", "")[:300], "", nil, "syntax"},
	"crossed tags":    {"<Envelope><Body></Envelope></Body>", "", nil, "syntax"},
	"document type":   {`<!DOCTYPE x [<!ENTITY e "e">]>` + plain("&e;"), "", nil, "syntax"},
	"unknown entity":  {plain("&e;"), "", nil, "syntax"},
	"other charset":   {`<?xml version="1.0" encoding="utf-7"?>` + plain(""), "", nil, "syntax"},
	"utf-16":          {"\xfe\xff\x00<\x00E", "", nil, "syntax"},
	"nul":             {"<Envelope>\x00</Envelope>", "", nil, "syntax"},
	"deep":            {strings.Repeat("<Envelope>", 70), "", nil, "syntax"},
	"html":            {"<html/>", "", nil, "kind"},
	"no match":        {plain("<ProbeMatches/>"), "", nil, "kind"},
	"a probe":         {string(probe("1", "tds:Device")), "", nil, "kind"},
	"our own hello":   {plain("<Hello><XAddrs>http://192.0.2.1/</XAddrs></Hello>"), "", nil, "kind"},
	"instruction":     {`<?xml-stylesheet href="x"?>` + plain(""), "", nil, "syntax"},
	"attribute twice": {`<Envelope a="1" a="2"><Body/></Envelope>`, "", nil, "kind"},
}

func kindOf(err error) string {
	_, syntax := errors.AsType[*SyntaxError](err)
	switch {
	case err == nil:
		return ""
	case syntax:
		return "syntax"
	case errors.Is(err, errNotMatch):
		return "kind"
	}
	return "untyped"
}

func TestParseReplyReadsVendorsAndRefusesDamage(t *testing.T) {
	for name, tc := range replyCases {
		t.Run(name, func(t *testing.T) {
			relates, got, err := parseReply([]byte(tc.in))
			if kindOf(err) != tc.err || relates != tc.relates {
				t.Errorf("%q, %v, want %q, %q", relates, err, tc.relates, tc.err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(match{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseReply(f *testing.F) {
	for _, tc := range replyCases {
		f.Add([]byte(tc.in))
	}
	f.Add([]byte(probeMatches("", "urn:uuid:1", someScopes, "http://0.0.0.0/ https://h:1/x http://127.0.0.1/")))
	from := netip.MustParseAddrPort("192.0.2.7:3702")
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, list, err := parseReply(in); kindOf(err) == "untyped" || len(list) > maxMatches || err == nil && len(list) == 0 {
			t.Fatalf("%d matches, %v", len(list), err)
		}
		c := newCollector()
		c.reply(in, from)
		for _, found := range c.found {
			if len(found.XAddrs) == 0 || len(found.XAddrs) > maxXAddrs || found.key() == "" {
				t.Fatalf("%+v", found)
			}
			for _, x := range found.XAddrs {
				u, err := parseAddress(x)
				if err != nil || u.Hostname() == "localhost" || u.Hostname() == "0.0.0.0" || strings.HasPrefix(u.Hostname(), "127.") {
					t.Fatalf("believed %q: %v", x, err)
				}
			}
		}
		if len(c.found) == 0 && len(c.ignored) == 0 {
			t.Fatal("ignored without a reason")
		}
	})
}

func TestAddressesOfRepliesAreJudged(t *testing.T) {
	const lan, self = "192.0.2.7", "192.0.2.200"
	j := judge{map[netip.Addr]bool{netip.MustParseAddr(self): true, netip.MustParseAddr("127.0.0.1"): true}}
	for name, tc := range map[string]struct {
		raw, from string
		want      string
		why       Reason
	}{
		"as answered":             {"http://192.0.2.7:8080/d", lan, "http://192.0.2.7:8080/d", ""},
		"unspecified":             {"https://0.0.0.0:8443/d", lan, "https://192.0.2.7:8443/d", ""},
		"link-local":              {"http://169.254.3.4/d", lan, "http://192.0.2.7/d", ""},
		"both link-local":         {"http://169.254.3.4/d", "169.254.9.9", "http://169.254.3.4/d", ""},
		"ipv6 link-local":         {"http://[fe80::1%25eth0]:81/d", lan, "http://192.0.2.7:81/d", ""},
		"name":                    {"http://camera:81/d", lan, "http://192.0.2.7:81/d", ""},
		"multicast":               {"http://239.1.1.1/d", lan, "http://192.0.2.7/d", ""},
		"broadcast":               {"http://255.255.255.255/d", lan, "http://192.0.2.7/d", ""},
		"second network":          {"http://198.51.100.7/d", lan, "http://198.51.100.7/d", ""},
		"global ipv6":             {"http://[2001:db8::7]/d", lan, "http://[2001:db8::7]/d", ""},
		"loopback":                {"http://127.0.0.1/d", lan, "", IgnoredLoopback},
		"other loopback":          {"http://127.8.8.8/d", lan, "", IgnoredLoopback},
		"ipv6 loopback":           {"http://[::1]/d", lan, "", IgnoredLoopback},
		"mapped loopback":         {"http://[::ffff:127.0.0.1]/d", lan, "", IgnoredLoopback},
		"localhost":               {"http://LocalHost/d", lan, "", IgnoredLoopback},
		"us":                      {"http://192.0.2.200/d", lan, "", IgnoredSelf},
		"loopback from loopback":  {"http://127.0.0.1:81/d", "127.0.0.1", "http://127.0.0.1:81/d", ""},
		"localhost from loopback": {"http://localhost:81/d", "127.0.0.1", "http://127.0.0.1:81/d", ""},
		"us from us":              {"http://192.0.2.200/d", self, "http://192.0.2.200/d", ""},
		"user":                    {"http://a:b@192.0.2.7/d", lan, "http://192.0.2.7/d", ""},
		"scheme":                  {"file:///etc/passwd", lan, "", IgnoredScheme},
		"no url":                  {"%%", lan, "", IgnoredScheme},
		"giant":                   {"http://192.0.2.7/" + strings.Repeat("x", 4000), lan, "", IgnoredScheme},
	} {
		t.Run(name, func(t *testing.T) {
			if got, why := j.xaddr(tc.raw, netip.MustParseAddr(tc.from)); got != tc.want || why != tc.why {
				t.Errorf("%q, %q, want %q, %q", got, why, tc.want, tc.why)
			}
		})
	}
}

func TestOneEndpointIsOneDevice(t *testing.T) {
	c := newCollector()
	answer := func(from, uuid, scopes, xaddrs string) {
		c.reply([]byte(probeMatches("", uuid, scopes, xaddrs)), netip.MustParseAddrPort(from))
	}
	answer("192.0.2.7:3702", "urn:uuid:AA", "", "http://198.51.100.1/d http://192.0.2.7/d")
	answer("192.0.2.7:3702", "uuid:aa", "", "http://192.0.2.7/d")
	answer("192.0.2.8:3702", "urn:uuid:aa", "", "http://192.0.2.8/d")
	answer("192.0.2.9:3702", "urn:uuid:cc", "onvif://www.onvif.org/mac/020000000001", "http://192.0.2.9/d")
	answer("192.0.2.10:3702", "urn:uuid:cc", "onvif://www.onvif.org/mac/020000000002", "http://192.0.2.10/d")
	answer("192.0.2.11:3702", "", "", "http://192.0.2.11/d")
	answer("192.0.2.11:3702", "", "", "http://192.0.2.11/d")
	var got [][]string
	for _, f := range c.found {
		got = append(got, f.XAddrs)
	}
	want := [][]string{{"http://192.0.2.7/d", "http://198.51.100.1/d", "http://192.0.2.8/d"}, {"http://192.0.2.9/d"}, {"http://192.0.2.10/d"}, {"http://192.0.2.11/d"}}
	if diff := cmp.Diff(want, got); diff != "" || len(c.ignored) != 0 {
		t.Error(diff, c.ignored)
	}
}

func TestDevicesAreBounded(t *testing.T) {
	c := newCollector()
	for i := range maxFound + 3 {
		c.reply([]byte(probeMatches("", fmt.Sprint(i), "", "http://192.0.2.7/d")), netip.MustParseAddrPort("192.0.2.7:3702"))
	}
	if len(c.found) != maxFound || c.ignored[IgnoredTooMany] != 3 {
		t.Errorf("%d devices, %v", len(c.found), c.ignored)
	}
}

var probeID = regexp.MustCompile(`<a:MessageID>urn:uuid:([0-9a-f-]{36})</a:MessageID>`)

// responder answers every probe on conn with what replies makes of its
// identifier, until the test ends.
func responder(t *testing.T, conn *net.UDPConn, replies func(id string) []string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			id := probeID.FindSubmatch(buf[:n])
			if id == nil {
				t.Errorf("bad probe %q", buf[:n])
				return
			}
			for _, r := range replies(string(id[1])) {
				conn.WriteToUDPAddrPort([]byte(r), from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
}

func TestUnicastDiscoveryBelievesOnlyGoodReplies(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	responder(t, conn, func(id string) []string {
		return []string{
			"", "notxml", "<html/>", strings.Repeat("x", maxDatagram+1),
			probeMatches("urn:uuid:somebody-else", "urn:uuid:evil", "", "http://127.0.0.1/"),
			probeMatches("urn:uuid:"+id, "urn:uuid:none", "", ""),
			probeMatches("urn:uuid:"+id, "urn:uuid:file", "", "file:///x"),
			probeMatches("urn:uuid:"+strings.ToUpper(id), "urn:uuid:GOOD", someScopes, "http://0.0.0.0:8081/d"),
		}
	})
	port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	got, err := Discover(t.Context(), DiscoverConfig{
		Interfaces: []string{}, Targets: []string{"127.0.0.1/32", "127.0.0.1"}, Port: port,
		Repeats: 2, Every: time.Millisecond, Wait: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Found{{
		Endpoint: "good", XAddrs: []string{"http://127.0.0.1:8081/d"}, Types: []string{"dn:NetworkVideoTransmitter", "tds:Device"},
		Scopes: strings.Fields(someScopes), Name: "Gate 东", Hardware: "X1", Location: "country/china, city/x", HardwareAddress: "02:00:00:00:00:09",
		From: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port),
	}}
	if diff := cmp.Diff(want, got.Found, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	reasons := slices.Sorted(maps.Keys(got.Ignored))
	if diff := cmp.Diff([]Reason{IgnoredNoXAddr, IgnoredStray, IgnoredKind, IgnoredOversize, IgnoredSyntax, IgnoredScheme}, reasons); diff != "" {
		t.Error(diff)
	}
	if got.Ignored[IgnoredStray] != 4 || got.Ignored[IgnoredSyntax] != 8 {
		t.Errorf("two rounds of two probes were answered: %v", got.Ignored)
	}
}

func TestMulticastDiscoveryWorksOnLoopback(t *testing.T) {
	t.Parallel()
	lo := loopback(t)
	conn, err := net.ListenMulticastUDP("udp4", &lo, &net.UDPAddr{IP: discoveryGroup.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	if err := ipv4.NewPacketConn(conn).SetMulticastInterface(&lo); err != nil {
		t.Fatal(err)
	}
	responder(t, conn, func(id string) []string {
		return []string{probeMatches("urn:uuid:"+id, "urn:uuid:m", "", "http://127.0.0.1:9/d")}
	})
	got, err := Discover(t.Context(), DiscoverConfig{
		Interfaces: []string{lo.Name}, Port: conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(),
		Repeats: 1, Wait: 2 * time.Second,
	})
	if err != nil || len(got.Found) != 1 || got.Found[0].Endpoint != "m" {
		t.Errorf("%+v, %v", got, err)
	}
}

func loopback(t *testing.T) net.Interface {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(i net.Interface) bool {
		return i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0
	})
	if i < 0 {
		t.Fatal("no loopback interface is up")
	}
	return all[i]
}

func TestDiscoveryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Discover(ctx, DiscoverConfig{Interfaces: []string{}, Targets: []string{"127.0.0.1-127.0.0.9"}, Port: 9, Wait: time.Hour})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestBadPlacesToLookAreRefusedBeforeAnythingIsSent(t *testing.T) {
	for want, cfg := range map[string]DiscoverConfig{
		"interface no-such-interface: ": {Interfaces: []string{"no-such-interface"}},
		"":                              {Interfaces: []string{}, Targets: []string{"10.0.0.0/8"}},
		"no interface and no target":    {Interfaces: []string{}},
	} {
		if got, err := Discover(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v, %v, want %q", got, err, want)
		}
	}
}

func TestTargetsExpandWithinBounds(t *testing.T) {
	for name, tc := range map[string]struct {
		in          []string
		count       int // -1 for an error
		first, last string
	}{
		"address":          {[]string{" 10.0.0.5 "}, 1, "10.0.0.5", "10.0.0.5"},
		"prefix":           {[]string{"10.0.0.77/24"}, 254, "10.0.0.1", "10.0.0.254"},
		"point to point":   {[]string{"10.0.0.4/31"}, 2, "10.0.0.4", "10.0.0.5"},
		"one host":         {[]string{"10.0.0.4/32"}, 1, "10.0.0.4", "10.0.0.4"},
		"range":            {[]string{"10.0.0.250-10.0.1.5"}, 12, "10.0.0.250", "10.0.1.5"},
		"top":              {[]string{"255.255.255.250-255.255.255.255"}, 6, "255.255.255.250", "255.255.255.255"},
		"overlap":          {[]string{"10.0.0.0/30", "10.0.0.1-10.0.0.3"}, 3, "10.0.0.1", "10.0.0.3"},
		"all we take":      {[]string{"10.0.0.0/20", "10.0.16.0/31"}, 4096, "10.0.0.1", "10.0.16.1"},
		"one more":         {[]string{"10.0.0.0/20", "10.0.16.0/30", "10.1.0.1"}, -1, "", ""},
		"large prefix":     {[]string{"10.0.0.0/19"}, -1, "", ""},
		"everything":       {[]string{"0.0.0.0/0"}, -1, "", ""},
		"large range":      {[]string{"10.0.0.0-11.0.0.0"}, -1, "", ""},
		"backwards":        {[]string{"10.0.0.5-10.0.0.1"}, -1, "", ""},
		"ipv6":             {[]string{"2001:db8::1"}, -1, "", ""},
		"ipv6 prefix":      {[]string{"2001:db8::/120"}, -1, "", ""},
		"url":              {[]string{"http://10.0.0.1"}, -1, "", ""},
		"empty":            {[]string{""}, -1, "", ""},
		"nothing to probe": {nil, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := expand(t.Context(), tc.in)
			if (err != nil) != (tc.count < 0) || err == nil && len(got) != tc.count {
				t.Fatalf("%d hosts, %v", len(got), err)
			}
			if tc.count > 0 && (got[0].String() != tc.first || got[len(got)-1].String() != tc.last) {
				t.Errorf("%v to %v", got[0], got[len(got)-1])
			}
		})
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	for _, script := range []map[string]string{modern, old} {
		for op, text := range script {
			f.Add([]byte(text), op)
		}
	}
	f.Add([]byte(faultText), "Stop")
	f.Fuzz(func(t *testing.T, in []byte, op string) {
		for _, out := range []any{nil, new(systemTimeXML), new(struct{ Profiles []videoXML }), new(struct {
			PTZStatus struct{ Position *positionXML }
		})} {
			err := decodeEnvelope(in, op, out)
			_, fault := errors.AsType[*Fault](err)
			if kind := kindOf(err); kind == "untyped" && !fault && !errors.Is(err, ErrNotONVIF) {
				t.Fatalf("%v", err)
			}
			if x, ok := out.(*systemTimeXML); ok && err == nil {
				x.SystemDateAndTime.UTCDateTime.utc()
			}
		}
	})
}
