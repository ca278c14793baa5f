package onvif

import (
	"context"
	"encoding/xml"
	"errors"

	"github.com/use-go/onvif/ptz"
	xonvif "github.com/use-go/onvif/xsd/onvif"
)

// A Preset is a stored position.
type Preset struct {
	Token    string
	Name     string
	Position *Vector // nil if the device does not tell
}

// Presets asks for the stored positions (GetPresets, PTZ §5.4.2), at most 256.
func (c *Client) Presets(ctx context.Context, profile string) ([]Preset, error) {
	var x struct {
		Preset []struct {
			Token       text `xml:"token,attr"`
			Name        text
			PTZPosition *positionXML
		}
	}
	in := ptz.GetPresets{ProfileToken: xonvif.ReferenceToken(profile)}
	if err := c.do(ctx, call{nsPTZ, "GetPresets", in, &x}); err != nil {
		return nil, err
	}
	var out []Preset
	for _, p := range x.Preset[:min(len(x.Preset), maxItems)] {
		out = append(out, Preset{string(p.Token), string(p.Name), p.PTZPosition.vector()})
	}
	return out, nil
}

type gotoPreset struct {
	XMLName      xml.Name `xml:"tptz:GotoPreset"`
	ProfileToken string   `xml:"tptz:ProfileToken"`
	PresetToken  string   `xml:"tptz:PresetToken"`
}

// GotoPreset moves to a stored position at the device's default speed (PTZ §5.4.4).
func (c *Client) GotoPreset(ctx context.Context, profile, preset string) error {
	return c.do(ctx, call{nsPTZ, "GotoPreset", gotoPreset{ProfileToken: profile, PresetToken: preset}, nil})
}

type setPreset struct {
	XMLName      xml.Name `xml:"tptz:SetPreset"`
	ProfileToken string   `xml:"tptz:ProfileToken"`
	PresetName   string   `xml:"tptz:PresetName,omitempty"`
	PresetToken  string   `xml:"tptz:PresetToken,omitempty"`
}

// SetPreset stores the present position (PTZ §5.4.1) in p.Token, or in a new
// preset if that is empty, under p.Name, or a name of the device's choice. It
// returns the token.
func (c *Client) SetPreset(ctx context.Context, profile string, p Preset) (string, error) {
	var x struct{ PresetToken text }
	in := setPreset{ProfileToken: profile, PresetName: p.Name, PresetToken: p.Token}
	if err := c.do(ctx, call{nsPTZ, "SetPreset", in, &x}); err != nil {
		return "", err
	}
	if x.PresetToken == "" {
		x.PresetToken = text(p.Token) // some devices repeat it only when it is new
	}
	if x.PresetToken == "" {
		return "", errors.New("onvif: device stored a preset but gave it no token")
	}
	return string(x.PresetToken), nil
}

// RemovePreset forgets a stored position (PTZ §5.4.3).
func (c *Client) RemovePreset(ctx context.Context, profile, preset string) error {
	in := ptz.RemovePreset{ProfileToken: xonvif.ReferenceToken(profile), PresetToken: xonvif.ReferenceToken(preset)}
	return c.do(ctx, call{nsPTZ, "RemovePreset", in, nil})
}
