package onvif

import (
	"context"
	"encoding/xml"

	"github.com/use-go/onvif/media"
	xonvif "github.com/use-go/onvif/xsd/onvif"
)

type syncPoint2 struct {
	XMLName      xml.Name `xml:"tr2:SetSynchronizationPoint"`
	ProfileToken string   `xml:"tr2:ProfileToken"`
}

// KeyFrame asks the device to send a key picture of the profile at once
// (SetSynchronizationPoint: Media §5.18.1, Media2 §5.6), on every stream of it that is
// under way.
func (c *Client) KeyFrame(ctx context.Context, p Profile) error {
	k := call{nsMedia2, "SetSynchronizationPoint", syncPoint2{ProfileToken: p.Token}, nil}
	if !p.Media2 {
		k.ns, k.in = nsMedia, media.SetSynchronizationPoint{ProfileToken: xonvif.ReferenceToken(p.Token)}
	}
	return c.do(ctx, k)
}
