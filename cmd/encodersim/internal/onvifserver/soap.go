package onvifserver

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Namespaces of what is spoken, and the prefixes answers use for them.
const (
	nsEnvelope = "http://www.w3.org/2003/05/soap-envelope"
	nsSecurity = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsUtility  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsDevice   = "http://www.onvif.org/ver10/device/wsdl"
	nsMedia    = "http://www.onvif.org/ver10/media/wsdl"
	nsMedia2   = "http://www.onvif.org/ver20/media/wsdl"
	nsPTZ      = "http://www.onvif.org/ver20/ptz/wsdl"
	nsImaging  = "http://www.onvif.org/ver20/imaging/wsdl"
	nsSchema   = "http://www.onvif.org/ver10/schema"
	nsError    = "http://www.onvif.org/ver10/error"
)

// Bounds on what a client may send.
const (
	maxBody  = 256 << 10
	maxDepth = 32
	maxNodes = 4096
)

// errTooMuch reports a request beyond the bounds.
var errTooMuch = errors.New("request too deep or too long")

// An element is one XML element of a request. The methods of a nil element
// behave as those of an empty one.
type element struct {
	space, name string
	attrs       []xml.Attr
	kids        []*element
	text        string
}

// parseXML reads one document within the bounds. Damage is an *xml.SyntaxError
// or errTooMuch.
func parseXML(r io.Reader) (*element, error) {
	dec := xml.NewDecoder(r)
	root := &element{}
	open := []*element{root}
	for n := 0; ; n++ {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if len(root.kids) != 1 || len(open) != 1 {
				return nil, &xml.SyntaxError{Line: 1, Msg: "want one element"}
			}
			return root.kids[0], nil
		}
		if err != nil {
			return nil, err
		}
		if n > maxNodes || len(open) > maxDepth {
			return nil, errTooMuch
		}
		open = grow(open, tok)
	}
}

// grow applies a token to the elements that are open.
func grow(open []*element, tok xml.Token) []*element {
	top := open[len(open)-1]
	switch tok := tok.(type) {
	case xml.StartElement:
		e := &element{space: tok.Name.Space, name: tok.Name.Local, attrs: tok.Copy().Attr}
		top.kids = append(top.kids, e)
		return append(open, e)
	case xml.EndElement:
		return open[:len(open)-1]
	case xml.CharData:
		top.text += string(tok)
	}
	return open
}

// kid returns the first child of a local name, whatever its namespace: cameras
// are forgiving about those.
func (e *element) kid(path ...string) *element {
	for _, name := range path {
		if e == nil {
			return nil
		}
		var found *element
		for _, k := range e.kids {
			if k.name == name {
				found = k
				break
			}
		}
		e = found
	}
	return e
}

// value returns the text of a descendant, trimmed.
func (e *element) value(path ...string) string {
	if e = e.kid(path...); e == nil {
		return ""
	}
	return strings.TrimSpace(e.text)
}

func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// A node is one element of an answer, its name with a prefix.
type node struct {
	name  string
	attrs []attr
	text  string
	kids  []node
}

// An attr is an attribute of a node.
type attr struct{ name, value string }

// el makes a node of attributes, children and text, in the order given.
func el(name string, parts ...any) node {
	n := node{name: name}
	for _, p := range parts {
		switch p := p.(type) {
		case attr:
			n.attrs = append(n.attrs, p)
		case node:
			n.kids = append(n.kids, p)
		case []node:
			n.kids = append(n.kids, p...)
		case float64:
			n.text = strconv.FormatFloat(p, 'f', -1, 64)
		default:
			n.text = fmt.Sprint(p)
		}
	}
	return n
}

func (n node) write(b *bytes.Buffer) {
	b.WriteString("<" + n.name)
	for _, a := range n.attrs {
		b.WriteString(" " + a.name + `="`)
		_ = xml.EscapeText(b, []byte(a.value)) // a buffer does not fail
		b.WriteString(`"`)
	}
	b.WriteString(">")
	_ = xml.EscapeText(b, []byte(n.text))
	for _, k := range n.kids {
		k.write(b)
	}
	b.WriteString("</" + n.name + ">")
}

// envelope wraps a body.
func envelope(body node) []byte {
	root := el("env:Envelope",
		attr{"xmlns:env", nsEnvelope}, attr{"xmlns:tds", nsDevice}, attr{"xmlns:trt", nsMedia},
		attr{"xmlns:tr2", nsMedia2}, attr{"xmlns:tptz", nsPTZ}, attr{"xmlns:timg", nsImaging},
		attr{"xmlns:tt", nsSchema}, attr{"xmlns:ter", nsError}, el("env:Body", body))
	var b bytes.Buffer
	b.WriteString(xml.Header)
	root.write(&b)
	return b.Bytes()
}

// A fault is a SOAP 1.2 fault (ONVIF Core Specification section 5.8.2).
type fault struct {
	status   int    // of HTTP
	code     string // "env:Sender" or "env:Receiver"
	subcodes []string
	reason   string
}

func (f *fault) node() node {
	var sub []node
	for i := len(f.subcodes) - 1; i >= 0; i-- {
		sub = []node{el("env:Subcode", el("env:Value", f.subcodes[i]), sub)}
	}
	return el("env:Fault",
		el("env:Code", el("env:Value", f.code), sub),
		el("env:Reason", el("env:Text", attr{"xml:lang", "en"}, f.reason)))
}

// sender faults a request that a client can mend.
func sender(reason string, subcodes ...string) *fault {
	return &fault{status: 400, code: "env:Sender", subcodes: subcodes, reason: reason}
}

// receiver faults what this device does not do.
func receiver(reason string, subcodes ...string) *fault {
	return &fault{status: 500, code: "env:Receiver", subcodes: subcodes, reason: reason}
}
