package domain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	theirs = Dialog(1<<63 | 8) // of the upper's subscription
	newer  = Dialog(1<<63 | 9)
)

func TestSubscriptionWalk(t *testing.T) {
	ask := func(dialog Dialog, again bool, expires time.Duration) any {
		return subAsked{SubscribeIn{Ref: 3, Dialog: dialog, Again: again, Target: NodeID(self), Expires: expires}}
	}
	events := []named{{"begins", ask(newer, false, 10*time.Minute)}, {"begins for ever", ask(newer, false, 1000*time.Hour)},
		{"cancels outside", ask(newer, false, 0)}, {"refreshes", ask(theirs, true, time.Hour)},
		{"cancels", ask(theirs, true, 0)}, {"cancels below nought", ask(theirs, true, -time.Second)},
		{"refreshes another", ask(newer, true, time.Hour)}, {"cancels another", ask(newer, true, 0)},
		{"without its tag", ask(theirs, false, time.Hour)}, {"lost", subLost{}}, {"due", subDue{}}, {"due too early", subDue{}}}
	var lines []string
	for _, on := range []bool{false, true} {
		for _, e := range events {
			lines = append(lines, subscriptionStep(t, on, e))
		}
	}
	walked(t, "subscription", lines)
}

func subscriptionStep(t *testing.T, on bool, e named) string {
	d := testDesk()
	u := newUpper(PeerConfig{Code: above, Role: Upper})
	s := &u.sub
	if on {
		s.dialog, s.target, s.until = theirs, NodeID(self), noon
		if e.name == "due too early" {
			s.until = noon.Add(time.Second)
		}
	}
	begun := s.step(d, e.ev)
	answers, ends := 0, 0
	for _, fx := range d.out {
		switch fx := fx.(type) {
		case ReplySubscribe:
			if answers++; ends > 0 && fx.Expires == 0 {
				t.Errorf("%s: ended before it was answered", e.name)
			}
		case EndSubscription:
			if ends++; fx.Dialog != theirs {
				t.Errorf("%s: ended %d", e.name, fx.Dialog)
			}
		}
	}
	if _, asked := e.ev.(subAsked); asked != (answers == 1) || ends > 1 || s.on() != (s.alarm.place > 0) || begun && !s.silent {
		t.Errorf("%s: %d answers, %d ends, on %v, alarm %v, begun %v", e.name, answers, ends, s.on(), s.alarm.place > 0, begun)
	}
	left := "none"
	if s.on() {
		left = fmt.Sprintf("dialog %d for %v", s.dialog&^(1<<63), s.until.Sub(noon))
	}
	return fmt.Sprintf("on %v, %s: %s, begun %v [%s]", on, e.name, left, begun, took(d))
}

func TestFollowingWalk(t *testing.T) {
	ok := Answered{Tag: 7, Status: 200, Expires: 10 * time.Minute}
	events := []named{{"wanted", followWanted{}}, {"answered 200", followAnswered{ok}},
		{"answered 200 for a second", followAnswered{Answered{Tag: 7, Status: 200, Expires: time.Second}}},
		{"answered 200 for nothing", followAnswered{Answered{Tag: 7, Status: 200}}},
		{"answered 489", followAnswered{Answered{Tag: 7, Status: 489}}}, {"answered 481", followAnswered{Answered{Tag: 7, Status: 481, RetryAfter: time.Hour}}},
		{"answered never", followAnswered{Answered{Tag: 7}}}, {"another answered", followAnswered{Answered{Tag: 6, Status: 200}}},
		{"over", followOver{SubscriptionOver{Dialog: 5}}}, {"over, to be asked in 2 days", followOver{SubscriptionOver{Dialog: 5, RetryAfter: 48 * time.Hour}}},
		{"another over", followOver{SubscriptionOver{Dialog: 4}}}, {"due", followDue{}}, {"lost", followLost{}}}
	var lines []string
	for state := followNone; state <= followRenewed; state++ {
		for _, failures := range []int{0, 3} {
			for _, e := range events {
				lines = append(lines, followingStep(t, state, failures, e))
			}
		}
	}
	walked(t, "following", lines)
}

func followingStep(t *testing.T, state followState, failures int, e named) string {
	d := testDesk()
	f := &newLower(PeerConfig{Code: below, Role: Lower}).following
	d.last = 7
	if f.state, f.failures = state, failures; state != followNone {
		f.dialog, f.at = 5, noon
		if state != followOn {
			f.tag, d.tags[7] = 7, followWait{f.of}
		}
	} else if failures > 0 {
		f.after = noon.Add(time.Minute)
	}
	again := f.step(d, e.ev)
	if open := f.state == followAsked || f.state == followRenewed; open != (f.tag != 0) || open != (d.tags[f.tag] != nil) {
		t.Errorf("%v %s: %v with tag %d", state, e.name, f.state, f.tag)
	}
	if (f.state == followNone) != (f.dialog == 0) || (f.state == followNone) != f.at.IsZero() {
		t.Errorf("%v %s: %v with dialog %d, next %v", state, e.name, f.state, f.dialog, f.at)
	}
	return fmt.Sprintf("%s failed %d, %s: %s failed %d [%s] next %s, read again in %v", state, failures, e.name, f.state, f.failures,
		took(d), since(f.at), again.Truncate(15*time.Second))
}

func since(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Sub(noon).String()
}

// subscribe has the upper subscribe, without any capability, and returns what it is told.
func (b *bench) subscribe(t *testing.T, target NodeID, expires time.Duration) []Effect {
	t.Helper()
	b.p.uppers[0].link.Caps = 0
	b.ref++
	out := b.step(SubscribeIn{Ref: b.ref, Dialog: Dialog(b.ref) | 1<<63, Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"},
		Target: target, Expires: expires})
	if reply, ok := find1[ReplySubscribe](out); !ok || reply.Ref != b.ref || reply.Err != nil || reply.Expires != expires {
		t.Fatalf("answered %+v", out)
	}
	return out
}

// accept answers what was sent of changes with 200, and returns what that brings.
func (b *bench) accept(out []Effect, status int) []Effect {
	sent, ok := find1[SendChanges](out)
	if !ok {
		return nil
	}
	return b.step(Answered{Tag: sent.Tag, Status: status})
}

func (b *bench) change(what ItemEvent, it Item) []Effect {
	return b.step(CatalogIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, Notify: true, Items: []Item{it}, Events: []ItemEvent{what}})
}

// TestSubscriberHearsFirstWhatIsOffAndThenWhatChanges: each message waits for the
// answer to the one before, and what is lost is told again.
func TestSubscriberHearsFirstWhatIsOffAndThenWhatChanges(t *testing.T) {
	b := stocked(t, nil)
	b.change(ItemOff, Item{ID: camA})
	b.ask(t, NodeID(self))
	out := b.subscribe(t, "", 10*time.Minute)
	sent, _ := find1[SendChanges](out)
	if got := changes(out); got != "A:off" || sent.Target != NodeID(self) || sent.Dialog != Dialog(b.ref)|1<<63 || sent.Left != 10*time.Minute {
		t.Fatalf("told %q: %+v", got, sent)
	}
	if got := changes(b.change(ItemOn, Item{ID: camA})) + changes(b.change(ItemDeleted, Item{ID: camB})); got != "" {
		t.Errorf("told %q while a message was under way", got)
	}
	b.now = b.now.Add(time.Minute)
	out = b.accept(out, 0)
	if got := changes(out) + changes(b.pass(pushRetry)); got != "A:on B:del" {
		t.Errorf("after a loss: told %q", got)
	}
	u := b.p.uppers[0]
	out = b.step(Answered{Tag: u.push.tag, Status: 200})
	for what, want := range map[ItemEvent]string{ItemVideoLost: "A:off", ItemAdded: "B:add"} {
		it := map[ItemEvent]Item{ItemVideoLost: {ID: camA}, ItemAdded: cam(camB, nvr)}[what]
		out = append(out, b.change(what, it)...)
		if got := changes(out); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		b.accept(out, 200)
		out = nil
	}
}

// TestSubscriberHearsThatNothingIsOff: the first message comes all the same (RFC 6665 clause 4.2.2).
func TestSubscriberHearsThatNothingIsOff(t *testing.T) {
	b := stocked(t, nil)
	b.ask(t, NodeID(self))
	out := b.subscribe(t, NodeID(self), time.Minute)
	if sent, ok := find1[SendChanges](out); !ok || len(sent.Items) != 0 || sent.Dialog == 0 {
		t.Errorf("%+v", out)
	}
	if out := b.accept(out, 200); len(out) != 0 {
		t.Errorf("and then %+v", out)
	}
	if got := changes(b.change(ItemOff, Item{ID: camB})); got != "B:off" {
		t.Errorf("told %q", got)
	}
}

// TestSubscriberHearsOnlyOfItsBranchAndOfWhatItMaySee.
func TestSubscriberHearsOnlyOfItsBranchAndOfWhatItMaySee(t *testing.T) {
	for name, tc := range map[string]struct {
		share  []Code
		target NodeID
		want   string
	}{
		"everything":        {nil, NodeID(self), "A:off B:off nvr:off"},
		"the lower":         {nil, NodeID(below), "A:off B:off nvr:off"},
		"a group":           {nil, group, "A:off"},
		"a region":          {nil, "330102", "A:off B:off nvr:off"},
		"a camera":          {nil, camB, "B:off"},
		"what is shared":    {[]Code{Code(camB)}, NodeID(self), "B:off"},
		"shared in a group": {[]Code{Code(camB), Code(camA)}, group, "A:off"},
	} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, off before %v", name, before), func(t *testing.T) {
				b := stocked(t, func(c *Config) { c.Peers[0].Share = tc.share })
				b.ask(t, NodeID(self))
				off := func() (told string) {
					for _, id := range []NodeID{camA, camB, nvr} {
						out := b.change(ItemOff, Item{ID: id})
						if got := changes(out); got != "" {
							told += " " + got
						}
						b.accept(out, 200)
					}
					return told
				}
				var got string
				if before {
					off()
					got = " " + changes(b.subscribe(t, tc.target, time.Minute))
				} else {
					b.accept(b.subscribe(t, tc.target, time.Minute), 200)
					got = off()
				}
				words := strings.Fields(got)
				if slices.Sort(words); strings.Join(words, " ") != tc.want {
					t.Errorf("told%s, want %s", got, tc.want)
				}
			})
		}
	}
	b := stocked(t, func(c *Config) { c.Peers[0].Share = []Code{Code(camB)} })
	out := b.step(SubscribeIn{Ref: 9, Dialog: newer, Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"}, Target: camA, Expires: time.Minute})
	if len(out) != 1 || out[0] != (ReplySubscribe{Ref: 9, Err: ErrNoChannel}) {
		t.Errorf("what is not shared: %+v", out)
	}
	for _, from := range []Code{below, stranger} {
		o := Origin{From: from, Address: "udp:10.0.0.2:5060", Proved: true}
		if out := b.step(SubscribeIn{Ref: 9, Dialog: newer, Origin: o, Expires: time.Minute}); len(out) != 1 || out[0] != (ReplySubscribe{Ref: 9, Err: ErrDenied}) {
			t.Errorf("%s subscribes: %+v", from, out)
		}
	}
}

// TestSubscriptionEnds: by whatever end, and then nothing more is told; what changed
// meanwhile is told in the next one.
func TestSubscriptionEnds(t *testing.T) {
	upper := Origin{From: above, Address: "udp:10.0.0.1:5060"}
	for name, tc := range map[string]struct {
		end    func(b *bench, dialog Dialog) []Effect
		reason string
		next   string // what the next one is told
	}{
		"its time": {func(b *bench, _ Dialog) []Effect { return b.pass(time.Minute) }, "timeout", "B:del"},
		"a cancel": {func(b *bench, d Dialog) []Effect {
			return b.step(SubscribeIn{Ref: 77, Dialog: d, Again: true, Origin: upper})
		}, "timeout", "B:del"},
		"the link":         {func(b *bench, _ Dialog) []Effect { return b.unknownAbove() }, "", "B:del"},
		"our end":          {func(b *bench, _ Dialog) []Effect { return b.step(Stop{}) }, "", ""},
		"a NOTIFY refused": {func(b *bench, _ Dialog) []Effect { return b.accept(b.change(ItemOff, Item{ID: camA}), 481) }, "", "A:off B:del"},
		"a bad event":      {func(b *bench, _ Dialog) []Effect { return b.accept(b.change(ItemDeleted, Item{ID: camA}), 489) }, "", "A:del B:del"},
	} {
		t.Run(name, func(t *testing.T) {
			b := stocked(t, nil)
			b.ask(t, NodeID(self))
			b.accept(b.subscribe(t, "", time.Minute), 200)
			dialog := b.p.uppers[0].sub.dialog
			end, ok := find1[EndSubscription](tc.end(b, dialog))
			if !ok || end != (EndSubscription{dialog, tc.reason}) || b.p.uppers[0].sub.on() {
				t.Errorf("%+v, on %v", end, b.p.uppers[0].sub.on())
			}
			if name == "our end" {
				return
			}
			if got := changes(b.change(ItemDeleted, Item{ID: camB})); got != "" {
				t.Errorf("told %q after the end", got)
			}
			out := b.step(SubscribeIn{Ref: 78, Dialog: dialog, Again: true, Origin: upper, Expires: time.Minute})
			want := error(ErrNoDialog)
			if reply, _ := find1[ReplySubscribe](out); reply.Err != want {
				t.Errorf("refreshed: %+v", out)
			}
			b.pass(5 * time.Second)
			b.step(Answered{Tag: b.p.uppers[0].registering, Status: 200, Expires: time.Hour})
			if got := changes(b.subscribe(t, "", time.Minute)); got != tc.next {
				t.Errorf("the next one is told %q, want %q", got, tc.next)
			}
		})
	}
}

// unknownAbove has the upper refuse the next heartbeat: it does not know us any more.
func (b *bench) unknownAbove() []Effect {
	b.pass(b.p.uppers[0].beatAt.Sub(b.now))
	return b.step(Answered{Tag: b.p.uppers[0].beating, Status: 403})
}

func TestRefreshedSubscriptionGoesOn(t *testing.T) {
	b := stocked(t, nil)
	b.ask(t, NodeID(self))
	b.accept(b.subscribe(t, "", 10*time.Minute), 200)
	dialog := b.p.uppers[0].sub.dialog
	b.now = b.now.Add(8 * time.Minute)
	out := b.step(SubscribeIn{Ref: 5, Dialog: dialog, Again: true, Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"}, Expires: 10 * time.Minute})
	if len(out) != 1 || out[0] != (ReplySubscribe{Ref: 5, Expires: 10 * time.Minute}) {
		t.Errorf("%+v", out)
	}
	b.now = b.now.Add(9 * time.Minute)
	sent, _ := find1[SendChanges](b.change(ItemOff, Item{ID: camA}))
	if sent.Dialog != dialog || sent.Left != time.Minute {
		t.Errorf("%+v", sent)
	}
}

// TestSecondSubscriptionReplacesTheFirst: the upper has forgotten that, and is told all
// anew, what was under way too.
func TestSecondSubscriptionReplacesTheFirst(t *testing.T) {
	b := stocked(t, nil)
	b.ask(t, NodeID(self))
	first := b.subscribe(t, "", 10*time.Minute)
	b.accept(first, 200)
	lost, _ := find1[SendChanges](b.change(ItemDeleted, Item{ID: camA}))
	out := b.subscribe(t, "", 10*time.Minute)
	old, _ := find1[SendChanges](first)
	if end, _ := find1[EndSubscription](out); end != (EndSubscription{Dialog: old.Dialog}) {
		t.Errorf("%+v", out)
	}
	if sent, _ := find1[SendChanges](out); changes(out) != "A:del" || sent.Dialog == old.Dialog {
		t.Errorf("told %q: %+v", changes(out), sent)
	}
	if out := b.step(Answered{Tag: lost.Tag, Status: 481}); len(out) != 0 || !b.p.uppers[0].sub.on() {
		t.Errorf("the answer of the old dialog ended the new one: %+v", out)
	}
}

// TestManyChangesAreToldHundredAtATime: in order, the next when the one before was accepted.
func TestManyChangesAreToldHundredAtATime(t *testing.T) {
	b := newBench(t, nil)
	b.online(t)
	items := make([]Item, 250)
	for i := range items {
		items[i] = cam(NodeID(fmt.Sprintf("3301020000132%07d", i)), "")
		items[i].Status = StatusOff
	}
	b.learn(t, items...)
	b.ask(t, NodeID(self))
	out := b.subscribe(t, "", 10*time.Minute)
	var told []NodeID
	var sizes []int
	for sent, ok := find1[SendChanges](out); ok; sent, ok = find1[SendChanges](out) {
		sizes = append(sizes, len(sent.Items))
		for _, it := range sent.Items {
			told = append(told, it.ID)
		}
		out = b.accept(out, 200)
	}
	if fmt.Sprint(sizes) != "[100 100 50]" || len(told) != 250 || told[0] != items[0].ID || told[249] != items[249].ID {
		t.Errorf("%v messages, %d items", sizes, len(told))
	}
}
