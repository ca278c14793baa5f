package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// answerParams answers one GET and returns the parameters of the answer.
func answerParams(t *testing.T, s *Session, uri string, body string) map[string]string {
	t.Helper()
	a, err := s.Answer("GET", uri, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseHeader(a.Header)
	if err != nil || len(list) != 1 {
		t.Fatalf("%q: %v", a.Header, err)
	}
	return list[0].params
}

func TestKnownVectors(t *testing.T) {
	const rfc7616 = `Digest realm="http-auth@example.org", qop="auth, auth-int", ` +
		`nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", ` +
		`opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm=`
	for name, tc := range map[string]struct {
		user, password, cnonce string
		challenge, uri         string
		response               string
	}{
		"RFC 2617 §3.5": {
			"Mufasa", "Circle Of Life", "0a4f113b",
			`Digest realm="testrealm@host.com", qop="auth,auth-int", ` +
				`nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"/dir/index.html", "6629fae49393a05397450978507c4ef1",
		},
		"RFC 7616 §3.9.1 MD5": {
			"Mufasa", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			rfc7616 + "MD5", "/dir/index.html", "8ca523f5e9506fed4657c9700eebdbec",
		},
		"RFC 7616 §3.9.1 SHA-256": {
			"Mufasa", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			rfc7616 + "SHA-256", "/dir/index.html", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		"RFC 2069 style, no qop": { // worked out by the formula of RFC 2617 §3.2.2.1
			"u", "p", "unused", `Digest realm="r", nonce="n"`, "/x",
			hexMD5(hexMD5("u:r:p") + ":n:" + hexMD5("GET:/x")),
		},
		"RFC 7616 §3.4.2 MD5-sess": {
			"u", "p", "c", `Digest realm="r", nonce="n", qop=auth, algorithm=MD5-sess`, "/x",
			hexMD5(hexMD5(hexMD5("u:r:p")+":n:c") + ":n:00000001:c:auth:" + hexMD5("GET:/x")),
		},
		"RFC 7616 §3.4.2 SHA-256-sess": {
			"u", "p", "c", `Digest realm="r", nonce="n", qop=auth, algorithm=SHA-256-sess`, "/x",
			hexSHA(hexSHA(hexSHA("u:r:p")+":n:c") + ":n:00000001:c:auth:" + hexSHA("GET:/x")),
		},
		"RFC 7616 §3.3 SHA-512-256": {
			"u", "p", "c", `Digest realm="r", nonce="n", qop=auth, algorithm=SHA-512-256`, "/x",
			hexSHA512(hexSHA512("u:r:p") + ":n:00000001:c:auth:" + hexSHA512("GET:/x")),
		},
		"RFC 7616 §3.4.3 auth-int": {
			"u", "p", "c", `Digest realm="r", nonce="n", qop="auth-int"`, "/x",
			hexMD5(hexMD5("u:r:p") + ":n:00000001:c:auth-int:" + hexMD5("GET:/x:"+hexMD5("body"))),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{User: tc.user, Password: Secret(tc.password)})
			s.cnonce = func() string { return tc.cnonce }
			if err := s.Challenge(Answer{}, []string{tc.challenge}); err != nil {
				t.Fatal(err)
			}
			if got := answerParams(t, s, tc.uri, "body")["response"]; got != tc.response {
				t.Errorf("response %s, want %s", got, tc.response)
			}
		})
	}
}

func hexMD5(s string) string    { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
func hexSHA512(s string) string { return fmt.Sprintf("%x", sha512.Sum512_256([]byte(s))) }
func hexSHA(s string) string    { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func TestUserIsHashedWhenAsked(t *testing.T) { // RFC 7616 §3.4.4
	s := New(Config{User: "u", Password: "p"})
	if err := s.Challenge(Answer{}, []string{`Digest realm=r, nonce=n, algorithm=SHA-256, userhash=true`}); err != nil {
		t.Fatal(err)
	}
	p := answerParams(t, s, "/", "")
	if p["username"] != hexSHA("u:r") || p["userhash"] != "true" {
		t.Errorf("%v", p)
	}
}

func TestNonceCountGrowsAndCnonceStays(t *testing.T) {
	s := New(Config{User: "u", Password: "p"})
	if err := s.Challenge(Answer{}, []string{`Digest realm=r, nonce=n, qop=auth, opaque=""`}); err != nil {
		t.Fatal(err)
	}
	first, second := answerParams(t, s, "/", ""), answerParams(t, s, "/", "")
	if first["nc"] != "00000001" || second["nc"] != "00000002" || first["cnonce"] != second["cnonce"] || first["cnonce"] == "" {
		t.Errorf("%v then %v", first, second)
	}
	if v, ok := first["opaque"]; !ok || v != "" {
		t.Error("an empty opaque must come back")
	}
	if err := s.Challenge(Answer{}, []string{`Digest realm=r, nonce=m, qop=auth`}); err != nil {
		t.Fatal(err)
	}
	if p := answerParams(t, s, "/", ""); p["nc"] != "00000001" || p["nonce"] != "m" || p["cnonce"] == first["cnonce"] {
		t.Errorf("new nonce: %v", p)
	}
}

func TestEveryUseOfANonceHasItsOwnCount(t *testing.T) {
	s := New(Config{User: "u", Password: "p"})
	if err := s.Challenge(Answer{}, []string{`Digest realm=r, nonce=n, qop=auth`}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, _ := s.Answer("GET", "/", nil)
			list, _ := parseHeader(a.Header)
			mu.Lock()
			defer mu.Unlock()
			seen[list[0].params["nc"]] = true
		})
	}
	wg.Wait()
	if len(seen) != 20 {
		t.Errorf("%d distinct counts of 20", len(seen))
	}
}

func TestRefusalOfAFreshNonceIsFinalUnlessStaleOnce(t *testing.T) {
	const plain, stale = `Digest realm=r, nonce=n2, qop=auth`, `Digest realm=r, nonce=n2, qop=auth, stale=true`
	for name, tc := range map[string]struct {
		uses  int      // answers given before the refused one
		steps []string // challenges that refuse an answer each
		want  error    // of the last
	}{
		"wrong password":          {0, []string{plain}, ErrRejected},
		"stale":                   {0, []string{stale}, nil},
		"stale for ever":          {0, []string{stale, stale}, ErrRejected},
		"stale, then wrong":       {0, []string{stale, plain}, ErrRejected},
		"nonce expired silently":  {3, []string{plain}, nil},
		"expired, then wrong":     {3, []string{plain, plain}, ErrRejected},
		"expired, then it is old": {3, []string{stale, stale}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{User: "u", Password: "p"})
			err := s.Challenge(Answer{}, []string{`Digest realm=r, nonce=n1, qop=auth`})
			for range tc.uses {
				answerParams(t, s, "/", "")
			}
			for _, step := range tc.steps {
				a, aerr := s.Answer("GET", "/", nil)
				if err != nil || aerr != nil {
					t.Fatal(err, aerr)
				}
				err = s.Challenge(a, []string{step})
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestBasicOnlyWhenAllowed(t *testing.T) { // RFC 7617 §2
	s := New(Config{User: "Aladdin", Password: "open sesame", AllowBasic: true})
	if err := s.Challenge(Answer{}, []string{`Basic realm="WallyWorld"`}); err != nil {
		t.Fatal(err)
	}
	a, err := s.Answer("GET", "/", nil)
	if err != nil || a.Header != "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" {
		t.Errorf("%q, %v", a.Header, err)
	}
	if s.Challenge(a, []string{`Basic realm="WallyWorld"`}) != ErrRejected {
		t.Error("a refused Basic answer is final")
	}
}

func TestUnwritableUserIsAnError(t *testing.T) {
	for _, tc := range []struct{ user, uri, challenge string }{
		{"a\r\nX: y", "/", `Digest nonce=n`},
		{"a\nb", "/", `Basic realm=r`},
		{"a:b", "/", `Basic realm=r`},
		{"a", "/\r\n", `Digest nonce=n`},
	} {
		s := New(Config{User: tc.user, AllowBasic: true})
		if err := s.Challenge(Answer{}, []string{tc.challenge}); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Answer("GET", tc.uri, nil); err == nil {
			t.Errorf("%q %q: %q", tc.user, tc.uri, a.Header)
		}
	}
}

func TestNoChallengeNoAnswer(t *testing.T) {
	if a, err := New(Config{User: "u"}).Answer("GET", "/", nil); a.Header != "" || err != nil {
		t.Errorf("%q, %v", a.Header, err)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	const hidden = "hunter2"
	s := Secret(hidden)
	cfg := Config{User: "u", Password: s}
	var out strings.Builder
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, cfg, &cfg)
	}
	fmt.Fprintln(&out, s, Answer{Header: hidden})
	fmt.Fprintf(&out, "%v %+v %#v\n", Answer{Header: hidden}, Answer{Header: hidden}, Answer{Header: hidden})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "a", s, "b", cfg)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "a", s, "b", cfg)
	if err := json.NewEncoder(&out).Encode([]any{s, cfg, &cfg}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(&out, s.String()+s.GoString())
	if strings.Contains(out.String(), hidden) || strings.Contains(out.String(), fmt.Sprintf("%x", hidden)) {
		t.Errorf("leaked:\n%s", out.String())
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error("nothing was printed at all")
	}
}
