package serial

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// epoch is when every script begins.
func epoch() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }

// stopOf is the stop of a dome in these tests.
func stopOf(address uint8) []byte { return fmt.Appendf(nil, "stop  %d", address) }

func domesOf(n int) (domes []Dome) {
	for i := range n {
		domes = append(domes, Dome{Address: uint8(i + 1), Stop: stopOf(uint8(i + 1))})
	}
	return domes
}

// A step is an order at an instant of a script; for kind "end" it is the end.
type step struct {
	at      time.Duration
	kind    string
	address uint8
	text    string        // 7 bytes, as long as a frame
	during  time.Duration // For
}

func kindOf(word string) Kind {
	return map[string]Kind{"once": Once, "go": Go, "move": Move, "stop": Stop}[word]
}

// play performs a script on a schedule of two domes at 2400 baud, and returns what was
// sent when, up to a limit.
func play(s *schedule, script []step, limit time.Duration) (sent []string) {
	var now time.Duration
	for now < limit {
		for len(script) > 0 && script[0].at <= now {
			st := script[0]
			script = script[1:]
			if st.kind == "end" {
				s.end()
				continue
			}
			o := Order{Address: st.address, Kind: kindOf(st.kind), Frame: []byte(st.text), For: st.during}
			if err := s.add(epoch().Add(now), o); err != nil {
				sent = append(sent, fmt.Sprintf("%v: %v", now, err))
			}
		}
		frame, wait, _ := s.next(epoch().Add(now))
		if frame != nil {
			sent = append(sent, fmt.Sprintf("%v: %s", now.Truncate(time.Millisecond), frame))
			continue
		}
		if len(script) > 0 {
			wait = min(wait, script[0].at-now)
		}
		now += wait
	}
	return sent
}

func TestScheduleSends(t *testing.T) {
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		script []step
		want   []string
	}{
		"nothing": {nil, nil},
		"orders in their order, with pauses": {[]step{{0, "once", 1, "preset1", 0}, {0, "once", 2, "preset2", 0}, {0, "go", 1, "call  1", 0}},
			[]string{"0s: preset1", "79ms: preset2", "158ms: call  1"}},
		"a movement is stopped, and that is said twice": {[]step{{0, "move", 1, "left  1", 500 * ms}},
			[]string{"0s: left  1", "500ms: stop  1", "579ms: stop  1"}},
		"a movement that is renewed goes on": {[]step{{0, "move", 1, "left  1", 500 * ms}, {400 * ms, "move", 1, "left  1", 500 * ms}},
			[]string{"0s: left  1", "400ms: left  1", "900ms: stop  1", "979ms: stop  1"}},
		"a renewal that waits keeps the movement up": {[]step{{0, "move", 1, "left  1", 100 * ms}, {90 * ms, "once", 2, "preset2", 0}, {90 * ms, "move", 1, "up    1", 200 * ms}},
			[]string{"0s: left  1", "90ms: preset2", "169ms: up    1", "290ms: stop  1", "369ms: stop  1"}},
		"a shorter movement ends sooner": {[]step{{0, "move", 1, "left  1", 900 * ms}, {100 * ms, "move", 1, "left  1", 100 * ms}},
			[]string{"0s: left  1", "100ms: left  1", "200ms: stop  1", "279ms: stop  1"}},
		"a stop goes before everything": {[]step{{0, "once", 1, "preset1", 0}, {0, "once", 2, "preset2", 0}, {0, "once", 2, "preset3", 0}, {10 * ms, "stop", 1, "", 0}},
			[]string{"0s: preset1", "79ms: stop  1", "158ms: preset2", "237ms: preset3", "316ms: stop  1"}},
		"a stop drops what would move its dome": {[]step{{0, "once", 2, "preset2", 0}, {0, "move", 1, "left  1", 500 * ms}, {0, "go", 1, "call  1", 0}, {0, "once", 1, "preset1", 0},
			{0, "move", 2, "left  2", 500 * ms}, {10 * ms, "stop", 1, "", 0}},
			[]string{"0s: preset2", "79ms: stop  1", "158ms: preset1", "237ms: left  2", "316ms: stop  1", "500ms: stop  2", "579ms: stop  2"}},
		"what is asked for behind a stop comes behind it": {[]step{{0, "once", 2, "preset2", 0}, {0, "stop", 1, "", 0}, {0, "move", 1, "up    1", 900 * ms}},
			[]string{"0s: stop  1", "79ms: preset2", "158ms: up    1", "900ms: stop  1", "979ms: stop  1"}},
		"two stops are one": {[]step{{0, "once", 1, "preset1", 0}, {1 * ms, "stop", 1, "", 0}, {2 * ms, "stop", 1, "", 0}},
			[]string{"0s: preset1", "79ms: stop  1", "158ms: stop  1"}},
		"stops in their order": {[]step{{0, "once", 1, "preset1", 0}, {1 * ms, "stop", 2, "", 0}, {1 * ms, "stop", 1, "", 0}},
			[]string{"0s: preset1", "79ms: stop  2", "158ms: stop  1", "237ms: stop  2", "316ms: stop  1"}},
		"a stop that is asked for again is told twice again": {[]step{{0, "stop", 1, "", 0}, {10 * ms, "stop", 1, "", 0}},
			[]string{"0s: stop  1", "79ms: stop  1", "158ms: stop  1"}},
		"a movement replaces one that waits": {[]step{{0, "once", 1, "preset1", 0}, {0, "move", 1, "left  1", 300 * ms}, {0, "move", 2, "left  2", 300 * ms}, {10 * ms, "move", 1, "right 1", 300 * ms}},
			[]string{"0s: preset1", "79ms: right 1", "158ms: left  2", "300ms: stop  2", "379ms: stop  1", "458ms: stop  2", "537ms: stop  1"}},
		"but not across something else": {[]step{{0, "once", 2, "preset2", 0}, {0, "move", 1, "left  1", 900 * ms}, {0, "once", 1, "preset1", 0}, {0, "move", 1, "right 1", 900 * ms}},
			[]string{"0s: preset2", "79ms: left  1", "158ms: preset1", "237ms: right 1", "900ms: stop  1", "979ms: stop  1"}},
		"a movement that is over before it is sent is not": {[]step{{0, "once", 2, "preset2", 0}, {0, "move", 1, "left  1", 20 * ms}, {0, "once", 2, "preset3", 0}},
			[]string{"0s: preset2", "79ms: preset3"}},
		"a preset ends a movement that is under way": {[]step{{0, "move", 1, "left  1", 500 * ms}, {100 * ms, "go", 1, "call  1", 0}},
			[]string{"0s: left  1", "100ms: stop  1", "179ms: call  1"}},
		"the end of a movement leaves a preset that waits": {[]step{{0, "move", 1, "left  1", 100 * ms}, {80 * ms, "once", 2, "preset2", 0}, {80 * ms, "once", 2, "preset3", 0}, {80 * ms, "go", 1, "call  1", 0}},
			[]string{"0s: left  1", "80ms: preset2", "159ms: stop  1", "238ms: preset3", "317ms: call  1"}},
		"something else does not prolong a movement": {[]step{{0, "move", 1, "left  1", 300 * ms}, {200 * ms, "once", 1, "wiper 1", 0}},
			[]string{"0s: left  1", "200ms: wiper 1", "300ms: stop  1", "379ms: stop  1"}},
		"at the end what moves is stopped": {[]step{{0, "move", 1, "left  1", 900 * ms}, {0, "once", 2, "preset2", 0}, {100 * ms, "once", 2, "preset3", 0}, {100 * ms, "end", 0, "", 0}},
			[]string{"0s: left  1", "79ms: preset2", "158ms: stop  1", "237ms: stop  1"}},
		"without an end":  {[]step{{0, "move", 1, "left  1", 0}}, []string{"0s: movement without an end"}},
		"an unknown dome": {[]step{{0, "stop", 9, "", 0}}, []string{"0s: no such dome on the serial line: address 9"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, play(newSchedule(2400, domesOf(2)), tc.script, 2*time.Second)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestOpenedLineStopsEveryDome(t *testing.T) {
	s := newSchedule(2400, domesOf(3))
	if err := s.add(epoch(), Order{Address: 3, Kind: Once, Frame: []byte("preset3")}); err != nil {
		t.Fatal(err)
	}
	s.open(epoch())
	want := []string{"0s: stop  1", "79ms: stop  2", "158ms: stop  3", "237ms: stop  1", "316ms: stop  2", "395ms: stop  3"}
	if d := cmp.Diff(want, play(s, nil, time.Second)); d != "" {
		t.Error(d)
	}
}

func TestFullQueueHasRoomForStops(t *testing.T) {
	s := newSchedule(2400, domesOf(20))
	refused := map[uint8]int{}
	for i := range 20 * 10 {
		address := uint8(i%20 + 1)
		if err := s.add(epoch(), Order{Address: address, Kind: Once, Frame: []byte("preset0")}); err != nil {
			refused[address]++
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
		}
	}
	if len(s.queue) != maxQueued || refused[1] == 0 || refused[20] == 0 {
		t.Errorf("%d queued, refused %v", len(s.queue), refused)
	}
	for i := range 20 {
		if err := s.add(epoch(), Order{Address: uint8(i + 1), Kind: Stop}); err != nil {
			t.Error(err)
		}
	}
	if frame, _, _ := s.next(epoch()); string(frame) != string(stopOf(1)) {
		t.Errorf("sent %q", frame)
	}
}

func TestOneDomeLeavesRoomForOthers(t *testing.T) {
	s := newSchedule(2400, domesOf(2))
	var err error
	for range maxDomeQueued + 1 {
		err = s.add(epoch(), Order{Address: 1, Kind: Once, Frame: []byte("preset1")})
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	if err := s.add(epoch(), Order{Address: 2, Kind: Once, Frame: []byte("preset2")}); err != nil {
		t.Error(err)
	}
}

// TestNothingMovesForLongerThanItMay drives schedules at random and holds them to their
// promises, as seen by a dome that believes each frame.
// TestStopsOfDomesThatStandLeaveRoom: whoever keeps stopping what stands does not keep
// the others from being heard; what moves is stopped before both.
func TestStopsOfDomesThatStandLeaveRoom(t *testing.T) {
	s := newSchedule(2400, domesOf(3))
	var script []step
	for at := time.Duration(0); at < 2*time.Second; at += 10 * time.Millisecond {
		script = append(script, step{at, "stop", uint8(1 + at/(10*time.Millisecond)%2), "", 0})
		switch at {
		case 500 * time.Millisecond:
			script = append(script, step{at, "move", 3, "left  3", 400 * time.Millisecond})
		case 600 * time.Millisecond:
			script = append(script, step{at, "once", 3, "preset3", 0}, step{at, "once", 3, "preset4", 0})
		}
	}
	sent := strings.Join(play(s, script, 2*time.Second), ", ")
	left, two, stop := strings.Index(sent, "left  3"), strings.Index(sent, "preset4"), strings.Index(sent, "stop  3")
	if left < 0 || two < left || stop < two {
		t.Error(sent)
	}
}

func TestNothingMovesForLongerThanItMay(t *testing.T) {
	for seed := range uint64(1000) {
		w := &walk{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), s: newSchedule(9600, domesOf(5)), moves: map[string]time.Time{}, stands: map[string]bool{}}
		for range 2000 {
			w.step()
		}
		if w.stops == 0 || w.sent < 300 {
			t.Fatalf("seed %d: %d frames, %d stops: the walk tries nothing", seed, w.sent, w.stops)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type walk struct {
	t           *testing.T
	rnd         *rand.Rand
	s           *schedule
	now         time.Duration
	last        time.Duration        // when a frame was sent last
	moves       map[string]time.Time // by dome: the end of what it was told last to do
	asked       []string             // domes that owe a stop that was asked for
	stands      map[string]bool      // by dome: it was stopped, and nothing has moved it since
	sent, stops int
}

// step does one thing, or lets time pass.
func (w *walk) step() {
	address := uint8(w.rnd.IntN(5) + 1)
	o := Order{Address: address, Kind: Kind(w.rnd.IntN(4)), For: time.Duration(1+w.rnd.IntN(400)) * time.Millisecond}
	o.Frame = fmt.Appendf(nil, "%d %d %04d", address, o.Kind, w.rnd.IntN(9999))
	at := epoch().Add(w.now)
	if w.rnd.IntN(3) == 0 && w.s.add(at, o) == nil {
		dome := fmt.Sprint(address)
		switch {
		case o.Kind == Stop && !slices.Contains(w.asked, dome):
			w.asked = append(w.asked, dome)
		case o.Kind == Move:
			w.moves["until "+dome] = at.Add(o.For)
		}
	}
	frame, wait, _ := w.s.next(at)
	if frame == nil {
		w.now += min(wait, time.Duration(1+w.rnd.IntN(30))*time.Millisecond)
		w.settled(at)
		return
	}
	w.check(string(frame), at)
}

// check holds one frame to the promises.
func (w *walk) check(frame string, at time.Time) {
	if w.sent > 0 && w.now-w.last < gap {
		w.t.Errorf("%v: %q %v behind the frame before", w.now, frame, w.now-w.last)
	}
	w.last, w.sent = w.now, w.sent+1
	if dome, isStop := strings.CutPrefix(frame, "stop  "); isStop {
		w.stops++
		delete(w.moves, dome)
		w.stands[dome] = true
		w.asked = slices.DeleteFunc(w.asked, func(d string) bool { return d == dome })
		return
	}
	dome, kind := frame[:1], frame[2]
	if slices.ContainsFunc(w.asked, func(d string) bool { return d == dome || !w.stands[d] }) {
		w.t.Errorf("%v: %q while stops of %v wait", w.now, frame, w.asked)
	}
	w.stands[dome] = w.stands[dome] && Kind(kind-'0') == Once
	switch Kind(kind - '0') {
	case Move:
		w.moves[dome] = at
	case Go:
		if _, moving := w.moves[dome]; moving {
			w.t.Errorf("%v: %q while it moves", w.now, frame)
		}
	}
}

// settled checks, when nothing is to be sent, that what moves may.
func (w *walk) settled(at time.Time) {
	if w.now-w.last < w.s.air(8)+gap {
		return
	}
	for _, d := range w.s.domes {
		dome := fmt.Sprint(d.address)
		if _, moving := w.moves[dome]; moving && at.After(w.moves["until "+dome].Add(5*(w.s.air(8)+gap))) {
			w.t.Errorf("%v: dome %s moves since it was to be stopped at %v", w.now, dome, w.moves["until "+dome].Sub(epoch()))
		}
	}
}
