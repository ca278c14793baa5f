package sip

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"districtgateway/domain"
)

// Digest (RFC 2617, RFC 7616) is written out here instead of using a library: what
// is verified must be the peer's own text of nc, and what is echoed its own text of
// the realm, byte for byte.

const (
	nonceLife  = 5 * time.Minute // a challenge can be answered so long
	maxReplays = 1 << 16         // answers remembered against replay
	maxParams  = 32
)

// parseDigest reads the parameters of an Authorization or WWW-Authenticate value.
// Names are lower case; the error is a *SyntaxError.
func parseDigest(s string) (map[string]string, error) {
	const scheme = "digest "
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return nil, &SyntaxError{0, "Authorization", "Digest"}
	}
	params := make(map[string]string)
	for at := len(scheme); ; {
		at += len(s[at:]) - len(strings.TrimLeft(s[at:], " \t,"))
		if at == len(s) {
			return params, nil
		}
		name, _, ok := strings.Cut(s[at:], "=")
		if !ok || len(params) == maxParams {
			return nil, &SyntaxError{at, "Authorization", "name=value, at most 32"}
		}
		at += len(name) + 1
		value, n, err := digestValue(s[at:])
		if err != nil {
			return nil, &SyntaxError{at, "Authorization", "closing quote"}
		}
		params[strings.ToLower(strings.TrimSpace(name))] = value
		at += n
	}
}

// digestValue reads a token or quoted-string and returns how long it is.
func digestValue(s string) (value string, n int, err error) {
	lead := len(s) - len(strings.TrimLeft(s, " \t"))
	s = s[lead:]
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ',')
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), lead + end, nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), lead + i + 1, nil
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", 0, errUnquoted
}

var errUnquoted = errors.New("quoted string without an end")

// newHash returns the hash of an algorithm name; none means MD5.
func newHash(algorithm string) (hash.Hash, bool) {
	switch strings.ToUpper(algorithm) {
	case "", "MD5":
		return md5.New(), true
	case "SHA-256":
		return sha256.New(), true
	}
	return nil, false
}

func hexHash(h hash.Hash, parts ...string) string {
	h.Reset()
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// response computes the digest response to the parameters p as they stand.
func response(h hash.Hash, p map[string]string, method, password string) string {
	ha1 := hexHash(h, p["username"], p["realm"], password)
	ha2 := hexHash(h, method, p["uri"])
	if p["qop"] == "" {
		return hexHash(h, ha1, p["nonce"], ha2)
	}
	return hexHash(h, ha1, p["nonce"], p["nc"], p["cnonce"], p["qop"], ha2)
}

// verify reports whether credentials p prove the password. Its time does not depend
// on whether the password is right.
func verify(p map[string]string, method, password string) bool {
	h, ok := newHash(p["algorithm"])
	if !ok || p["qop"] != "" && !strings.EqualFold(p["qop"], "auth") {
		return false
	}
	want := response(h, p, method, password)
	return subtle.ConstantTimeCompare([]byte(strings.ToLower(p["response"])), []byte(want)) == 1
}

// authorize answers a challenge and returns the value of the Authorization header.
// The error says what about the challenge cannot be met.
func authorize(challenge, method, uri string, login login) (string, error) {
	c, err := parseDigest(challenge)
	if err != nil {
		return "", err
	}
	h, ok := newHash(c["algorithm"])
	if !ok {
		return "", fmt.Errorf("digest algorithm %.20q is not known", c["algorithm"])
	}
	p := map[string]string{"username": login.user, "realm": c["realm"], "nonce": c["nonce"], "uri": uri}
	for offered := range strings.SplitSeq(c["qop"], ",") {
		if strings.EqualFold(strings.TrimSpace(offered), "auth") {
			p["qop"], p["nc"], p["cnonce"] = "auth", "00000001", token(8)
		}
	}
	if c["qop"] != "" && p["qop"] == "" {
		return "", fmt.Errorf("digest protection %.20q is not known", c["qop"])
	}
	p["response"] = response(h, p, method, string(login.password))
	return writeCredentials(p, c), nil
}

// A login is who we are to a peer.
type login struct {
	user     string
	password domain.Secret
}

func writeCredentials(p, challenge map[string]string) string {
	var b strings.Builder
	b.WriteString("Digest ")
	for _, name := range []string{"username", "realm", "nonce", "uri", "response"} {
		fmt.Fprintf(&b, "%s=%s,", name, digestQuoted(p[name]))
	}
	algorithm := challenge["algorithm"]
	if algorithm == "" {
		algorithm = "MD5"
	}
	b.WriteString("algorithm=" + algorithm)
	if p["qop"] != "" {
		fmt.Fprintf(&b, ",qop=%s,nc=%s,cnonce=%s", p["qop"], p["nc"], digestQuoted(p["cnonce"]))
	}
	if opaque, ok := challenge["opaque"]; ok {
		b.WriteString(",opaque=" + digestQuoted(opaque))
	}
	return b.String()
}

func digestQuoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(s) + `"`
}

// token returns n random bytes in hexadecimal digits.
func token(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// A turnstile issues challenges without remembering them: a nonce is its instant, a
// random number, and an HMAC over both and the host of the source. It remembers used answers, so
// that none is good twice.
type turnstile struct {
	key   [32]byte
	realm string

	mu      sync.Mutex
	used    map[string]struct{} // nonce and nc, of this nonceLife
	before  map[string]struct{} // of the one before
	rotated time.Time
}

func newTurnstile(realm string) *turnstile {
	t := &turnstile{realm: realm, used: make(map[string]struct{})}
	rand.Read(t.key[:])
	return t
}

func (t *turnstile) mac(instant string, host netip.Addr) string {
	m := hmac.New(sha256.New, t.key[:])
	m.Write([]byte(instant))
	m.Write([]byte(host.String()))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// challenge returns the value of a WWW-Authenticate header for a source. It names
// MD5, the one algorithm that every product knows, because Dahua's do not answer
// a challenge that names none.
func (t *turnstile) challenge(now time.Time, host netip.Addr, stale bool) string {
	var b [16]byte // the instant, and what makes each nonce another
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli()))
	rand.Read(b[8:])
	instant := hex.EncodeToString(b[:])
	value := fmt.Sprintf(`Digest realm="%s",nonce="%s",qop="auth",algorithm=MD5`, t.realm, instant+t.mac(instant, host))
	if stale {
		value += ",stale=true"
	}
	return value
}

// fresh reports whether nonce is ours, for that source, and not too old; ours says
// that it is at least ours.
func (t *turnstile) fresh(now time.Time, nonce string, host netip.Addr) (fresh, ours bool) {
	if len(nonce) != 32+32 {
		return false, false
	}
	instant := nonce[:32]
	if !hmac.Equal([]byte(t.mac(instant, host)), []byte(nonce[32:])) {
		return false, false
	}
	ms, err := strconv.ParseInt(instant[:16], 16, 64)
	age := now.Sub(time.UnixMilli(ms))
	return err == nil && age >= 0 && age < nonceLife, true
}

// use marks an answer as used, and reports false if it was before or cannot be
// remembered: then the peer is challenged anew.
func (t *turnstile) use(now time.Time, p map[string]string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.rotated) >= nonceLife {
		t.before, t.used, t.rotated = t.used, make(map[string]struct{}), now
	}
	key := p["nonce"]
	if p["qop"] != "" {
		nc, err := strconv.ParseUint(p["nc"], 16, 32)
		if err != nil {
			return false
		}
		key = fmt.Sprintf("%s %08x", key, nc)
	}
	_, now1 := t.used[key]
	_, before := t.before[key]
	if now1 || before || len(t.used) >= maxReplays {
		return false
	}
	t.used[key] = struct{}{}
	return true
}
