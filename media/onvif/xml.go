package onvif

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Bounds on any XML document we read.
const (
	maxDepth  = 64
	maxTokens = 400_000
)

// A SyntaxError says where a document from a device is damaged.
type SyntaxError struct {
	Offset int    // byte in the document
	Want   string // what was expected there
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("xml: byte %d: want %s", e.Offset, e.Want)
}

// A guard passes tokens of one document to encoding/xml as long as they stay
// within bounds and are elements and text only: no DOCTYPE, so no entities, and
// no processing instruction but the XML declaration.
type guard struct {
	raw           *xml.Decoder
	depth, tokens int
}

// newDecoder returns a bounded decoder of b and the guard that knows how far it
// came. Bytes that are not UTF-8, which devices put into names, become U+FFFD.
func newDecoder(b []byte) (*xml.Decoder, *guard) {
	raw := xml.NewDecoder(bytes.NewReader(bytes.ToValidUTF8(b, []byte("\uFFFD"))))
	g := &guard{raw: raw}
	return xml.NewTokenDecoder(g), g
}

// Token implements xml.TokenReader.
func (g *guard) Token() (xml.Token, error) {
	tok, err := g.raw.RawToken()
	if err != nil {
		return tok, err
	}
	switch t := tok.(type) {
	case xml.StartElement:
		g.depth++
	case xml.EndElement:
		g.depth--
	case xml.Directive:
		return nil, g.fail("no document type")
	case xml.ProcInst:
		if t.Target != "xml" {
			return nil, g.fail("no processing instruction")
		}
	}
	if g.tokens++; g.tokens > maxTokens || g.depth > maxDepth {
		return nil, g.fail("a smaller document")
	}
	return tok, nil
}

func (g *guard) fail(want string) error {
	return &SyntaxError{int(g.raw.InputOffset()), want}
}

// wrap turns an error of encoding/xml into a *SyntaxError.
func (g *guard) wrap(err error) error {
	if _, ok := errors.AsType[*SyntaxError](err); ok || err == nil {
		return err
	}
	if errors.Is(err, io.EOF) {
		return g.fail("more of the document")
	}
	return g.fail(fmt.Sprintf("well-formed XML (%v)", err))
}

// nextStart skips to the next start element inside the current one; ok is false
// at its end.
func nextStart(d *xml.Decoder) (start xml.StartElement, ok bool, err error) {
	for {
		tok, err := d.Token()
		if err != nil {
			return xml.StartElement{}, false, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			return t, true, nil
		case xml.EndElement:
			return xml.StartElement{}, false, nil
		}
	}
}

// descend skips to the child element named local, in any namespace: devices
// disagree about prefixes and some about the namespaces themselves.
func descend(d *xml.Decoder, local string) (bool, error) {
	for {
		start, ok, err := nextStart(d)
		if !ok || err != nil {
			return false, err
		}
		if start.Name.Local == local {
			return true, nil
		}
		if err := d.Skip(); err != nil {
			return false, err
		}
	}
}

// A number is a decimal of a reply. Devices write integers as 25.0, surround
// them with blanks or leave them empty; what is no finite number becomes 0.
type number float64

// UnmarshalText implements encoding.TextUnmarshaler and never fails.
func (n *number) UnmarshalText(b []byte) error {
	v, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	*n = number(v)
	return nil
}

// count returns the number as a count of something, 0 if it cannot be one.
func (n number) count() int {
	if n < 0 || n > math.MaxInt32 {
		return 0
	}
	return int(math.Round(float64(n)))
}

// A truth is an xs:boolean; anything but true and 1 is false.
type truth bool

// UnmarshalText implements encoding.TextUnmarshaler and never fails.
func (t *truth) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	*t = truth(strings.EqualFold(s, "true") || s == "1")
	return nil
}

// A text is character data without the blanks devices put around it, and no
// longer than any name, token or address has reason to be.
type text string

const maxText = 2048 // bytes

// UnmarshalText implements encoding.TextUnmarshaler and never fails.
func (t *text) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	*t = text(s)
	return nil
}
