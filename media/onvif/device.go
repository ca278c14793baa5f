package onvif

import (
	"context"
	"net"
	"strings"

	"github.com/use-go/onvif/device"
)

// Information is what a device says it is (ONVIF Core §8.3.1).
type Information struct {
	Manufacturer string
	Model        string
	Firmware     string
	Serial       string
	HardwareID   string
}

// DeviceInformation asks GetDeviceInformation.
func (c *Client) DeviceInformation(ctx context.Context) (Information, error) {
	var x struct {
		Manufacturer, Model, FirmwareVersion, SerialNumber text
		HardwareID                                         text `xml:"HardwareId"`
	}
	err := c.do(ctx, call{nsDevice, "GetDeviceInformation", device.GetDeviceInformation{}, &x})
	if err != nil {
		return Information{}, err
	}
	return Information{
		Manufacturer: string(x.Manufacturer),
		Model:        string(x.Model),
		Firmware:     string(x.FirmwareVersion),
		Serial:       string(x.SerialNumber),
		HardwareID:   string(x.HardwareID),
	}, nil
}

// A NetworkInterface is one network interface of a device.
type NetworkInterface struct {
	Token   string
	Name    string
	Enabled bool
	// HardwareAddress is six lower-case bytes with colons, or empty if the
	// device gave none that could identify it.
	HardwareAddress string
}

// maxItems bounds every list a device gives us.
const maxItems = 256

// NetworkInterfaces asks GetNetworkInterfaces (ONVIF Core §8.2.5).
func (c *Client) NetworkInterfaces(ctx context.Context) ([]NetworkInterface, error) {
	var x struct {
		NetworkInterfaces []struct {
			Token   text `xml:"token,attr"`
			Enabled truth
			Info    struct{ Name, HwAddress text }
		}
	}
	err := c.do(ctx, call{nsDevice, "GetNetworkInterfaces", device.GetNetworkInterfaces{}, &x})
	if err != nil {
		return nil, err
	}
	var out []NetworkInterface
	for _, n := range x.NetworkInterfaces[:min(len(x.NetworkInterfaces), maxItems)] {
		out = append(out, NetworkInterface{
			Token:           string(n.Token),
			Name:            string(n.Info.Name),
			Enabled:         bool(n.Enabled),
			HardwareAddress: hardwareAddress(string(n.Info.HwAddress)),
		})
	}
	return out, nil
}

// hardwareAddress normalises the notations of an EUI-48 and drops what cannot
// identify a device: zero, broadcast and multicast addresses.
func hardwareAddress(s string) string {
	s = strings.TrimSpace(s)
	if len(s) == 12 && !strings.ContainsAny(s, ":-.") {
		s = s[:4] + "." + s[4:8] + "." + s[8:]
	}
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 || mac.String() == "00:00:00:00:00:00" {
		return ""
	}
	return mac.String()
}

// Reboot restarts the device (SystemReboot, ONVIF Core §8.3.9) and returns its
// message for people, which may be empty.
func (c *Client) Reboot(ctx context.Context) (string, error) {
	var x struct{ Message text }
	err := c.do(ctx, call{nsDevice, "SystemReboot", device.SystemReboot{}, &x})
	return string(x.Message), err
}
