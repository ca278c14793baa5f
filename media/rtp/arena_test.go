package rtp

import "testing"

func TestArenaGivesAnyAmount(t *testing.T) {
	var a Arena
	for _, n := range []int{12, 1, 65535, 3, 70000} {
		before := a.Take(2)
		before[0] = 7
		if got := a.Take(n); len(got) != n || before[0] != 7 {
			t.Errorf("%d bytes, want %d", len(got), n)
		}
	}
}
