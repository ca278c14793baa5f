package onvifserver

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/icholy/digest"
)

// usernameToken is a WS-Security header made as clients make it.
func usernameToken(created time.Time, user, password string) string {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	return tokenOf(nonce, created, user, password)
}

func tokenOf(nonce []byte, created time.Time, user, password string) string {
	stamp := created.UTC().Format(time.RFC3339)
	sum := sha1.Sum(fmt.Appendf(nil, "%s%s%s", nonce, stamp, password))
	return fmt.Sprintf(`<w:Security xmlns:w="%s" xmlns:u="%s"><w:UsernameToken><w:Username>%s</w:Username>`+
		`<w:Password>%s</w:Password><w:Nonce>%s</w:Nonce><u:Created>%s</u:Created></w:UsernameToken></w:Security>`,
		nsSecurity, nsUtility, user, base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(nonce), stamp)
}

// authorize computes an Authorization header by RFC 7616's own formula, not by
// the library that the server checks with.
func authorize(nonce, algorithm, password string) string {
	var h hash.Hash = md5.New()
	if algorithm == "SHA-256" {
		h = sha256.New()
	}
	sum := func(s string) string {
		h.Reset()
		h.Write([]byte(s))
		return hex.EncodeToString(h.Sum(nil))
	}
	response := sum(sum(testUser+":"+realm+":"+password) + ":" + nonce + ":00000001:abc:auth:" + sum("POST:"+pathDevice))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=%s, qop=auth, nc=00000001, cnonce="abc", response="%s"`,
		testUser, realm, nonce, pathDevice, algorithm, response)
}

func TestAuthorizationMatrix(t *testing.T) {
	const closed, open = `<tds:GetScopes/>`, `<tds:GetSystemDateAndTime/>`
	for name, tc := range map[string]struct {
		body     string
		header   func(now time.Time) string // in SOAP
		digest   func(nonce string) string  // in HTTP
		wait     time.Duration              // between challenge and answer
		password string                     // of the device, if not the usual one
		want     int
	}{
		"open action":          {body: open, want: 200},
		"open, wrong password": {body: open, digest: func(n string) string { return authorize(n, "MD5", "x") }, want: 200},
		"nothing":              {body: closed, want: 401},
		"unknown action":       {body: `<tds:MakeCoffee/>`, want: 401},
		"MD5":                  {body: closed, digest: func(n string) string { return authorize(n, "MD5", testPassword) }, want: 200},
		"SHA-256":              {body: closed, digest: func(n string) string { return authorize(n, "SHA-256", testPassword) }, want: 200},
		"MD5, wrong password":  {body: closed, digest: func(n string) string { return authorize(n, "MD5", "x") }, want: 401},
		"SHA, wrong password":  {body: closed, digest: func(n string) string { return authorize(n, "SHA-256", "x") }, want: 401},
		"changed password":     {body: closed, password: "new", digest: func(n string) string { return authorize(n, "MD5", testPassword) }, want: 401},
		"foreign nonce":        {body: closed, digest: func(string) string { return authorize(strings.Repeat("0", 48), "MD5", testPassword) }, want: 401},
		"old nonce":            {body: closed, wait: time.Hour, digest: func(n string) string { return authorize(n, "MD5", testPassword) }, want: 401},
		"unknown algorithm": {body: closed, digest: func(n string) string {
			return strings.Replace(authorize(n, "MD5", testPassword), "=MD5", "=SHA-512", 1)
		}, want: 401},
		"integrity of the body": {body: closed, digest: func(n string) string {
			return strings.Replace(authorize(n, "MD5", testPassword), "qop=auth", "qop=auth-int", 1)
		}, want: 401},
		"for another address": {body: closed, digest: func(n string) string {
			return strings.Replace(authorize(n, "MD5", testPassword), "uri=\"/", "uri=\"/x", 1)
		}, want: 401},
		"basic":                 {body: closed, digest: func(string) string { return "Basic YWRtaW46b3BlbnNlc2FtZQ==" }, want: 401},
		"garbage":               {body: closed, digest: func(string) string { return "Digest ,,,=\"" }, want: 401},
		"token":                 {body: closed, header: func(now time.Time) string { return usernameToken(now, testUser, testPassword) }, want: 200},
		"token, wrong password": {body: closed, header: func(now time.Time) string { return usernameToken(now, testUser, "x") }, want: 401},
		"token, wrong user":     {body: closed, header: func(now time.Time) string { return usernameToken(now, "x", testPassword) }, want: 401},
		"token too old":         {body: closed, header: func(now time.Time) string { return usernameToken(now.Add(-6*time.Minute), testUser, testPassword) }, want: 401},
		"token of the future":   {body: closed, header: func(now time.Time) string { return usernameToken(now.Add(6*time.Minute), testUser, testPassword) }, want: 401},
		"token without a nonce": {body: closed, header: func(now time.Time) string { return tokenOf(nil, now, testUser, testPassword) }, want: 401},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice()
				header := ""
				if tc.header != nil {
					header = tc.header(time.Now())
				}
				if tc.password != "" {
					d.guard.credentials = func() (string, string) { return testUser, tc.password }
				}
				r := httptest.NewRequest(http.MethodPost, pathDevice, strings.NewReader(wrap(header, tc.body)))
				if tc.digest != nil {
					r.Header.Set("Authorization", tc.digest(challengeOf(t, d, closed).Nonce))
				}
				time.Sleep(tc.wait)
				w := httptest.NewRecorder()
				d.ServeHTTP(w, r)
				if w.Code != tc.want {
					t.Errorf("%d, want %d", w.Code, tc.want)
				}
				if got := len(w.Header().Values("WWW-Authenticate")); (got == 2) != (w.Code == 401) {
					t.Errorf("%d with %d challenges", w.Code, got)
				}
			})
		})
	}
}

// challengeOf asks without credentials and returns the first challenge.
func challengeOf(t *testing.T, d *device, body string) *digest.Challenge {
	t.Helper()
	c, err := digest.ParseChallenge(call(d, "", body).Header().Get("WWW-Authenticate"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOldNonceIsCalledStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		first := challengeOf(t, d, `<tds:GetScopes/>`)
		time.Sleep(nonceLife + time.Second)
		for password, stale := range map[string]bool{testPassword: true, "x": false} {
			r := httptest.NewRequest(http.MethodPost, pathDevice, strings.NewReader(wrap("", `<tds:GetScopes/>`)))
			r.Header.Set("Authorization", authorize(first.Nonce, "SHA-256", password))
			w := httptest.NewRecorder()
			d.ServeHTTP(w, r)
			c, err := digest.ParseChallenge(w.Header().Get("WWW-Authenticate"))
			if err != nil || c.Stale != stale || w.Code != 401 {
				t.Errorf("password %q: %d, stale %v, %v", password, w.Code, c.Stale, err)
			}
		}
	})
}

func TestTokenIsGoodOnce(t *testing.T) {
	d := newDevice()
	header := usernameToken(d.clock(), testUser, testPassword)
	for i, want := range []int{200, 401} {
		if w := call(d, header, `<tds:GetScopes/>`); w.Code != want {
			t.Errorf("use %d: %d, want %d", i+1, w.Code, want)
		}
	}
}

func TestTokenFollowsTheDevicesClock(t *testing.T) {
	d := newDevice()
	d.skew.Store(int64(24 * time.Hour))
	if w := call(d, usernameToken(time.Now(), testUser, testPassword), `<tds:GetScopes/>`); w.Code != 401 {
		t.Errorf("a token of the right time at a device a day ahead: %d", w.Code)
	}
	if w := call(d, usernameToken(d.clock(), testUser, testPassword), `<tds:GetScopes/>`); w.Code != 200 {
		t.Errorf("a token of the device's time: %d", w.Code)
	}
}

func TestDigestClientOfTheLibraryGetsIn(t *testing.T) {
	srv := httptest.NewServer(newDevice())
	defer srv.Close()
	c := &http.Client{Transport: &digest.Transport{Username: testUser, Password: testPassword}}
	res, err := c.Post(srv.URL+pathDevice, "application/soap+xml", strings.NewReader(wrap("", `<tds:GetScopes/>`)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Error(res.Status)
	}
}
