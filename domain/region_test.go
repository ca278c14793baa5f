package domain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFifthLevelOfRegionIsShownAndDoesNotTravel: below the civil code of whoever states
// it, once, and in nobody's answer on the wire.
func TestFifthLevelOfRegionIsShownAndDoesNotTravel(t *testing.T) {
	b := newBench(t, nil)
	place := func(id NodeID, region NodeID, grassroots string) Item {
		it := cam(id, "")
		it.Region, it.Grassroots = region, grassroots
		return it
	}
	b.step(DevicesChanged{Items: []Item{place(camOwn, "330102", "001203")}})
	b.online(t)
	b.learn(t, place(camA, "330102", "001203"), place(camB, "33010203", "002201"), place("33010200001320000003", "330102", "000000"),
		place("33010200001320000004", "3301", "001204"), place("33010200001320000005", "330102", "1203"), place("33010200001320000006", "330102", "00120x"))
	var shown []string
	for _, it := range b.p.Catalog() {
		if len(it.ID) < 20 {
			shown = append(shown, fmt.Sprintf("%s<%s %s", it.ID, it.Parent, it.Name))
		}
		if at := slices.IndexFunc(b.p.Catalog(), func(o Item) bool { return o.ID == it.Fifth() }); it.Fifth() != "" && at < 0 {
			t.Errorf("%s hangs under %s, which is not shown", it.ID, it.Fifth())
		}
	}
	want := "33< 33, 3301< 3301, 330100< 330100, 330102< 330102, 33010203< 33010203, 330102001203<330102 001203, 33010203002201<33010203 002201"
	if got := strings.Join(shown, ", "); got != want {
		t.Errorf("shown %s\nwant  %s", got, want)
	}
	if told := b.ask(t, NodeID(self)); strings.Contains(told, "001203") {
		t.Errorf("told %s", told)
	}
}
