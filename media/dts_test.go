package media

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// decodeTimes returns the decoding times of pictures given by their place in display
// order, one tick a picture.
func decodeTimes(d *decodeClock, order []int) []int {
	out := make([]int, len(order))
	for i, p := range order {
		out[i] = int(d.next(Ticks(100 * p)))
	}
	return out
}

func TestDecodingTimes(t *testing.T) {
	for name, tc := range map[string]struct {
		depth       int
		order, want []int
	}{
		"no reordering":            {0, []int{0, 1, 2, 3}, []int{0, 100, 200, 300}},
		"I P B B, depth announced": {1, []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8}, []int{-100, 0, 100, 200, 300, 400, 500, 600, 700, 800}},
		"pyramid, depth announced": {2, []int{0, 4, 2, 1, 3, 8, 6, 5, 7}, []int{-200, -100, 0, 100, 200, 300, 400, 500, 600}},
		"more announced than used": {2, []int{0, 1, 2, 3}, []int{-200, -100, 0, 100}},
		"I P B B, learnt":          {0, []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8}, []int{0, 300, 301, 302, 303, 400, 500, 600, 700, 800}},
		"equal times":              {0, []int{0, 1, 1, 2}, []int{0, 100, 101, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &decodeClock{}
			d.configure(SPSInfo{ReorderDepth: tc.depth, FPSNum: 900, FPSDen: 1}) // a picture is 100 ticks
			if got := decodeTimes(d, tc.order); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Decoding times increase strictly whatever the presentation times are, and stay
// at or before them where the announced depth is right.
func TestDecodingTimesIncrease(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		depth := r.IntN(5)
		d := &decodeClock{}
		d.configure(SPSInfo{ReorderDepth: depth, FPSNum: 900, FPSDen: 1})
		last := Ticks(-1 << 40)
		for i, p := range reordered(r, depth, 400) {
			pts := Ticks(100 * p)
			dts := d.next(pts)
			if dts <= last || dts > pts {
				t.Fatalf("seed %d, depth %d, picture %d: decoded at %d, shown at %d, the last decoded at %d", seed, depth, i, dts, pts, last)
			}
			last = dts
		}
	}
	d := &decodeClock{}
	last := Ticks(-1 << 40)
	r := rand.New(rand.NewPCG(1, 3))
	for range 5000 {
		dts := d.next(Ticks(r.IntN(1 << 30)))
		if dts <= last {
			t.Fatalf("decoded at %d after %d", dts, last)
		}
		last = dts
	}
}

// reordered returns n pictures in a decoding order in which none is preceded by
// more than depth that are shown after it.
func reordered(r *rand.Rand, depth, n int) []int {
	out := []int{0} // an IDR picture: none after it is shown before it
	var waiting []int
	for next := 1; len(out) < n; {
		for len(waiting) <= depth {
			waiting = append(waiting, next)
			next++
		}
		// The earliest of those waiting has been passed by depth pictures at most if
		// it is taken before that many others are.
		i := r.IntN(len(waiting))
		if i > 0 && overtaken(out, waiting[0]) >= depth {
			i = 0
		}
		out = append(out, waiting[i])
		waiting = slices.Delete(waiting, i, i+1)
	}
	return out
}

// overtaken returns how many of out are shown after p.
func overtaken(out []int, p int) (n int) {
	for _, o := range out {
		if o > p {
			n++
		}
	}
	return n
}
