package domain

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLeaveWalk walks an upper that an operator is about to leave, or left: before
// he asked, while the answer is awaited, between two attempts, after the patience.
func TestLeaveWalk(t *testing.T) {
	answer := func(status int, reason string, retry time.Duration) any {
		return upRegistered{Answered{Tag: 1, Status: status, Reason: reason, RetryAfter: retry, Expires: time.Hour}}
	}
	events := []named{{"due", upDue{}}, {"heard", upHeard{}}, {"stop", upStop{}}, {"former", upFormer{}},
		{"leave", upLeave{LeaveAsked{Ticket: 8, For: time.Minute}}}, {"leave by force", upLeave{LeaveAsked{Ticket: 8, Force: true}}},
		{"join", upJoin{JoinAsked{Ticket: 8}}},
		{"answered 200", answer(200, "OK", 0)}, {"answered 486", answer(486, "Busy Here", 10*time.Second)},
		{"answered 403", answer(403, "Forbidden", 0)}, {"answered never", answer(0, "", 0)},
		{"beaten 403", upBeaten{Answered{Tag: 2, Status: 403, Reason: "Forbidden"}}}, {"beaten never", upBeaten{Answered{Tag: 2}}}}
	var lines []string
	for state := LinkRegistering; state <= LinkLeft; state++ {
		for _, l := range []departure{{}, {until: noon.Add(time.Minute), ticket: 7}, {until: noon.Add(time.Minute), again: noon, ticket: 7},
			{asked: true, until: noon.Add(time.Minute), ticket: 7}, {asked: true, forced: true, force: true, until: noon.Add(time.Minute), ticket: 7},
			{asked: true, force: true, until: noon.Add(time.Minute), ticket: 7},
			{asked: true, until: noon, ticket: 7}, {asked: true}} {
			if state >= LinkLeaving && !l.until.IsZero() {
				continue // going down, or gone
			}
			for _, e := range events {
				lines = append(lines, leaveStep(t, state, l, e))
			}
		}
	}
	walked(t, "leave", lines)
}

func leaveStep(t *testing.T, state LinkState, in departure, e named) string {
	d := testDesk()
	u := newUpper(PeerConfig{Code: "33010000002000000001", Role: Upper})
	u.link.State, u.leave, u.missed, u.tried = state, in, 2, noon.Add(-time.Minute)
	d.last, u.beating = 2, 2
	waits := in.asked || strings.HasPrefix(e.name, "answered") || state == LinkRegistering && in.again.IsZero()
	switch {
	case waits:
		u.registering, u.registerAt, u.leave.resume = 1, noon.Add(time.Minute), noon.Add(time.Hour)
	case state != LinkLeft:
		u.registerAt = noon
	}
	if state == LinkOnline {
		u.beatAt, u.link.Expires = noon.Add(time.Second), noon.Add(time.Hour)
	}
	u.step(d, e.ev)
	told, graves := 0, 0
	for _, fx := range d.out {
		switch fx.(type) {
		case Done, Denied:
			told++
		case SaveTombstone:
			graves++
		}
	}
	if was := state == LinkLeft; graves > 0 != (u.link.State == LinkLeft && !was) || graves > 1 || told > 2 {
		t.Errorf("%v %+v %s: %d tombstones, told %d times, now %v", state, in, e.name, graves, told, u.link.State)
	}
	if u.leaving() && u.registering == 0 && u.leave.again.IsZero() && waits {
		t.Errorf("%v %+v %s: leaving goes on by nothing", state, in, e.name)
	}
	next := "never"
	if u.alarm.place > 0 {
		next = u.alarm.at.Sub(noon).Round(time.Second).String()
	}
	return fmt.Sprintf("%s %s, %s: %s %s %q [%s] next %s", state, phaseOf(in), e.name, u.link.State, phaseOf(u.leave), u.link.Reason, took(d), next)
}

// phaseOf names how far a departure is.
func phaseOf(l departure) string {
	name := "settled"
	switch {
	case l.asked && l.until.IsZero():
		name = "asking for nothing"
	case l.asked && l.forced:
		name = "asking by force"
	case l.asked && l.force:
		name = "asking, force to follow"
	case l.asked && !l.until.After(noon):
		name = "asking a last time"
	case l.asked:
		name = "asking"
	case !l.again.IsZero():
		name = "pausing"
	case !l.until.IsZero():
		name = "about to leave"
	}
	if l.ticket != 0 {
		name += fmt.Sprintf(" for %d", l.ticket)
	}
	return name
}

// TestFormerUpperIsToldOncePerMinute: a keepalive of an upper that was left is
// answered by a deregistration, whether its table is still configured or not; from
// anybody else, by nothing.
func TestFormerUpperIsToldOncePerMinute(t *testing.T) {
	grave := Tombstone{Peer: above, Address: "10.0.0.1:5060", Left: noon.Add(-time.Hour), Reason: agreed, Force: true}
	for name, table := range map[string]bool{"configured": true, "only a tombstone": false} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Self: self, Seed: 1}
			if table {
				cfg.Peers = []PeerConfig{{Code: above, Role: Upper, Address: "10.0.0.1:5060"}}
			}
			p, err := NewProcessor(cfg, State{Tombstones: []Tombstone{grave}})
			if err != nil {
				t.Fatal(err)
			}
			b := &bench{t: t, p: p, now: noon}
			if out := append(b.step(Start{}), b.pass(time.Hour)...); len(out) != 0 {
				t.Fatalf("it is not left alone: %v", out)
			}
			for name, from := range map[string]Origin{"another address": {From: above, Address: "udp:10.0.0.9:5060"},
				"a stranger": {From: stranger, Address: "udp:10.0.0.1:5060"}} {
				if out := b.step(KeepaliveIn{Ref: 7, Origin: from}); len(out) != 1 || out[0] != (Reply{Ref: 7, Err: ErrDenied}) {
					t.Errorf("%s: %v", name, out)
				}
			}
			if got := b.keepalives(10*time.Minute, 7*time.Second); got != 9 { // 63 and 70 s apart
				t.Errorf("%d deregistrations in ten minutes", got)
			}
			link := p.Links()[0]
			if link.Peer != above || link.State != LinkLeft || link.Reason != agreed || !link.Since.Equal(grave.Left) {
				t.Errorf("%+v", link)
			}
		})
	}
}

// keepalives lets the former upper send them for a while, and counts what we answer,
// each but once.
func (b *bench) keepalives(long, every time.Duration) (goodbyes int) {
	b.t.Helper()
	for end := b.now.Add(long); b.now.Before(end); b.pass(every) {
		out := b.step(KeepaliveIn{Ref: 7, Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"}})
		if r, ok := find1[Register](out); ok {
			goodbyes++
			if r.Peer != above || r.Expires != 0 || !r.Leaving || !r.Force {
				b.t.Errorf("%+v", r)
			}
			if goodbyes%2 == 0 { // or it is never answered, and given up in time
				b.step(Answered{Tag: r.Tag, Status: 200})
			}
			out = out[1:]
		}
		if len(out) != 1 || out[0] != (Reply{Ref: 7, Err: ErrDenied}) {
			b.t.Errorf("%v", out)
		}
	}
	return goodbyes
}

func TestFormerUpperIsServedNothing(t *testing.T) {
	p, err := NewProcessor(Config{Self: self, Peers: []PeerConfig{{Code: above, Role: Upper, Address: "10.0.0.1:5060"}}},
		State{Tombstones: []Tombstone{{Peer: above, Address: "10.0.0.1:5060"}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, p: p, now: noon}
	b.step(Start{})
	o := Origin{From: above, Address: "udp:10.0.0.1:5060", Proved: true}
	b.step(DevicesChanged{Items: []Item{{ID: "33010000001320000001", Status: StatusOn}}})
	for _, kind := range []QueryKind{QueryCatalog, QueryDeviceInfo, QueryDeviceStatus, QueryRecords} {
		if out := b.step(QueryIn{Ref: 7, Origin: o, Kind: kind, Target: "33010000001320000001"}); len(out) != 1 || out[0] != (Reply{Ref: 7, Err: ErrDenied}) {
			t.Errorf("query %d: %v", kind, out)
		}
	}
	if out := b.step(InviteIn{Dialog: 8, Origin: o, Channel: "33010000001320000001"}); len(out) != 1 || out[0] != (RefuseInvite{8, ErrDenied}) {
		t.Errorf("INVITE: %v", out)
	}
	b.step(OptionsIn{Origin: o})
	if out := b.pass(time.Hour); len(out) != 0 || len(p.uppers[0].push.pending) != 0 {
		t.Errorf("it is told %v, %d changes wait for it", out, len(p.uppers[0].push.pending))
	}
}

func TestTombstoneWithoutATableCannotBeJoined(t *testing.T) {
	p, err := NewProcessor(Config{Self: self}, State{Tombstones: []Tombstone{{Peer: above, Address: "10.0.0.1:5060"}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, p: p, now: noon}
	b.step(Start{})
	for _, ev := range []Event{JoinAsked{Ticket: 5, Peer: above}, LeaveAsked{Ticket: 5, Peer: above, Force: true}} {
		if out := b.step(ev); len(out) != 1 || out[0] != (Denied{5, ErrNoUpper}) {
			t.Errorf("%T: %v", ev, out)
		}
	}
}
