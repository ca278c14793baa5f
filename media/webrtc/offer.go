package webrtc

import (
	"fmt"
	"strconv"
	"strings"
)

// Bounds of an offer. A browser's has two sections of thirty formats and 8 KiB.
const (
	maxOffer    = 64 << 10 // bytes
	maxSections = 8
	maxFormats  = 128 // of a section
	maxToken    = 256 // bytes of what is repeated to the far end
)

// A SyntaxError says where a session description is damaged.
type SyntaxError struct {
	Line int // from 1 on
	Want string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("session description: line %d: want %s", e.Line, e.Want)
}

// An offer is what counts of a browser's session description (RFC 8866, RFC 8829).
type offer struct {
	sections []section
}

// A section is one medium that a browser wants.
type section struct {
	kind, proto string // as in its m= line
	first       string // the first format named there
	mapping     string // its a=rtpmap
	mid         string
	peer        peer
	receives    bool
	formats     []format // in the order of the m= line
}

// A peer is how the far end is known: by its ICE credentials (RFC 8839 §5.4) and
// the fingerprint of its certificate (RFC 8122).
type peer struct {
	ufrag, pwd  string
	fingerprint string
	setup       string
}

// A format is one coding by its payload type.
type format struct {
	typ    uint8
	name   string // in upper case
	rate   int
	params string // of its a=fmtp line
}

// parseOffer reads a session description that a browser offers. Lines that mean
// nothing to us are passed over; damage in others is a *[SyntaxError].
func parseOffer(text string) (*offer, error) {
	var o offer
	var whole section // what the session says for all its sections
	at := &whole
	line := 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimRight(l, "\r\n")
		kind, value, ok := strings.Cut(l, "=")
		switch {
		case line == 1 && l != "v=0", l != "" && (!ok || len(kind) != 1):
			return nil, &SyntaxError{line, "a session description"}
		case kind == "m":
			s, ok := newSection(value)
			if !ok || len(o.sections) == maxSections {
				return nil, &SyntaxError{line, fmt.Sprintf("a medium, %d at most", maxSections)}
			}
			s.peer, s.receives = whole.peer, whole.receives
			o.sections = append(o.sections, s)
			at = &o.sections[len(o.sections)-1]
		case kind == "a":
			if want := at.attribute(value); want != "" {
				return nil, &SyntaxError{line, want}
			}
		}
		if line == 1 {
			whole.receives = true // unless it says otherwise (RFC 8866 §6.7)
		}
	}
	for i := range o.sections {
		if want := o.sections[i].lacks(); want != "" {
			return nil, &SyntaxError{line, want}
		}
	}
	if len(o.sections) == 0 {
		return nil, &SyntaxError{line, "a medium"}
	}
	return &o, nil
}

// newSection reads an m= line (RFC 8866 §5.14).
func newSection(value string) (section, bool) {
	words := strings.Fields(value)
	if len(words) < 4 || len(words) > 3+maxFormats {
		return section{}, false
	}
	s := section{kind: words[0], proto: words[2], first: words[3]}
	if !token(s.kind) || !token(strings.ReplaceAll(s.proto, "/", "")) || !token(s.first) {
		return section{}, false
	}
	if s.kind != "video" && s.kind != "audio" {
		return s, true
	}
	for _, w := range words[3:] {
		n, err := strconv.ParseUint(w, 10, 7)
		if err != nil {
			return section{}, false
		}
		s.formats = append(s.formats, format{typ: uint8(n), name: static(n), rate: 8000})
	}
	return s, true
}

// static names the payload types that need no name (RFC 3551 §6).
func static(typ uint64) string {
	switch typ {
	case 0:
		return "PCMU"
	case 8:
		return "PCMA"
	}
	return ""
}

// attribute reads an a= line, and returns what is wanted in its place if it is
// damaged.
func (s *section) attribute(text string) (want string) {
	name, value, _ := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	switch name {
	case "mid":
		return s.keep(&s.mid, value, token(value), "a mid")
	case "ice-ufrag":
		return s.keep(&s.peer.ufrag, value, iceWord(value, 4), "an ice-ufrag")
	case "ice-pwd":
		return s.keep(&s.peer.pwd, value, iceWord(value, 22), "an ice-pwd")
	case "fingerprint":
		if strings.HasPrefix(s.peer.fingerprint, "sha-256 ") {
			return "" // one that is good is enough
		}
		return s.keep(&s.peer.fingerprint, value, printed(value), "a fingerprint")
	case "setup":
		return s.keep(&s.peer.setup, value, value == "actpass" || value == "active", "actpass or active")
	case "sendrecv", "recvonly":
		s.receives = true
	case "sendonly", "inactive":
		s.receives = false
	case "rtpmap":
		if typ, _, _ := strings.Cut(value, " "); typ == s.first && visible(value) {
			s.mapping = value
		}
		s.mapped(value)
	case "fmtp":
		if f, params := s.format(value); f != nil && visible(params) {
			f.params = params
		}
	}
	return ""
}

// keep keeps what is well formed.
func (s *section) keep(to *string, value string, good bool, what string) (want string) {
	if !good {
		return what
	}
	*to = value
	return ""
}

// format finds the format that a value begins with.
func (s *section) format(value string) (f *format, rest string) {
	typ, rest, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(typ, 10, 7)
	if err != nil {
		return nil, ""
	}
	for i := range s.formats {
		if s.formats[i].typ == uint8(n) {
			return &s.formats[i], strings.TrimSpace(rest)
		}
	}
	return nil, ""
}

// mapped reads the value of a=rtpmap (RFC 8866 §6.6).
func (s *section) mapped(value string) {
	f, coding := s.format(value)
	parts := strings.Split(coding, "/")
	if f == nil || len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && parts[2] != "1" {
		if f != nil {
			f.name = "" // in several channels: none of ours
		}
		return
	}
	rate, err := strconv.ParseUint(parts[1], 10, 31)
	if err != nil || !token(parts[0]) {
		return
	}
	f.name, f.rate = strings.ToUpper(parts[0]), int(rate)
}

// lacks returns what a section needs and has not.
func (s *section) lacks() (want string) {
	switch {
	case s.kind != "video" && s.kind != "audio":
		return ""
	case s.mid == "":
		return "a mid"
	case s.peer.ufrag == "" || s.peer.pwd == "":
		return "ice-ufrag and ice-pwd"
	case s.peer.fingerprint == "":
		return "a fingerprint"
	}
	return ""
}

// token reports whether s is one (RFC 8866 §9), of bearable length.
func token(s string) bool {
	return within(s, 1, func(c byte) bool {
		return c > ' ' && c < 0x7F && strings.IndexByte(`"(),/:;<=>?@[\]`, c) < 0
	})
}

// iceWord reports whether s is of so many ice-chars at least (RFC 8839 §5.1).
func iceWord(s string, least int) bool {
	return within(s, least, func(c byte) bool { return letter(c) || c == '+' || c == '/' })
}

// printed reports whether s looks like a fingerprint: the name of a hash function,
// and hexadecimal numbers with colons in between.
func printed(s string) bool {
	hash, sum, ok := strings.Cut(s, " ")
	return ok && token(hash) && within(sum, 2, func(c byte) bool {
		return c == ':' || c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	})
}

// visible reports whether s can stand in a line of ours.
func visible(s string) bool {
	return within(s, 0, func(c byte) bool { return c >= ' ' && c < 0x7F })
}

func letter(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// within reports whether s is of at least so many bytes, [maxToken] at most, each of
// which is good.
func within(s string, least int, good func(c byte) bool) bool {
	if len(s) < least || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		if !good(s[i]) {
			return false
		}
	}
	return true
}
