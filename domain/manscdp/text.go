package manscdp

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// legal reports whether a character may stand in a name or value. Control
// characters may not: no XML reader accepts most of them, and devices that copy
// from fixed buffers send them as dirt (NUL above all).
func legal(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n'
	case r < 0x7F:
		return true
	}
	return r > 0x9F && r != 0xFFFE && r != 0xFFFF
}

// isPlain reports whether s holds only printable ASCII.
func isPlain[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7F {
			return false
		}
	}
	return true
}

// lastUserDefined ends the private-use characters that GB18030 keeps for its
// users. They mean nothing to another system, and the encoder writes many of them
// as a different one, so they are replaced.
const lastUserDefined = 0xE864

// clean removes illegal characters, replaces user-defined ones by U+FFFD, writes
// line ends as \n and drops white space at both ends.
func clean(s string) string {
	if !isPlain(s) {
		s = strings.ReplaceAll(s, "\r\n", "\n")
		s = strings.ReplaceAll(s, "\r", "\n")
		s = strings.Map(func(r rune) rune {
			switch {
			case !legal(r):
				return -1
			case 0xE000 <= r && r <= lastUserDefined:
				return utf8.RuneError
			}
			return r
		}, s)
	}
	return strings.Trim(s, " \t\n")
}

// stripControls returns body without control bytes. They have no meaning in any
// of the character sets and are never part of a multi-byte character.
func stripControls(body []byte) []byte {
	n := 0
	for _, b := range body {
		if isControl(b) {
			n++
		}
	}
	if n == 0 {
		return body
	}
	out := make([]byte, 0, len(body)-n)
	for _, b := range body {
		if !isControl(b) {
			out = append(out, b)
		}
	}
	return out
}

func isControl(b byte) bool {
	return b < 0x20 && b != '\t' && b != '\n' && b != '\r' || b == 0x7F
}

// originalOffset maps an offset in stripControls(body) to one in body.
func originalOffset(body []byte, at int) int {
	for i, b := range body {
		if isControl(b) {
			continue
		}
		if at == 0 {
			return i
		}
		at--
	}
	return len(body)
}

// unescape resolves character references, the five predefined entities, CDATA
// sections and comments. Any other '&' stays what it is: it was never escaped.
func unescape(s string) string {
	if strings.IndexByte(s, '&') < 0 && strings.IndexByte(s, '<') < 0 {
		return s
	}
	var u unescaper
	for len(s) > 0 {
		i := strings.IndexAny(s, "&<")
		if i < 0 {
			break
		}
		u.out.WriteString(s[:i])
		s = s[i+u.resolve(s[i:]):]
	}
	u.out.WriteString(s)
	return u.out.String()
}

// unescaper builds unescaped text. A search for the end of a section that found
// nothing is not repeated, so the time stays linear.
type unescaper struct {
	out   strings.Builder
	blind [3]bool // no end of such a section in the rest
}

// resolve writes what the reference or section at the start of s means and
// returns its length in bytes.
func (u *unescaper) resolve(s string) int {
	if s[0] == '&' {
		text, n := entity(s)
		u.out.WriteString(text)
		return n
	}
	for kind, mark := range [3][2]string{{"<![CDATA[", "]]>"}, {"<!--", "-->"}, {"<?", "?>"}} {
		body, ok := strings.CutPrefix(s, mark[0])
		if !ok || u.blind[kind] {
			continue
		}
		text, _, ended := strings.Cut(body, mark[1])
		if !ended {
			u.blind[kind] = true
			continue
		}
		if kind == 0 {
			u.out.WriteString(text)
		}
		return len(mark[0]) + len(text) + len(mark[1])
	}
	u.out.WriteByte('<')
	return 1
}

// entity resolves the reference at the start of s, which begins with '&'.
func entity(s string) (string, int) {
	end := strings.IndexByte(s[:min(len(s), 12)], ';')
	if end < 0 {
		return "&", 1
	}
	switch name := s[1:end]; name {
	case "lt":
		return "<", end + 1
	case "gt":
		return ">", end + 1
	case "amp":
		return "&", end + 1
	case "quot":
		return `"`, end + 1
	case "apos":
		return "'", end + 1
	default:
		if r, ok := charReference(name); ok {
			return string(r), end + 1
		}
	}
	return "&", 1
}

// charReference reads "#20320" or "#x4F60".
func charReference(name string) (rune, bool) {
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return rune(n), err == nil && utf8.ValidRune(rune(n))
}

// appendEscaped appends s as element content: legal characters only, markup
// escaped, undecodable bytes as U+FFFD.
func appendEscaped(out []byte, s string) []byte {
	if isPlain(s) && !strings.ContainsAny(s, "<>&") {
		return append(out, s...)
	}
	for _, r := range clean(strings.ToValidUTF8(s, "\uFFFD")) {
		switch r {
		case '<':
			out = append(out, "&lt;"...)
		case '>':
			out = append(out, "&gt;"...)
		case '&':
			out = append(out, "&amp;"...)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}
