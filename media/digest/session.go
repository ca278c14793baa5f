// Package digest answers the authentication challenges of HTTP and RTSP servers
// (RFC 7616, RFC 2617, RFC 7617; RTSP uses the same headers, RFC 2326 §D and
// RFC 7826 §19), and makes and judges those of our own server: see [Gate]. It
// reads and writes header values and touches no network.
//
// The hashing is that of github.com/icholy/digest but for H(A1), which is made once
// a challenge. Splitting challenges and
// writing the answer are ours: the library reads one challenge per value, only
// lower-case parameter names and unquoted values of letters, digits and hyphens,
// keeps the space in qop="auth-int, auth", escapes quoted values by Go's rules
// instead of HTTP's, damages realms that are not UTF-8, and has no -sess
// algorithms.
package digest

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"

	"github.com/icholy/digest"
)

var (
	// ErrNoChallenge means that nothing offered can be answered: no Digest with
	// a known algorithm, and Basic absent or not allowed.
	ErrNoChallenge = errors.New("no authentication challenge we can answer")
	// ErrRejected means that the server refused an answer to a fresh challenge:
	// user or password is wrong, and repeating may lock the account.
	ErrRejected = errors.New("user or password refused")
)

// Config is who we are to one server.
type Config struct {
	User     string
	Password Secret
	// AllowBasic permits answering a Basic challenge, which hands the password
	// to whoever listens. False refuses it, and with it a downgrade.
	AllowBasic bool
}

// A Session remembers the last challenge of one server and counts the uses of
// its nonce. It is safe for concurrent use.
type Session struct {
	cfg    Config
	cnonce func() string // fixed in tests, where known vectors need it

	mu    sync.Mutex
	chal  challenge // scheme is empty before the first challenge
	own   string    // our cnonce, one per challenge: -sess keys need it constant
	count int       // uses of the nonce
	again bool      // the challenge replaced a stale one
	key   Secret    // H(A1), the same for all uses of the challenge; empty: not made yet
}

// New returns a Session without a challenge.
func New(cfg Config) *Session {
	return &Session{cfg: cfg, cnonce: rand.Text}
}

// An Answer is an Authorization value and what Challenge needs to judge its
// refusal. The zero Answer is a request that carried none.
type Answer struct {
	Header string // value of the Authorization header; empty: send none

	first bool // the nonce was fresh
	again bool // it was fresh for the second time in a row
}

// String hides the header: a Basic answer contains the password.
func (a Answer) String() string { return redacted }

// GoString hides the header as String does.
func (a Answer) GoString() string { return redacted }

// Challenge takes the WWW-Authenticate values of a 401 that refused a request
// sent with the answer refused, and remembers the strongest one: SHA-512-256,
// SHA-256, MD5, and Basic if allowed. When the refused answer was the first use
// of its nonce it returns ErrRejected, unless the server calls that nonce stale
// (RFC 7616 §3.3), which it may do once; a nonce used before may expire with or
// without the word, as devices do. Other errors are ErrNoChallenge or a
// *SyntaxError; then what was remembered stays.
func (s *Session) Challenge(refused Answer, values []string) error {
	c, found, err := strongest(values, s.cfg.AllowBasic)
	if !found {
		return errors.Join(ErrNoChallenge, err)
	}
	if refused.first && (!c.stale() || refused.again) {
		return ErrRejected
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chal, s.own, s.count, s.again, s.key = c, s.cnonce(), 0, refused.first, ""
	return nil
}

// Answer returns the Authorization for one request, counting its nonce up, or
// the zero Answer when no challenge was seen. uri is the request target exactly
// as the request line has it; body matters only to qop=auth-int. The error says
// that user or challenge cannot be written in a header.
func (s *Session) Answer(method, uri string, body []byte) (Answer, error) {
	s.mu.Lock()
	if s.chal.scheme == "" {
		s.mu.Unlock()
		return Answer{}, nil
	}
	s.count++
	if s.key == "" && s.chal.scheme != "basic" {
		s.key = s.makeKey()
	}
	use := use{s.chal, s.own, s.count, s.key}
	a := Answer{first: s.count == 1, again: s.again}
	s.mu.Unlock()

	var err error
	if use.scheme == "basic" {
		a.Header, a.first, err = s.basic(), true, s.checkUser(":")
	} else {
		a.Header, err = s.digest(use, request{method, uri, body})
	}
	if err != nil {
		return Answer{}, err
	}
	return a, nil
}

// A use is one use of a challenge, taken under the lock and worked out without.
type use struct {
	challenge
	cnonce string
	count  int
	key    Secret
}

type request struct {
	method, uri string
	body        []byte
}

func (s *Session) basic() string {
	pair := s.cfg.User + ":" + string(s.cfg.Password)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// checkUser refuses users that would break out of the header or, in Basic, out
// of the pair (RFC 7617 §2).
func (s *Session) checkUser(banned string) error {
	if hasControl(s.cfg.User) || strings.ContainsAny(s.cfg.User, banned) {
		return errors.New("user name has a character that the header cannot carry")
	}
	return nil
}

func hasControl(s string) bool {
	for i := range len(s) {
		if isControl(s[i]) {
			return true
		}
	}
	return false
}

func (s *Session) digest(u use, r request) (string, error) {
	if err := s.checkUser(""); err != nil {
		return "", err
	}
	if hasControl(r.uri) {
		return "", errors.New("request target has a control character")
	}
	chal := u.library()
	opt := digest.Options{
		Method:   r.method,
		URI:      r.uri,
		GetBody:  func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil },
		Count:    u.count,
		Username: s.cfg.User,
		Password: string(s.cfg.Password),
		Cnonce:   u.cnonce,
		A1:       string(u.key),
	}
	chal.Algorithm, _ = cutSess(chal.Algorithm)
	cred, err := digest.Digest(chal, opt)
	if err != nil {
		return "", fmt.Errorf("answer challenge: %w", err)
	}
	cred.Algorithm = u.params["algorithm"] // with -sess, and spelled as the server does
	return u.header(cred), nil
}

// cutSess splits MD5-sess into MD5 and true.
func cutSess(algorithm string) (plain string, ok bool) {
	i := len(algorithm) - len("-sess")
	if i < 0 || !strings.EqualFold(algorithm[i:], "-sess") {
		return algorithm, false
	}
	return algorithm[:i], true
}

// makeKey is H(A1) of the challenge (RFC 7616 §3.4.2): H(user:realm:password), and
// of the -sess algorithms the hash of that with nonce and cnonce. The caller holds mu.
func (s *Session) makeKey() Secret {
	algorithm, session := cutSess(s.chal.params["algorithm"])
	newHash := md5.New
	switch {
	case strings.EqualFold(algorithm, "SHA-256"):
		newHash = sha256.New
	case strings.EqualFold(algorithm, "SHA-512-256"):
		newHash = sha512.New512_256
	}
	key := hexHash(newHash(), s.cfg.User+":"+s.chal.params["realm"]+":"+string(s.cfg.Password))
	if session {
		key = hexHash(newHash(), key+":"+s.chal.params["nonce"]+":"+s.own)
	}
	return Secret(key)
}

func hexHash(h hash.Hash, s string) string {
	io.WriteString(h, s)
	return hex.EncodeToString(h.Sum(nil))
}

// header writes the credentials (RFC 7616 §3.4). algorithm, qop and nc go
// unquoted; opaque comes back even when empty; response goes last, where some
// servers look for it.
func (u use) header(c *digest.Credentials) string {
	b := make([]byte, 0, 512)
	b = appendQuoted(append(b, "Digest username="...), c.Username)
	b = appendQuoted(append(b, ", realm="...), c.Realm)
	b = appendQuoted(append(b, ", nonce="...), c.Nonce)
	b = appendQuoted(append(b, ", uri="...), c.URI)
	if c.Algorithm != "" {
		b = append(append(b, ", algorithm="...), c.Algorithm...)
	}
	if _, ok := u.params["opaque"]; ok {
		b = appendQuoted(append(b, ", opaque="...), c.Opaque)
	}
	if c.QOP != "" {
		b = fmt.Appendf(b, ", qop=%s, nc=%08x, cnonce=", c.QOP, c.Nc)
		b = appendQuoted(b, c.Cnonce)
	}
	if c.Userhash {
		b = append(b, ", userhash=true"...)
	}
	return string(appendQuoted(append(b, ", response="...), c.Response))
}

// appendQuoted appends a quoted-string (RFC 9110 §5.6.4).
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '\\' || s[i] == '"' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
