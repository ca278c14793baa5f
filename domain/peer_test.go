package domain

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

const (
	self     = Code("33010000002000000001")
	above    = Code("33000000002000000001")
	below    = Code("33010200002000000001")
	stranger = Code("33019900002000000001")
)

// A bench is one processor with an upper and a lower, driven by hand.
type bench struct {
	t   *testing.T
	p   *Processor
	now time.Time
	ref Ref
}

func newBench(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	cfg := Config{Self: self, Name: "city", Seed: 1, Peers: []PeerConfig{
		{Code: above, Role: Upper, Address: "10.0.0.1:5060"}, {Code: below, Role: Lower}}}
	if change != nil {
		change(&cfg)
	}
	p, err := NewProcessor(cfg, State{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, p: p, now: noon}
	b.step(Start{})
	return b
}

func (b *bench) step(ev Event) []Effect {
	b.t.Helper()
	return b.p.Step(b.now, ev)
}

// pass lets d pass with all that is due in it, and returns the effects.
func (b *bench) pass(d time.Duration) (out []Effect) {
	end := b.now.Add(d)
	for {
		at, ok := b.p.Due()
		if !ok || at.After(end) {
			b.now = end
			return out
		}
		if at.After(b.now) {
			b.now = at
		}
		out = append(out, b.step(Tick{})...)
	}
}

// find returns the first effect of a type.
func find1[T Effect](out []Effect) (T, bool) {
	for _, fx := range out {
		if got, ok := fx.(T); ok {
			return got, true
		}
	}
	var zero T
	return zero, false
}

func (b *bench) register(from Code, address, instance string, expires time.Duration, caps Capability) error {
	b.t.Helper()
	b.ref++
	out := b.step(RegisterIn{Ref: b.ref, Origin: Origin{from, "udp:" + address, true}, Expires: expires, Instance: instance, Caps: caps})
	reply, ok := find1[ReplyRegister](out)
	if !ok || reply.Ref != b.ref {
		b.t.Fatalf("no reply to REGISTER: %v", out)
	}
	return reply.Err
}

func (b *bench) beat(from Code, address string) error {
	b.t.Helper()
	b.ref++
	reply, ok := find1[Reply](b.step(KeepaliveIn{Ref: b.ref, Origin: Origin{From: from, Address: "udp:" + address}}))
	if !ok || reply.Ref != b.ref {
		b.t.Fatal("no reply to the heartbeat")
	}
	return reply.Err
}

func (b *bench) lower() *Link { return &b.p.lowers[below].link }

func TestStrangersAreRefused(t *testing.T) {
	b := newBench(t, nil)
	if err := b.register(stranger, "10.0.0.9:5060", "", time.Hour, 0); !errors.Is(err, ErrDenied) {
		t.Errorf("REGISTER of a stranger: %v", err)
	}
	for _, from := range []Code{stranger, below} {
		if err := b.beat(from, "10.0.0.9:5060"); !errors.Is(err, ErrDenied) {
			t.Errorf("heartbeat of %s: %v", from, err)
		}
	}
	o := Origin{From: stranger, Address: "udp:10.0.0.9:5060"}
	for _, ev := range []Event{QueryIn{Ref: 7, Origin: o}, CatalogIn{Ref: 7, Origin: o}, RecordsIn{Ref: 7, Origin: o},
		DeviceInfoIn{Ref: 7, Origin: o}, DeviceStatusIn{Ref: 7, Origin: o}, MediaStatusIn{Ref: 7, Origin: o}, KeyFrameIn{Ref: 7, Origin: o, Target: camA}, PTZIn{Ref: 7, Origin: o, Target: camA}} {
		if out := b.step(ev); len(out) != 1 || out[0] != (Reply{Ref: 7, Err: ErrDenied}) {
			t.Errorf("%T: %v", ev, out)
		}
	}
	if out := b.step(InviteIn{Dialog: 8, Origin: o}); len(out) != 1 || out[0] != (RefuseInvite{8, ErrDenied}) {
		t.Errorf("INVITE: %v", out)
	}
	spoofed := Origin{From: above, Address: "udp:10.0.0.9:5060"}
	if out := b.step(InviteIn{Dialog: 9, Origin: spoofed}); len(out) != 1 || out[0] != (RefuseInvite{9, ErrDenied}) {
		t.Errorf("INVITE in the upper's name: %v", out)
	}
}

// A lower that starts anew within its registration has forgotten what it had still
// to tell; its upper must not go by what it read before.
func TestLowerThatStartsAnewIsReadAgain(t *testing.T) {
	for _, caps := range []Capability{ownCaps, 0} {
		b := newBench(t, nil)
		register := func(run string) (asked bool) {
			t.Helper()
			b.ref++
			b.step(RegisterIn{Ref: b.ref, Origin: Origin{below, "udp:10.0.0.2:5060", true}, Expires: time.Hour, Instance: "a", Run: run, Caps: caps})
			for _, fx := range b.pass(firstQuery) {
				if q, ok := fx.(Query); ok && q.Kind == QueryCatalog {
					asked = true
					b.step(CatalogIn{Ref: b.ref, Origin: Origin{below, "udp:10.0.0.2:5060", true}, SN: q.SN, Sum: 1,
						Items: []Item{{ID: NodeID(camA), Parent: NodeID(below), Status: StatusOn}}})
				}
			}
			return asked
		}
		if !register("1") {
			t.Fatal("a lower that is new is not asked")
		}
		if register("1") {
			t.Error("a refresh makes it be asked again")
		}
		if got, want := register("2"), caps != 0; got != want { // others do not keep to one Call-ID
			t.Errorf("capabilities %d: asked after a restart %v", caps, got)
		}
		if register("2") {
			t.Error("and again")
		}
	}
}

func TestTwoAddressesTakingTurns(t *testing.T) {
	b := newBench(t, nil)
	at := func(address string, want error) {
		t.Helper()
		if err := b.register(below, address, "", time.Hour, 0); !errors.Is(err, want) {
			t.Errorf("from %s: %v, want %v", address, err, want)
		}
		b.pass(time.Minute)
	}
	at("10.0.0.2:5060", nil)
	at("10.0.0.3:5060", nil) // the last authenticated wins
	at("10.0.0.2:5060", nil) // back: a flip-flop, and the first holds
	at("10.0.0.3:5060", ErrDenied)
	at("10.0.0.2:5060", nil)
	b.pass(9 * time.Minute)
	at("10.0.0.3:5060", nil) // long after its last attempt
}

func TestSameInstanceReplacesAndAnotherIsRefused(t *testing.T) {
	b := newBench(t, nil)
	for i, tc := range []struct {
		address, instance string
		after             time.Duration
		want              error
	}{
		{"10.0.0.2:5060", "a", 0, nil},
		{"10.0.0.3:5060", "a", time.Minute, nil},
		{"10.0.0.2:5060", "a", time.Minute, nil}, // no flip-flop: it is the same box
		{"10.0.0.4:5060", "b", time.Minute, ErrDenied},
		{"10.0.0.4:5060", "b", 2 * time.Minute, nil}, // the old one is silent
	} {
		b.pass(tc.after)
		if err := b.register(below, tc.address, tc.instance, time.Hour, ownCaps); !errors.Is(err, tc.want) {
			t.Errorf("%d: %v, want %v", i, err, tc.want)
		}
	}
	if got := b.lower().Address; got != "udp:10.0.0.4:5060" {
		t.Errorf("registered at %s", got)
	}
}

func TestLowerIsOfflineAfterSilenceOrExpiry(t *testing.T) {
	for name, tc := range map[string]struct {
		expires time.Duration
		beat    bool
		after   time.Duration
	}{
		"silence": {time.Hour, false, 195 * time.Second},
		"expiry":  {10 * time.Minute, true, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			if err := b.register(below, "10.0.0.2:5060", "", tc.expires, 0); err != nil {
				t.Fatal(err)
			}
			start := b.now
			for b.lower().State == LinkOnline && b.now.Sub(start) < time.Hour {
				b.pass(time.Second)
				if tc.beat && b.now.Sub(start)%time.Minute == 0 {
					b.step(KeepaliveIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}})
				}
			}
			if got := b.now.Sub(start); got != tc.after {
				t.Errorf("offline after %v, want %v", got, tc.after)
			}
		})
	}
}

func TestUpperIsAskedForBothKindsOfLife(t *testing.T) {
	b := newBench(t, nil)
	for caps, want := range map[Capability]string{ownCaps: "domain.Keepalive", 0: "domain.Probe"} {
		if err := b.register(below, "10.0.0.2:5060", "", time.Hour, caps); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, fx := range b.pass(61 * time.Second) {
			if k, ok := fx.(Keepalive); ok && k.Peer.Role == Upper {
				continue
			}
			if fmt.Sprintf("%T", fx) == want {
				seen++
			}
		}
		if seen != 1 {
			t.Errorf("caps %d: %d times %s in a minute", caps, seen, want)
		}
	}
}

// catalogQueries counts Catalog queries among the effects.
func catalogQueries(out []Effect) (n int) {
	for _, fx := range out {
		if q, ok := fx.(Query); ok && q.Kind == QueryCatalog {
			n++
		}
	}
	return n
}

func TestRefreshDoesNotReadTheCatalogueAgain(t *testing.T) {
	b := newBench(t, nil)
	for i, tc := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Minute, 0}, {11 * time.Minute, 1}} {
		b.pass(tc.after)
		if i > 0 { // keep it online
			b.lower().State = LinkOnline
		}
		if err := b.register(below, "10.0.0.2:5060", "", time.Hour, 0); err != nil {
			t.Fatal(err)
		}
		out := b.pass(3 * time.Second)
		if got := catalogQueries(out); got != tc.want {
			t.Errorf("%d: %d queries, want %d", i, got, tc.want)
		}
		if q := b.p.lowers[below].read; q.state == readAsked {
			b.step(CatalogIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, SN: q.sn})
		}
	}
}

func TestLeavingWaitsForSessionsUnlessForced(t *testing.T) {
	b := newBench(t, nil)
	if err := b.register(below, "10.0.0.2:5060", "a", time.Hour, ownCaps); err != nil {
		t.Fatal(err)
	}
	b.pass(3 * time.Second) // the catalogue query is under way
	leave := func(force bool) ReplyRegister {
		out := b.step(RegisterIn{Origin: Origin{below, "udp:10.0.0.2:5060", true}, Instance: "a", Caps: ownCaps, Leaving: true, Force: force})
		reply, _ := find1[ReplyRegister](out)
		return reply
	}
	if got := leave(false); !errors.Is(got.Err, ErrBusy) || got.RetryAfter != 30*time.Second {
		t.Errorf("while busy: %+v", got)
	}
	if got := leave(true); got.Err != nil || b.lower().State != LinkIdle {
		t.Errorf("by force: %+v, %v", got, b.lower().State)
	}
	if len(b.p.cat.shelves) != 0 {
		t.Error("its devices are still there")
	}
}

func TestUpperIsTriedForEver(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Peers = c.Peers[:1] })
	u := b.p.uppers[0]
	tries, last := 0, b.now
	for b.now.Sub(noon) < 10*time.Hour {
		for _, fx := range b.pass(time.Second) {
			if r, ok := fx.(Register); ok {
				tries++
				if pause := b.now.Sub(last); pause > 9*time.Minute+registerWait {
					t.Fatalf("a pause of %v", pause)
				}
				last = b.now
				b.step(Answered{Tag: r.Tag, Status: 403, Reason: "Forbidden"})
			}
		}
	}
	if tries < 60 || u.link.State != LinkRefused || u.link.Reason != "registration: 403 Forbidden" {
		t.Errorf("%d tries, %+v", tries, u.link)
	}
	before := b.now
	b.step(KeepaliveIn{Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"}})
	if _, ok := find1[Register](b.pass(0)); !ok || b.now != before {
		t.Error("a heartbeat from the upper does not make us register at once (KA-506)")
	}
}

func TestRefreshComesBeforeTheEnd(t *testing.T) {
	for granted, want := range map[time.Duration]time.Duration{
		time.Hour: 48 * time.Minute, 4 * time.Minute: 3 * time.Minute, time.Minute: 30 * time.Second} {
		d := testDesk()
		u := newUpper(PeerConfig{Code: above, Role: Upper})
		u.step(d, upStart{})
		u.step(d, upRegistered{Answered{Tag: u.registering, Status: 200, Expires: granted}})
		if got := u.registerAt.Sub(noon); got != want {
			t.Errorf("granted %v: refreshed after %v, want %v", granted, got, want)
		}
	}
}

func TestConfigFaultsAreAllNamed(t *testing.T) {
	cfg := Config{Self: "1", Region: "3", MaxSessions: -1, Linger: -1, Peers: []PeerConfig{
		{Code: above, Role: Upper}, {Code: above, Role: Upper, Address: "x:1", Transport: "sctp", Media: 9},
		{Code: below, KeepaliveMiss: -1, RetryEvery: -1, Share: []Code{"x"}}}}
	err := cfg.Validate()
	want := []string{"Self", "Region", "MaxSessions", "Linger", "Peers[0].Address", "Peers[1].Transport", "Peers[1].Media",
		"Peers[1].Code", "Peers[2].Role", "Peers[2].KeepaliveMiss", "Peers[2].RetryEvery", "Peers[2].Share[0]"}
	named := make(map[string]bool)
	collect(err, named)
	for _, path := range want {
		if !named[path] {
			t.Errorf("%s is not named in %v", path, err)
		}
	}
	if len(named) != len(want) {
		t.Errorf("named %v, want %v", named, want)
	}
}

func collect(err error, into map[string]bool) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			collect(e, into)
		}
	} else if fe := (*FieldError)(nil); errors.As(err, &fe) {
		into[fe.Path] = true
	}
}

// BenchmarkHeartbeat is one heartbeat among 10^5 registered lowers.
func BenchmarkHeartbeat(b *testing.B) {
	const peers = 100_000
	cfg := Config{Self: self}
	for i := range peers {
		cfg.Peers = append(cfg.Peers, PeerConfig{Code: Code(fmt.Sprintf("3301020000200%07d", i)), Role: Lower})
	}
	p, err := NewProcessor(cfg, State{})
	if err != nil {
		b.Fatal(err)
	}
	now := noon
	p.Step(now, Start{})
	for i, pc := range cfg.Peers {
		p.Step(now.Add(time.Duration(i)), RegisterIn{Origin: Origin{pc.Code, "udp:10.0.0.1:5060", true}, Expires: 24 * time.Hour})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Step(now.Add(time.Duration(peers+i)), KeepaliveIn{Origin: Origin{From: cfg.Peers[i*7919%peers].Code, Address: "udp:10.0.0.1:5060"}})
	}
}
