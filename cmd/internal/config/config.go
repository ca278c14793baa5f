// Package config reads the gateway's one configuration file: TOML, written by
// people or by the console, strict, with every fault reported at once by its
// line. The structures here are the reference: docs/configuration.md is
// generated from their tags.
package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"districtgateway/domain"
)

// A File is the whole configuration.
type File struct {
	Server    Server    `toml:"server" doc:"This gateway as a domain: who it is and where it is reached."`
	Media     Media     `toml:"media" doc:"Ports and memory of the media path."`
	RTSP      RTSP      `toml:"rtsp" doc:"Players and recorders that watch by RTSP: rtsp://HOST:8554/CHANNEL is the main stream of a channel, rtsp://HOST:8554/CHANNEL/sub its sub stream. Only users with an account are admitted: without one, the port is not opened."`
	WebRTC    WebRTC    `toml:"webrtc" doc:"Browsers that watch by WebRTC: http://HOST:8889/ lists the channels, http://HOST:8889/CHANNEL is a page that plays the main stream of a channel, http://HOST:8889/CHANNEL/sub its sub stream; players that speak WHEP use those addresses with /whep after them. Operators and admins move cameras there. Only users with an account are admitted: without one, no port is opened."`
	Uppers    []Upper   `toml:"upper" doc:"One table for each upper domain this gateway registers with."`
	Lowers    []Lower   `toml:"lower" doc:"One table for each lower domain allowed to register here. Others are refused."`
	Discovery Discovery `toml:"discovery" doc:"How encoders are found on the network by ONVIF WS-Discovery."`
	Encoders  []Encoder `toml:"encoder" doc:"One table for each encoder that is set up by hand: those without ONVIF, or with settings of their own."`
	Buses     []Bus     `toml:"bus" doc:"One table for each RS-485 line with dome cameras on it. A dome is moved by it whose [[encoder]] has a dome table."`
	Volumes   []Volume  `toml:"volume" doc:"One table for each place to record on."`
	Record    Record    `toml:"record" doc:"What is recorded."`
}

// Server is the [server] section.
type Server struct {
	ID       string        `toml:"id" doc:"20-digit code of this server (GB/T 28181 Annex E, type 200)." example:"33010600002000000001" need:"yes"`
	Name     string        `toml:"name" doc:"Name of the domain, shown to neighbours and people." example:"Xihu district"`
	Region   string        `toml:"region" doc:"Civil code (2 to 8 digits) that devices hang under when they state none. Empty: the first six digits of id." example:"330106"`
	Listen   string        `toml:"listen" doc:"Address and port for SIP, UDP and TCP." default:"0.0.0.0:5060"`
	Address  string        `toml:"address" doc:"IP address others reach this gateway at; written into Contact and SDP. Empty: that of the interface towards the peer." example:"192.0.2.20"`
	State    string        `toml:"state" doc:"Directory for what must survive a restart. Made if absent." default:"/var/lib/districtgateway"`
	Control  string        `toml:"control" doc:"Unix socket for gatewayctl. Empty: control.sock in the state directory."`
	PTZFor   time.Duration `toml:"ptz_for" doc:"How long a camera moves for a standard upper that sends no stop, 1s to 10m. Our own kind repeats what moves, and 1.5 s without end it." default:"30s"`
	LogLevel string        `toml:"log_level" doc:"debug, info, warn or error." default:"info"`
}

// Media is the [media] section.
type Media struct {
	Ports   PortRange     `toml:"ports" doc:"UDP and TCP ports for media with other domains." default:"20000-20999"`
	Ring    Size          `toml:"ring" doc:"Memory of each stream's ring. 0: each has what its stream needs, from 1MiB on: a group of pictures and 2 s, or 6 s if that is more; a recording that is played has 4MiB. A size is rounded up to a power of two." default:"0"`
	RingMax Size          `toml:"ring_max" doc:"Most that one ring grows to, where ring is 0. A group of pictures beyond it is not held whole: who begins to watch waits for the next key picture." default:"32MiB"`
	Memory  Size          `toml:"memory" doc:"Memory of all streams together: rings, and what waits for those who watch or save by gatewayctl. What does not fit is refused. Three quarters of what recorded encoders leave may be taken by others. 0: half of the machine's memory, or of its cgroup's limit; on a 32-bit system 512MiB at most." default:"0"`
	Linger  time.Duration `toml:"linger" doc:"How long an encoder's stream is kept after its last user." default:"10s"`
}

// RTSP is the [rtsp] section.
type RTSP struct {
	Listen string    `toml:"listen" doc:"Address and TCP port; without an address, every one of this machine. Empty: off." default:":8554"`
	Ports  PortRange `toml:"ports" doc:"UDP ports for players that want media over UDP, four for a stream with sound." default:"21000-21999"`
}

// WebRTC is the [webrtc] section.
type WebRTC struct {
	Listen    string   `toml:"listen" doc:"Address and TCP port of the pages; without an address, every one of this machine. Empty: off." default:":8889"`
	Media     string   `toml:"media" doc:"Address and port of media, UDP, and TCP for browsers that UDP does not reach. Without an address, every one of this machine." default:":8189"`
	Addresses []string `toml:"addresses" doc:"IP addresses of a NAT that forwards the media port to this machine, told to browsers besides its own." example:"[\"203.0.113.7\"]"`
	Viewers   int      `toml:"viewers" doc:"Browsers at once, of which one user may have half." default:"64"`
}

// Extra returns Addresses, which have been checked.
func (w WebRTC) Extra() []netip.Addr {
	var all []netip.Addr
	for _, text := range w.Addresses {
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// Upper is one [[upper]] table.
type Upper struct {
	ID             string        `toml:"id" doc:"20-digit code of the upper server." example:"33010000002000000001" need:"yes"`
	Name           string        `toml:"name" doc:"Name shown to people."`
	Address        string        `toml:"address" doc:"Host and port of its SIP service." example:"192.0.2.10:5060" need:"yes"`
	Transport      string        `toml:"transport" doc:"SIP over udp or tcp." default:"udp"`
	User           string        `toml:"user" doc:"Digest user name. Empty: the id of this server."`
	Password       domain.Secret `toml:"password" doc:"Digest password agreed with the upper domain."`
	RegisterEvery  time.Duration `toml:"register_every" doc:"Validity asked for at registration; refreshed before it ends." default:"1h"`
	RetryEvery     time.Duration `toml:"retry_every" doc:"Pause after a failed registration; a random part is added." default:"60s"`
	KeepaliveEvery time.Duration `toml:"keepalive_every" doc:"Time between heartbeats." default:"60s"`
	KeepaliveMiss  int           `toml:"keepalive_miss" doc:"Heartbeats missed in a row before the link counts as lost." default:"3"`
	ForgetOffline  bool          `toml:"forget_offline" doc:"When the link is lost, forget what was learned of the upper. It is registered with again all the same."`
	Share          []string      `toml:"share" doc:"Channels shown to this upper, by code. Absent: all."`
	Profile        string        `toml:"profile" doc:"What this upper gets where it asks for a channel's main stream: main, or sub, for a poor line. A channel without a sub stream is sent as it is, and who asks for the sub stream gets that." default:"main"`
	PTZRank        int           `toml:"ptz_rank" doc:"Its right to move cameras, up to 99: of two that move the same camera, the one with more takes over. This level's own users have 100. 0: it may not move cameras." default:"50"`
	Charset        string        `toml:"charset" doc:"Character set of messages to it: gb2312, gb18030 or utf-8." default:"gb18030"`
}

// Lower is one [[lower]] table.
type Lower struct {
	ID             string        `toml:"id" doc:"20-digit code of the lower server." example:"33010200002000000001" need:"yes"`
	Name           string        `toml:"name" doc:"Name shown to people."`
	Password       domain.Secret `toml:"password" doc:"Digest password it registers with. Each lower domain has its own." need:"yes"`
	Media          string        `toml:"media" doc:"Transport asked for when media is received from it: udp, tcp-passive (it connects here) or tcp-active (this gateway connects to it)." default:"tcp-passive"`
	Elementary     bool          `toml:"elementary" doc:"Ask for plain H.264/H.265 RTP instead of program stream, if it can."`
	KeepaliveEvery time.Duration `toml:"keepalive_every" doc:"Heartbeats expected from it." default:"60s"`
	KeepaliveMiss  int           `toml:"keepalive_miss" doc:"Heartbeats missed in a row, or keepalives of ours that it did not answer, before it counts as offline." default:"3"`
	ForgetOffline  bool          `toml:"forget_offline" doc:"When it goes offline, delete its devices and its registration instead of keeping them as offline. This table stays: it may register again."`
	Charset        string        `toml:"charset" doc:"Character set of messages to it: gb2312, gb18030 or utf-8." default:"gb18030"`
}

// Discovery is the [discovery] section.
type Discovery struct {
	Enabled    bool          `toml:"enabled" doc:"Look for encoders." default:"true"`
	Interfaces []string      `toml:"interfaces" doc:"Network interfaces to probe on by multicast. Absent: all that are up, loopback left out." example:"[\"eth1\"]"`
	Addresses  []string      `toml:"addresses" doc:"Addresses and networks to probe one by one, where multicast does not reach: IP or CIDR, at most 4096 hosts." example:"[\"10.1.0.0/24\"]"`
	Every      time.Duration `toml:"every" doc:"Time between rounds." default:"60s"`
	User       string        `toml:"user" doc:"User name tried on encoders found."`
	Password   domain.Secret `toml:"password" doc:"Password tried on encoders found."`
	Adopt      bool          `toml:"adopt" doc:"Give encoders found a code and take them into service. Off: they are only listed by gatewayctl discover." default:"true"`
}

// Encoder is one [[encoder]] table.
type Encoder struct {
	ID        string        `toml:"id" doc:"20-digit code of the channel. Empty: the next free one of this server." example:"33010600001320000001"`
	Name      string        `toml:"name" doc:"Name of the channel." example:"North gate"`
	ONVIF     string        `toml:"onvif" doc:"ONVIF address: host, host:port or the URL of its device service."`
	RTSP      string        `toml:"rtsp" doc:"RTSP address of the main stream, for encoders without ONVIF." example:"rtsp://10.1.0.31/main"`
	SubRTSP   string        `toml:"sub_rtsp" doc:"RTSP address of the sub stream."`
	SDP       string        `toml:"sdp" doc:"File with the session description (SDP) of an encoder that sends RTP by itself: codings, and the ports here or the group that it sends to. It is read when the ports are opened." example:"/etc/districtgateway/gate.sdp"`
	From      string        `toml:"from" doc:"With sdp: IP address of the encoder, which alone is believed. Empty: the first that sends what the description says, until it is silent for 10 s." example:"10.1.0.32"`
	Identity  string        `toml:"identity" doc:"Hardware address or serial number, by which it is found again at another address." example:"00:11:22:33:44:55"`
	User      string        `toml:"user" doc:"User name. Empty: that of [discovery]."`
	Password  domain.Secret `toml:"password" doc:"Password. Empty: that of [discovery]."`
	Basic     bool          `toml:"basic" doc:"Answer Basic authentication too, of RTSP and of snapshots: old encoders know nothing else, but the password can be read on the way."`
	Transport string        `toml:"transport" doc:"How RTSP media comes: tcp, udp or multicast (IPv4; joined on the interface that leads to the encoder). TCP is taken all the same if nothing comes by the others within 3 s." default:"tcp"`
	UDP       bool          `toml:"udp" doc:"Older form of transport = \"udp\"."`
	Record    *bool         `toml:"record" doc:"Record it. Absent: as [record] says."`
	Dome      *Dome         `toml:"dome" doc:"How it is moved, if that is by RS-485 and not by ONVIF." example:"{ bus = \"yard\", address = 3 }"`
}

// Volume is one [[volume]] table.
type Volume struct {
	Path   string `toml:"path" doc:"Directory, usually the mount point of a disk or LUN." example:"/mnt/san1" need:"yes"`
	ID     string `toml:"id" doc:"Identity the volume must have, as gatewayctl status shows it; guards against recording beside an absent mount. Empty: any."`
	Create bool   `toml:"create" doc:"Make a volume there if the directory is empty or absent."`
	Size   Size   `toml:"size" doc:"Bytes that recordings may take; the oldest go first. 0: all but the free space kept." example:"200GB"`
	Free   Size   `toml:"free" doc:"Free space that is kept." default:"1GiB"`
	Days   int    `toml:"days" doc:"Days that recordings are kept at most. 0: as long as there is room."`
}

// Record is the [record] section.
type Record struct {
	Enabled bool `toml:"enabled" doc:"Record every encoder that does not say otherwise." default:"true"`
}

// A Size is a number of bytes, written with a unit: 500MB, 4MiB, 2TB.
type Size int64

var units = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	in := strings.TrimSpace(string(text))
	for _, u := range units {
		digits, ok := strings.CutSuffix(in, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.size {
			break
		}
		*s = Size(n * u.size)
		return nil
	}
	return fmt.Errorf("%q is no size: want a whole number and kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 4MiB or 200GB", in)
}

// MarshalText writes a size with the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range units {
		if s != 0 && int64(s)%u.size == 0 {
			return fmt.Appendf(nil, "%d%s", int64(s)/u.size, u.name), nil
		}
	}
	return []byte("0"), nil
}

// String returns what MarshalText writes.
func (s Size) String() string {
	text, _ := s.MarshalText() // cannot fail
	return string(text)
}

// A PortRange is written as first-last.
type PortRange struct{ First, Last uint16 }

// UnmarshalText reads a range.
func (p *PortRange) UnmarshalText(text []byte) error {
	a, b, ok := strings.Cut(string(text), "-")
	first, err1 := strconv.ParseUint(strings.TrimSpace(a), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(b), 10, 16)
	if !ok || err1 != nil || err2 != nil || first == 0 || last <= first {
		return fmt.Errorf("%q is no port range: want first-last, such as 20000-20999", text)
	}
	p.First, p.Last = uint16(first), uint16(last)
	return nil
}

// MarshalText writes a range.
func (p PortRange) MarshalText() ([]byte, error) {
	if p == (PortRange{}) {
		return nil, nil
	}
	return fmt.Appendf(nil, "%d-%d", p.First, p.Last), nil
}

// ControlSocket returns where gatewayctl reaches the daemon.
func (s Server) ControlSocket() string {
	if s.Control != "" {
		return s.Control
	}
	return s.State + "/control.sock"
}

// ListenAddr returns Listen parsed; Validate has checked it.
func (s Server) ListenAddr() netip.AddrPort { a, _ := netip.ParseAddrPort(s.Listen); return a }

// PublicAddr returns Address parsed; invalid if it is not set.
func (s Server) PublicAddr() netip.Addr { a, _ := netip.ParseAddr(s.Address); return a }

var (
	_ encoding.TextMarshaler   = Size(0)
	_ encoding.TextUnmarshaler = (*PortRange)(nil)
)
