package discovery

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Namespaces and addresses of WS-Discovery, April 2005, the version that ONVIF
// uses (ONVIF Core Specification section 7).
const (
	nsDiscovery  = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
	nsAddressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsEnvelope   = "http://www.w3.org/2003/05/soap-envelope"
	nsNetwork    = "http://www.onvif.org/ver10/network/wsdl"
	nsDevice     = "http://www.onvif.org/ver10/device/wsdl"

	anonymous = nsAddressing + "/role/anonymous"
	matchRFC  = nsDiscovery + "/rfc3986"
	matchStr  = nsDiscovery + "/strcmp0"
)

// Bounds on a hostile message.
const (
	maxDepth  = 16
	maxTokens = 512
	maxID     = 256
)

// A query is a Probe or a Resolve that was received.
type query struct {
	resolve bool
	id      string     // of the message, to be repeated in the answer
	types   []xml.Name // all must be ours
	scopes  []string   // all must match
	matchBy string
	address string // of a Resolve: the endpoint that is sought
}

// errNotForUs reports a well-formed message that is no Probe or Resolve.
var errNotForUs = errors.New("not a Probe or Resolve")

// parse reads a datagram. Damage is an *xml.SyntaxError or another error; there
// is never a partial result.
func parse(datagram []byte) (query, error) {
	p := &parser{dec: xml.NewDecoder(bytes.NewReader(datagram)), prefixes: []map[string]string{{}}}
	for n := 0; ; n++ {
		tok, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return query{}, err
		}
		if n > maxTokens || len(p.path) > maxDepth {
			return query{}, errors.New("message too deep or too long")
		}
		if err := p.take(tok); err != nil {
			return query{}, err
		}
	}
	if !p.found {
		return query{}, errNotForUs
	}
	if p.q.id == "" || len(p.q.id) > maxID {
		return query{}, errors.New("want a message id")
	}
	return p.q, nil
}

// A parser keeps the open elements and the namespace prefixes in scope, which
// the values of Types need.
type parser struct {
	dec      *xml.Decoder
	path     []xml.Name
	prefixes []map[string]string // one a level, the outermost first
	text     string
	q        query
	found    bool
}

func (p *parser) take(tok xml.Token) error {
	switch tok := tok.(type) {
	case xml.StartElement:
		p.open(tok)
	case xml.CharData:
		p.text += string(tok)
	case xml.EndElement:
		err := p.close()
		p.path = p.path[:len(p.path)-1]
		p.prefixes = p.prefixes[:len(p.prefixes)-1]
		p.text = ""
		return err
	}
	return nil
}

func (p *parser) open(e xml.StartElement) {
	p.path, p.text = append(p.path, e.Name), ""
	declared := map[string]string{}
	for _, a := range e.Attr {
		switch {
		case a.Name.Space == "xmlns":
			declared[a.Name.Local] = a.Value
		case a.Name.Local == "xmlns":
			declared[""] = a.Value
		case a.Name.Local == "MatchBy" && e.Name.Local == "Scopes":
			p.q.matchBy = a.Value
		}
	}
	p.prefixes = append(p.prefixes, declared)
	if p.inside("Envelope", "Body") && len(p.path) == 3 && e.Name.Space == nsDiscovery {
		switch e.Name.Local {
		case "Probe":
			p.found = true
		case "Resolve":
			p.found, p.q.resolve = true, true
		}
	}
}

// inside reports whether the open elements begin with these.
func (p *parser) inside(names ...string) bool {
	if len(p.path) < len(names) || p.path[0].Space != nsEnvelope {
		return false
	}
	for i, name := range names {
		if p.path[i].Local != name {
			return false
		}
	}
	return true
}

// close takes the value of the element that ends.
func (p *parser) close() (err error) {
	depth, name, text := len(p.path), p.path[len(p.path)-1], strings.TrimSpace(p.text)
	switch {
	case depth == 3 && p.inside("Envelope", "Header") && name.Local == "MessageID":
		p.q.id = text
	case depth == 4 && p.inside("Envelope", "Body", "Probe") && name.Local == "Types":
		for _, qname := range strings.Fields(text) {
			n, err := p.resolve(qname)
			if err != nil {
				return err
			}
			p.q.types = append(p.q.types, n)
		}
	case depth == 4 && p.inside("Envelope", "Body", "Probe") && name.Local == "Scopes":
		p.q.scopes = strings.Fields(text)
	case depth == 5 && p.inside("Envelope", "Body", "Resolve", "EndpointReference") && name.Local == "Address":
		p.q.address = text
	}
	return nil
}

// resolve looks a prefixed name up.
func (p *parser) resolve(qname string) (xml.Name, error) {
	prefix, local, ok := strings.Cut(qname, ":")
	if !ok {
		prefix, local = "", qname
	}
	for i := len(p.prefixes) - 1; i >= 0; i-- {
		if space, ok := p.prefixes[i][prefix]; ok {
			return xml.Name{Space: space, Local: local}, nil
		}
	}
	if prefix == "" {
		return xml.Name{Local: local}, nil
	}
	return xml.Name{}, fmt.Errorf("prefix %q of a type is not declared", prefix)
}

// matches reports whether a target answers a query.
func (q query) matches(t *Target) bool {
	if q.resolve {
		return q.address == t.endpoint()
	}
	for _, n := range q.types {
		if n != (xml.Name{Space: nsNetwork, Local: "NetworkVideoTransmitter"}) &&
			n != (xml.Name{Space: nsDevice, Local: "Device"}) {
			return false
		}
	}
	for _, want := range q.scopes {
		if !q.scope(want, t.Scopes) {
			return false
		}
	}
	return true
}

func (q query) scope(want string, have []string) bool {
	for _, s := range have {
		switch q.matchBy {
		case "", matchRFC:
			if segmentPrefix(want, s) {
				return true
			}
		case matchStr:
			if want == s {
				return true
			}
		}
	}
	return false
}

// segmentPrefix is the rfc3986 rule of WS-Discovery section 5.1: scheme and
// authority without regard to case, the path by whole segments.
func segmentPrefix(want, have string) bool {
	want = strings.TrimSuffix(want, "/")
	if len(want) > len(have) || len(have) > len(want) && have[len(want)] != '/' {
		return false
	}
	root := 0
	if i := strings.Index(have, "://"); i >= 0 {
		root = i + 3 + strings.IndexByte(have[i+3:]+"/", '/')
	}
	root = min(root, len(want))
	return strings.EqualFold(want[:root], have[:root]) && want[root:] == have[root:len(want)]
}

// A Target is one device that is to be found.
type Target struct {
	UUID     string   // stable identity, without prefix
	Scopes   []string // URIs
	HTTPPort int
	Host     string // address of its HTTP server; empty: the one the asker reaches
	Instance uint32 // larger after each start (WS-Discovery appendix I)
}

func (t *Target) endpoint() string { return "urn:uuid:" + t.UUID }

// A notice is what a message says: an action, and what it relates to.
type notice struct {
	action, to, relates string
	host                string // of the device's address in this message
	id                  string // of this message
	number              uint64
}

// marshal writes a ProbeMatches, ResolveMatches, Hello or Bye of one target.
func (t *Target) marshal(n notice) []byte {
	var b bytes.Buffer
	esc := func(s string) string {
		var e bytes.Buffer
		_ = xml.EscapeText(&e, []byte(s)) // a buffer does not fail
		return e.String()
	}
	b.WriteString(xml.Header)
	fmt.Fprintf(&b, `<env:Envelope xmlns:env="%s" xmlns:d="%s" xmlns:wsa="%s" xmlns:dn="%s" xmlns:tds="%s"><env:Header>`,
		nsEnvelope, nsDiscovery, nsAddressing, nsNetwork, nsDevice)
	fmt.Fprintf(&b, `<wsa:MessageID>urn:uuid:%s</wsa:MessageID>`, esc(n.id))
	if n.relates != "" {
		fmt.Fprintf(&b, `<wsa:RelatesTo>%s</wsa:RelatesTo>`, esc(n.relates))
	}
	fmt.Fprintf(&b, `<wsa:To>%s</wsa:To><wsa:Action>%s/%s</wsa:Action>`, n.to, nsDiscovery, n.action)
	fmt.Fprintf(&b, `<d:AppSequence InstanceId="%d" MessageNumber="%d"></d:AppSequence></env:Header><env:Body>`, t.Instance, n.number)
	inner := t.describe(n, esc)
	switch n.action {
	case "ProbeMatches":
		inner = "<d:ProbeMatches><d:ProbeMatch>" + inner + "</d:ProbeMatch></d:ProbeMatches>"
	case "ResolveMatches":
		inner = "<d:ResolveMatches><d:ResolveMatch>" + inner + "</d:ResolveMatch></d:ResolveMatches>"
	default:
		inner = "<d:" + n.action + ">" + inner + "</d:" + n.action + ">"
	}
	b.WriteString(inner + "</env:Body></env:Envelope>")
	return b.Bytes()
}

func (t *Target) describe(n notice, esc func(string) string) string {
	ref := "<wsa:EndpointReference><wsa:Address>" + esc(t.endpoint()) + "</wsa:Address></wsa:EndpointReference>"
	if n.action == "Bye" {
		return ref
	}
	return ref + "<d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types><d:Scopes>" +
		esc(strings.Join(t.Scopes, " ")) + "</d:Scopes><d:XAddrs>" + esc(t.xaddr(n.host)) +
		"</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
}
