package discovery

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/ipv4"
)

// soap wraps a header and a body as WS-Discovery clients do.
func soap(header, body string) string {
	return `<?xml version="1.0"?><s:Envelope xmlns:s="` + nsEnvelope + `" xmlns:a="` + nsAddressing + `" xmlns:d="` + nsDiscovery +
		`" xmlns:dn="` + nsNetwork + `"><s:Header>` + header + `</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

const messageID = `<a:MessageID>urn:uuid:1</a:MessageID>`

// messageCases also seeds FuzzParse.
var messageCases = map[string]struct {
	in   string
	want query
	bad  bool
}{
	"probe for everything": {in: soap(messageID, `<d:Probe/>`), want: query{id: "urn:uuid:1"}},
	"probe by type": {in: soap(messageID, `<d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe>`),
		want: query{id: "urn:uuid:1", types: []xml.Name{{Space: nsNetwork, Local: "NetworkVideoTransmitter"}}}},
	"prefix declared where it is used": {
		in:   soap(messageID, `<d:Probe><d:Types xmlns:x="urn:x" xmlns="urn:y"> x:A  B </d:Types></d:Probe>`),
		want: query{id: "urn:uuid:1", types: []xml.Name{{Space: "urn:x", Local: "A"}, {Space: "urn:y", Local: "B"}}}},
	"probe by scope": {in: soap(messageID, `<d:Probe><d:Scopes MatchBy="m">onvif://a onvif://b</d:Scopes></d:Probe>`),
		want: query{id: "urn:uuid:1", scopes: []string{"onvif://a", "onvif://b"}, matchBy: "m"}},
	"resolve": {
		in:   soap(messageID, `<d:Resolve><a:EndpointReference><a:Address>urn:uuid:7</a:Address></a:EndpointReference></d:Resolve>`),
		want: query{id: "urn:uuid:1", resolve: true, address: "urn:uuid:7"}},
	"nothing":             {in: "", bad: true},
	"not XML":             {in: "notxml", bad: true},
	"cut short":           {in: soap(messageID, `<d:Probe/>`)[:300], bad: true},
	"an answer":           {in: soap(messageID, `<d:ProbeMatches/>`), bad: true},
	"another Probe":       {in: soap(messageID, `<Probe xmlns="urn:else"/>`), bad: true},
	"no message id":       {in: soap("", `<d:Probe/>`), bad: true},
	"huge message id":     {in: soap("<a:MessageID>"+strings.Repeat("x", 300)+"</a:MessageID>", `<d:Probe/>`), bad: true},
	"undeclared prefix":   {in: soap(messageID, `<d:Probe><d:Types>zz:A</d:Types></d:Probe>`), bad: true},
	"too deep":            {in: soap(messageID, strings.Repeat("<x>", 40)+strings.Repeat("</x>", 40)), bad: true},
	"too long":            {in: soap(messageID, `<d:Probe>`+strings.Repeat("<x/>", 400)+`</d:Probe>`), bad: true},
	"probe in the header": {in: soap(messageID+`<d:Probe/>`, ``), bad: true},
}

func TestParse(t *testing.T) {
	for name, tc := range messageCases {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(tc.in))
			if d := cmp.Diff(tc.want, got, cmp.AllowUnexported(query{})); d != "" || (err != nil) != tc.bad {
				t.Errorf("err %v, -want +got:\n%s", err, d)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, tc := range messageCases {
		f.Add([]byte(tc.in))
	}
	target := &Target{UUID: "7", Scopes: []string{"onvif://www.onvif.org/name/x"}}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parse(b)
		if err != nil {
			return
		}
		q.matches(target)
		m := target.marshal(notice{action: "ProbeMatches", to: anonymous, relates: q.id, host: "::1", id: "1"})
		if _, err := parse(m); !errors.Is(err, errNotForUs) {
			t.Errorf("our answer is damaged: %v\n%s", err, m)
		}
	})
}

func TestProbeMatchesByTypeAndScope(t *testing.T) {
	target := &Target{UUID: "7", Scopes: []string{"onvif://www.onvif.org/name/Gate/North", "urn:other"}}
	nvt := xml.Name{Space: nsNetwork, Local: "NetworkVideoTransmitter"}
	device := xml.Name{Space: nsDevice, Local: "Device"}
	for name, tc := range map[string]struct {
		q    query
		want bool
	}{
		"anything":               {query{}, true},
		"both types":             {query{types: []xml.Name{nvt, device}}, true},
		"one foreign type":       {query{types: []xml.Name{nvt, {Space: "urn:x", Local: "Printer"}}}, false},
		"whole scope":            {query{scopes: []string{"onvif://www.onvif.org/name/Gate/North"}}, true},
		"leading segments":       {query{scopes: []string{"onvif://www.onvif.org/name/Gate"}}, true},
		"with a slash":           {query{scopes: []string{"onvif://www.onvif.org/name/Gate/"}}, true},
		"authority in capitals":  {query{scopes: []string{"ONVIF://WWW.onvif.org/name"}}, true},
		"path in capitals":       {query{scopes: []string{"onvif://www.onvif.org/NAME"}}, false},
		"half a segment":         {query{scopes: []string{"onvif://www.onvif.org/name/Ga"}}, false},
		"longer than ours":       {query{scopes: []string{"onvif://www.onvif.org/name/Gate/North/1"}}, false},
		"one of two":             {query{scopes: []string{"urn:other", "urn:none"}}, false},
		"strcmp0 of a part":      {query{matchBy: matchStr, scopes: []string{"onvif://www.onvif.org/name"}}, false},
		"strcmp0 of the whole":   {query{matchBy: matchStr, scopes: []string{"urn:other"}}, true},
		"unknown rule":           {query{matchBy: "urn:rule", scopes: []string{"urn:other"}}, false},
		"resolve":                {query{resolve: true, address: "urn:uuid:7"}, true},
		"resolve of another one": {query{resolve: true, address: "urn:uuid:8"}, false},
	} {
		if got := tc.q.matches(target); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// An answer is what a test reads of a ProbeMatches.
type answer struct {
	Action  string `xml:"Header>Action"`
	Relates string `xml:"Header>RelatesTo"`
	Match   struct {
		Address string `xml:"EndpointReference>Address"`
		XAddrs  string `xml:"XAddrs"`
		Types   string `xml:"Types"`
	} `xml:"Body>ProbeMatches>ProbeMatch"`
}

// start runs a server for the length of a test.
func start(t *testing.T, places []string, targets ...*Target) *Server {
	t.Helper()
	s, err := New(Config{Places: places, Targets: func() []*Target { return targets }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("this machine cannot listen on %v: %v", places, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// collect reads answers to one probe until all wanted addresses were heard.
func collect(t *testing.T, conn net.PacketConn, relates string, want []string) map[string]string {
	t.Helper()
	got := map[string]string{}
	buf := make([]byte, 1<<16)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for len(got) < len(want) {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatalf("answers of %v only: %v", got, err)
		}
		var a answer
		if err := xml.Unmarshal(buf[:n], &a); err != nil {
			t.Fatalf("%v in\n%s", err, buf[:n])
		}
		if slices.Contains(want, a.Match.Address) && a.Relates == relates && a.Action == nsDiscovery+"/ProbeMatches" {
			got[a.Match.Address] = a.Match.XAddrs
		}
	}
	return got
}

func TestUnicastProbeIsAnsweredByEachTarget(t *testing.T) {
	s := start(t, []string{"127.0.0.1:0"}, &Target{UUID: "1", HTTPPort: 81}, &Target{UUID: "2", HTTPPort: 82, Host: "127.0.0.9"})
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, tc := range messageCases { // hostile ones first: they must not stop it
		if tc.bad {
			_, _ = conn.WriteTo([]byte(tc.in), s.Addrs()[0])
		}
	}
	_, _ = conn.WriteTo([]byte(soap(`<a:MessageID>urn:uuid:me</a:MessageID>`, `<d:Probe/>`)), s.Addrs()[0])
	got := collect(t, conn, "urn:uuid:me", []string{"urn:uuid:1", "urn:uuid:2"})
	want := map[string]string{
		"urn:uuid:1": "http://127.0.0.1:81/onvif/device_service",
		"urn:uuid:2": "http://127.0.0.9:82/onvif/device_service",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestTwoSimulatorsShareTheGroupOnLoopback(t *testing.T) {
	var want []string
	for i := range 2 {
		target := &Target{UUID: newUUID(), HTTPPort: 8000 + i}
		want = append(want, target.endpoint())
		start(t, []string{"lo"}, target)
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := ipv4.NewPacketConn(conn).SetMulticastInterface(lo); err != nil {
		t.Fatal(err)
	}
	id := newUUID()
	probe := soap(fmt.Sprintf(`<a:MessageID>%s</a:MessageID>`, id), `<d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe>`)
	if _, err := conn.WriteTo([]byte(probe), &net.UDPAddr{IP: group(), Port: Port}); err != nil {
		t.Fatal(err)
	}
	collect(t, conn, id, want)
}

func TestHelloAndByeReachTheGroup(t *testing.T) {
	sock, err := joinGroup("lo")
	if err != nil {
		t.Fatal(err)
	}
	defer sock.conn.Close()
	target := &Target{UUID: newUUID(), HTTPPort: 80}
	s := start(t, []string{"lo"})
	s.Hello(target)
	s.Bye(target)
	heard := map[string]bool{}
	buf := make([]byte, 1<<16)
	_ = sock.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for !heard["Hello"] || !heard["Bye"] {
		n, _, err := sock.conn.ReadFrom(buf)
		if err != nil {
			t.Fatalf("heard %v only: %v", heard, err)
		}
		text := string(buf[:n])
		for _, action := range []string{"Hello", "Bye"} {
			if strings.Contains(text, target.endpoint()) && strings.Contains(text, nsDiscovery+"/"+action+"<") {
				heard[action] = true
			}
		}
	}
}

func TestWrongPlaceIsRefused(t *testing.T) {
	for _, place := range []string{"no-such-interface", "300.1.1.1:3702", ""} {
		if s, err := New(Config{Places: []string{place}}); err == nil {
			s.Close()
			t.Errorf("%q was accepted", place)
		}
	}
}
