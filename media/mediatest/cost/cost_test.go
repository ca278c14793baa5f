package cost

import (
	"testing"
	"time"
)

var kept []byte

func TestInputThatCostsTooMuchIsFound(t *testing.T) {
	spin := func(d time.Duration) func() {
		return func() {
			for began := threadTime(); threadTime()-began < d; {
				kept = append(kept[:0], 1)
			}
		}
	}
	if err := exceeded(spin(2 * maxInputTime)); (err == nil) != raceDetector {
		t.Errorf("twice the time: %v", err)
	}
	if err := exceeded(func() { kept = make([]byte, 2*maxInputMemory) }); err == nil {
		t.Error("twice the memory passed")
	}
	if err := exceeded(spin(0)); err != nil {
		t.Error(err)
	}
	if err := exceeded(func() { kept = make([]byte, maxInputMemory/4) }); err != nil {
		t.Error(err)
	}
}
