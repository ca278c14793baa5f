package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

func TestDigestVectorsOfTheNotes(t *testing.T) {
	p := map[string]string{"username": "33010200002000000001", "realm": "3301000000", "nonce": "6f1c2d9a4be84c10b7a3e5d2f0918c77",
		"uri": "sip:33010000002000000001@192.0.2.10:5060", "qop": "auth", "nc": "00000001", "cnonce": "0a4f113b"}
	h, _ := newHash("MD5")
	if got := response(h, p, "REGISTER", password); got != "91711c5efde9551a6b030a310a049587" {
		t.Error("with qop", got)
	}
	delete(p, "qop")
	if got := response(h, p, "REGISTER", password); got != "f8a28e51a95ad350c75f14320e61969c" {
		t.Error("without qop", got)
	}
	p["response"] = strings.ToUpper("f8a28e51a95ad350c75f14320e61969c")
	if !verify(p, "REGISTER", password) || verify(p, "REGISTER", "other") || verify(p, "MESSAGE", password) {
		t.Error("verify")
	}
}

func TestDigestSHA256Vector(t *testing.T) { // RFC 7616 clause 3.9.1
	p := map[string]string{"username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html",
		"nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "nc": "00000001",
		"cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "qop": "auth"}
	h, _ := newHash("sha-256")
	if got := response(h, p, "GET", "Circle of Life"); got != "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" {
		t.Error(got)
	}
}

func TestChallengesAreAnswered(t *testing.T) {
	who := login{"33010200002000000001", password}
	for name, tc := range map[string]struct {
		challenge string
		qop, err  bool
	}{
		"plain":               {`Digest realm="3301000000", nonce="abc"`, false, false},
		"qop":                 {`Digest realm="r",nonce="abc",qop="auth",algorithm=MD5`, true, false},
		"qop among others":    {`Digest realm="r",nonce="abc",qop="auth-int, auth",algorithm=md5`, true, false},
		"SHA-256":             {`DIGEST realm="r",nonce="abc",qop="auth",algorithm=SHA-256,opaque="o"`, true, false},
		"realm in GBK":        {"Digest realm=\"\xb9\xab\xb0\xb2\\\"x\", nonce=\"abc\"", false, false},
		"algorithm not known": {`Digest realm="r",nonce="abc",algorithm=SM3`, false, true},
		"only auth-int":       {`Digest realm="r",nonce="abc",qop="auth-int"`, false, true},
		"basic":               {`Basic realm="r"`, false, true},
		"broken":              {`Digest realm="r`, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			value, err := authorize(tc.challenge, "REGISTER", "sip:x@y", who)
			if (err != nil) != tc.err {
				t.Fatal(value, err)
			}
			if err != nil {
				return
			}
			p, err := parseDigest(value)
			c, _ := parseDigest(tc.challenge)
			if err != nil || !verify(p, "REGISTER", password) || p["realm"] != c["realm"] || (p["qop"] == "auth") != tc.qop || p["opaque"] != c["opaque"] {
				t.Errorf("%s: %v", value, err)
			}
		})
	}
}

func FuzzDigest(f *testing.F) {
	f.Add(`Digest realm="a\"b",nonce=x, qop="auth"`)
	f.Add(`Digest a=,b="`)
	f.Fuzz(func(t *testing.T, in string) {
		p, err := parseDigest(in)
		if err != nil || strings.ContainsAny(p["realm"]+p["nonce"]+p["opaque"], "\r\n") {
			return
		}
		value, err := authorize(in, "REGISTER", "sip:x@y", login{"u", "p"})
		if err != nil {
			return
		}
		if back, err := parseDigest(value); err != nil || !verify(back, "REGISTER", "p") || back["realm"] != p["realm"] {
			t.Errorf("%q: %v", value, err)
		}
	})
}

func TestErrorsAndStatusesMeetInOneTable(t *testing.T) {
	for _, err := range []error{domain.ErrDenied, domain.ErrNoChannel, domain.ErrNoRecording, domain.ErrOffline, domain.ErrPeerOffline,
		domain.ErrBusy, domain.ErrNoMemory, domain.ErrTimeout, domain.ErrMedia, domain.ErrControl, domain.ErrGone, domain.ErrBroken, domain.ErrHeld, domain.ErrUnable} {
		status, words, level := statusOf(fmt.Errorf("wrapped: %w", err))
		if back := errorOf(status, words); !errors.Is(back, err) || level != "" || phrase(status) == "Refused" {
			t.Errorf("%v is %d %s is %v", err, status, words, back)
		}
	}
	for in, want := range map[int]int{0: 408, 401: 408, 407: 408, 481: 408, 487: 408, 400: 400, 404: 404, 486: 486, 488: 488, 500: 503, 503: 503,
		302: 503, 603: 603} {
		if got, _, level := statusOf(&domain.Refused{Level: other, Status: in}); got != want || level != other {
			t.Errorf("%d passed on as %d", in, got)
		}
	}
	for err, want := range map[error]int{nil: 200, errors.New("?"): 500, &SyntaxError{}: 400, &manscdp.SyntaxError{}: 400} {
		if got, _, _ := statusOf(err); got != want {
			t.Errorf("%v is %d", err, got)
		}
	}
	if errorOf(200, "") != nil || !errors.Is(errorOf(404, "unknown words"), domain.ErrNoChannel) || !errors.Is(errorOf(403, "unknown words"), domain.ErrDenied) {
		t.Error("way back")
	}
	if r, ok := errors.AsType[*domain.Refused](errorOf(420, "x")); !ok || r.Status != 420 {
		t.Error("status out of the table")
	}
}

func TestCapabilitiesAreReadBack(t *testing.T) {
	for c := range domain.Capability(64) {
		if got := parseCaps(" later ," + formatCaps(c)); got != c {
			t.Errorf("%06b is %q is %06b", c, formatCaps(c), got)
		}
	}
	all := domain.CapUpperKeepalive | domain.CapRefuseLeave | domain.CapPush | domain.CapElementary | domain.CapParties | domain.CapPTZ
	if got := formatCaps(all); got != "keepalive,leave,push,elementary,parties,ptz" || formatCaps(domain.CapPTZ) != "ptz" {
		t.Errorf("all are %q, the last is %q", got, formatCaps(domain.CapPTZ))
	}
}

func TestLimiterRefillsAndStaysBounded(t *testing.T) {
	l := newLimiter[int](2, 3)
	now := time.Unix(1000, 0)
	for i, want := range []bool{true, true, true, false} {
		if l.allow(now, 1) != want {
			t.Error(i)
		}
	}
	if !l.empty(now, 1) || l.empty(now, 2) {
		t.Error("empty")
	}
	now = now.Add(time.Second)
	for i, want := range []bool{true, true, false} {
		if l.allow(now, 1) != want {
			t.Error("refill", i)
		}
	}
	for i := range 3 * maxBuckets {
		l.allow(now, i)
	}
	if len(l.hosts) > maxBuckets {
		t.Errorf("%d buckets", len(l.hosts))
	}
	if !l.empty(now, -1) { // shares with the crowd
		t.Error("rest")
	}
	if later := now.Add(time.Minute); !l.allow(later, -1) || len(l.hosts) != 1 {
		t.Errorf("%d buckets after a sweep", len(l.hosts))
	}
}

func TestReplaysAreRememberedWithinBounds(t *testing.T) {
	ts := newTurnstile("3301000000")
	now := time.Unix(1000, 0)
	for i := range maxReplays {
		if !ts.use(now, map[string]string{"nonce": fmt.Sprint(i)}) {
			t.Fatal(i)
		}
	}
	if ts.use(now, map[string]string{"nonce": "one more"}) {
		t.Error("no bound")
	}
	if ts.use(now.Add(nonceLife), map[string]string{"nonce": "7"}) || !ts.use(now.Add(nonceLife), map[string]string{"nonce": "one more"}) {
		t.Error("rotation")
	}
}

func TestTurnstileKnowsItsNonces(t *testing.T) {
	ts, now, host := newTurnstile("3301000000"), time.Unix(1000, 0), netip.MustParseAddr("10.0.0.1")
	p, _ := parseDigest(ts.challenge(now, host, true))
	for name, tc := range map[string]struct {
		after       time.Duration
		host        netip.Addr
		nonce       string
		fresh, ours bool
	}{
		"at once":    {0, host, p["nonce"], true, true},
		"late":       {nonceLife, host, p["nonce"], false, true},
		"before":     {-time.Second, host, p["nonce"], false, true},
		"other host": {0, netip.MustParseAddr("10.0.0.2"), p["nonce"], false, false},
		"changed":    {0, host, "0" + p["nonce"][1:len(p["nonce"])-1] + "g", false, false},
		"empty":      {0, host, "", false, false},
	} {
		if fresh, ours := ts.fresh(now.Add(tc.after), tc.nonce, tc.host); fresh != tc.fresh || ours != tc.ours {
			t.Errorf("%s: %v %v", name, fresh, ours)
		}
	}
	if p["stale"] != "true" || p["algorithm"] != "MD5" || p["qop"] != "auth" {
		t.Error(p)
	}
}

func TestIntactMessageIsLetInUntouched(t *testing.T) {
	raw := []byte(keepaliveText("", "Content-Length: 10\r\n", ""))
	if got, ok := mend(raw); !ok || &got[0] != &raw[0] || len(got) != len(raw) {
		t.Errorf("%q", got)
	}
}

func FuzzMend(f *testing.F) {
	for _, tc := range sloppy {
		f.Add([]byte(tc.msg))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := mend(raw)
		if head, _ := splitHead(got); !ok || head > maxHead { // grown over the limit
			return
		}
		again, ok := mend(got)
		if !ok || string(again) != string(got) {
			t.Errorf("mended %.500q is mended again to %.500q", got, again)
		}
	})
}
