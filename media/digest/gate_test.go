package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var gateEpoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// newGate is a gate that knows wang, whose password is "right".
func newGate() *Gate {
	return &Gate{Realm: "District Gateway", HA1: func(user, algorithm string) (string, bool) {
		a1 := user + ":District Gateway:right"
		if algorithm == SHA256 {
			return hexHash(sha256.New(), a1), user == "wang"
		}
		return hexHash(md5.New(), a1), user == "wang"
	}}
}

// answerTo answers the challenges of g that offer algorithm.
func answerTo(t *testing.T, g *Gate, cfg Config, algorithm string) *Session {
	t.Helper()
	s := New(cfg)
	for _, c := range g.Challenge(false, gateEpoch) {
		if strings.HasSuffix(c, "algorithm="+algorithm) {
			if err := s.Challenge(Answer{}, []string{c}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func TestGateAdmitsWhoKnowsThePassword(t *testing.T) {
	for _, algorithm := range []string{MD5, SHA256} {
		for name, tc := range map[string]struct {
			cfg  Config
			want error
		}{
			"right":   {Config{User: "wang", Password: "right"}, nil},
			"wrong":   {Config{User: "wang", Password: "Right"}, ErrWrong},
			"unknown": {Config{User: "li", Password: "right"}, ErrWrong},
			"nobody":  {Config{}, ErrWrong},
		} {
			t.Run(algorithm+" "+name, func(t *testing.T) {
				g := newGate()
				s := answerTo(t, g, tc.cfg, algorithm)
				for range 3 {
					a, err := s.Answer("DESCRIBE", "rtsp://h/1", nil)
					if err != nil {
						t.Fatal(err)
					}
					c, err := g.Admit(a.Header, "DESCRIBE", gateEpoch)
					if !errors.Is(err, tc.want) || err == nil && (c.User != "wang" || c.URI != "rtsp://h/1") {
						t.Errorf("%+v, %v", c, err)
					}
					if _, err := g.Admit(a.Header, "PLAY", gateEpoch); err == nil {
						t.Error("admitted for another method")
					}
				}
			})
		}
	}
}

func TestStrongestChallengeComesFirstAndMD5Last(t *testing.T) {
	got := newGate().Challenge(true, gateEpoch)
	if len(got) != 2 || !strings.Contains(got[0], "algorithm=SHA-256, stale=true") || !strings.Contains(got[1], "algorithm=MD5, stale=true") {
		t.Error(got)
	}
}

func TestPlayersOfRFC2069AreAdmitted(t *testing.T) {
	g := newGate()
	g.Challenge(false, gateEpoch)
	ha1, _ := g.HA1("wang", MD5)
	response := hexHash(md5.New(), ha1+":"+g.nonce+":"+hexHash(md5.New(), "SETUP:rtsp://h/1/"))
	text := fmt.Sprintf(`Digest username="wang", realm="District Gateway", nonce="%s", uri="rtsp://h/1/", response="%s"`, g.nonce, strings.ToUpper(response))
	if _, err := g.Admit(text, "SETUP", gateEpoch); err != nil {
		t.Error(err)
	}
	if _, err := g.Admit(text+", algorithm=SHA-256", "SETUP", gateEpoch); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("SHA-256 without qop: %v", err)
	}
}

func TestNonceIsGoodOnceEachCountForAWhileOnOneConnection(t *testing.T) {
	g := newGate()
	s := answerTo(t, g, Config{User: "wang", Password: "right"}, SHA256)
	first, _ := s.Answer("PLAY", "rtsp://h/1", nil)
	second, _ := s.Answer("PLAY", "rtsp://h/1", nil)
	if _, err := g.Admit(second.Header, "PLAY", gateEpoch); err != nil {
		t.Fatal(err)
	}
	other := newGate()
	other.Challenge(false, gateEpoch)
	if _, err := other.Admit(second.Header, "PLAY", gateEpoch); !errors.Is(err, ErrStale) {
		t.Errorf("on another connection: %v", err)
	}
	if _, err := g.Admit(second.Header, "PLAY", gateEpoch.Add(nonceLife)); !errors.Is(err, ErrStale) {
		t.Errorf("later: %v", err)
	}
	for _, seen := range []Answer{second, first} {
		if _, err := g.Admit(seen.Header, "PLAY", gateEpoch); !errors.Is(err, ErrStale) {
			t.Errorf("again: %v", err)
		}
	}
	before := second.Header
	if got := g.Challenge(true, gateEpoch)[0]; strings.Contains(before, got[strings.Index(got, "nonce="):strings.Index(got, ", qop")]) {
		t.Error("what was seen before is answered with the same nonce")
	}
}

// authorizations also seed the fuzzer.
var authorizations = map[string]error{
	"": ErrNoCredentials, "Basic d2FuZzpyaWdodA==": ErrNoCredentials, "Digest": ErrStale, `Digest nonce=""`: ErrStale,
	`Digest username="wang", nonce="N"`:                                                               ErrWrong,
	`Digest username="wang", realm="District Gateway", nonce="N"`:                                     ErrWrong,
	`Digest username="wang", realm="District Gateway", nonce="N", algorithm=SHA-512-256`:              ErrNoCredentials,
	`Digest username="wang", realm="District Gateway", nonce="N", algorithm=MD5-sess`:                 ErrNoCredentials,
	`Digest username="wang", realm="District Gateway", nonce="N", qop=auth-int, nc=00000001,cnonce=x`: ErrNoCredentials,
	`Digest username="wang", realm="District Gateway", nonce="N", qop=auth, nc=1, cnonce=x`:           ErrNoCredentials,
	`Digest username="wang", realm="District Gateway", nonce="N", qop=auth, nc=00000001`:              ErrNoCredentials,
	`Digest username="wang", realm="District Gateway", nonce="N", qop=auth, nc=00000001, cnonce=x`:    ErrWrong,
	`Digest username="wang", realm="other", nonce="N"`:                                                ErrWrong,
	`Digest username="wang", Digest realm="District Gateway"`:                                         ErrNoCredentials,
}

// fixed is a gate with a known nonce.
func fixed() *Gate {
	g := newGate()
	g.nonce, g.until = "N", gateEpoch.Add(time.Hour)
	return g
}

func TestDamagedCredentialsAreRefused(t *testing.T) {
	for text, want := range authorizations {
		if _, err := fixed().Admit(text, "PLAY", gateEpoch); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	if _, err := fixed().Admit(`Digest username="`, "PLAY", gateEpoch); err == nil {
		t.Error("an open quote is admitted")
	}
	// Whoever guesses that there is no H(A1) for a user must not be one.
	g := fixed()
	g.HA1 = func(string, string) (string, bool) { return "", true }
	response := hexHash(md5.New(), ":N:"+hexHash(md5.New(), "PLAY:u"))
	if _, err := g.Admit(`Digest username="x", realm="District Gateway", nonce="N", uri="u", response="`+response+`"`, "PLAY", gateEpoch); !errors.Is(err, ErrWrong) {
		t.Errorf("an empty H(A1): %v", err)
	}
}

func FuzzAdmit(f *testing.F) {
	for text := range authorizations {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := fixed().Admit(text, "PLAY", gateEpoch); err == nil {
			t.Errorf("admitted %+v", c)
		}
	})
}
