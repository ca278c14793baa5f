package domain_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

func TestRestartOfTheCity(t *testing.T) {
	l := online(t, newLevels(1))
	tk := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(10 * time.Second)
	if !tk.Open {
		t.Fatalf("%+v", tk)
	}
	l.city.Crash()
	l.Run(2 * time.Second)
	l.city.Start()
	if _, known := l.city.Core().Owner(gate); !known {
		t.Error("the catalogue did not survive")
	}
	if s := l.city.Link(districtID, domain.Lower).State; s != domain.LinkOffline {
		t.Errorf("district is %v before it spoke", s)
	}
	l.Run(2 * time.Minute)
	if tk.Open || tk.Ends != 1 {
		t.Errorf("%+v: want ended", tk)
	}
	checkNothingLeft(t, l.Network)
	again := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(3 * time.Second)
	if !again.Open {
		t.Errorf("%+v: want open again: %+v", again, l.district.Core().Links())
	}
	l.province.Leave(again)
	l.Run(time.Second)
	checkNothingLeft(t, l.Network)
}

func TestSilenceOfTheDistrictIsSeenEverywhere(t *testing.T) {
	l := online(t, newLevels(2))
	tk := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(2 * time.Second)
	cut := true
	l.Cut = func(a, b domain.Code) bool { return cut && (a == districtID || b == districtID) }
	l.Run(200 * time.Second)
	if tk.Open || !l.city.Link(districtID, domain.Lower).Since.After(l.Now.Add(-200*time.Second)) || l.on(gate) {
		t.Errorf("ticket %+v, link %+v, gate on %v", tk, l.city.Link(districtID, domain.Lower), l.on(gate))
	}
	if s := l.district.Link(cityID, domain.Upper).State; s == domain.LinkOnline {
		t.Errorf("the district thinks its upper is %v", s)
	}
	late := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(time.Second)
	if late.Answers != 1 || !errors.Is(late.Err, domain.ErrOffline) {
		t.Errorf("%+v", late)
	}
	l.Run(40 * time.Second)
	checkNothingLeft(t, l.Network)
	cut = false
	l.Run(10 * time.Minute)
	if !l.settled() {
		t.Errorf("did not heal: %+v %+v", l.city.Core().Links(), l.district.Core().Links())
	}
}

func TestShutdownDeregistersAndEndsEverything(t *testing.T) {
	l := online(t, newLevels(3))
	tk := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(2 * time.Second)
	l.city.Keep = true
	l.city.Step(domain.Stop{})
	l.Run(time.Second)
	if last := l.city.Effects[len(l.city.Effects)-1]; last != (domain.Idle{}) {
		t.Errorf("last effect is %T, want Idle", last)
	}
	if link := l.province.Link(cityID, domain.Lower); tk.Open || link.State != domain.LinkOffline || link.Channels != 2 {
		t.Errorf("ticket %+v, link %+v: want ended, offline, and the inventory kept", tk, link)
	}
	l.Run(40 * time.Second)
	checkNothingLeft(t, l.Network)
}

// TestSameIDOfTwoLowersNeverMixes: the second gets another id, the same after a restart.
func TestSameIDOfTwoLowersNeverMixes(t *testing.T) {
	l := newLevels(4)
	second := l.Add(secondID)
	l.Join(second, l.city)
	twin := camera(gate, "twin")
	second.Devices(twin)
	online(t, l)
	l.Run(20 * time.Second)
	alias := func() (id domain.Code) {
		for _, it := range l.province.Core().Catalog() {
			if it.Name == "twin" || it.Name == "gate" {
				if it.ID != domain.NodeID(gate) {
					id = domain.Code(it.ID)
				}
			}
		}
		return id
	}
	other := alias()
	if other == "" {
		t.Fatalf("one is missing: %+v", l.province.Core().Catalog())
	}
	l.city.Crash()
	l.city.Start()
	l.Run(3 * time.Minute)
	if got := alias(); got != other {
		t.Errorf("was %s before the restart, %s after it", other, got)
	}
	first, again := l.province.Watch(gate, domain.Live, domain.Range{}), l.province.Watch(other, domain.Live, domain.Range{})
	l.Run(3 * time.Second)
	if !first.Open || !again.Open || len(l.district.Core().Sessions()) != 1 || len(second.Core().Sessions()) != 1 {
		t.Errorf("%+v %+v: each must reach its own district", first, again)
	}
}

// TestMutualCascadeDoesNotLoop: each is the other's upper and lower, with a third in a ring.
func TestMutualCascadeDoesNotLoop(t *testing.T) {
	l := newLevels(5)
	l.Join(l.province, l.district) // province → district → city → province: a ring
	l.Join(l.city, l.district)     // and city and district both ways
	l.province.Devices(camera("33000000001320000001", "palace"))
	l.city.Devices(camera("33010000001320000001", "square"))
	l.Start()
	l.Run(5 * time.Minute)
	for _, n := range []*domaintest.Node{l.province, l.city, l.district} {
		names := make(map[string]int)
		for _, it := range n.Core().Catalog() {
			if it.Channel() {
				names[it.Name]++
			}
		}
		if fmt.Sprint(names) != "map[door:1 gate:1 palace:1 square:1]" {
			t.Errorf("%s sees %v", n.Code, names)
		}
		before := n.Count["SendChanges"]
		l.Run(5 * time.Minute)
		if after := n.Count["SendChanges"]; after != before {
			t.Errorf("%s goes on telling changes: %d to %d", n.Code, before, after)
		}
	}
	for _, n := range []*domaintest.Node{l.province, l.city, l.district} {
		for _, channel := range []domain.Code{gate, "33000000001320000001", "33010000001320000001"} {
			tk := n.Watch(channel, domain.Live, domain.Range{})
			l.Run(5 * time.Second)
			if !tk.Open {
				t.Errorf("%s cannot watch %s: %v", n.Code, channel, tk.Err)
			}
			n.Leave(tk)
		}
	}
	l.Run(time.Minute)
	checkNothingLeft(t, l.Network)
}

func TestStatusChangeReachesTheProvinceWithinTwoSeconds(t *testing.T) {
	l := online(t, newLevels(6))
	l.Run(10 * time.Second)
	off := camera(gate, "gate")
	off.Status = domain.StatusOff
	l.district.Devices(off, camera(door, "door"))
	l.Run(2 * time.Second)
	if l.on(gate) || !l.on(door) {
		t.Errorf("gate on %v, door on %v", l.on(gate), l.on(door))
	}
}

// TestChaos: whatever a bad network does, every request is answered once, nothing is
// left when it has ended, and the links come back when the network heals.
func TestChaos(t *testing.T) {
	seeds := uint64(1000)
	if testing.Short() || raceEnabled {
		seeds = 100
	}
	opened, denied, left := 0, 0, 0
	for seed := range seeds {
		o, d, l := chaos(t, seed)
		opened, denied, left = opened+o, denied+d, left+l
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if opened == 0 || denied == 0 || left == 0 {
		t.Errorf("%d opened, %d denied, %d uppers left: there was no chaos", opened, denied, left)
	}
}

func chaos(t *testing.T, seed uint64) (opened, denied, left int) {
	l := newLevels(seed)
	second := l.Add(secondID)
	l.Join(second, l.city)
	second.Devices(camera(gate, "twin"), camera("33010300001320000001", "hall"))
	if seed%4 == 3 {
		l.Join(l.city, second) // a mutual cascade
	}
	l.Faults = domaintest.Faults{Loss: 0.2, Dup: 0.05, Reorder: 0.1}
	l.Start()
	l.Run(8 * time.Second)
	nodes := []*domaintest.Node{l.province, l.city, l.district, second}
	tickets := disturb(l, seed, nodes)
	l.Faults, l.Cut, l.Script = domaintest.Faults{}, nil, nil
	l.Run(3 * time.Minute)
	left = rejoin(nodes)
	l.Run(12 * time.Minute)
	for _, w := range tickets {
		w.node.Leave(w.Ticket)
		if w.Open {
			opened++
		}
		if w.Err != nil {
			denied++
		}
	}
	l.Run(2 * time.Minute)
	checkNothingLeft(t, l.Network)
	if !l.settled() || l.city.Link(secondID, domain.Lower).State != domain.LinkOnline {
		t.Errorf("not healed: %+v\n%+v\n%+v", l.province.Core().Links(), l.city.Core().Links(), l.district.Core().Links())
	}
	return opened, denied, left
}

type watcher struct {
	*domaintest.Ticket
	node *domaintest.Node
}

// disturb watches, leaves, crashes, cuts and fails at random for two minutes.
func disturb(l *levels, seed uint64, nodes []*domaintest.Node) []watcher {
	dice := rand.New(rand.NewPCG(seed, 2))
	channels := []domain.Code{gate, door, "33010300001320000001", "33010300001320000002"}
	l.Script = func(domain.Code, domain.Effect) domaintest.Outcome {
		switch dice.IntN(30) {
		case 0:
			return domaintest.Outcome{Err: domain.ErrBusy}
		case 1:
			return domaintest.Outcome{Never: true}
		}
		return domaintest.Outcome{Delay: time.Duration(1+dice.IntN(300)) * time.Millisecond}
	}
	var tickets []watcher
	for range 30 {
		node := nodes[dice.IntN(2)]
		channel := channels[dice.IntN(len(channels))]
		switch dice.IntN(16) {
		case 0, 1, 2, 3:
			tickets = append(tickets, watcher{node.Watch(channel, domain.Live, domain.Range{}), node})
		case 4, 5:
			tickets = append(tickets, watcher{node.Watch(channel, domain.Kind(dice.IntN(4)), morning), node})
		case 6:
			f := domain.RecordFilter{Indistinct: dice.IntN(2) == 0}
			tickets = append(tickets, watcher{node.Filtered(channel, morning, f), node})
		case 7:
			deaf := nodes[dice.IntN(len(nodes))].Code
			l.Cut = func(a, b domain.Code) bool { return a == deaf }
		case 8:
			l.Cut = nil
		case 11, 12:
			node.Control(domain.Command{Verb: domain.Verb(dice.IntN(3)), Scale: float64(dice.IntN(4)), Seek: dice.IntN(2) == 0})
		case 9:
			if dice.IntN(3) == 0 {
				tickets = restart(l, nodes[dice.IntN(len(nodes))], tickets)
			}
		case 10:
			tickets = append(tickets, part(dice, nodes[1+dice.IntN(len(nodes)-1)]))
		default:
			if len(tickets) > 0 {
				i := dice.IntN(len(tickets))
				tickets[i].node.Leave(tickets[i].Ticket)
				tickets = append(tickets[:i], tickets[i+1:]...)
			}
		}
		l.Run(time.Duration(dice.IntN(8000)) * time.Millisecond)
	}
	return tickets
}

// part has a node leave its upper, or come back to it.
func part(dice *rand.Rand, node *domaintest.Node) watcher {
	upper := node.Config.Peers[0].Code
	if node.Code == districtID || node.Code == secondID {
		upper = cityID
	}
	if dice.IntN(3) == 0 {
		return watcher{node.JoinUpper(upper), node}
	}
	return watcher{node.LeaveUpper(upper, dice.IntN(4) == 0, time.Duration(1+dice.IntN(120))*time.Second), node}
}

// rejoin has whoever left come back; what is left is counted.
func rejoin(nodes []*domaintest.Node) (left int) {
	for _, node := range nodes {
		if len(node.Tombstones()) > 0 {
			left++
		}
		for _, p := range node.Config.Peers {
			if p.Role == domain.Upper {
				node.Leave(node.JoinUpper(p.Code))
			}
		}
	}
	return left
}

// restart crashes a node, whose users are gone with it.
func restart(l *levels, node *domaintest.Node, tickets []watcher) []watcher {
	node.Crash()
	var kept []watcher
	for _, w := range tickets {
		if w.node != node {
			kept = append(kept, w)
		}
	}
	l.Run(time.Second)
	node.Start()
	return kept
}
