package digest

import (
	"fmt"
	"strings"

	"github.com/icholy/digest"
)

// Bounds on what a server may send us. A real challenge is some 200 bytes.
const (
	maxHeader     = 4096 // bytes in one WWW-Authenticate value
	maxHeaders    = 16   // values looked at in one response
	maxChallenges = 16   // challenges in one value
)

// A SyntaxError says where a WWW-Authenticate value is damaged.
type SyntaxError struct {
	Offset int    // byte in the header value
	Want   string // what the grammar of RFC 9110 §11.6.1 asks for there
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("www-authenticate: byte %d: want %s", e.Offset, e.Want)
}

// A challenge is one scheme with its parameters; names are in lower case.
type challenge struct {
	scheme string
	params map[string]string
}

// parseHeader splits one WWW-Authenticate value into its challenges
// (RFC 9110 §11.6.1). It is lenient where devices are sloppy: the comma between
// parameters may be missing, unquoted values may hold any visible byte but a
// comma, of two equal names the first counts, and bytes above 0x7F pass
// unchanged, because realms in GB 2312 exist and are hashed as bytes.
func parseHeader(s string) ([]challenge, error) {
	if len(s) > maxHeader {
		return nil, &SyntaxError{maxHeader, "end of value"}
	}
	var out []challenge
	l := &lexer{s: s}
	for l.skip(" \t,"); l.pos < len(l.s); l.skip(" \t,") {
		start := l.pos
		name, isParam := l.name()
		switch {
		case name == "" || isParam && len(out) == 0:
			return nil, &SyntaxError{start, "scheme"}
		case isParam:
			value, err := l.value()
			if err != nil {
				return nil, err
			}
			out[len(out)-1].set(name, value)
		case len(out) == maxChallenges:
			return nil, &SyntaxError{start, "fewer challenges"}
		default:
			out = append(out, challenge{scheme: name, params: map[string]string{}})
		}
	}
	return out, nil
}

func (c challenge) set(name, value string) {
	if _, taken := c.params[name]; !taken {
		c.params[name] = value
	}
}

// A lexer walks one header value.
type lexer struct {
	s   string
	pos int
}

func (l *lexer) skip(set string) {
	for l.pos < len(l.s) && strings.IndexByte(set, l.s[l.pos]) >= 0 {
		l.pos++
	}
}

// name reads a token in lower case and, if an equals sign follows, that too. A
// slash is taken for a token byte, so that the token68 of Negotiate, which we
// never use, does not spoil the Digest beside it.
func (l *lexer) name() (name string, isParam bool) {
	start := l.pos
	for l.pos < len(l.s) && isToken(l.s[l.pos]) {
		l.pos++
	}
	name = strings.ToLower(l.s[start:l.pos])
	l.skip(" \t")
	if l.pos < len(l.s) && l.s[l.pos] == '=' {
		l.pos++
		return name, true
	}
	return name, false
}

// value reads a token or a quoted string.
func (l *lexer) value() (string, error) {
	l.skip(" \t")
	if l.pos < len(l.s) && l.s[l.pos] == '"' {
		return l.quoted()
	}
	start := l.pos
	for l.pos < len(l.s) && strings.IndexByte(" \t,", l.s[l.pos]) < 0 {
		if isControl(l.s[l.pos]) {
			return "", &SyntaxError{l.pos, "visible character"}
		}
		l.pos++
	}
	return l.s[start:l.pos], nil
}

// quoted reads a quoted-string (RFC 9110 §5.6.4).
func (l *lexer) quoted() (string, error) {
	var b strings.Builder
	for l.pos++; l.pos < len(l.s); l.pos++ {
		c := l.s[l.pos]
		if c == '"' {
			l.pos++
			return b.String(), nil
		}
		if c == '\\' && l.pos+1 < len(l.s) {
			l.pos++
			c = l.s[l.pos]
		}
		if isControl(c) {
			return "", &SyntaxError{l.pos, "visible character"}
		}
		b.WriteByte(c)
	}
	return "", &SyntaxError{l.pos, "closing quote"}
}

func isToken(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		strings.IndexByte("!#$%&'*+-.^_`|~/", c) >= 0
}

// isControl reports bytes that must not reach a header we write back.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7F }

// Ranks of what we can answer, weakest first.
const (
	rankNone = iota
	rankBasic
	rankMD5Sess
	rankMD5
	rankSHA256Sess
	rankSHA256
	rankSHA512256
)

// rank orders challenges by strength. Of two with the same hash the plain one
// wins over -sess: fewer devices get it wrong.
func (c challenge) rank(allowBasic bool) int {
	if c.scheme == "basic" && allowBasic {
		return rankBasic
	}
	if c.scheme != "digest" || c.params["nonce"] == "" || !c.knownQOP() {
		return rankNone
	}
	switch strings.ToUpper(c.params["algorithm"]) {
	case "SHA-512-256":
		return rankSHA512256
	case "SHA-256":
		return rankSHA256
	case "SHA-256-SESS":
		return c.sessRank(rankSHA256Sess)
	case "MD5", "":
		return rankMD5
	case "MD5-SESS":
		return c.sessRank(rankMD5Sess)
	}
	return rankNone
}

// sessRank is r if the challenge offers a qop. Without one no cnonce may be
// sent (RFC 2617 §3.2.2), and without a cnonce there is no session key.
func (c challenge) sessRank(r int) int {
	if len(c.qop()) == 0 {
		return rankNone
	}
	return r
}

func (c challenge) knownQOP() bool {
	qop := c.qop()
	for _, q := range qop {
		if q == "auth" || q == "auth-int" {
			return true
		}
	}
	return len(qop) == 0
}

// qop returns the offered qualities of protection, trimmed and in lower case;
// the library compares them exactly.
func (c challenge) qop() []string {
	return strings.FieldsFunc(strings.ToLower(c.params["qop"]), func(r rune) bool {
		return r == ',' || r == ' ' || r == '\t'
	})
}

// library returns the challenge as the digest library wants it.
func (c challenge) library() *digest.Challenge {
	return &digest.Challenge{
		Realm:     c.params["realm"],
		Nonce:     c.params["nonce"],
		Opaque:    c.params["opaque"],
		Algorithm: c.params["algorithm"],
		QOP:       c.qop(),
		Userhash:  strings.EqualFold(c.params["userhash"], "true"),
	}
}

func (c challenge) stale() bool { return strings.EqualFold(c.params["stale"], "true") }

// strongest picks the best challenge we can answer from all values of one
// response. A damaged value does not hide a good one beside it; err is the first
// damage met and matters only when nothing was found.
func strongest(values []string, allowBasic bool) (best challenge, found bool, err error) {
	top := rankNone
	for _, v := range values[:min(len(values), maxHeaders)] {
		list, perr := parseHeader(v)
		if perr != nil && err == nil {
			err = perr
		}
		for _, c := range list {
			if r := c.rank(allowBasic); r > top {
				top, best = r, c
			}
		}
	}
	return best, top > rankNone, err
}
