package onvif

import (
	"encoding/xml"
	"errors"
	"slices"
	"strings"
)

var (
	// ErrUnauthorized means that user and password are wrong, missing, or not
	// enough for the call. A *Fault may be wrapped beside it.
	ErrUnauthorized = errors.New("not authorized")
	// ErrNotONVIF means that something answered, but not an ONVIF service.
	ErrNotONVIF = errors.New("not an ONVIF device")
	// ErrRedirect means that the device wanted to send us elsewhere.
	ErrRedirect = errors.New("redirect refused")
	// ErrTooLarge means a body of more than 4 MiB, a picture of more than 8 MiB.
	ErrTooLarge = errors.New("response too large")
	// ErrEncoding means a compressed body, which we never ask for.
	ErrEncoding = errors.New("compressed response refused")
	// ErrNoPicture means that what was sent as a snapshot is no JPEG.
	ErrNoPicture = errors.New("no JPEG")
	// ErrNoService means that the device does not offer the service needed.
	ErrNoService = errors.New("no such service")
)

// A Fault is a SOAP fault of either version (SOAP 1.2 §5.4, SOAP 1.1 §4.4) with
// the prefixes of its qualified names removed. ONVIF Core §5.11.2 lists codes.
type Fault struct {
	Code    string // Sender, Receiver, Client, …
	Subcode string // outer to inner with slashes: InvalidArgVal/NoProfile
	Reason  string // for people
}

func (f *Fault) Error() string {
	s := "fault " + f.Code
	if f.Subcode != "" {
		s += "/" + f.Subcode
	}
	if f.Reason != "" {
		s += ": " + f.Reason
	}
	return s
}

// Has reports whether one of the subcodes is sub.
func (f *Fault) Has(sub string) bool {
	return slices.Contains(strings.Split(f.Subcode, "/"), sub)
}

// unauthorized reports faults that ask for a (better) user. Devices built on one
// toolkit send no subcode but say so in the reason.
func (f *Fault) unauthorized() bool {
	for _, sub := range []string{"NotAuthorized", "FailedAuthentication", "FailedCheck",
		"InvalidSecurity", "InvalidSecurityToken", "MessageExpired"} {
		if f.Has(sub) || f.Code == sub {
			return true
		}
	}
	reason := strings.ToLower(f.Reason)
	return f.Subcode == "" && (strings.Contains(reason, "not authorized") || strings.Contains(reason, "unauthorized"))
}

type faultXML struct {
	Code struct {
		Value   text
		Subcode *subcodeXML
	}
	Reason struct {
		Text []text
	}
	Code11   text `xml:"faultcode"`
	Reason11 text `xml:"faultstring"`
}

type subcodeXML struct {
	Value   text
	Subcode *subcodeXML
}

// decodeFault reads the fault that begins at start.
func decodeFault(d *xml.Decoder, start xml.StartElement) (*Fault, error) {
	var x faultXML
	if err := d.DecodeElement(&x, &start); err != nil {
		return nil, err
	}
	f := &Fault{Code: localName(x.Code.Value + x.Code11), Reason: string(x.Reason11)}
	var subs []string
	for s := x.Code.Subcode; s != nil && len(subs) < 4; s = s.Subcode {
		subs = append(subs, localName(s.Value))
	}
	f.Subcode = strings.Join(subs, "/")
	if len(x.Reason.Text) > 0 {
		f.Reason = string(x.Reason.Text[0])
	}
	return f, nil
}

// localName removes the prefix of a qualified name.
func localName(q text) string {
	return string(q[strings.LastIndexByte(string(q), ':')+1:])
}
