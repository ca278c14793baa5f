package domain

import (
	"fmt"
	"strings"
)

// A PTZ is one command to a camera that moves (PTZCmd, GB/T 28181-2022 A.3). Which
// fields mean something depends on Action; the zero value stops all movement.
type PTZ struct {
	Action PTZAction
	Pan    Axis   // PTZMove: Left or Right, speed 0 to 255
	Tilt   Axis   // PTZMove: Up or Down, speed 0 to 255
	Zoom   Axis   // PTZMove: ZoomIn or ZoomOut, speed 0 to 15
	Focus  Axis   // PTZLens: FocusNear or FocusFar, speed 0 to 255
	Iris   Axis   // PTZLens: IrisOpen or IrisClose, speed 0 to 255
	Number uint8  // preset 1 to 255 of preset actions; cruise or scan group; auxiliary switch (1 is the wiper)
	Preset uint8  // CruiseAdd: 1 to 255; CruiseDelete: the same, or 0 for the whole cruise
	Value  uint16 // 12 bits; CruiseSpeed and ScanSpeed: speed; CruiseDwell: seconds
}

// An Axis is movement in one dimension. The speed is carried even without a
// direction, as senders do.
type Axis struct {
	Dir   Dir
	Speed uint8
}

// A Dir is the direction of movement along an axis, as seen in the picture.
type Dir int8

// The directions.
const (
	Still               Dir = 0
	Left, Right         Dir = -1, 1
	Down, Up            Dir = -1, 1
	ZoomOut, ZoomIn     Dir = -1, 1
	FocusNear, FocusFar Dir = -1, 1
	IrisClose, IrisOpen Dir = -1, 1
)

// A PTZAction is what a PTZ does.
type PTZAction uint8

// The actions (A.3.2 to A.3.7). Cruise and scan are stopped by a PTZMove that moves
// nothing.
const (
	PTZMove      PTZAction = iota // pan, tilt and zoom until the next command
	PTZLens                       // focus and iris until the next command
	PresetSet                     // store the position as preset Number
	PresetCall                    // go to preset Number
	PresetDelete                  // forget preset Number
	CruiseAdd                     // add Preset to cruise Number
	CruiseDelete                  // remove Preset from cruise Number
	CruiseSpeed                   // set the speed of cruise Number to Value
	CruiseDwell                   // set the stay at each point of cruise Number to Value seconds
	CruiseStart                   // start cruise Number
	ScanStart                     // start scan Number
	ScanLeft                      // store the left edge of scan Number
	ScanRight                     // store the right edge of scan Number
	ScanSpeed                     // set the speed of scan Number to Value
	AuxOn                         // switch auxiliary Number on
	AuxOff                        // switch auxiliary Number off
)

// Moves reports whether p is a movement that goes on until a command ends it.
func (p PTZ) Moves() bool {
	switch p.Action {
	case PTZMove:
		return p.Pan.Dir|p.Tilt.Dir|p.Zoom.Dir != Still
	case PTZLens:
		return p.Focus.Dir|p.Iris.Dir != Still
	}
	return false
}

// Stops reports whether p ends movement and moves nothing itself. A PTZMove that
// stops also ends cruise and scan; a PTZLens that stops only ends focus and iris.
func (p PTZ) Stops() bool { return p.Action <= PTZLens && !p.Moves() }

// goes reports whether p has the camera go somewhere by itself, which ends a movement.
func (p PTZ) goes() bool {
	return p.Action == PresetCall || p.Action == CruiseStart || p.Action == ScanStart
}

// String describes the command for people: "left 128 up 128", "preset call 5".
func (p PTZ) String() string {
	switch p.Action {
	case PTZMove:
		return moves("stop", p.Pan.words("left", "right"), p.Tilt.words("down", "up"), p.Zoom.words("zoom out", "zoom in"))
	case PTZLens:
		return moves("lens stop", p.Focus.words("focus near", "focus far"), p.Iris.words("iris close", "iris open"))
	case CruiseAdd:
		return fmt.Sprintf("cruise %d add preset %d", p.Number, p.Preset)
	case CruiseDelete:
		if p.Preset == 0 {
			return fmt.Sprintf("cruise %d delete", p.Number)
		}
		return fmt.Sprintf("cruise %d delete preset %d", p.Number, p.Preset)
	case CruiseSpeed:
		return fmt.Sprintf("cruise %d speed %d", p.Number, p.Value)
	case CruiseDwell:
		return fmt.Sprintf("cruise %d dwell %d s", p.Number, p.Value)
	case ScanSpeed:
		return fmt.Sprintf("scan %d speed %d", p.Number, p.Value)
	}
	return fmt.Sprintf(p.Action.form(), p.Number)
}

// form is the description of the actions with one number.
func (a PTZAction) form() string {
	switch a {
	case PresetSet:
		return "preset set %d"
	case PresetCall:
		return "preset call %d"
	case PresetDelete:
		return "preset delete %d"
	case CruiseStart:
		return "cruise %d start"
	case ScanStart:
		return "scan %d start"
	case ScanLeft:
		return "scan %d left edge"
	case ScanRight:
		return "scan %d right edge"
	case AuxOn:
		return "auxiliary %d on"
	case AuxOff:
		return "auxiliary %d off"
	}
	return "unknown %d"
}

func moves(still string, parts ...string) string {
	var moving []string
	for _, p := range parts {
		if p != "" {
			moving = append(moving, p)
		}
	}
	if len(moving) == 0 {
		return still
	}
	return strings.Join(moving, " ")
}

func (a Axis) words(minus, plus string) string {
	switch {
	case a.Dir > 0:
		return fmt.Sprintf("%s %d", plus, a.Speed)
	case a.Dir < 0:
		return fmt.Sprintf("%s %d", minus, a.Speed)
	}
	return ""
}

// Bounds of what a command may say (A.3.2 to A.3.7).
const (
	mostZoomSpeed = 15
	mostPTZValue  = 1<<12 - 1
)

// Valid reports whether every field that means something is within its bounds.
func (p PTZ) Valid() bool {
	for _, a := range []Axis{p.Pan, p.Tilt, p.Zoom, p.Focus, p.Iris} {
		if a.Dir < -1 || a.Dir > 1 {
			return false
		}
	}
	switch p.Action {
	case PresetSet, PresetCall, PresetDelete:
		return p.Number > 0
	case CruiseAdd:
		return p.Preset > 0
	}
	return p.Action <= AuxOff && p.Zoom.Speed <= mostZoomSpeed && p.Value <= mostPTZValue
}
