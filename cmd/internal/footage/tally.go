package footage

import (
	"fmt"
	"time"

	"districtgateway/cmd/internal/counter"
	"districtgateway/media"
)

// A Tally compares the numbers that a simulated encoder gave its pictures with
// those that arrive. The zero value is ready.
type Tally struct {
	Pictures   int           // with a number
	Unnumbered int           // without one
	Lost       int           // numbers that never came
	Duplicated int           // numbers that came again
	Reordered  int           // numbers that came after a later one
	Delay      time.Duration // of the last picture, from its sending to Add

	first, last uint64
	missing     map[uint64]bool
}

// maxMissing bounds the memory of a tally: beyond it late pictures count as
// duplicated.
const maxMissing = 1 << 16

// Add counts a video sample that arrived at now.
func (t *Tally) Add(s Sample, now time.Time) error {
	units, err := s.NALs()
	if err != nil {
		return err
	}
	for _, u := range units {
		if n, at, ok := counter.Parse(u, s.Track.Codec == media.H265); ok {
			t.Delay = now.Sub(at)
			t.Number(n)
			return nil
		}
	}
	t.Unnumbered++
	return nil
}

// Number counts one picture by its number.
func (t *Tally) Number(n uint64) {
	t.Pictures++
	switch {
	case t.Pictures == 1:
		t.first, t.last = n, n
	case n > t.last:
		t.Lost += int(min(n-t.last-1, 1<<30))
		for m := t.last + 1; m < n && len(t.missing) < maxMissing; m++ {
			if t.missing == nil {
				t.missing = map[uint64]bool{}
			}
			t.missing[m] = true
		}
		t.last = n
	case t.missing[n]:
		delete(t.missing, n)
		t.Lost--
		t.Reordered++
	case n < t.first:
		t.Reordered++
	default:
		t.Duplicated++
	}
}

// Whole reports whether every picture came once and in order.
func (t *Tally) Whole() bool {
	return t.Pictures > 0 && t.Unnumbered == 0 && t.Lost == 0 && t.Duplicated == 0 && t.Reordered == 0
}

func (t *Tally) String() string {
	text := fmt.Sprintf("%d pictures, %d lost, %d duplicated, %d reordered", t.Pictures, t.Lost, t.Duplicated, t.Reordered)
	if t.Unnumbered > 0 {
		text += fmt.Sprintf(", %d without a number", t.Unnumbered)
	}
	return text
}
