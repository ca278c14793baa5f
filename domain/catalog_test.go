package domain

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	group  = NodeID("33010200002150000001")
	organ  = NodeID("33010200002160000001")
	nvr    = NodeID("33010200001180000001")
	camA   = NodeID("33010200001320000001")
	camB   = NodeID("33010200001320000002")
	camOwn = NodeID("33010000001320000009")
)

func cam(id NodeID, parent NodeID) Item {
	return Item{ID: id, Name: string(id), Parent: parent, Status: StatusOn, Region: "330102"}
}

// stocked is a bench whose lower, online, has a group, an organisation, a recorder and two
// cameras, while we have one camera.
func stocked(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := newBench(t, change)
	b.step(DevicesChanged{Items: []Item{cam(camOwn, "")}})
	b.online(t)
	b.learn(t, Item{ID: NodeID(below), Name: "district", Status: StatusOn}, Item{ID: "330102", Name: "Shangcheng"},
		Item{ID: group, Name: "group", Parent: NodeID(below), Region: "330102"}, Item{ID: organ, Name: "organ", Group: group},
		Item{ID: nvr, Name: "nvr", Parent: NodeID(below), Status: StatusOn},
		cam(camA, NodeID(string(nvr)+"/"+string(organ))), cam(camB, nvr))
	return b
}

func (b *bench) online(t *testing.T) {
	t.Helper()
	if err := b.register(below, "10.0.0.2:5060", "", 24*time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	for _, fx := range b.pass(0) {
		if r, ok := fx.(Register); ok {
			b.step(Answered{Tag: r.Tag, Status: 200, Expires: time.Hour, Caps: CapPush})
		}
	}
	u := b.p.uppers[0]
	b.step(Answered{Tag: u.registering, Status: 200, Expires: 24 * time.Hour, Caps: CapPush})
}

// learn answers the catalogue query of the lower.
func (b *bench) learn(t *testing.T, items ...Item) []Effect {
	t.Helper()
	b.pass(3 * time.Second)
	r := b.p.lowers[below].read
	if r.state != readAsked {
		b.step(RefreshAsked{below})
		r = b.p.lowers[below].read
	}
	return b.step(CatalogIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, SN: r.sn, Sum: len(items), Items: items})
}

// ask returns the ids that the upper is told of target, and their parents.
func (b *bench) ask(t *testing.T, target NodeID) string {
	t.Helper()
	out := b.step(QueryIn{Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"}, Kind: QueryCatalog, SN: 5, Target: target})
	answer, ok := find1[SendCatalog](out)
	if !ok || answer.SN != 5 || answer.Target != target {
		t.Fatalf("no answer for %s: %v", target, out)
	}
	var told []string
	for _, it := range answer.Items {
		told = append(told, short(it.ID)+"<"+short(it.Parent))
	}
	return strings.Join(told, " ")
}

var shorts = map[NodeID]string{NodeID(self): "self", NodeID(below): "below", group: "group", organ: "organ", nvr: "nvr",
	camA: "A", camB: "B", camOwn: "own"}

func short(id NodeID) string {
	if s, ok := shorts[id]; ok {
		return s
	}
	return string(id)
}

func TestCatalogueOfAnyNode(t *testing.T) {
	b := stocked(t, nil)
	for target, want := range map[NodeID]string{
		NodeID(self):           "self< 33< 3301< 330100< 330102< below<self group<below organ< A<organ nvr<below B<nvr own<self",
		"3301":                 "3301< 330100< 330102< below<self group<below organ< A<organ nvr<below B<nvr own<self",
		"330102":               "330102< below<self group<below organ< A<organ nvr<below B<nvr own<self",
		NodeID(below):          "below<self group<below organ< A<organ nvr<below B<nvr",
		group:                  "group<below organ< A<organ",
		organ:                  "organ< A<organ",
		nvr:                    "nvr<below B<nvr",
		camA:                   "A<organ",
		"44":                   "",
		"33010200001320000077": "",
	} {
		if got := b.ask(t, target); got != want {
			t.Errorf("%s:\n got %s\nwant %s", short(target), got, want)
		}
	}
}

func TestSharingShowsNothingElse(t *testing.T) {
	b := stocked(t, func(c *Config) { c.Peers[0].Share = []Code{Code(camA)} })
	if got, want := b.ask(t, NodeID(self)), "self< 33< 3301< 330100< 330102< below<self group<below organ< A<organ"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := b.ask(t, camB); got != "" {
		t.Errorf("B is shown: %s", got)
	}
	out := b.step(InviteIn{Dialog: 3, Origin: Origin{From: above, Address: "udp:10.0.0.1:5060"}, Channel: Code(camB)})
	if got, ok := find1[RefuseInvite](out); !ok || got.Err != ErrNoChannel {
		t.Errorf("INVITE of what is not shared: %v", out)
	}
}

func TestOnlyACompleteAnswerTakesAway(t *testing.T) {
	b := stocked(t, nil)
	known := func() (ids []string) {
		for id := range b.p.cat.index {
			ids = append(ids, short(id))
		}
		slices.Sort(ids)
		return ids
	}
	b.step(RefreshAsked{below})
	sn := b.p.lowers[below].read.sn
	b.step(CatalogIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, SN: sn, Sum: 3, Items: []Item{cam(camA, nvr), cam(camA, nvr)}})
	b.pass(6 * time.Second) // the rest never comes
	if got := known(); !slices.Equal(got, []string{"A", "B", "below", "group", "nvr", "organ", "own"}) {
		t.Errorf("after a part: %v", got)
	}
	b.learn(t, cam(camA, ""))
	if got := known(); !slices.Equal(got, []string{"A", "own"}) {
		t.Errorf("after the whole: %v", got)
	}
	if out := b.learn(t, cam(camA, "")); len(b.p.cat.index) != 2 {
		t.Errorf("the same again changed something: %v", out)
	}
}

func TestAbsentDevicesAreOffAndRemovedOnesGone(t *testing.T) {
	b := stocked(t, nil)
	b.step(DevicesChanged{})
	if it := b.p.cat.whole().items[camOwn]; it.Status != StatusOff {
		t.Errorf("absent: %+v", it)
	}
	b.step(DevicesChanged{Removed: []NodeID{camOwn}})
	if _, known := b.p.Owner(Code(camOwn)); known {
		t.Error("removed, and still known")
	}
}

// changes returns what the upper is told unasked.
func changes(out []Effect) string {
	var told []string
	for _, fx := range out {
		if c, ok := fx.(SendChanges); ok {
			for i, it := range c.Items {
				told = append(told, short(it.ID)+":"+[]string{"on", "off", "lost", "defect", "add", "del", "update"}[c.Events[i]])
			}
		}
	}
	return strings.Join(told, " ")
}

func TestChangesAreToldAtOnceAndAgainWhenLost(t *testing.T) {
	b := stocked(t, nil)
	b.ask(t, NodeID(self)) // it has read everything
	b.pass(5 * time.Second)
	from := Origin{From: below, Address: "udp:10.0.0.2:5060"}
	change := func(what ItemEvent, it Item) []Effect {
		return b.step(CatalogIn{Origin: from, Notify: true, Items: []Item{it}, Events: []ItemEvent{what}})
	}
	out := change(ItemOff, Item{ID: camA})
	if got := changes(out); got != "A:off" {
		t.Fatalf("told %q", got)
	}
	sent, _ := find1[SendChanges](out)
	if got := changes(change(ItemDeleted, Item{ID: camB})) + changes(change(ItemOn, Item{ID: camA})); got != "" {
		t.Errorf("told %q while a message was under way", got)
	}
	b.step(Answered{Tag: sent.Tag})
	out = b.pass(3 * time.Second)
	if got := changes(out); got != "A:on B:del" {
		t.Errorf("after a loss: told %q", got)
	}
	sent, _ = find1[SendChanges](out)
	b.step(Answered{Tag: sent.Tag, Status: 200})
	if got := changes(change(ItemAdded, cam(camB, nvr))); got != "B:add" {
		t.Errorf("told %q", got)
	}
}

func TestDevicesOfASilentLowerAreOff(t *testing.T) {
	b := stocked(t, nil)
	b.ask(t, NodeID(self))
	told := changes(b.pass(4 * time.Minute))
	for _, want := range []string{"A:off", "B:off", "nvr:off", "below:off"} {
		if !strings.Contains(told, want) {
			t.Errorf("told %q, want %s", told, want)
		}
	}
	if strings.Contains(told, "own") {
		t.Errorf("told %q: ours is on", told)
	}
}

// TestTreeOfNonsense: whatever parents a lower tells, everything hangs somewhere, once.
func TestTreeOfNonsense(t *testing.T) {
	b := newBench(t, nil)
	b.online(t)
	b.learn(t, cam(camA, camB), cam(camB, camA), cam(nvr, nvr), cam("33010200001320000003", "0"),
		cam("33010200001320000004", NodeID(self)), cam("33010200001320000005", "//x/"), Item{ID: "nonsense"}, Item{ID: "123"},
		Item{ID: NodeID(self), Name: "you"}, Item{ID: group, Group: group, Region: "null"})
	seen := make(map[NodeID]int)
	for _, it := range b.p.Catalog() {
		seen[it.ID]++
	}
	for _, id := range []NodeID{NodeID(self), NodeID(below), camA, camB, nvr, "33010200001320000003", "33010200001320000004",
		"33010200001320000005", group, "330102"} {
		if seen[id] != 1 {
			t.Errorf("%s is shown %d times", short(id), seen[id])
		}
	}
	if seen["nonsense"]+seen["123"] != 0 {
		t.Error("nonsense is shown")
	}
}

func TestItemIsThatOfTheCatalogue(t *testing.T) {
	b := stocked(t, nil)
	for _, it := range b.p.Catalog() {
		if !it.Channel() {
			continue
		}
		if got, known := b.p.Item(it.ID); !known || got.ID != it.ID || got.Name != it.Name || got.Status != it.Status || got.PTZ != it.PTZ {
			t.Errorf("%+v, %t, want %+v", got, known, it)
		}
	}
	for _, id := range []NodeID{"", "33010200001320000077"} {
		if got, known := b.p.Item(id); known || got != (Item{}) {
			t.Errorf("%q: %+v", id, got)
		}
	}
	b.p.cat.shelf(below).online = false
	if got, _ := b.p.Item(camA); got.Status != StatusOff {
		t.Errorf("while its lower is off: %+v", got)
	}
}
