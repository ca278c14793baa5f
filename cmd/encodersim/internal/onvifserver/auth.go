package onvifserver

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"
)

const (
	realm = "encodersim"

	// nonceLife is how long a digest nonce is good before it is stale.
	nonceLife = 5 * time.Minute

	// tokenSkew is how far a UsernameToken's time may be from the device's.
	tokenSkew = 5 * time.Minute

	// maxTokens bounds the nonces remembered against replay.
	maxTokens = 4096
)

// A guard checks credentials by HTTP Digest (RFC 7616) and by WS-UsernameToken
// digest (WS-Security UsernameToken Profile 1.0).
type guard struct {
	key         []byte // signs nonces, so that none need be stored
	credentials func() (user, password string)
	clock       func() time.Time // the device's own

	mu   sync.Mutex
	seen map[string]time.Time // UsernameToken nonces
}

// A verdict is what a guard says of a request.
type verdict int

const (
	refused verdict = iota
	stale           // right but for an old nonce
	granted
)

// check looks at the Authorization header and, without one, at the SOAP header.
func (g *guard) check(r *http.Request, security *element) verdict {
	if header := r.Header.Get("Authorization"); header != "" {
		return g.digest(r, header)
	}
	if token := security.kid("UsernameToken"); token != nil && g.token(token) {
		return granted
	}
	return refused
}

// challenge asks for credentials: SHA-256 first, as RFC 7616 section 3.7 wants,
// then MD5 for older clients.
func (g *guard) challenge(w http.ResponseWriter, v verdict) {
	for _, algorithm := range []string{"SHA-256", "MD5"} {
		c := digest.Challenge{
			Realm: realm, Nonce: g.nonce(time.Now()), Algorithm: algorithm, QOP: []string{"auth"}, Stale: v == stale,
		}
		w.Header().Add("WWW-Authenticate", c.String())
	}
}

// nonce is a time and a signature on it, both in hexadecimal.
func (g *guard) nonce(at time.Time) string {
	stamp := binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))
	return hex.EncodeToString(append(stamp, g.sign(stamp)...))
}

func (g *guard) sign(stamp []byte) []byte {
	mac := hmac.New(sha256.New, g.key)
	mac.Write(stamp)
	return mac.Sum(nil)[:16]
}

// age returns how old a nonce of ours is.
func (g *guard) age(nonce string) (time.Duration, bool) {
	raw, err := hex.DecodeString(nonce)
	if err != nil || len(raw) != 24 || !hmac.Equal(raw[8:], g.sign(raw[:8])) {
		return 0, false
	}
	return time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(raw)))), true
}

func (g *guard) digest(r *http.Request, header string) verdict {
	given, err := digest.ParseCredentials(header)
	if err != nil {
		return refused
	}
	user, password := g.credentials()
	age, ours := g.age(given.Nonce)
	if !ours || given.Realm != realm || given.Username != user || given.URI != r.RequestURI {
		return refused
	}
	switch given.QOP + "/" + strings.ToUpper(given.Algorithm) {
	case "auth/MD5", "auth/SHA-256", "auth/", "/MD5", "/SHA-256", "/": // without qop: RFC 2069's clients
	default:
		return refused
	}
	c := &digest.Challenge{Realm: realm, Nonce: given.Nonce, Algorithm: given.Algorithm}
	if given.QOP != "" {
		c.QOP = []string{given.QOP}
	}
	want, err := digest.Digest(c, digest.Options{
		Method: r.Method, URI: given.URI, Count: given.Nc, Username: user, Password: password, Cnonce: given.Cnonce,
	})
	if err != nil || subtle.ConstantTimeCompare([]byte(want.Response), []byte(given.Response)) != 1 {
		return refused
	}
	if age > nonceLife {
		return stale
	}
	return granted
}

// token checks a UsernameToken: Base64(SHA1(nonce + created + password)), within
// five minutes of the device's clock and never seen before.
func (g *guard) token(t *element) bool {
	user, password := g.credentials()
	nonce, err := base64.StdEncoding.DecodeString(t.value("Nonce"))
	if err != nil || len(nonce) == 0 || t.value("Username") != user {
		return false
	}
	created, err := time.Parse(time.RFC3339, t.value("Created"))
	if err != nil {
		return false
	}
	sum := sha1.Sum(fmt.Appendf(nil, "%s%s%s", nonce, t.value("Created"), password))
	want := base64.StdEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(want), []byte(t.value("Password"))) != 1 {
		return false
	}
	now := g.clock()
	return created.Sub(now).Abs() <= tokenSkew && g.fresh(string(nonce), now)
}

// fresh remembers a nonce until no token with it could be accepted any more.
func (g *guard) fresh(nonce string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for n, at := range g.seen {
		if now.Sub(at).Abs() > 2*tokenSkew {
			delete(g.seen, n)
		}
	}
	if _, again := g.seen[nonce]; again || len(g.seen) >= maxTokens {
		return false
	}
	g.seen[nonce] = now
	return true
}
