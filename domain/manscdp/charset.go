package manscdp

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// A Charset is the character set of a body. The 2016 edition of GB/T 28181
// recommends GB2312, the 2022 edition requires GB18030.
type Charset uint8

// The character sets in use on the wire.
const (
	// Auto lets Decode judge by declaration and bytes, and Encode take the
	// charset of the edition: GB18030 for 2022, GB2312 before.
	Auto Charset = iota
	// GB2312 is declared as GB2312 but written in GB18030, its superset, so that a
	// rare character survives; for characters of GB2312 the bytes are the same.
	GB2312
	// GB18030 is declared and written as GB18030.
	GB18030
	// UTF8 is declared and written as UTF-8, for peers configured so.
	UTF8
)

// String returns the name as it is declared in a body, "auto" for Auto.
func (c Charset) String() string {
	switch c {
	case GB2312:
		return "GB2312"
	case GB18030:
		return "GB18030"
	case UTF8:
		return "UTF-8"
	}
	return "auto"
}

// declaredCharset reads the encoding of the XML declaration: GB18030, UTF8, or
// Auto when there is none or it names a charset no GB/T 28181 peer uses.
func declaredCharset(body []byte) Charset {
	head := body[:min(len(body), 256)]
	start := bytes.Index(head, []byte("<?"))
	end := bytes.Index(head, []byte("?>"))
	if start < 0 || end < start {
		return Auto
	}
	_, value, _ := strings.Cut(strings.ToLower(string(head[start:end])), "encoding")
	value = strings.Trim(value, " \t\r\n=\"'")
	switch {
	case strings.HasPrefix(value, "gb"), strings.HasPrefix(value, "cp936"), strings.HasPrefix(value, "x-gb"):
		return GB18030
	case strings.HasPrefix(value, "utf-8"), strings.HasPrefix(value, "utf8"):
		return UTF8
	}
	return Auto
}

// judge chooses between GB18030 and UTF8 for a body without an override.
//
// Declaration and bytes disagree often. A declared UTF-8, or no declaration, is
// believed unless most pieces of text are no UTF-8. A declared GB charset is
// believed unless most pieces are UTF-8 with a sequence of three or more bytes:
// a text of the 3755 everyday hanzi (GB2312 level 1, lead bytes B0 to D7) can
// never look so, since such a sequence begins with E0 to F4. Sequences of two
// bytes do occur in it and so prove nothing.
func judge(body []byte) Charset {
	gb := declaredCharset(body) == GB18030
	var long, short, none int
	for i := indexNonASCII(body); i >= 0; i = indexNonASCII(body) {
		piece, rest, _ := bytes.Cut(body[i:], []byte("<"))
		switch {
		case !utf8.Valid(piece):
			none++
		case bytes.ContainsFunc(piece, func(r rune) bool { return r >= 0x800 }):
			long++
		default:
			short++
		}
		body = rest
	}
	if gb && long > none || !gb && long+short >= none {
		return UTF8
	}
	return GB18030
}

// A textDecoder turns the bytes between two tags into clean UTF-8.
type textDecoder struct {
	charset Charset // GB18030 or UTF8
	strict  bool    // the charset was ordered, not judged: no second guess per text
	gb      *encoding.Decoder
}

func newTextDecoder(body []byte, order Charset) *textDecoder {
	d := &textDecoder{charset: order, strict: order != Auto}
	switch order {
	case Auto:
		d.charset = judge(body)
	case GB2312:
		d.charset = GB18030
	}
	return d
}

// decode returns b as UTF-8 and whether every byte could be understood. A text
// that is no UTF-8 in a UTF-8 body, or the other way round, is taken for what it
// can be: some devices paste foreign strings into their own answer.
func (d *textDecoder) decode(b []byte) (string, bool) {
	if isASCII(b) {
		return string(b), true
	}
	if d.charset == UTF8 {
		if utf8.Valid(b) {
			return string(b), true
		}
		if s, ok := d.fromGB(b); ok && !d.strict {
			return s, true
		}
		return strings.ToValidUTF8(string(b), "\uFFFD"), false
	}
	s, ok := d.fromGB(b)
	if !ok && !d.strict && utf8.Valid(b) {
		return string(b), true
	}
	return s, ok
}

// fromGB decodes GB18030; an undecodable byte becomes U+FFFD and is reported.
func (d *textDecoder) fromGB(b []byte) (string, bool) {
	if d.gb == nil {
		d.gb = simplifiedchinese.GB18030.NewDecoder()
	}
	out, err := d.gb.Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD"), false
	}
	return string(out), !bytes.ContainsRune(out, utf8.RuneError)
}

// toWire encodes clean UTF-8 for the wire.
func toWire(text []byte, c Charset) ([]byte, error) {
	if c == UTF8 || isASCII(text) {
		return text, nil
	}
	return simplifiedchinese.GB18030.NewEncoder().Bytes(text)
}

func isASCII(b []byte) bool { return indexNonASCII(b) < 0 }

func indexNonASCII(b []byte) int {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return -1
}
