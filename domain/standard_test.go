package domain_test

import (
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

// standardLevels is newLevels with links that know nothing beyond the standard.
func standardLevels(seed uint64) *levels {
	n := domaintest.New(seed)
	l := &levels{n, n.Add(provinceID), n.Add(cityID), n.Add(districtID)}
	n.JoinStandard(l.city, l.province)
	n.JoinStandard(l.district, l.city)
	l.district.Devices(camera(gate, "gate"), camera(door, "door"))
	return l
}

// followed is standardLevels once every level has subscribed below.
func followed(t *testing.T, seed uint64) *levels {
	t.Helper()
	l := online(t, standardLevels(seed))
	l.Run(10 * time.Second)
	if p, c, d := l.province.Subscriptions(), l.city.Subscriptions(), l.district.Subscriptions(); p != 1 || c != 2 || d != 1 {
		t.Fatalf("%d, %d and %d subscriptions", p, c, d)
	}
	if caps := l.city.Link(provinceID, domain.Upper).Caps | l.district.Link(cityID, domain.Upper).Caps; caps != 0 {
		t.Fatalf("capabilities %b", caps)
	}
	return l
}

// within lets the time pass until done says so, two seconds at most.
func within(t *testing.T, l *levels, what string, done func() bool) {
	t.Helper()
	for range 20 {
		if l.Run(100 * time.Millisecond); done() {
			return
		}
	}
	t.Errorf("%s: not at the top within 2 s", what)
}

// TestChangesReachTheProvinceOverStandardLinks: every kind of change is at the top within 2 s.
func TestChangesReachTheProvinceOverStandardLinks(t *testing.T) {
	l := followed(t, 1)
	off, renamed := camera(gate, "gate"), camera(door, "back door")
	off.Status = domain.StatusOff
	third := camera("33010200001320000003", "yard")
	l.district.Devices(off, camera(door, "door"))
	within(t, l, "off", func() bool { return !l.on(gate) && l.on(door) })
	l.district.Devices(camera(gate, "gate"), camera(door, "door"))
	within(t, l, "on", func() bool { return l.on(gate) })
	l.district.Devices(camera(gate, "gate"), renamed)
	within(t, l, "renamed", func() bool { return l.name(door) == "back door" })
	l.district.Devices(camera(gate, "gate"), renamed, third)
	within(t, l, "new", func() bool { return l.on("33010200001320000003") })
	l.district.Step(domain.DevicesChanged{Items: []domain.Item{camera(gate, "gate"), renamed}, Removed: []domain.NodeID{third.ID}})
	within(t, l, "gone", func() bool { return l.name("33010200001320000003") == "" })
	l.district.Step(domain.Stop{})
	within(t, l, "the district", func() bool { return !l.on(gate) && !l.on(door) })
	if n := l.province.Count["Query"] + l.city.Count["Query"]; n != 4 { // what each is, and its catalogue once
		t.Errorf("%d queries: it was asked, not told", n)
	}
	l.Run(time.Minute)
	checkNothingLeft(t, l.Network)
}

func (l *levels) name(channel domain.Code) string {
	for _, it := range l.province.Core().Catalog() {
		if it.ID == domain.NodeID(channel) {
			return it.Name
		}
	}
	return ""
}

// TestStandardAndOwnLinksMix: what comes by a subscription goes on unasked, and the other way round.
func TestStandardAndOwnLinksMix(t *testing.T) {
	for _, upper := range []bool{true, false} {
		n := domaintest.New(2)
		l := &levels{n, n.Add(provinceID), n.Add(cityID), n.Add(districtID)}
		if upper {
			n.JoinStandard(l.city, l.province)
			n.Join(l.district, l.city)
		} else {
			n.Join(l.city, l.province)
			n.JoinStandard(l.district, l.city)
		}
		l.district.Devices(camera(gate, "gate"), camera(door, "door"))
		online(t, l)
		l.Run(10 * time.Second)
		if got := l.city.Subscriptions(); got != 1 {
			t.Errorf("%d subscriptions", got)
		}
		l.district.Devices(camera(door, "door"))
		within(t, l, "off", func() bool { return !l.on(gate) })
	}
}

// TestSubscriptionsOverABadNetwork: whatever is lost, doubled or reordered, the top
// comes to know how everything is, and the last state wins.
func TestSubscriptionsOverABadNetwork(t *testing.T) {
	seeds := uint64(100)
	if testing.Short() || raceEnabled {
		seeds = 20
	}
	late := 0
	for seed := range seeds {
		l := followed(t, seed)
		l.Faults = domaintest.Faults{Loss: 0.2, Dup: 0.1, Reorder: 0.3}
		for i := range 40 {
			items := []domain.Item{camera(gate, "gate"), camera(door, "door")}
			items[i%2].Status = domain.Status(i / 2 % 2)
			l.district.Devices(items...)
			l.Run(700 * time.Millisecond)
		}
		l.district.Devices(camera(door, "door"))
		if l.Run(2 * time.Second); l.on(gate) || !l.on(door) {
			late++
		}
		l.Run(time.Minute)
		if l.on(gate) || !l.on(door) {
			t.Errorf("seed %d: gate on %v, door on %v", seed, l.on(gate), l.on(door))
		}
		for _, wrong := range l.Violations {
			t.Errorf("seed %d: %s", seed, wrong)
		}
	}
	if late == 0 {
		t.Error("nothing came late: the faults were not injected")
	}
}

// TestLostNoticeIsToldAgain loses the k-th message completely, for every k of a change
// on its way up and of its way back.
func TestLostNoticeIsToldAgain(t *testing.T) {
	for k := 1; k <= 4; k++ {
		l := followed(t, 3)
		from, lost := l.Messages, false
		l.Drop = func(message int) bool { lost = lost || message == from+k; return message == from+k }
		l.district.Devices(camera(door, "door"))
		l.Run(2 * time.Second)
		l.district.Devices(camera(gate, "gate"), camera(door, "door"))
		if l.Run(40 * time.Second); !l.on(gate) || !lost {
			t.Errorf("message %d lost %v: gate on %v", k, lost, l.on(gate))
		}
	}
}

// TestSubscriptionIsRefreshedForEver: in its dialog, without another reading but the hourly one.
func TestSubscriptionIsRefreshedForEver(t *testing.T) {
	l := followed(t, 4)
	began := l.city.Count["Subscribe"]
	l.Run(3 * time.Hour)
	if n := l.city.Count["Subscribe"] - began; n < 20 || n > 24 {
		t.Errorf("%d refreshes in 3 h", n)
	}
	if n := l.city.Count["ReplySubscribe"] + l.district.Count["EndSubscription"] - l.province.Count["Subscribe"]; n != 0 {
		t.Errorf("%d too many", n)
	}
	l.district.Devices(camera(door, "door"))
	within(t, l, "off", func() bool { return !l.on(gate) })
}

// TestSubscriptionsComeBackAfterARestart: of any level, and whatever changed meanwhile is known then.
func TestSubscriptionsComeBackAfterARestart(t *testing.T) {
	for _, code := range []domain.Code{provinceID, cityID, districtID} {
		l := followed(t, 5)
		node := map[domain.Code]*domaintest.Node{provinceID: l.province, cityID: l.city, districtID: l.district}[code]
		node.Crash()
		l.Run(5 * time.Second)
		if code != districtID {
			l.district.Devices(camera(door, "door"))
		}
		node.Start()
		if code == districtID {
			l.district.Devices(camera(door, "door"))
		}
		l.Run(15 * time.Minute)
		if l.on(gate) || !l.on(door) {
			t.Errorf("%s restarted: gate on %v, door on %v", code, l.on(gate), l.on(door))
		}
		l.district.Devices(camera(gate, "gate"), camera(door, "door"))
		within(t, l, "on after the restart of "+string(code), func() bool { return l.on(gate) })
	}
}

// TestLowerThatRefusesToBeSubscribedIsAskedAgainAndAgain.
func TestLowerThatRefusesToBeSubscribedIsAskedAgainAndAgain(t *testing.T) {
	for _, status := range []int{489, 403, 405, 501, 0} {
		l := standardLevels(6)
		l.city.Deaf, l.district.Deaf = &status, &status
		l.Start()
		if l.Run(25 * time.Minute); !l.settled() {
			t.Fatalf("%d: not online: %+v", status, l.province.Core().Links())
		}
		l.district.Devices(camera(door, "door"))
		if l.Run(5 * time.Second); !l.on(gate) || l.city.Subscriptions() != 0 {
			t.Errorf("%d: gate on %v, %d subscriptions", status, l.on(gate), l.city.Subscriptions())
		}
		if l.Run(22 * time.Minute); l.on(gate) {
			t.Errorf("%d: still on after two readings", status)
		}
		l.city.Deaf, l.district.Deaf = nil, nil // it can now
		l.Run(11 * time.Minute)
		l.district.Devices(camera(gate, "gate"), camera(door, "door"))
		within(t, l, "on", func() bool { return l.on(gate) })
	}
}
