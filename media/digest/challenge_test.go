package digest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// headerCases also seed FuzzParseHeader.
var headerCases = map[string]struct {
	in     string
	want   []challenge
	offset int // of the *SyntaxError, -1 for none
}{
	"one digest": {
		`Digest realm="a b", nonce="n", qop="auth, auth-int"`,
		[]challenge{{"digest", map[string]string{"realm": "a b", "nonce": "n", "qop": "auth, auth-int"}}}, -1,
	},
	"three in one value": {
		`Negotiate YII/abc==, Digest realm="x,y",nonce=a+b/c==, Basic realm="z"`,
		[]challenge{
			{"negotiate", map[string]string{"yii/abc": "="}},
			{"digest", map[string]string{"realm": "x,y", "nonce": "a+b/c=="}},
			{"basic", map[string]string{"realm": "z"}},
		}, -1,
	},
	"odd case, spaces, empty elements": {
		" ,, DIGEST Realm = \"r\" ,, NONCE\t=\tn, stale=TRUE,",
		[]challenge{{"digest", map[string]string{"realm": "r", "nonce": "n", "stale": "TRUE"}}}, -1,
	},
	"missing commas": {
		`Digest realm="r" nonce="n" algorithm=SHA-256`,
		[]challenge{{"digest", map[string]string{"realm": "r", "nonce": "n", "algorithm": "SHA-256"}}}, -1,
	},
	"escaped quote":   {`Basic realm="a\"b\\c"`, []challenge{{"basic", map[string]string{"realm": `a"b\c`}}}, -1},
	"gb 2312 realm":   {"Basic realm=\"\xc9\xe3\xcf\xf1\"", []challenge{{"basic", map[string]string{"realm": "\xc9\xe3\xcf\xf1"}}}, -1},
	"first of equals": {`Digest nonce=1, nonce=2`, []challenge{{"digest", map[string]string{"nonce": "1"}}}, -1},
	"empty":           {"", nil, -1},
	"param first":     {`realm="x"`, nil, 0},
	"open quote":      {`Digest realm="x`, nil, 15},
	"trailing escape": {`Digest realm="x\`, nil, 16},
	"newline quoted":  {"Digest realm=\"x\r\ny\"", nil, 15},
	"newline bare":    {"Digest nonce=x\ry", nil, 14},
	"escaped newline": {"Digest realm=\"\\\n\"", nil, 15},
	"garbage":         {"Digest realm=x, \x00", nil, 16},
	"too long":        {"Digest realm=" + strings.Repeat("x", maxHeader), nil, maxHeader},
	"too many":        {strings.Repeat("Digest, ", maxChallenges+1), nil, maxChallenges * 8},
}

func TestParseHeaderReadsWhatServersSend(t *testing.T) {
	for name, tc := range headerCases {
		t.Run(name, func(t *testing.T) {
			got, err := parseHeader(tc.in)
			offset := -1
			if se, ok := errors.AsType[*SyntaxError](err); ok {
				offset = se.Offset
			}
			if offset != tc.offset {
				t.Errorf("offset %d (%v), want %d", offset, err, tc.offset)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(challenge{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, tc := range headerCases {
		f.Add(tc.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		list, err := parseHeader(in)
		if err != nil {
			if se, ok := errors.AsType[*SyntaxError](err); !ok || se.Offset < 0 || se.Offset > len(in) {
				t.Fatalf("parseHeader(%q) = %v", in, err)
			}
		}
		if len(list) > maxChallenges {
			t.Fatalf("%d challenges", len(list))
		}
		s := New(Config{User: "u", Password: "p", AllowBasic: true})
		if s.Challenge(Answer{}, []string{in}) != nil {
			return
		}
		a, err := s.Answer("GET", "/", nil)
		if err != nil {
			t.Fatalf("accepted %q but cannot answer it: %v", in, err)
		}
		// Whatever the server sent, the answer is one well-formed credential.
		back, err := parseHeader(a.Header)
		if len(a.Header) <= maxHeader && !strings.HasPrefix(a.Header, "Basic ") && (err != nil || len(back) != 1) {
			t.Fatalf("%q led to %q: %v %v", in, a.Header, back, err)
		}
		if strings.ContainsAny(a.Header, "\r\n\x00") {
			t.Fatalf("header injection: %q", a.Header)
		}
	})
}

func TestStrongestChallengeWins(t *testing.T) {
	const (
		basic  = `Basic realm="r"`
		none   = `Digest nonce=none`
		md5    = `Digest nonce=md5, algorithm=MD5, qop="auth"`
		md5s   = `Digest nonce=md5s, algorithm=MD5-sess, qop="auth"`
		sha    = `Digest nonce=sha, algorithm=SHA-256, qop="auth"`
		sha512 = `Digest nonce=sha512, algorithm=SHA-512-256, qop="auth"`
	)
	for name, tc := range map[string]struct {
		values []string
		want   string // nonce; "" means ErrNoChallenge
	}{
		"order does not matter":    {[]string{md5, sha, basic}, "sha"},
		"one value":                {[]string{md5 + ", " + sha512 + ", " + sha}, "sha512"},
		"plain before sess":        {[]string{md5s, md5}, "md5"},
		"sess alone":               {[]string{md5s}, "md5s"},
		"no algorithm is md5":      {[]string{none}, "none"},
		"damage beside it":         {[]string{`Digest realm="`, md5}, "md5"},
		"basic is not allowed":     {[]string{basic}, ""},
		"no nonce":                 {[]string{`Digest realm=r`}, ""},
		"unknown algorithm":        {[]string{`Digest nonce=n, algorithm=ROT13`}, ""},
		"unknown qop":              {[]string{`Digest nonce=n, qop="magic"`}, ""},
		"sess without qop":         {[]string{`Digest nonce=n, algorithm=MD5-sess`}, ""},
		"nothing":                  {nil, ""},
		"only the first 16 values": {append(make([]string, maxHeaders), md5), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{User: "u"})
			err := s.Challenge(Answer{}, tc.values)
			if got := s.chal.params["nonce"]; got != tc.want || errors.Is(err, ErrNoChallenge) != (tc.want == "") {
				t.Errorf("nonce %q, %v", got, err)
			}
		})
	}
}
