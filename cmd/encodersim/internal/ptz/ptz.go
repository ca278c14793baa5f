// Package ptz simulates a pan-tilt-zoom head in ONVIF's generic spaces: pan and
// tilt from -1 to 1, zoom from 0 to 1 (ONVIF PTZ Service Specification), and the
// focus of its lens from 0, near, to 1, far. The head really moves: its position
// integrates speed over time, stops at its end stops and at the end of a move's
// timeout.
package ptz

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// What a head refuses.
var (
	ErrPosition = errors.New("position out of range")
	ErrSpeed    = errors.New("speed out of range")
	ErrPreset   = errors.New("no such preset")
	ErrFull     = errors.New("too many presets")
	ErrName     = errors.New("preset name in use")
	ErrMoving   = errors.New("head is moving")
)

// MaxPresets is how many presets a head keeps.
const MaxPresets = 128

// Speeds at 1: the whole range of pan and tilt takes 4 s, that of zoom 5 s, that of
// focus at FocusSpeed 4 s.
const (
	panTiltSpeed = 0.5 // units a second
	zoomSpeed    = 0.2
	focusSpeed   = 0.25
)

// FocusSpeed is the fastest speed of the focus in its own units, as devices have them.
const FocusSpeed = 7

// A Vector is a position, a translation or a speed. A speed of 1 is the fastest.
type Vector struct {
	Pan, Tilt, Zoom float64
}

// A Preset is a remembered position.
type Preset struct {
	Token, Name string
	Position    Vector
}

// A Status is what GetStatus tells.
type Status struct {
	Position               Vector
	MovingHead, MovingZoom bool
}

// A Head is the state of one simulated head. The zero Head is at rest at its
// home, all zero. It is a plain machine: time is an argument, it never decreases,
// and the caller serialises.
type Head struct {
	axes    [3]axis // pan, tilt, zoom
	focus   axis
	presets []Preset
	named   int // presets ever made: tokens are not used again
}

// An axis moves from 'from' since 'since' at a constant velocity until it is
// told otherwise, reaches its goal or runs into its end stop.
type axis struct {
	from     float64
	velocity float64 // units a second
	since    time.Time
	until    time.Time // zero: no limit
	goal     float64
	toGoal   bool
}

// focusAxis is the number of the focus, after those of the head.
const focusAxis = 3

// lowest returns the lower end stop of an axis; the upper one is 1.
func lowest(i int) float64 {
	if i >= 2 {
		return 0
	}
	return -1
}

func fastest(i int) float64 {
	switch i {
	case 2:
		return zoomSpeed
	case focusAxis:
		return focusSpeed
	}
	return panTiltSpeed
}

// at returns where the axis is and whether it still moves.
func (a axis) at(i int, now time.Time) (position float64, moving bool) {
	if a.velocity == 0 {
		return a.from, false
	}
	end := now
	if !a.until.IsZero() && a.until.Before(now) {
		end = a.until
	}
	position = a.from + a.velocity*max(end.Sub(a.since), 0).Seconds()
	stop := lowest(i)
	if a.velocity > 0 {
		stop = 1
	}
	if a.toGoal {
		stop = a.goal
	}
	if a.velocity > 0 && position >= stop || a.velocity < 0 && position <= stop {
		return stop, false
	}
	return position, end.Equal(now)
}

// rest freezes the axis where it is.
func (a *axis) rest(i int, now time.Time) {
	position, _ := a.at(i, now)
	*a = axis{from: position, since: now}
}

// Status returns where the head is at now.
func (h *Head) Status(now time.Time) Status {
	var s Status
	var moving [3]bool
	for i, p := range []*float64{&s.Position.Pan, &s.Position.Tilt, &s.Position.Zoom} {
		*p, moving[i] = h.axes[i].at(i, now)
	}
	s.MovingHead, s.MovingZoom = moving[0] || moving[1], moving[2]
	return s
}

// Focus returns where the focus is at now and whether it moves.
func (h *Head) Focus(now time.Time) (position float64, moving bool) {
	return h.focus.at(focusAxis, now)
}

// MoveFocus moves the focus at a speed of -FocusSpeed to FocusSpeed until its end
// stop, another move or StopFocus (ONVIF Imaging Service Specification, 5.3.1: there
// is no timeout). ErrSpeed beyond.
func (h *Head) MoveFocus(now time.Time, speed float64) error {
	if !within(speed, -FocusSpeed, FocusSpeed) {
		return ErrSpeed
	}
	h.focus.rest(focusAxis, now)
	h.focus.velocity = speed / FocusSpeed * focusSpeed
	return nil
}

// StopFocus stops the focus.
func (h *Head) StopFocus(now time.Time) { h.focus.rest(focusAxis, now) }

// Axes says which axes a command is for; the others go on as they are.
type Axes struct {
	PanTilt, Zoom bool
}

func (a Axes) has(i int) bool { return i < 2 && a.PanTilt || i == 2 && a.Zoom }

// Continuous moves the axes at a speed of -1 to 1 for at most timeout; zero
// stops one. ErrSpeed beyond.
func (h *Head) Continuous(now time.Time, speed Vector, on Axes, timeout time.Duration) error {
	values := speed.list()
	for _, v := range values {
		if !within(v, -1, 1) {
			return ErrSpeed
		}
	}
	for i, v := range values {
		if !on.has(i) {
			continue
		}
		h.axes[i].rest(i, now)
		h.axes[i].velocity = v * fastest(i)
		h.axes[i].until = now.Add(timeout)
	}
	return nil
}

// Absolute moves the axes to a position at a speed of 0 to 1, 0 meaning 1.
// ErrPosition or ErrSpeed beyond.
func (h *Head) Absolute(now time.Time, to, speed Vector, on Axes) error {
	goals, speeds := to.list(), speed.list()
	for i := range goals {
		if !within(goals[i], lowest(i), 1) {
			return ErrPosition
		}
		if !within(speeds[i], 0, 1) {
			return ErrSpeed
		}
	}
	for i, goal := range goals {
		if !on.has(i) {
			continue
		}
		h.axes[i].rest(i, now)
		h.axes[i].aim(goal, cmp.Or(speeds[i], 1)*fastest(i))
	}
	return nil
}

// Relative moves the axes by a translation, as far as the end stops allow.
func (h *Head) Relative(now time.Time, by, speed Vector, on Axes) error {
	to, move := h.Status(now).Position.list(), by.list()
	for i := range to {
		if !within(move[i], -2, 2) {
			return ErrPosition
		}
		to[i] = min(max(to[i]+move[i], lowest(i)), 1)
	}
	return h.Absolute(now, Vector{to[0], to[1], to[2]}, speed, on)
}

func (a *axis) aim(goal, velocity float64) {
	a.goal, a.toGoal = goal, true
	if a.velocity = velocity; goal < a.from {
		a.velocity = -velocity
	} else if goal == a.from {
		a.velocity = 0
	}
}

// Stop stops the axes.
func (h *Head) Stop(now time.Time, on Axes) {
	for i := range h.axes {
		if on.has(i) {
			h.axes[i].rest(i, now)
		}
	}
}

// Presets returns the presets, oldest first; the caller may keep them.
func (h *Head) Presets() []Preset { return slices.Clone(h.presets) }

// SetPreset remembers where the head is under a token, or under a new one if
// token is empty, and returns the token. ErrMoving while it moves, ErrPreset for a
// token never given out, ErrName for a name another preset has, ErrFull beyond
// MaxPresets.
func (h *Head) SetPreset(now time.Time, token, name string) (string, error) {
	if s := h.Status(now); s.MovingHead || s.MovingZoom {
		return "", ErrMoving
	}
	i := h.find(token)
	if token != "" && i < 0 {
		return "", ErrPreset
	}
	taken := func(p Preset) bool { return p.Name == name && p.Token != token }
	if name != "" && slices.ContainsFunc(h.presets, taken) {
		return "", ErrName
	}
	if i < 0 {
		if len(h.presets) == MaxPresets {
			return "", ErrFull
		}
		h.named++
		h.presets = append(h.presets, Preset{Token: fmt.Sprint(h.named), Name: fmt.Sprintf("Preset %d", h.named)})
		i = len(h.presets) - 1
	}
	if name != "" {
		h.presets[i].Name = name
	}
	h.presets[i].Position = h.Status(now).Position
	return h.presets[i].Token, nil
}

// GotoPreset moves to a preset. ErrPreset or ErrSpeed.
func (h *Head) GotoPreset(now time.Time, token string, speed Vector) error {
	i := h.find(token)
	if i < 0 {
		return ErrPreset
	}
	return h.Absolute(now, h.presets[i].Position, speed, Axes{PanTilt: true, Zoom: true})
}

// RemovePreset forgets a preset. ErrPreset.
func (h *Head) RemovePreset(token string) error {
	i := h.find(token)
	if i < 0 {
		return ErrPreset
	}
	h.presets = slices.Delete(h.presets, i, i+1)
	return nil
}

func (h *Head) find(token string) int {
	return slices.IndexFunc(h.presets, func(p Preset) bool { return p.Token == token })
}

func (v Vector) list() [3]float64 { return [3]float64{v.Pan, v.Tilt, v.Zoom} }

// within also refuses what is not a number.
func within(v, low, high float64) bool { return !math.IsNaN(v) && v >= low && v <= high }
