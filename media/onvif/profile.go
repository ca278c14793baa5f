package onvif

import (
	"context"
	"encoding/xml"
	"errors"
	"strings"

	"github.com/use-go/onvif/media"
)

// A Profile is one encoding a device offers, whichever media service told it.
type Profile struct {
	Token  string
	Name   string
	Source string // token of the video source: one per lens or input
	Video  Video
	Audio  Audio  // Codec is empty without audio
	PTZ    string // token of the PTZ configuration; empty if it cannot move
	Media2 bool   // told by the ver20 service, which then answers for its URIs
}

// Video is the video encoder of a profile; figures not told are 0.
type Video struct {
	Codec   string // H264, H265, JPEG, MPEG4 or the device's own word in upper case
	Width   int    // pixels
	Height  int    // pixels
	FPS     float64
	Bitrate int // kbit/s, the limit
	GOP     int // frames between key frames
}

func (v Video) pixels() int64 { return int64(v.Width) * int64(v.Height) }

// Audio is the audio encoder of a profile; figures not told are 0.
type Audio struct {
	Codec      string // G711 (A-law or µ-law: the SDP tells), PCMU, PCMA, G726, AAC, …
	Bitrate    int    // kbit/s
	SampleRate int    // Hz
}

type videoXML struct {
	Encoding    text
	GovLength   number `xml:"GovLength,attr"` // ver20
	Resolution  struct{ Width, Height number }
	RateControl struct{ FrameRateLimit, BitrateLimit number }
	H264        struct{ GovLength number } // ver10
}

func (x videoXML) video() Video {
	return Video{
		Codec:   codec(x.Encoding),
		Width:   x.Resolution.Width.count(),
		Height:  x.Resolution.Height.count(),
		FPS:     max(0, float64(x.RateControl.FrameRateLimit)),
		Bitrate: x.RateControl.BitrateLimit.count(),
		GOP:     max(x.GovLength.count(), x.H264.GovLength.count()),
	}
}

type audioXML struct {
	Encoding            text
	Bitrate, SampleRate number
}

// audio converts; the rate is in kHz by the specification and in Hz by habit.
func (x audioXML) audio() Audio {
	rate := float64(x.SampleRate)
	if rate < 1000 {
		rate *= 1000
	}
	return Audio{codec(x.Encoding), x.Bitrate.count(), number(rate).count()}
}

// codec gives the media types of ver20 (IANA) and the names of ver10 one form.
func codec(s text) string {
	switch name := strings.ToUpper(string(s)); name {
	case "MP4A-LATM", "MPEG4-GENERIC":
		return "AAC"
	case "MPV4-ES":
		return "MPEG4"
	case "HEVC":
		return "H265"
	case "MJPEG":
		return "JPEG"
	default:
		return name
	}
}

type tokenXML struct {
	Token       text `xml:"token,attr"`
	SourceToken text
}

// Profiles asks the ver20 media service for its profiles and, when there is none
// or it has none with video, the ver10 service (Media2 §5.1, Media §5.2). At most
// 256 are returned, in the device's order.
func (c *Client) Profiles(ctx context.Context) ([]Profile, error) {
	list, err := c.profiles2(ctx)
	if err == nil && anyVideo(list) || errors.Is(err, ErrUnauthorized) || ctx.Err() != nil {
		return list, err
	}
	old, oldErr := c.profiles1(ctx)
	if errors.Is(oldErr, ErrNoService) && !errors.Is(err, ErrNoService) {
		return list, err // only ver20 exists: its answer stands
	}
	return old, oldErr
}

func anyVideo(list []Profile) bool {
	for _, p := range list {
		if p.Video.Codec != "" {
			return true
		}
	}
	return false
}

type getProfiles2 struct {
	XMLName xml.Name `xml:"tr2:GetProfiles"`
	Type    string   `xml:"tr2:Type"`
}

func (c *Client) profiles2(ctx context.Context) ([]Profile, error) {
	var x struct {
		Profiles []struct {
			Token          text `xml:"token,attr"`
			Name           text
			Configurations struct {
				VideoSource  tokenXML
				VideoEncoder videoXML
				AudioEncoder audioXML
				PTZ          tokenXML
			}
		}
	}
	if err := c.do(ctx, call{nsMedia2, "GetProfiles", getProfiles2{Type: "All"}, &x}); err != nil {
		return nil, err
	}
	var out []Profile
	for _, p := range x.Profiles[:min(len(x.Profiles), maxItems)] {
		k := p.Configurations
		out = append(out, Profile{string(p.Token), string(p.Name), string(k.VideoSource.SourceToken),
			k.VideoEncoder.video(), k.AudioEncoder.audio(), string(k.PTZ.Token), true})
	}
	return out, nil
}

func (c *Client) profiles1(ctx context.Context) ([]Profile, error) {
	var x struct {
		Profiles []struct {
			Token        text `xml:"token,attr"`
			Name         text
			VideoSource  tokenXML `xml:"VideoSourceConfiguration"`
			VideoEncoder videoXML `xml:"VideoEncoderConfiguration"`
			AudioEncoder audioXML `xml:"AudioEncoderConfiguration"`
			PTZ          tokenXML `xml:"PTZConfiguration"`
		}
	}
	if err := c.do(ctx, call{nsMedia, "GetProfiles", media.GetProfiles{}, &x}); err != nil {
		return nil, err
	}
	var out []Profile
	for _, p := range x.Profiles[:min(len(x.Profiles), maxItems)] {
		out = append(out, Profile{string(p.Token), string(p.Name), string(p.VideoSource.SourceToken),
			p.VideoEncoder.video(), p.AudioEncoder.audio(), string(p.PTZ.Token), false})
	}
	return out, nil
}
