package digest

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The hash functions that a [Gate] offers, by their names in the protocol.
const (
	MD5    = "MD5"
	SHA256 = "SHA-256"
)

// Why a [Gate] does not admit a request.
var (
	ErrNoCredentials = errors.New("no credentials")            // none that could be judged: ask for some
	ErrStale         = errors.New("nonce is not the last one") // ask again: nothing is known of the password
	ErrWrong         = errors.New("wrong user or password")
)

// nonceLife is how long a nonce is good for.
const nonceLife = 5 * time.Minute

// A Gate is the server's side of one connection: it challenges, and judges what
// comes back. Its nonce is good on that connection only, so that nothing that
// was listened to can be used on another. It is not safe for concurrent use.
type Gate struct {
	Realm string
	// HA1 returns H(user:realm:password) in hexadecimal, by MD5 or SHA256; not ok
	// if there is no such user. It is called from the gate's goroutine.
	HA1 func(user, algorithm string) (ha1 string, ok bool)

	nonce string
	until time.Time
	count uint64 // uses of the nonce, as counted by the far end
}

// Challenge returns the values of WWW-Authenticate that ask for credentials: the
// stronger one first, since old players take the last. Stale tells that the last
// ones were good but for their nonce.
func (g *Gate) Challenge(stale bool, now time.Time) []string {
	if g.nonce == "" || !now.Before(g.until) {
		g.nonce, g.until, g.count = rand.Text(), now.Add(nonceLife), 0
	}
	var out []string
	for _, algorithm := range []string{SHA256, MD5} {
		text := fmt.Sprintf(`Digest realm="%s", nonce="%s", qop="auth", algorithm=%s`, g.Realm, g.nonce, algorithm)
		if stale {
			text += ", stale=true"
		}
		out = append(out, text)
	}
	return out
}

// A Credential is who a request is from, and what for, by its own word.
type Credential struct {
	User      string
	Algorithm string // MD5 or SHA256
	HA1       string // by which it was admitted; keep it to yourself
	URI       string // as hashed; the caller compares it with what is asked for
}

// String returns the user alone: whoever knows HA1 can pass for them.
func (c Credential) String() string { return c.User }

// GoString is as String.
func (c Credential) GoString() string { return c.User }

// Admit judges an Authorization value of a request made by method. The error is
// [ErrNoCredentials], [ErrStale], [ErrWrong] or a *[SyntaxError].
func (g *Gate) Admit(authorization, method string, now time.Time) (Credential, error) {
	if authorization == "" {
		return Credential{}, ErrNoCredentials
	}
	list, err := parseHeader(authorization)
	if err != nil {
		return Credential{}, err
	}
	if len(list) != 1 || list[0].scheme != "digest" {
		return Credential{}, ErrNoCredentials
	}
	p := list[0].params
	switch {
	case p["nonce"] == "" || p["nonce"] != g.nonce || !now.Before(g.until):
		return Credential{}, ErrStale
	case p["realm"] != g.Realm:
		return Credential{}, ErrWrong
	}
	return g.judge(p, method)
}

// judge compares the response with the one that is right. Unknown users take as
// long as others.
func (g *Gate) judge(p map[string]string, method string) (Credential, error) {
	algorithm, hash, ok := hashOf(p["algorithm"])
	counted, use, err := useOf(p, algorithm)
	if !ok || err != nil {
		return Credential{}, ErrNoCredentials
	}
	ha1, known := g.HA1(p["username"], algorithm)
	known = known && ha1 != ""
	want := hash(ha1 + ":" + g.nonce + use + ":" + hash(method+":"+p["uri"]))
	if subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(p["response"]))) != 1 || !known {
		return Credential{}, ErrWrong
	}
	if use != "" && counted <= g.count {
		g.nonce = "" // seen before: some count from one each time
		return Credential{}, ErrStale
	}
	g.count = max(g.count, counted)
	return Credential{User: p["username"], Algorithm: algorithm, HA1: ha1, URI: p["uri"]}, nil
}

// hashOf returns the hash function of a name, and the name as we write it.
func hashOf(name string) (string, func(string) string, bool) {
	switch strings.ToUpper(name) {
	case "", MD5:
		return MD5, func(s string) string { return hexHash(md5.New(), s) }, true
	case SHA256:
		return SHA256, func(s string) string { return hexHash(sha256.New(), s) }, true
	}
	return "", nil, false
}

// useOf returns the count of a nonce's use, and what of it is hashed. Players that
// know RFC 2069 only leave both out; they know MD5 only, too.
func useOf(p map[string]string, algorithm string) (count uint64, hashed string, err error) {
	if p["qop"] == "" {
		if algorithm != MD5 {
			return 0, "", ErrNoCredentials
		}
		return 0, "", nil
	}
	count, err = strconv.ParseUint(p["nc"], 16, 32)
	if err != nil || len(p["nc"]) != 8 || p["qop"] != "auth" || p["cnonce"] == "" {
		return 0, "", ErrNoCredentials
	}
	return count, ":" + p["nc"] + ":" + p["cnonce"] + ":auth", nil
}
