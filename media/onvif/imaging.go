package onvif

import (
	"context"
	"encoding/xml"

	imaging "github.com/use-go/onvif/Imaging"
	xonvif "github.com/use-go/onvif/xsd/onvif"
)

// FocusSpeeds are the speeds of a continuous movement of the focus, in units of the
// device's own: Near is negative, Far positive. The zero value is a focus that cannot
// be moved so.
type FocusSpeeds struct {
	Near, Far float64 // the fastest
}

// FocusSpeeds asks how fast the focus of a video source moves (GetMoveOptions, Imaging
// §5.3.2).
func (c *Client) FocusSpeeds(ctx context.Context, source string) (FocusSpeeds, error) {
	var x struct {
		MoveOptions struct {
			Continuous *struct {
				Speed struct{ Min, Max number }
			}
		}
	}
	in := imaging.GetMoveOptions{VideoSourceToken: xonvif.ReferenceToken(source)}
	if err := c.do(ctx, call{nsImaging, "GetMoveOptions", in, &x}); err != nil {
		return FocusSpeeds{}, err
	}
	if x.MoveOptions.Continuous == nil {
		return FocusSpeeds{}, nil
	}
	s := FocusSpeeds{float64(x.MoveOptions.Continuous.Speed.Min), float64(x.MoveOptions.Continuous.Speed.Max)}
	switch {
	case s.Near >= 0 && s.Far <= 0: // it does not say
		s = FocusSpeeds{-1, 1}
	case s.Near >= 0: // only amounts are told
		s.Near = -s.Far
	case s.Far <= 0:
		s.Far = -s.Near
	}
	return s, nil
}

// The library's own type sends every kind of movement at once.
type moveFocus struct {
	XMLName xml.Name   `xml:"timg:Move"`
	Source  string     `xml:"timg:VideoSourceToken"`
	Speed   coordinate `xml:"timg:Focus>onvif:Continuous>onvif:Speed"`
}

// MoveFocus moves the focus of a video source with one of its FocusSpeeds until it is
// at its end or StopFocus (Move, Imaging §5.3.1). The device knows no time after which
// it ends by itself, and turns its autofocus off.
func (c *Client) MoveFocus(ctx context.Context, source string, speed float64) error {
	return c.do(ctx, call{nsImaging, "Move", moveFocus{Source: source, Speed: coordinate(speed)}, nil})
}

// StopFocus ends the movement of the focus (Stop, Imaging §5.3.3).
func (c *Client) StopFocus(ctx context.Context, source string) error {
	return c.do(ctx, call{nsImaging, "Stop", imaging.Stop{VideoSourceToken: xonvif.ReferenceToken(source)}, nil})
}
