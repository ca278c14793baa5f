package digest

import (
	"net/netip"
	"testing"
)

func TestNobodyHasMoreThanItsShare(t *testing.T) {
	s := NewShares[string](8, 4)
	for _, tc := range []struct {
		who string
		in  bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"b", true}, {"c", true}, {"c", true}, {"d", true}, {"d", true}, {"e", false}} {
		if got := s.Enter(tc.who); got != tc.in {
			t.Errorf("%s is let in: %t", tc.who, got)
		}
	}
	if taken, declined := s.Count(); taken != 8 || declined != 2 {
		t.Errorf("%d in, %d declined", taken, declined)
	}
	s.Leave("a")
	if !s.Enter("e") || s.Enter("a") {
		t.Error("who left has not made room for another")
	}
	for _, who := range []string{"a", "b", "b", "c", "c", "d", "d", "e"} {
		s.Leave(who)
	}
	if taken, _ := s.Count(); taken != 0 || len(s.of) != 0 {
		t.Errorf("%d and %v are left", taken, s.of)
	}
	if small := NewShares[string](1, 4); !small.Enter("a") || small.Enter("b") {
		t.Error("a room for one is not")
	}
}

func TestNetworkOfIPv6HasTheShareOfOneAddress(t *testing.T) {
	s := NewShares[netip.Addr](8, 4)
	enter := func(a string) bool { return s.Enter(Origin(netip.MustParseAddr(a))) }
	if !enter("2001:db8::1") || !enter("2001:db8::2") || enter("2001:db8::3") {
		t.Error("a host of many addresses has more or less than its share")
	}
	if !enter("2001:db8:0:1::1") {
		t.Error("another network is refused")
	}
	if !enter("192.0.2.1") || !enter("192.0.2.2") || !enter("::ffff:192.0.2.1") || enter("192.0.2.1") {
		t.Error("addresses of IPv4 are not told apart, or one has two shares")
	}
}
