package onvif

import (
	"context"
	"encoding/xml"
	"fmt"
	"strconv"
	"time"

	"github.com/use-go/onvif/ptz"
	xonvif "github.com/use-go/onvif/xsd/onvif"
)

// A Vector is a position, translation or velocity in the generic spaces (PTZ
// §5.7): each figure from -1 to 1, a zoom position from 0 to 1. Positive is
// right, up and towards tele.
type Vector struct {
	Pan, Tilt, Zoom float64
	// Axes says what the vector names. What it does not name stays as it is,
	// which for a velocity means that it goes on moving. The zero value names
	// both; a device without one of them may fault at being told about it.
	Axes Axes
}

// Axes are what of a device a Vector is about.
type Axes uint8

// The choices.
const (
	AllAxes Axes = iota
	PanTiltAxes
	ZoomAxis
)

type panTiltXML struct {
	X coordinate `xml:"x,attr"`
	Y coordinate `xml:"y,attr"`
}

type zoomXML struct {
	X coordinate `xml:"x,attr"`
}

// A coordinate is written without an exponent, which some devices cannot read.
type coordinate float64

// MarshalText implements encoding.TextMarshaler.
func (c coordinate) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(c), 'f', -1, 64), nil
}

// UnmarshalText implements encoding.TextUnmarshaler and never fails.
func (c *coordinate) UnmarshalText(b []byte) error { return (*number)(c).UnmarshalText(b) }

type vectorXML struct {
	PanTilt *panTiltXML `xml:"onvif:PanTilt"`
	Zoom    *zoomXML    `xml:"onvif:Zoom"`
}

// wire checks and converts the vector; the test is written so that NaN fails it.
func (v Vector) wire() (vectorXML, error) {
	for _, f := range []float64{v.Pan, v.Tilt, v.Zoom} {
		if !(f >= -1 && f <= 1) {
			return vectorXML{}, fmt.Errorf("onvif: vector component %g: want -1 to 1", f)
		}
	}
	var x vectorXML
	if v.Axes != ZoomAxis {
		x.PanTilt = &panTiltXML{coordinate(v.Pan), coordinate(v.Tilt)}
	}
	if v.Axes != PanTiltAxes {
		x.Zoom = &zoomXML{coordinate(v.Zoom)}
	}
	return x, nil
}

type continuousMove struct {
	XMLName      xml.Name  `xml:"tptz:ContinuousMove"`
	ProfileToken string    `xml:"tptz:ProfileToken"`
	Velocity     vectorXML `xml:"tptz:Velocity"`
	Timeout      string    `xml:"tptz:Timeout"`
}

// ContinuousMove moves with a velocity until Stop, another move, or stop, the
// time after which the device ends the move by itself should we be gone; 0 means
// 5 s (PTZ §5.3.3). It is sent in whole milliseconds.
func (c *Client) ContinuousMove(ctx context.Context, profile string, v Vector, stop time.Duration) error {
	x, err := v.wire()
	if err != nil {
		return err
	}
	if stop < 0 {
		return fmt.Errorf("onvif: move for %v: want a positive time", stop)
	}
	if stop == 0 {
		stop = 5 * time.Second
	}
	in := continuousMove{ProfileToken: profile, Velocity: x, Timeout: duration(stop)}
	return c.do(ctx, call{nsPTZ, "ContinuousMove", in, nil})
}

// duration writes an xs:duration in seconds.
func duration(d time.Duration) string {
	d = max(d.Round(time.Millisecond), time.Millisecond)
	return "PT" + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "S"
}

type absoluteMove struct {
	XMLName      xml.Name  `xml:"tptz:AbsoluteMove"`
	ProfileToken string    `xml:"tptz:ProfileToken"`
	Position     vectorXML `xml:"tptz:Position"`
}

// AbsoluteMove moves to a position at the device's default speed (PTZ §5.3.1).
func (c *Client) AbsoluteMove(ctx context.Context, profile string, to Vector) error {
	x, err := to.wire()
	if err != nil {
		return err
	}
	return c.do(ctx, call{nsPTZ, "AbsoluteMove", absoluteMove{ProfileToken: profile, Position: x}, nil})
}

type relativeMove struct {
	XMLName      xml.Name  `xml:"tptz:RelativeMove"`
	ProfileToken string    `xml:"tptz:ProfileToken"`
	Translation  vectorXML `xml:"tptz:Translation"`
}

// RelativeMove moves by a translation at the device's default speed (PTZ §5.3.2).
func (c *Client) RelativeMove(ctx context.Context, profile string, by Vector) error {
	x, err := by.wire()
	if err != nil {
		return err
	}
	return c.do(ctx, call{nsPTZ, "RelativeMove", relativeMove{ProfileToken: profile, Translation: x}, nil})
}

// Stop ends all movement, pan, tilt and zoom (PTZ §5.3.5).
func (c *Client) Stop(ctx context.Context, profile string) error {
	in := ptz.Stop{ProfileToken: xonvif.ReferenceToken(profile), PanTilt: true, Zoom: true}
	return c.do(ctx, call{nsPTZ, "Stop", in, nil})
}

// Auxiliary switches something of the head, such as its wiper (SendAuxiliaryCommand,
// PTZ §5.6.1; the words are those of ONVIF Core §8.6 or the device's own).
func (c *Client) Auxiliary(ctx context.Context, profile, command string) error {
	in := ptz.SendAuxiliaryCommand{ProfileToken: xonvif.ReferenceToken(profile), AuxiliaryData: xonvif.AuxiliaryData(command)}
	return c.do(ctx, call{nsPTZ, "SendAuxiliaryCommand", in, nil})
}

// A MoveState is IDLE, MOVING or UNKNOWN; empty if the device does not say.
type MoveState string

// A PTZStatus is where a device points and whether it moves.
type PTZStatus struct {
	Position *Vector // nil if the device does not know
	PanTilt  MoveState
	Zoom     MoveState
	Error    string // the device's own words
}

type positionXML struct {
	PanTilt *panTiltXML
	Zoom    *zoomXML
}

func (x *positionXML) vector() *Vector {
	switch {
	case x == nil || x.PanTilt == nil && x.Zoom == nil:
		return nil
	case x.PanTilt == nil:
		return &Vector{Zoom: float64(x.Zoom.X), Axes: ZoomAxis}
	case x.Zoom == nil:
		return &Vector{Pan: float64(x.PanTilt.X), Tilt: float64(x.PanTilt.Y), Axes: PanTiltAxes}
	}
	return &Vector{Pan: float64(x.PanTilt.X), Tilt: float64(x.PanTilt.Y), Zoom: float64(x.Zoom.X)}
}

// Status asks where the device points (GetStatus, PTZ §5.3.6).
func (c *Client) Status(ctx context.Context, profile string) (PTZStatus, error) {
	var x struct {
		PTZStatus struct {
			Position   *positionXML
			MoveStatus struct{ PanTilt, Zoom text }
			Error      text
		}
	}
	in := ptz.GetStatus{ProfileToken: xonvif.ReferenceToken(profile)}
	if err := c.do(ctx, call{nsPTZ, "GetStatus", in, &x}); err != nil {
		return PTZStatus{}, err
	}
	s := x.PTZStatus
	return PTZStatus{s.Position.vector(), MoveState(s.MoveStatus.PanTilt), MoveState(s.MoveStatus.Zoom), string(s.Error)}, nil
}
