package ptz

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// day is when every test begins.
func day() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }

func both() Axes { return Axes{PanTilt: true, Zoom: true} }

func near() cmp.Option { return cmpopts.EquateApprox(0, 1e-9) }

func TestPositionIntegratesSpeed(t *testing.T) {
	for name, tc := range map[string]struct {
		speed   Vector
		timeout time.Duration
		after   time.Duration
		want    Status
	}{
		"at once":             {Vector{1, 1, 1}, time.Minute, 0, Status{Vector{}, true, true}},
		"full speed":          {Vector{1, -1, 1}, time.Minute, time.Second, Status{Vector{0.5, -0.5, 0.2}, true, true}},
		"half speed":          {Vector{Pan: 0.5}, time.Minute, time.Second, Status{Vector{Pan: 0.25}, true, false}},
		"end of the timeout":  {Vector{Pan: 1}, time.Second, time.Hour, Status{Vector{Pan: 0.5}, false, false}},
		"upper end stop":      {Vector{1, 1, 1}, time.Minute, 10 * time.Second, Status{Vector{1, 1, 1}, false, false}},
		"lower end stop":      {Vector{-1, -1, -1}, time.Minute, 10 * time.Second, Status{Vector{-1, -1, 0}, false, false}},
		"zero is no movement": {Vector{}, time.Minute, time.Second, Status{}},
	} {
		t.Run(name, func(t *testing.T) {
			var h Head
			if err := h.Continuous(day(), tc.speed, both(), tc.timeout); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, h.Status(day().Add(tc.after)), near()); d != "" {
				t.Errorf("status -want +got:\n%s", d)
			}
		})
	}
}

func TestAbsoluteMoveArrivesAndStays(t *testing.T) {
	var h Head
	if err := h.Absolute(day(), Vector{0.5, -1, 0.4}, Vector{}, both()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		want  Status
	}{
		{time.Second, Status{Vector{0.5, -0.5, 0.2}, true, true}},
		{2 * time.Second, Status{Vector{0.5, -1, 0.4}, false, false}},
		{time.Hour, Status{Vector{0.5, -1, 0.4}, false, false}},
	} {
		if d := cmp.Diff(step.want, h.Status(day().Add(step.after)), near()); d != "" {
			t.Errorf("after %s -want +got:\n%s", step.after, d)
		}
	}
}

func TestMoveOfOneAxisLeavesTheOthersMoving(t *testing.T) {
	var h Head
	_ = h.Continuous(day(), Vector{Zoom: 1}, Axes{Zoom: true}, time.Minute)
	_ = h.Absolute(day().Add(time.Second), Vector{Pan: 1}, Vector{}, Axes{PanTilt: true})
	want := Status{Vector{Pan: 0.5, Zoom: 0.4}, true, true}
	if d := cmp.Diff(want, h.Status(day().Add(2*time.Second)), near()); d != "" {
		t.Errorf("status -want +got:\n%s", d)
	}
	h.Stop(day().Add(2*time.Second), Axes{Zoom: true})
	want = Status{Vector{Pan: 1, Zoom: 0.4}, false, false}
	if d := cmp.Diff(want, h.Status(day().Add(time.Minute)), near()); d != "" {
		t.Errorf("after Stop -want +got:\n%s", d)
	}
}

func TestRelativeMoveStopsAtTheEndStop(t *testing.T) {
	var h Head
	_ = h.Absolute(day(), Vector{Pan: 0.9}, Vector{}, both())
	if err := h.Relative(day().Add(time.Minute), Vector{Pan: 0.5, Tilt: 0.25}, Vector{}, both()); err != nil {
		t.Fatal(err)
	}
	want := Status{Position: Vector{Pan: 1, Tilt: 0.25}}
	if d := cmp.Diff(want, h.Status(day().Add(2*time.Minute)), near()); d != "" {
		t.Errorf("status -want +got:\n%s", d)
	}
}

func TestPresetIsGoneToAndForgotten(t *testing.T) {
	var h Head
	_ = h.Absolute(day(), Vector{Pan: 0.5}, Vector{}, both())
	token, err := h.SetPreset(day().Add(time.Minute), "", "gate")
	if err != nil {
		t.Fatal(err)
	}
	_ = h.Absolute(day().Add(time.Minute), Vector{}, Vector{}, both())
	if err := h.GotoPreset(day().Add(2*time.Minute), token, Vector{}); err != nil {
		t.Fatal(err)
	}
	if got := h.Status(day().Add(3 * time.Minute)).Position; got != (Vector{Pan: 0.5}) {
		t.Errorf("at %v, want the preset", got)
	}
	if err := h.RemovePreset(token); err != nil {
		t.Fatal(err)
	}
	if err := h.GotoPreset(day(), token, Vector{}); !errors.Is(err, ErrPreset) {
		t.Errorf("GotoPreset of a removed one: %v", err)
	}
	if again, err := h.SetPreset(day().Add(time.Hour), "", "gate"); again == token || err != nil {
		t.Errorf("token %q after %q, %v", again, token, err)
	}
}

func TestFocusMovesToItsEndOrUntilItIsStopped(t *testing.T) {
	for name, tc := range map[string]struct {
		speed  float64
		stop   time.Duration // 0: never
		after  time.Duration
		want   float64
		moving bool
	}{
		"far at once":      {FocusSpeed, 0, 0, 0, true},
		"far":              {FocusSpeed, 0, time.Second, 0.25, true},
		"half as fast":     {FocusSpeed / 2.0, 0, 2 * time.Second, 0.25, true},
		"to the far end":   {FocusSpeed, 0, time.Hour, 1, false},
		"near is the end":  {-FocusSpeed, 0, time.Second, 0, false},
		"until it stopped": {FocusSpeed, 2 * time.Second, time.Minute, 0.5, false},
	} {
		t.Run(name, func(t *testing.T) {
			var h Head
			if err := h.MoveFocus(day(), tc.speed); err != nil {
				t.Fatal(err)
			}
			if tc.stop > 0 {
				h.StopFocus(day().Add(tc.stop))
			}
			if at, moving := h.Focus(day().Add(tc.after)); at != tc.want || moving != tc.moving {
				t.Errorf("at %g, moving %t", at, moving)
			}
			if s := h.Status(day().Add(tc.after)); s != (Status{}) {
				t.Errorf("the head moved with it: %+v", s)
			}
		})
	}
}

func TestPresetIsNotSetWhileTheHeadMoves(t *testing.T) {
	var h Head
	_ = h.Continuous(day(), Vector{Zoom: 1}, Axes{Zoom: true}, 2*time.Second)
	if _, err := h.SetPreset(day().Add(time.Second), "", ""); !errors.Is(err, ErrMoving) {
		t.Errorf("while it moves: %v", err)
	}
	if _, err := h.SetPreset(day().Add(time.Minute), "", ""); err != nil {
		t.Errorf("at rest: %v", err)
	}
}

func TestHeadRefusesWhatItCannotDo(t *testing.T) {
	nan := math.NaN()
	for name, tc := range map[string]struct {
		do   func(h *Head) error
		want error
	}{
		"too fast":          {func(h *Head) error { return h.Continuous(day(), Vector{Pan: 1.1}, both(), 0) }, ErrSpeed},
		"no number":         {func(h *Head) error { return h.Continuous(day(), Vector{Tilt: nan}, both(), 0) }, ErrSpeed},
		"too far":           {func(h *Head) error { return h.Absolute(day(), Vector{Pan: -1.1}, Vector{}, both()) }, ErrPosition},
		"negative zoom":     {func(h *Head) error { return h.Absolute(day(), Vector{Zoom: -0.1}, Vector{}, both()) }, ErrPosition},
		"negative speed":    {func(h *Head) error { return h.Absolute(day(), Vector{}, Vector{Pan: -1}, both()) }, ErrSpeed},
		"translation":       {func(h *Head) error { return h.Relative(day(), Vector{Pan: nan}, Vector{}, both()) }, ErrPosition},
		"focus too fast":    {func(h *Head) error { return h.MoveFocus(day(), -FocusSpeed-1) }, ErrSpeed},
		"unknown preset":    {func(h *Head) error { return h.RemovePreset("7") }, ErrPreset},
		"overwrite unknown": {func(h *Head) error { _, err := h.SetPreset(day(), "7", ""); return err }, ErrPreset},
		"name in use": {func(h *Head) error {
			_, _ = h.SetPreset(day(), "", "a")
			_, err := h.SetPreset(day(), "", "a")
			return err
		}, ErrName},
		"too many": {func(h *Head) error {
			for range MaxPresets {
				if _, err := h.SetPreset(day(), "", ""); err != nil {
					return err
				}
			}
			_, err := h.SetPreset(day(), "", "")
			return err
		}, ErrFull},
	} {
		t.Run(name, func(t *testing.T) {
			var h Head
			if err := tc.do(&h); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if s := h.Status(day().Add(time.Second)); s != (Status{}) {
				t.Errorf("a refused command moved the head: %+v", s)
			}
		})
	}
}
