package media

import (
	"testing"
	"time"
)

const second = Ticks(TicksPerSecond)

func TestClockScalesAndUnwraps(t *testing.T) {
	for _, rate := range []int{90000, 8000, 44100, 16000} {
		c := newRTPClock(rate)
		ts := -uint32(10 * rate) // wraps after 10 s
		for i := range 30 {
			at := Ticks(i) * second
			got, jumped := c.at(ts+uint32(i*rate), at, 500)
			if want := 500 + at; got != want || jumped {
				t.Fatalf("rate %d, second %d: %d (jumped %t), want %d", rate, i, got, jumped, want)
			}
		}
	}
}

func TestClockFollowsArrivalOverJumps(t *testing.T) {
	for name, tc := range map[string]struct {
		step   int64 // timestamp units
		passed Ticks
		want   Ticks
		jumped bool
	}{
		"a picture":                {3600, 3600, 3600, false},
		"reordered":                {-7200, 3600, -7200, false},
		"silence, told":            {60 * 90000, 60 * second, 60 * second, false},
		"pause, not told":          {3600, 20 * second, 3600, false},
		"forward":                  {20 * 90000, 3600, 3600, true},
		"forward during a silence": {1000 * 90000, 60 * second, 60 * second, true},
		"backward":                 {-3 * 90000, 3600, 3600, true},
		"far backward":             {-20000 * 90000, 3600, 3600, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newRTPClock(90000)
			c.at(5000, 0, 1000)
			got, jumped := c.at(uint32(5000+tc.step), tc.passed, 0)
			if got != 1000+tc.want || jumped != tc.jumped {
				t.Errorf("at %d (jumped %t), want %d (jumped %t)", got-1000, jumped, tc.want, tc.jumped)
			}
			// Time goes on from there as the timestamps do.
			next, again := c.at(uint32(5000+tc.step+3600), tc.passed+3600, 0)
			if next != got+3600 || again {
				t.Errorf("then at %d (jumped %t), want %d", next, again, got+3600)
			}
		})
	}
}

func TestClockThatStandsStillIsReplacedByArrival(t *testing.T) {
	c := newRTPClock(90000) // but the sender counts milliseconds/10
	jumps := 0
	var first, last Ticks
	for i := range 1000 {
		pts, jumped := c.at(uint32(4*i), Ticks(i)*3600, 0)
		if jumped {
			jumps++
			first = pts - Ticks(i)*3600
		}
		if pts <= last && i > 0 {
			t.Fatalf("picture %d at %d, the one before at %d", i, pts, last)
		}
		last = pts
	}
	if jumps != 1 {
		t.Errorf("%d jumps, want one", jumps)
	}
	if want := 999*3600 + first; last != want {
		t.Errorf("last picture at %d, want %d", last, want)
	}
}

func TestClockBelievesFastPlayback(t *testing.T) {
	c := newRTPClock(90000)
	for i := range 4000 { // 16 times as fast
		if pts, jumped := c.at(uint32(3600*i), Ticks(i)*3600/16, 0); jumped || pts != Ticks(3600*i) {
			t.Fatalf("picture %d at %d (jumped %t)", i, pts, jumped)
		}
	}
}

// A live sender that counts microseconds is noticed; what is merely late, out of
// order, or a download is not taken for one.
func TestLiveClockThatRunsAwayIsReplacedByArrival(t *testing.T) {
	pyramid := []int{0, 8, 4, 2, 1, 3, 6, 5, 7} // as pictures of a group are decoded
	for name, tc := range map[string]struct {
		live    bool
		ts      func(i int) uint32
		arrived func(i int) Ticks
		jumps   int
	}{
		"microseconds": {true, func(i int) uint32 { return uint32(40000 * i) }, func(i int) Ticks { return Ticks(3600 * i) }, 1},
		"download":     {false, func(i int) uint32 { return uint32(3600 * i) }, func(i int) Ticks { return Ticks(225 * i) }, 0},
		"30 s at once": {true, func(i int) uint32 { return uint32(3600 * i) }, func(i int) Ticks { return Ticks(3600 * max(i-750, 0)) }, 0},
		"out of order": {true, func(i int) uint32 { return uint32(3600 * (i/9*8 + pyramid[i%9])) }, func(i int) Ticks { return Ticks(3200 * i) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newRTPClock(90000)
			c.live = tc.live
			jumps := 0
			for i := range 2000 {
				pts, jumped := c.at(tc.ts(i), tc.arrived(i), 0)
				if jumped {
					jumps++
				}
				if tc.jumps == 0 && pts != Ticks(tc.ts(i)) {
					t.Fatalf("picture %d at %d, want %d", i, pts, tc.ts(i))
				}
			}
			if jumps != tc.jumps || c.broken != (tc.jumps > 0) {
				t.Errorf("%d jumps, replaced: %t", jumps, c.broken)
			}
		})
	}
}

func TestClockAligns(t *testing.T) {
	c := newRTPClock(8000)
	c.at(1000, 0, 300)
	c.align(1000, 1300)
	if pts, jumped := c.at(1160, 1800, 0); pts != 1300+1800 || jumped {
		t.Errorf("small correction: at %d (jumped %t)", pts, jumped)
	}
	c.align(1160, 200000)
	if pts, jumped := c.at(1320, 3600, 0); pts != 200000+1800 || !jumped {
		t.Errorf("large correction: at %d (jumped %t)", pts, jumped)
	}
	c = newRTPClock(90000)
	c.align(77, 4242) // before the first packet
	if pts, jumped := c.at(77+3600, 0, 0); pts != 4242+3600 || jumped {
		t.Errorf("first packet at %d (jumped %t)", pts, jumped)
	}
}

func TestStreamClockGoesOnAfterEverything(t *testing.T) {
	var c streamClock
	t0 := time.Unix(1000, 0)
	if at := c.at(c.arrived(t0)); at != 0 {
		t.Errorf("before the first unit: %d", at)
	}
	c.unit(900000, c.arrived(t0.Add(time.Second))) // a picture shown much later than it came
	c.unit(100, c.arrived(t0.Add(2*time.Second)))
	c.resume(t0.Add(3 * time.Second))
	if at := c.at(c.arrived(t0.Add(3 * time.Second))); at <= 900000 {
		t.Errorf("resumed at %d, which is not after 900000", at)
	}
}

func TestTicksConvertBothWays(t *testing.T) {
	for _, d := range []time.Duration{0, time.Second, 40 * time.Millisecond, -time.Second, 300000 * time.Hour} {
		if got := TicksOf(d).Duration(); got != d {
			t.Errorf("%v became %v", d, got)
		}
	}
}
