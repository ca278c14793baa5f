package onvif

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/use-go/onvif/device"
	xonvif "github.com/use-go/onvif/xsd/onvif"
)

// Services are the URLs of a device's services, empty where it has none. Hosts
// are pinned to the host of the device service.
type Services struct {
	Device  string
	Media   string // ver10
	Media2  string // ver20
	PTZ     string
	Events  string
	Imaging string
}

const maxServices = 64

func (s *Services) field(ns string) *string {
	switch strings.TrimSuffix(ns, "/") {
	case nsDevice:
		return &s.Device
	case nsMedia:
		return &s.Media
	case nsMedia2:
		return &s.Media2
	case nsPTZ:
		return &s.PTZ
	case nsEvents:
		return &s.Events
	case nsImaging:
		return &s.Imaging
	}
	return nil
}

// Services asks GetServices (ONVIF Core §8.1.2) and, when the device does not
// know it, GetCapabilities (§8.1.1). The answer is kept for the Client's life.
func (c *Client) Services(ctx context.Context) (Services, error) {
	c.mu.Lock()
	known := c.services
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	list, err := c.askServices(ctx)
	if _, fault := errors.AsType[*Fault](err); (fault || errors.Is(err, ErrNotONVIF)) && !errors.Is(err, ErrUnauthorized) {
		list, err = c.askCapabilities(ctx)
	}
	if err != nil {
		return Services{}, err
	}
	s := c.pinServices(list)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services = &s
	return s, nil
}

type serviceXML struct {
	Namespace text
	XAddr     text
}

func (c *Client) askServices(ctx context.Context) ([]serviceXML, error) {
	var x struct{ Service []serviceXML }
	err := c.do(ctx, call{nsDevice, "GetServices", device.GetServices{}, &x})
	return x.Service[:min(len(x.Service), maxServices)], err
}

func (c *Client) askCapabilities(ctx context.Context) ([]serviceXML, error) {
	var x struct {
		Capabilities struct {
			Device, Media, PTZ, Events, Imaging struct{ XAddr text }
		}
	}
	in := device.GetCapabilities{Category: xonvif.CapabilityCategory("All")}
	err := c.do(ctx, call{nsDevice, "GetCapabilities", in, &x})
	k := x.Capabilities
	return []serviceXML{
		{nsDevice, k.Device.XAddr}, {nsMedia, k.Media.XAddr}, {nsPTZ, k.PTZ.XAddr},
		{nsEvents, k.Events.XAddr}, {nsImaging, k.Imaging.XAddr},
	}, err
}

// pinServices drops what has no usable address; the first of two counts.
func (c *Client) pinServices(list []serviceXML) Services {
	var seen *url.URL // the device service as the device sees itself
	for _, x := range list {
		if u, err := url.Parse(string(x.XAddr)); err == nil && x.Namespace == nsDevice {
			seen = u
		}
	}
	var s Services
	for _, x := range list {
		f := s.field(string(x.Namespace))
		addr, err := pinService(string(x.XAddr), c.base, seen)
		if f != nil && *f == "" && err == nil {
			*f = addr
		}
	}
	return s
}

// endpoint returns the URL of the service with namespace ns, or ErrNoService.
// The device service is where we were told, whatever the device says.
func (c *Client) endpoint(ctx context.Context, ns string) (string, error) {
	if ns == nsDevice {
		return c.base.String(), nil
	}
	s, err := c.Services(ctx)
	if err != nil {
		return "", err
	}
	if addr := *s.field(ns); addr != "" {
		return addr, nil
	}
	return "", ErrNoService
}
