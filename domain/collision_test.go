package domain

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const other = Code("33010300002000000001") // another lower

// twoLowers is a bench with both lowers online, neither read yet.
func twoLowers(t *testing.T, state State, change func(*Config)) *bench {
	t.Helper()
	cfg := Config{Self: self, Seed: 1, Peers: []PeerConfig{{Code: above, Role: Upper, Address: "10.0.0.1:5060"},
		{Code: below, Role: Lower}, {Code: other, Role: Lower}}}
	if change != nil {
		change(&cfg)
	}
	p, err := NewProcessor(cfg, state)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, p: p, now: noon}
	b.step(Start{})
	b.step(Answered{Tag: p.uppers[0].registering, Status: 200, Expires: 24 * time.Hour})
	for _, l := range []Code{below, other} {
		if err := b.register(l, address(l), "", 24*time.Hour, 0); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func address(l Code) string { return "10.0.0." + string(l[5]) + ":5060" }

func (b *bench) notify(from Code, what ItemEvent, items ...Item) []Effect {
	return b.step(CatalogIn{Origin: Origin{From: from, Address: "udp:" + address(from)}, Notify: true, Items: items,
		Events: slices.Repeat([]ItemEvent{what}, len(items))})
}

// named returns the ids under which something of that name is shown.
func (b *bench) named(name string) (ids []NodeID) {
	for _, it := range b.p.Catalog() {
		if it.Name == name {
			ids = append(ids, it.ID)
		}
	}
	return ids
}

func twin(name string) Item { return Item{ID: camA, Name: name, Status: StatusOn} }

func TestSecondOfTwoIdsKeepsItsNewOneForEver(t *testing.T) {
	b := twoLowers(t, State{}, nil)
	b.notify(below, ItemAdded, twin("first"))
	b.notify(other, ItemAdded, twin("second"), Item{ID: nvr, Name: "box"}, Item{ID: camB, Name: "child", Parent: camA})
	renamed := b.named("second")
	if len(renamed) != 1 || renamed[0] == camA || len(renamed[0]) != 20 || renamed[0][:10] != NodeID(other[:10]) || renamed[0].kind() != 132 {
		t.Fatalf("second is %v", renamed)
	}
	for _, it := range b.p.Catalog() {
		if it.Name == "child" && it.Parent != renamed[0] {
			t.Errorf("its child hangs under %s", it.Parent)
		}
	}
	var saved SaveCatalog
	for _, fx := range b.pass(10 * time.Second) {
		if s, ok := fx.(SaveCatalog); ok && s.Peer == other {
			saved = s
		}
	}
	// the first is gone and forgotten: the second keeps what was told to uppers
	state := State{Links: []Link{{Peer: other, Role: Lower}}, Catalogs: map[Code][]Item{other: saved.Items}}
	b = twoLowers(t, state, nil)
	b.notify(other, ItemUpdated, twin("second"))
	if got := b.named("second"); !slices.Equal(got, renamed) {
		t.Errorf("was %v, is %v after a restart", renamed, got)
	}
	out := b.step(WatchIn{Ticket: 1, Channel: Code(renamed[0])})
	open, _ := find1[OpenReceiver](out)
	if invite, _ := find1[Invite](b.step(ReceiverOpened{Leg: open.Leg})); invite.Channel != Code(camA) || invite.Peer.Code != other {
		t.Errorf("asked for %s at %s", invite.Channel, invite.Peer.Code)
	}
}

func TestSameCameraByTwoWaysIsShownOnceAndByTheOtherWayWhenOneGoes(t *testing.T) {
	b := twoLowers(t, State{}, nil)
	same := Item{ID: camA, Name: "camera", Parent: "33019900002000000001", Status: StatusOn}
	b.notify(below, ItemAdded, same)
	b.notify(other, ItemAdded, same)
	if got := b.named("camera"); !slices.Equal(got, []NodeID{camA}) {
		t.Errorf("shown as %v", got)
	}
	b.notify(below, ItemDeleted, same)
	if ref, ok := b.p.Owner(Code(camA)); !ok || ref.Code != other {
		t.Errorf("now at %v %v, want %s", ref, ok, other)
	}
	b.notify(other, ItemDeleted, same)
	if len(b.named("camera")) != 0 || len(b.p.cat.doubles) != 0 {
		t.Error("it is still there")
	}
}

func TestOurOwnIDWins(t *testing.T) {
	b := twoLowers(t, State{}, nil)
	b.notify(below, ItemAdded, twin("theirs"))
	b.step(DevicesChanged{Items: []Item{twin("ours")}})
	b.notify(other, ItemAdded, twin("also theirs"))
	if ref, ok := b.p.Owner(Code(camA)); !ok || ref != (PeerRef{}) || len(b.named("theirs"))+len(b.named("also theirs")) != 0 {
		t.Errorf("owner %v %v", ref, ok)
	}
}

func TestEchoOfOurselvesIsNotShown(t *testing.T) {
	b := twoLowers(t, State{}, nil)
	b.p.lowers[below].read.want(b.now)
	b.pass(3 * time.Second)
	items := []Item{{ID: NodeID(below)}, {ID: NodeID(self), Parent: NodeID(below)},
		{ID: "33010900002000000001", Name: "leaf", Parent: NodeID(self)},
		{ID: camA, Name: "echo", Parent: "33010900002000000001"}, {ID: camB, Name: "theirs", Parent: NodeID(below)}}
	b.step(CatalogIn{Origin: Origin{From: below, Address: "udp:" + address(below)}, SN: b.p.lowers[below].read.sn, Sum: len(items), Items: items})
	if len(b.named("echo")) != 0 || len(b.named("theirs")) != 1 {
		t.Errorf("echo %v, theirs %v", b.named("echo"), b.named("theirs"))
	}
}

func TestNothingIsToldToWhomItCameFrom(t *testing.T) {
	b := twoLowers(t, State{}, func(c *Config) {
		c.Peers = append(c.Peers, PeerConfig{Code: above, Role: Lower})
	})
	if err := b.register(above, "10.0.0.1:5060", "", time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	b.step(CatalogIn{Origin: fromAbove, Notify: true, Items: []Item{{ID: camA, Name: "its own"}}})
	b.notify(below, ItemAdded, Item{ID: camB, Name: "through it", Parent: NodeID(above)}, Item{ID: camOwn, Name: "ours"})
	if got, want := b.ask(t, NodeID(self)), "self< 33< 3301< 330100< 330102< below<self own<below"; got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
	for _, channel := range []NodeID{camA, camB} {
		if got, ok := find1[RefuseInvite](b.invite(1, channel, Live, "")); !ok || got.Err != ErrNoChannel {
			t.Errorf("%s: %+v", short(channel), got)
		}
	}
}

func TestCatalogueIsAskedForUntilItIsWhole(t *testing.T) {
	b := twoLowers(t, State{}, nil)
	asked := 0
	for range 20 {
		for _, fx := range b.pass(5 * time.Second) {
			if q, ok := fx.(Query); ok && q.Kind == QueryCatalog && q.Peer.Code == below {
				asked++
				b.step(Answered{Tag: q.Tag})
			}
		}
		b.step(KeepaliveIn{Origin: Origin{From: below, Address: "udp:" + address(below)}})
	}
	if asked < 2 || asked > 4 {
		t.Errorf("asked %d times in 100 s", asked)
	}
}

func TestChangeDuringTheReadingIsNotUndoneByAnOldPage(t *testing.T) {
	b := twoLowers(t, State{}, nil)
	b.pass(3 * time.Second)
	from := Origin{From: below, Address: "udp:" + address(below)}
	sn := b.p.lowers[below].read.sn
	b.step(CatalogIn{Origin: from, SN: sn, Sum: 2, Items: []Item{{ID: camA, Name: "a", Status: StatusOn}}})
	b.notify(below, ItemDeleted, Item{ID: camA})
	b.step(CatalogIn{Origin: from, SN: sn, Sum: 2, Items: []Item{{ID: camB, Name: "b"}}})
	if len(b.named("a")) != 0 || len(b.named("b")) != 1 {
		t.Errorf("a %v, b %v", b.named("a"), b.named("b"))
	}
}

func TestRecordPagesMayBeSlow(t *testing.T) {
	b := stocked(t, nil)
	q, ok := find1[Query](b.step(RecordsAsked{Ticket: 1, Channel: Code(camA)}))
	if !ok || q.Target != camA {
		t.Fatalf("%+v", q)
	}
	for i := range 3 {
		b.pass(8 * time.Second)
		out := b.step(RecordsIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, SN: q.SN, Sum: 3,
			Records: []Recording{{Range: Range{noon.Add(time.Duration(i)), noon}}}})
		if got, ok := find1[RecordsFound](out); ok != (i == 2) || ok && (got.Partial || len(got.Records) != 3) {
			t.Errorf("page %d: %+v", i, got)
		}
	}
}

func TestSessionsEndWithTheLowerAtOnce(t *testing.T) {
	b := stocked(t, nil)
	b.receive(t, b.step(WatchIn{Ticket: 1, Channel: Code(camA)}))
	out := b.step(RegisterIn{Origin: Origin{below, "udp:10.0.0.2:5060", true}})
	_, bye := find1[Bye](out)
	_, closed := find1[CloseLeg](out)
	if ended, ok := find1[Ended](out); !bye || !closed || !ok || ended.Err == nil {
		t.Errorf("%v", out)
	}
}

func TestQueriesEndWithTheLowerAtOnce(t *testing.T) {
	b := stocked(t, nil)
	b.step(RecordsAsked{Ticket: 1, Channel: Code(camA)})
	out := b.step(RegisterIn{Origin: Origin{below, "udp:10.0.0.2:5060", true}})
	if got, ok := find1[Denied](out); !ok || got.Ticket != 1 {
		t.Errorf("%v", out)
	}
}

func TestStopEndsEverySessionAtOnce(t *testing.T) {
	b := stocked(t, func(c *Config) { c.Linger = time.Minute })
	b.flow(t, 1, b.receive(t, b.invite(1, camA, Live, "")))
	b.step(WatchIn{Ticket: 1, Channel: Code(camOwn)})
	b.step(RecordsAsked{Ticket: 2, Channel: Code(camB)})
	b.receive(t, b.step(WatchIn{Ticket: 3, Channel: Code(camB)}))
	b.step(WatchOut{3}) // lingers
	count := make(map[string]int)
	for _, fx := range b.step(Stop{}) {
		switch fx.(type) {
		case Bye, CloseLeg, Ended, Denied, Register, Idle:
			count[fmt.Sprintf("%T", fx)]++
		}
	}
	if got, want := fmt.Sprint(count), "map[domain.Bye:3 domain.CloseLeg:3 domain.Denied:1 domain.Ended:1 domain.Register:1]"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if len(b.p.Sessions()) != 0 || len(b.p.calls.ssrcs.busy) != 0 {
		t.Errorf("left: %+v, ssrc %v", b.p.Sessions(), b.p.calls.ssrcs.busy)
	}
	var last []Effect
	for tag := range Tag(b.p.desk.last) {
		if out := b.step(Answered{Tag: tag + 1, Status: 200}); len(out) > 0 {
			last = out
		}
	}
	if _, idle := find1[Idle](last); !idle {
		t.Errorf("not idle after all answers: %v", last)
	}
}
