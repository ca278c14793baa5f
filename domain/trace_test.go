package domain_test

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/domain/domaintest"
)

// TestOneSeedGivesOneTrace runs the same disturbance twice: effect for effect the same.
func TestOneSeedGivesOneTrace(t *testing.T) {
	run := func(seed uint64) (trace []string) {
		l := newLevels(seed)
		for _, n := range []*domaintest.Node{l.province, l.city, l.district} {
			n.Keep = true
		}
		l.Faults = domaintest.Faults{Loss: 0.2, Dup: 0.05, Reorder: 0.1}
		l.Start()
		l.Run(8 * time.Second)
		disturb(l, seed, []*domaintest.Node{l.province, l.city, l.district})
		for _, n := range []*domaintest.Node{l.province, l.city, l.district} {
			for _, fx := range n.Effects {
				trace = append(trace, fmt.Sprintf("%s %T %+v", n.Code[:6], fx, fx))
			}
		}
		return trace
	}
	for seed := range uint64(10) {
		first, second := run(seed), run(seed)
		if len(first) != len(second) {
			t.Fatalf("seed %d: %d effects, then %d", seed, len(first), len(second))
		}
		for i := range first {
			if first[i] != second[i] {
				t.Fatalf("seed %d, effect %d:\n%s\n%s", seed, i, first[i], second[i])
			}
		}
	}
	if fmt.Sprint(run(1)) == fmt.Sprint(run(2)) {
		t.Error("two seeds give the same")
	}
}
