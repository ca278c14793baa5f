package domain

import (
	"fmt"
	"testing"
	"time"
)

// A beating is how a bench lives with its neighbours: who answers what.
type beating struct {
	answers map[string]int // status by the effect's type, "Keepalive Upper"; 0: no answer
	beats   bool           // the lower's heartbeats come
	above   bool           // the upper's keepalives come
}

// live lets the time pass minute by minute until done says so, for an hour at most,
// and returns how long that took.
func (b *bench) live(in beating, done func() bool) time.Duration {
	b.t.Helper()
	start := b.now
	for !done() && b.now.Sub(start) < time.Hour {
		for _, fx := range b.pass(time.Second) {
			b.respond(in, fx)
		}
		if in.beats && b.now.Sub(start)%time.Minute == 0 {
			b.step(KeepaliveIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}})
		}
		if in.above && b.now.Sub(start)%time.Minute == 0 {
			b.step(KeepaliveIn{Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"}})
		}
	}
	return b.now.Sub(start)
}

func (b *bench) respond(in beating, fx Effect) {
	switch fx := fx.(type) {
	case Keepalive:
		b.step(Answered{Tag: fx.Tag, Status: in.answers["Keepalive "+fx.Peer.Role.String()]})
	case Probe:
		b.step(Answered{Tag: fx.Tag, Status: in.answers["Probe"]})
	case Register:
		b.step(Answered{Tag: fx.Tag, Status: in.answers["Register"], Expires: 2 * time.Hour, Caps: ownCaps})
	}
}

// TestLowerThatDoesNotAnswerIsOffline: of a negotiated lower the answers to our
// keepalives count, though its heartbeats come; of a standard one only these.
func TestLowerThatDoesNotAnswerIsOffline(t *testing.T) {
	for name, tc := range map[string]struct {
		caps   Capability
		status int
		beats  bool
		want   time.Duration // an hour: never
		reason string
	}{
		"negotiated, silent":                {ownCaps, 0, true, 3 * time.Minute, "3 keepalives unanswered"},
		"negotiated, answers":               {ownCaps, 200, true, time.Hour, ""},
		"negotiated, answers but no beats":  {ownCaps, 200, false, time.Hour, ""},
		"negotiated, refuses, but it beats": {ownCaps, 403, true, time.Hour, ""},
		"negotiated, refuses and no beats":  {ownCaps, 403, false, 195 * time.Second, "silent for 3m15s"},
		"standard, silent":                  {0, 0, true, time.Hour, ""},
		"standard, answers but no beats":    {0, 200, false, 195 * time.Second, "silent for 3m15s"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			if err := b.register(below, "10.0.0.2:5060", "", 2*time.Hour, tc.caps); err != nil {
				t.Fatal(err)
			}
			answers := map[string]int{"Keepalive lower": tc.status, "Probe": tc.status}
			got := b.live(beating{answers: answers, beats: tc.beats}, func() bool { return b.lower().State != LinkOnline })
			if got != tc.want || b.lower().Reason != tc.reason {
				t.Errorf("offline after %v: %q, want %v: %q", got, b.lower().Reason, tc.want, tc.reason)
			}
		})
	}
}

// TestAnswerAfterTheNextKeepaliveIsTooLate: the preset time is the time between two.
func TestAnswerAfterTheNextKeepaliveIsTooLate(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Peers[1].KeepaliveEvery = 10 * time.Second })
	if err := b.register(below, "10.0.0.2:5060", "", time.Hour, ownCaps); err != nil {
		t.Fatal(err)
	}
	var late Tag
	start := b.now
	for b.lower().State == LinkOnline && b.now.Sub(start) < time.Minute {
		for _, fx := range b.pass(time.Second) {
			if k, ok := fx.(Keepalive); ok && k.Peer.Role == Lower {
				b.step(Answered{Tag: late, Status: 200}) // to the one before
				late = k.Tag
			}
		}
		b.step(KeepaliveIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}})
	}
	if got := b.now.Sub(start); got != 40*time.Second {
		t.Errorf("offline after %v, want 40s", got)
	}
}

// TestSilenceFromAboveAloneTakesTheLinkDown: a negotiated upper that answers every
// heartbeat of ours and says nothing by itself is offline; a standard one is not.
func TestSilenceFromAboveAloneTakesTheLinkDown(t *testing.T) {
	for name, tc := range map[string]struct {
		caps  Capability
		above bool
		want  time.Duration
	}{
		"negotiated, silent": {ownCaps, false, 195 * time.Second},
		"negotiated":         {ownCaps, true, time.Hour},
		"standard, silent":   {ownCaps &^ CapUpperKeepalive, false, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(c *Config) { c.Peers[0].RegisterEvery = 2 * time.Hour })
			u := b.p.uppers[0]
			b.step(Answered{Tag: u.registering, Status: 200, Expires: 2 * time.Hour, Caps: tc.caps})
			if u.link.State != LinkOnline {
				t.Fatalf("%+v", u.link)
			}
			in := beating{answers: map[string]int{"Keepalive upper": 200, "Register": 200}, above: tc.above}
			if got := b.live(in, func() bool { return u.link.State != LinkOnline }); got != tc.want {
				t.Errorf("offline after %v, want %v", got, tc.want)
			}
			if tc.want == time.Hour {
				return
			}
			if want := "no keepalive from above for 3m15s"; u.link.State != LinkOffline || u.link.Reason != want {
				t.Errorf("%v %q, want %q", u.link.State, u.link.Reason, want)
			}
			if got := b.live(in, func() bool { return u.link.State == LinkOnline }); got > rejoinJitter+time.Second {
				t.Errorf("registered again after %v", got)
			}
		})
	}
}

// TestPeerIsForgottenInsteadOfOffline: what was learned goes, from the store as well,
// what is configured stays: it may register again, and is read anew.
func TestPeerIsForgottenInsteadOfOffline(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Peers[1].Forget = true })
	join := func() {
		t.Helper()
		if err := b.register(below, "10.0.0.2:5060", "a", time.Hour, ownCaps); err != nil {
			t.Fatal(err)
		}
		b.pass(3 * time.Second)
		b.step(CatalogIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, SN: b.p.lowers[below].read.sn, Sum: 1,
			Items: []Item{{ID: "33010200001320000001", Name: "gate", Status: StatusOn}}})
		if got := b.lower().Channels; got != 1 {
			t.Fatalf("%d channels", got)
		}
	}
	join()
	out := b.pass(time.Hour)
	want := Link{Peer: below, Role: Lower, Reason: "silent for 3m15s", Since: b.lower().Since}
	if *b.lower() != want || len(b.p.cat.shelves) != 0 {
		t.Errorf("%+v, %d shelves", *b.lower(), len(b.p.cat.shelves))
	}
	var saved []string
	for _, fx := range out {
		switch fx := fx.(type) {
		case ForgetLink, SaveLink:
			saved = append(saved, fmt.Sprintf("%T", fx))
		case SaveCatalog:
			saved = append(saved, fmt.Sprintf("%T %d", fx, len(fx.Items)))
		}
	}
	if got := fmt.Sprint(saved); got != "[domain.SaveCatalog 1 domain.ForgetLink domain.SaveCatalog 0]" {
		t.Errorf("stored %v", got)
	}
	join()
}

// TestForgottenUpperIsRegisteredWithAgain: nothing of the upper is kept but its table.
func TestForgottenUpperIsRegisteredWithAgain(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Peers[0].Forget = true })
	u := b.p.uppers[0]
	b.step(Answered{Tag: u.registering, Status: 200, Expires: time.Hour, Caps: ownCaps, Version: Version2022})
	b.live(beating{}, func() bool { return u.link.State != LinkOnline })
	if u.link.State != LinkOffline || u.link.Caps != 0 || u.link.Version != VersionUnknown || !u.link.LastSeen.IsZero() {
		t.Errorf("%+v", u.link)
	}
	if _, ok := find1[Register](b.pass(rejoinJitter)); !ok {
		t.Error("it is not registered with again")
	}
}

// TestLowerKnownFromBeforeIsForgottenUnlessItComes: after our own restart it has the usual time.
func TestLowerKnownFromBeforeIsForgottenUnlessItComes(t *testing.T) {
	for _, comes := range []bool{false, true} {
		cfg := Config{Self: self, Seed: 1, Peers: []PeerConfig{{Code: below, Role: Lower, Forget: true}}}
		p, err := NewProcessor(cfg, State{Links: []Link{{Peer: below, Role: Lower, Address: "udp:10.0.0.2:5060"}},
			Catalogs: map[Code][]Item{below: {{ID: "33010200001320000001"}}}})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, p: p, now: noon}
		b.step(Start{})
		b.pass(3 * time.Minute)
		if comes {
			b.register(below, "10.0.0.2:5060", "", time.Hour, 0)
		}
		if b.pass(time.Minute); (b.lower().State == LinkOnline) != comes || (b.lower().Channels == 1) != comes {
			t.Errorf("comes %v: %+v", comes, *b.lower())
		}
	}
}
