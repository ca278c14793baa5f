package onvif

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Device is what the daemon needs to know of a found encoder to use it.
type Device struct {
	HardwareAddress string // lower case with colons; empty if not told
	Serial          string
	Manufacturer    string
	Model           string
	Firmware        string
	Skew            time.Duration // the device's clock minus ours
	Channels        []Channel     // one per video source, in the device's order
	PTZ             bool          // there is a PTZ service and a profile that moves
	XAddr           string        // URL of the device service
	Endpoint        string        // of Config, for Key
}

// A Channel is one video source and the profiles chosen for it.
type Channel struct {
	Source string // token of the video source
	// Main is the profile with most pixels, in H.264 or H.265 if there is one.
	Main Profile
	// Sub is the profile with fewest pixels of the same choice; its Token is
	// empty if there is no second profile.
	Sub Profile
	// Moves is the token of the profile to move it by, Main's if that does; empty
	// if it cannot be moved.
	Moves string
}

// Main returns the main profile of the first channel, or the zero Profile.
func (d Device) Main() Profile {
	if len(d.Channels) == 0 {
		return Profile{}
	}
	return d.Channels[0].Main
}

// Sub returns the sub profile of the first channel, or the zero Profile.
func (d Device) Sub() Profile {
	if len(d.Channels) == 0 {
		return Profile{}
	}
	return d.Channels[0].Sub
}

// Key returns what identifies the device wherever it is, best first:
// "mac:" and the hardware address; "serial:", manufacturer, "/" and serial
// number, in lower case; "uuid:" and the endpoint of discovery. It is empty if
// the device told none of them. Serial numbers of fewer than four characters or
// of one character repeated are no identity: they are the same in every unit.
func (d Device) Key() string {
	serial := strings.ToLower(strings.TrimSpace(d.Serial))
	switch {
	case d.HardwareAddress != "":
		return "mac:" + d.HardwareAddress
	case len(serial) >= 4 && strings.Trim(serial, serial[:1]) != "":
		return "serial:" + strings.ToLower(strings.TrimSpace(d.Manufacturer)) + "/" + serial
	case d.Endpoint != "":
		return "uuid:" + endpointUUID(d.Endpoint)
	}
	return ""
}

// Identify asks a device who it is and what it offers: clock, information,
// hardware address, services and profiles. A device without network interfaces
// to tell or without media is still identified; ErrUnauthorized, ErrNotONVIF and
// an unreachable device are errors.
func (c *Client) Identify(ctx context.Context) (Device, error) {
	d := Device{XAddr: c.XAddr(), Endpoint: c.cfg.Endpoint}
	now, err := c.SystemDateAndTime(ctx)
	if err != nil && !tolerable(err) {
		return d, err
	}
	d.Skew = now.Skew
	info, err := c.DeviceInformation(ctx)
	if err != nil {
		return d, err
	}
	d.Manufacturer, d.Model, d.Firmware, d.Serial = info.Manufacturer, info.Model, info.Firmware, info.Serial
	list, err := c.NetworkInterfaces(ctx)
	if err != nil && !tolerable(err) {
		return d, err
	}
	d.HardwareAddress = mainAddress(list)
	return d, c.identifyMedia(ctx, &d)
}

// tolerable reports the errors of a device that is there but lacks an operation
// or keeps it to administrators.
func tolerable(err error) bool {
	_, fault := errors.AsType[*Fault](err)
	return fault || errors.Is(err, ErrNoService) || errors.Is(err, ErrNotONVIF)
}

func (c *Client) identifyMedia(ctx context.Context, d *Device) error {
	services, err := c.Services(ctx)
	if err != nil {
		return err
	}
	profiles, err := c.Profiles(ctx)
	if err != nil && !errors.Is(err, ErrNoService) {
		return fmt.Errorf("profiles: %w", err)
	}
	d.Channels = channels(profiles)
	moves := func(p Profile) bool { return p.PTZ != "" }
	d.PTZ = services.PTZ != "" && slices.ContainsFunc(profiles, moves)
	return nil
}

// mainAddress is the hardware address of the first enabled interface that has
// one, or of the first at all.
func mainAddress(list []NetworkInterface) string {
	first := ""
	for _, n := range list {
		if n.HardwareAddress != "" && n.Enabled {
			return n.HardwareAddress
		}
		if first == "" {
			first = n.HardwareAddress
		}
	}
	return first
}

// channels groups profiles by video source and chooses main and sub of each.
func channels(profiles []Profile) []Channel {
	var order []string
	bySource := map[string][]Profile{}
	for _, p := range profiles {
		if p.Video.Codec == "" {
			continue
		}
		if _, seen := bySource[p.Source]; !seen {
			order = append(order, p.Source)
		}
		bySource[p.Source] = append(bySource[p.Source], p)
	}
	var out []Channel
	for _, source := range order {
		out = append(out, choose(source, bySource[source]))
	}
	return out
}

// choose picks main and sub of one source; of equal resolutions the higher
// bitrate is the larger, then the device's order decides. Any may be what moves.
func choose(source string, all []Profile) Channel {
	list := slices.DeleteFunc(slices.Clone(all), func(p Profile) bool {
		return p.Video.Codec != "H264" && p.Video.Codec != "H265"
	})
	if len(list) == 0 {
		list = slices.Clone(all)
	}
	slices.SortStableFunc(list, func(a, b Profile) int {
		return cmp.Or(cmp.Compare(b.Video.pixels(), a.Video.pixels()), cmp.Compare(b.Video.Bitrate, a.Video.Bitrate))
	})
	ch := Channel{Source: source, Main: list[0]}
	if len(list) > 1 {
		ch.Sub = list[len(list)-1]
	}
	for _, p := range append([]Profile{ch.Main}, all...) {
		if p.PTZ != "" {
			ch.Moves = p.Token
			break
		}
	}
	return ch
}
