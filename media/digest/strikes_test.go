package digest

import (
	"net/netip"
	"testing"
	"time"
)

func TestStrikesAreForgivenAndBounded(t *testing.T) {
	var k Strikes
	now := time.Unix(1000, 0)
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2:3")
	for i := range strikeLimit {
		if k.Out(a, now) {
			t.Errorf("out after %d", i)
		}
		k.Add(b, now) // the same network
	}
	if !k.Out(a, now) || k.Out(netip.MustParseAddr("2001:db8:1::1"), now) {
		t.Error("not counted by network")
	}
	if k.Out(a, now.Add(strikeEvery)) {
		t.Error("nothing is forgiven")
	}
	for i := range maxStrikers + 300 {
		k.Add(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(k.until) > maxStrikers {
		t.Errorf("%d addresses are kept", len(k.until))
	}
}
