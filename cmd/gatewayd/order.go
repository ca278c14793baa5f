package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
)

// An order is a command to a camera as the domain takes it.
type order struct {
	asked  domain.PTZAsked
	length time.Duration // of a movement; 0 of everything else
}

// Bounds of what is said in a command.
const (
	maxPTZBody = 4 << 10
	maxAsker   = 64 // bytes of a user's name
)

// A ptzAction is what an action of api.PTZ is to the domain, with the numbers it takes.
type ptzAction struct {
	name   string
	action domain.PTZAction
	takes  []bound
}

// A bound is a number of api.PTZ, and what it may be.
type bound struct {
	field       string
	least, most int
}

var (
	aPreset    = bound{"number", 1, 255}
	aGroup     = bound{"number", 0, 255} // cruise, scan, auxiliary switch
	ptzActions = []ptzAction{
		{api.PTZMove, domain.PTZMove, []bound{{"pan", -100, 100}, {"tilt", -100, 100}, {"zoom", -100, 100}}},
		{api.PTZLens, domain.PTZLens, []bound{{"focus", -100, 100}, {"iris", -100, 100}}},
		{api.PTZStop, domain.PTZMove, nil},
		{api.PTZLensStop, domain.PTZLens, nil},
		{api.PTZPreset, domain.PresetCall, []bound{aPreset}},
		{api.PTZPresetSet, domain.PresetSet, []bound{aPreset}},
		{api.PTZPresetDelete, domain.PresetDelete, []bound{aPreset}},
		{api.PTZCruise, domain.CruiseStart, []bound{aGroup}},
		{api.PTZCruiseAdd, domain.CruiseAdd, []bound{aGroup, {"preset", 1, 255}}},
		{api.PTZCruiseDelete, domain.CruiseDelete, []bound{aGroup, {"preset", 0, 255}}},
		{api.PTZCruiseSpeed, domain.CruiseSpeed, []bound{aGroup, {"speed", 1, 4095}}},
		{api.PTZCruiseDwell, domain.CruiseDwell, []bound{aGroup, {"dwell_seconds", 1, 4095}}},
		{api.PTZScan, domain.ScanStart, []bound{aGroup}},
		{api.PTZScanLeft, domain.ScanLeft, []bound{aGroup}},
		{api.PTZScanRight, domain.ScanRight, []bound{aGroup}},
		{api.PTZScanSpeed, domain.ScanSpeed, []bound{aGroup, {"speed", 1, 4095}}},
		{api.PTZAuxOn, domain.AuxOn, []bound{aGroup}},
		{api.PTZAuxOff, domain.AuxOff, []bound{aGroup}},
		{api.PTZHold, domain.PTZMove, nil},
		{api.PTZRelease, domain.PTZMove, nil},
	}
)

// orderOf checks a command and fills in what it does not say. All faults are told at
// once, a line each.
func orderOf(in *api.PTZ) (o order, err error) {
	i := slices.IndexFunc(ptzActions, func(a ptzAction) bool { return a.name == in.Action })
	if i < 0 {
		var names []string
		for _, a := range ptzActions {
			names = append(names, a.name)
		}
		return o, fmt.Errorf("action=%.32q: want %s", in.Action, strings.Join(names, ", "))
	}
	a := ptzActions[i]
	o.asked = domain.PTZAsked{User: in.User, Rank: uint8(in.Rank), Command: a.command(*in)}
	var err2, err3 error
	o.length, err2 = a.length(in)
	o.asked.Hold, err3 = a.hold(in.Hold)
	return o, errors.Join(a.numbers(*in), err2, err3, asker(*in))
}

// command returns the command itself. Actions leave alone what they do not take.
func (a ptzAction) command(in api.PTZ) domain.PTZ {
	return domain.PTZ{
		Action: a.action,
		Pan:    axis(in.Pan, fullSpeed), Tilt: axis(in.Tilt, fullSpeed), Zoom: axis(in.Zoom, fullZoom),
		Focus: axis(in.Focus, fullSpeed), Iris: axis(in.Iris, fullSpeed),
		Number: uint8(in.Number), Preset: uint8(in.Preset), Value: uint16(in.Speed + in.Dwell),
	}
}

// Full speeds (GB/T 28181-2022 A.3.2, A.3.3).
const (
	fullSpeed = 255
	fullZoom  = 15
)

// axis makes a movement of percents of full speed. The least of them moves, too. What is
// out of bounds becomes anything: see numbers.
func axis(percent, full int) domain.Axis {
	if percent == 0 {
		return domain.Axis{}
	}
	speed := (max(percent, -percent)*full + 50) / 100
	return domain.Axis{Dir: domain.Dir(cmp.Compare(percent, 0)), Speed: uint8(max(1, speed))}
}

// numbers checks the numbers of a command: those that the action takes are within their
// bounds, and others are not there.
func (a ptzAction) numbers(in api.PTZ) error {
	var faults []error
	for _, n := range []struct {
		field string
		value int
	}{
		{"pan", in.Pan}, {"tilt", in.Tilt}, {"zoom", in.Zoom}, {"focus", in.Focus}, {"iris", in.Iris},
		{"number", in.Number}, {"preset", in.Preset}, {"speed", in.Speed}, {"dwell_seconds", in.Dwell},
	} {
		i := slices.IndexFunc(a.takes, func(b bound) bool { return b.field == n.field })
		switch {
		case i < 0 && n.value != 0:
			faults = append(faults, fmt.Errorf("%s takes no %s", a.name, n.field))
		case i >= 0 && (n.value < a.takes[i].least || n.value > a.takes[i].most):
			faults = append(faults, fmt.Errorf("%s=%d: want %d to %d", n.field, n.value, a.takes[i].least, a.takes[i].most))
		}
	}
	switch {
	case a.name == api.PTZMove && in.Pan == 0 && in.Tilt == 0 && in.Zoom == 0:
		faults = append(faults, errors.New("move: want pan, tilt or zoom"))
	case a.name == api.PTZLens && in.Focus == 0 && in.Iris == 0:
		faults = append(faults, errors.New("lens: want focus or iris"))
	}
	return errors.Join(faults...)
}

// length returns how long a movement lasts.
func (a ptzAction) length(in *api.PTZ) (time.Duration, error) {
	if a.name == api.PTZMove || a.name == api.PTZLens {
		in.For = cmp.Or(in.For, api.DefaultMove.String())
		return span("for", in.For, api.MostMove)
	}
	if in.For != "" {
		return 0, fmt.Errorf("%s takes no for", a.name)
	}
	return 0, nil
}

// hold returns for how long the camera is held: below 0 it is let go.
func (a ptzAction) hold(text string) (time.Duration, error) {
	switch a.name {
	case api.PTZStop, api.PTZLensStop, api.PTZRelease:
		if text != "" {
			return 0, fmt.Errorf("%s takes no hold", a.name)
		}
		if a.name == api.PTZRelease {
			return -1, nil
		}
		return 0, nil
	}
	if text == "" && a.name != api.PTZHold {
		return 0, nil
	}
	return span("hold", text, api.MostHold)
}

// span reads a duration that has to be there.
func span(field, text string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > most {
		return 0, fmt.Errorf("%s=%.32q: want a duration such as 2s, up to %s", field, text, most)
	}
	return d, nil
}

// asker checks who asks.
func asker(in api.PTZ) (err error) {
	strange := func(r rune) bool { return !unicode.IsPrint(r) }
	if in.User == "" || len(in.User) > maxAsker || !utf8.ValidString(in.User) || strings.ContainsFunc(in.User, strange) {
		err = fmt.Errorf("user=%.80q: want who moves the camera, in %d bytes at most", in.User, maxAsker)
	}
	if in.Rank < 0 || in.Rank > api.MostRank {
		err = errors.Join(err, fmt.Errorf("rank=%d: want 0 to %d", in.Rank, api.MostRank))
	}
	return err
}
