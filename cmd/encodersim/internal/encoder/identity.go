package encoder

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"

	"districtgateway/cmd/encodersim/internal/clip"
	"districtgateway/cmd/encodersim/internal/discovery"
	"districtgateway/cmd/encodersim/internal/onvifserver"
)

// identity completes what was not configured: a serial number from the HTTP
// port, which no other encoder of this machine has, and a locally administered
// MAC address from the serial number.
func (e *Encoder) identity() onvifserver.Identity {
	id := e.cfg.Identity
	if id.Serial == "" {
		id.Serial = fmt.Sprintf("SIM%05d", portOf(e.addrs.HTTP))
	}
	if id.MAC == "" {
		sum := sha256.Sum256([]byte("mac " + id.Serial))
		id.MAC = net.HardwareAddr(append([]byte{2}, sum[:5]...)).String()
	}
	return id
}

// Identity returns what the encoder says it is.
func (e *Encoder) Identity() onvifserver.Identity { return e.cfg.Identity }

// uuid is stable for a serial number and MAC address, as ONVIF wants of an
// endpoint (ONVIF Core Specification section 7.3.1).
func (e *Encoder) uuid() string {
	id := e.cfg.Identity
	sum := sha256.Sum256([]byte("uuid " + id.Serial + " " + id.MAC))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8: our own making
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// scopes are those that ONVIF wants of every device, and the configured ones.
func (e *Encoder) scopes() []string {
	const root = "onvif://www.onvif.org/"
	list := []string{
		root + "type/video_encoder", root + "type/Network_Video_Transmitter",
		root + "Profile/Streaming",
		root + "name/" + url.PathEscape(e.cfg.Identity.Name),
		root + "hardware/" + url.PathEscape(e.cfg.Identity.Hardware),
	}
	if e.cfg.PTZ {
		list = append(list, root+"type/ptz")
	}
	if e.cfg.Library.Audio != nil {
		list = append(list, root+"type/audio_encoder")
	}
	return append(list, e.cfg.Scopes...)
}

// Target returns what discovery says of the encoder.
func (e *Encoder) Target() *discovery.Target {
	host, _, _ := net.SplitHostPort(e.addrs.HTTP) // a listener's own
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return &discovery.Target{
		UUID: e.uuid(), Scopes: e.scopes(), Host: host, HTTPPort: portOf(e.addrs.HTTP), Instance: e.state.instance,
	}
}

// Up reports whether the encoder is on: not rebooting.
func (e *Encoder) Up() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state.up
}

// ONVIF returns the address of the device service.
func (e *Encoder) ONVIF() string {
	return "http://" + reachable(e.addrs.HTTP) + "/onvif/device_service"
}

// RTSP returns the address of a profile's stream, without credentials.
func (e *Encoder) RTSP(profile string) string {
	return "rtsp://" + reachable(e.addrs.RTSP) + "/" + profile
}

// reachable names loopback where a listener names all addresses.
func reachable(addr string) string {
	host, port, _ := net.SplitHostPort(addr) // a listener's own
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// profiles describes what is played at this moment.
func (e *Encoder) profiles() []onvifserver.Profile {
	sound := describeSound(e.cfg.Library.Audio)
	var list []onvifserver.Profile
	for i, token := range Profiles() {
		v := e.player.Shown(i)
		p := onvifserver.Profile{
			Token: token, Width: v.Width, Height: v.Height, FPS: v.FPS, H265: v.H265,
			Group: group(v), Kbps: bitrate(v) / 1000, Sound: sound,
		}
		if i == 0 {
			p.Kbps = max(p.Kbps, e.cfg.Bitrate/1000)
		}
		list = append(list, p)
	}
	return list
}

// picture returns the number of a profile's present picture.
func (e *Encoder) picture(token string) uint64 {
	if i := slices.Index(Profiles(), token); i >= 0 {
		return max(e.player.Numbers()[i], 1) - 1 // that of the next one is told
	}
	return 0
}

// group is the mean distance between key pictures.
func group(v *clip.Video) int {
	keys := 0
	for _, p := range v.Pictures {
		if p.Key {
			keys++
		}
	}
	return int(math.Round(float64(len(v.Pictures)) / float64(max(keys, 1))))
}

// bitrate is a clip's mean in bit/s.
func bitrate(v *clip.Video) int {
	bytes := 0
	for _, p := range v.Pictures {
		for _, n := range p.NALs {
			bytes += len(n)
		}
	}
	return int(float64(bytes) * 8 * clip.Clock / float64(v.Period))
}

func describeSound(a *clip.Audio) *onvifserver.Sound {
	if a == nil {
		return nil
	}
	s := &onvifserver.Sound{AAC: a.Coding == clip.AAC, Law: "PCMA", Rate: a.Rate, Kbps: a.Rate * a.Channels * 8 / 1000}
	if a.Coding == clip.PCMU {
		s.Law = "PCMU"
	}
	if s.AAC {
		bytes := 0
		for _, f := range a.Frames {
			bytes += len(f.Data)
		}
		s.Kbps = int(float64(bytes) * 8 * clip.Clock / float64(a.Period) / 1000)
	}
	return s
}
