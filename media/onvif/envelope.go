package onvif

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"districtgateway/media/digest"
)

// Namespaces of the services.
const (
	nsDevice  = "http://www.onvif.org/ver10/device/wsdl"
	nsMedia   = "http://www.onvif.org/ver10/media/wsdl"
	nsMedia2  = "http://www.onvif.org/ver20/media/wsdl"
	nsPTZ     = "http://www.onvif.org/ver20/ptz/wsdl"
	nsEvents  = "http://www.onvif.org/ver10/events/wsdl"
	nsImaging = "http://www.onvif.org/ver20/imaging/wsdl"
	nsSchema  = "http://www.onvif.org/ver10/schema"
	nsSOAP    = "http://www.w3.org/2003/05/soap-envelope"
)

const (
	envelopeHead = xml.Header + `<s:Envelope xmlns:s="` + nsSOAP + `" xmlns:tds="` + nsDevice +
		`" xmlns:trt="` + nsMedia + `" xmlns:tr2="` + nsMedia2 + `" xmlns:tptz="` + nsPTZ +
		`" xmlns:timg="` + nsImaging + `" xmlns:onvif="` + nsSchema + `">`
	envelopeTail = `</s:Body></s:Envelope>`
)

// envelope wraps a request of prefixed names, with a header or none.
func envelope(header string, request any) ([]byte, error) {
	body, err := xml.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return []byte(envelopeHead + header + "<s:Body>" + string(body) + envelopeTail), nil
}

const (
	wsse       = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	wsu        = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	tokenType  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
	base64Type = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

// usernameToken returns a SOAP header with a WS-UsernameToken of the digest kind
// (Web Services Security UsernameToken Profile 1.0 §3.1; ONVIF Core §5.12).
// created is the time by the device's clock, which refuses what is old.
func usernameToken(user string, password digest.Secret, created time.Time) string {
	var nonce [20]byte
	rand.Read(nonce[:]) // never fails: it ends the process first
	stamp := created.UTC().Format("2006-01-02T15:04:05.000Z")
	return tokenHeader(user, passwordDigest(nonce[:], stamp, password), nonce[:], stamp)
}

// passwordDigest is Base64(SHA-1(nonce + created + password)).
func passwordDigest(nonce []byte, created string, password digest.Secret) string {
	h := sha1.New()
	h.Write(nonce)
	h.Write([]byte(created + string(password)))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func tokenHeader(user, hash string, nonce []byte, created string) string {
	var name strings.Builder
	xml.EscapeText(&name, []byte(user)) // a strings.Builder does not fail
	return `<s:Header><wsse:Security s:mustUnderstand="1" xmlns:wsse="` + wsse + `" xmlns:wsu="` + wsu +
		`"><wsse:UsernameToken><wsse:Username>` + name.String() + `</wsse:Username><wsse:Password Type="` +
		tokenType + `">` + hash + `</wsse:Password><wsse:Nonce EncodingType="` + base64Type + `">` +
		base64.StdEncoding.EncodeToString(nonce) + `</wsse:Nonce><wsu:Created>` + created +
		`</wsu:Created></wsse:UsernameToken></wsse:Security></s:Header>`
}

// decodeEnvelope reads the response to op from a SOAP envelope of either version
// into out, which may be nil. A fault comes back as *Fault, damaged XML as
// *SyntaxError, any other well-formed document as ErrNotONVIF.
func decodeEnvelope(b []byte, op string, out any) error {
	d, g := newDecoder(b)
	start, ok, err := nextStart(d)
	if err != nil {
		return g.wrap(err)
	}
	if !ok || start.Name.Local != "Envelope" {
		return fmt.Errorf("%w: answered %.40q instead of an envelope", ErrNotONVIF, start.Name.Local)
	}
	if ok, err = descend(d, "Body"); ok && err == nil {
		start, ok, err = nextStart(d)
	}
	if err != nil {
		return g.wrap(err)
	}
	if !ok {
		return fmt.Errorf("%w: answered with an empty envelope", ErrNotONVIF)
	}
	return decodeBody(d, g, start, answer{op, out})
}

// An answer is what a call waits for.
type answer struct {
	op  string
	out any
}

func decodeBody(d *xml.Decoder, g *guard, start xml.StartElement, want answer) error {
	switch start.Name.Local {
	case "Fault":
		f, err := decodeFault(d, start)
		if err != nil {
			return g.wrap(err)
		}
		return f
	case want.op + "Response":
		if want.out == nil {
			return g.wrap(d.Skip())
		}
		return g.wrap(d.DecodeElement(want.out, &start))
	}
	return fmt.Errorf("%w: answered %s with %.40q", ErrNotONVIF, want.op, start.Name.Local)
}
