package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"districtgateway/domain"
)

// faults collects what is wrong below one path.
type faults struct {
	path string
	list *[]*FieldError
}

func (f faults) at(path string, i int) faults {
	return faults{fmt.Sprintf("%s[%d].", path, i), f.list}
}

func (f faults) in(section string) faults { return faults{f.path + section + ".", f.list} }

func (f faults) add(key, got, want string) {
	if got != "" {
		got = strconv.Quote(got)
	}
	*f.list = append(*f.list, &FieldError{Path: f.path + key, Got: got, Want: want})
}

// validate returns every fault of the file.
func (f *File) validate() []*FieldError {
	var list []*FieldError
	all := faults{"", &list}
	f.Server.validate(all.in("server"))
	f.Media.validate(all.in("media"))
	f.RTSP.validate(all.in("rtsp"))
	f.WebRTC.validate(all.in("webrtc"))
	for i := range f.Uppers {
		f.Uppers[i].validate(all.at("upper", i))
	}
	for i := range f.Lowers {
		f.Lowers[i].validate(all.at("lower", i))
	}
	f.Discovery.validate(all.in("discovery"))
	for i := range f.Encoders {
		f.Encoders[i].validate(all.at("encoder", i))
	}
	f.validateBuses(all)
	for i := range f.Volumes {
		f.Volumes[i].validate(all.at("volume", i))
	}
	f.unique(all)
	return list
}

func (s *Server) validate(f faults) {
	f.code("id", s.ID, "the id of this server")
	if s.ID != "" && len(s.ID) == 20 && s.ID[10] != '2' {
		f.add("id", s.ID, "a server's id has a type of 200 to 299 in digits 11 to 13")
	}
	if s.Region == "" && len(s.ID) == 20 {
		s.Region = s.ID[:6]
	}
	if n := len(s.Region); !digits(s.Region) || n != 2 && n != 4 && n != 6 && n != 8 {
		f.add("region", s.Region, "want a civil code of 2, 4, 6 or 8 digits")
	}
	if a, err := netip.ParseAddrPort(s.Listen); err != nil || a.Port() == 0 {
		f.add("listen", s.Listen, "want an IP address and a port, such as 0.0.0.0:5060")
	}
	if _, err := netip.ParseAddr(s.Address); s.Address != "" && err != nil {
		f.add("address", s.Address, "want an IP address")
	}
	if s.State == "" {
		f.add("state", "", "want a directory")
	}
	if s.PTZFor < time.Second || s.PTZFor > 10*time.Minute {
		f.add("ptz_for", s.PTZFor.String(), "want 1s to 10m")
	}
	var level slog.Level
	if level.UnmarshalText([]byte(s.LogLevel)) != nil {
		f.add("log_level", s.LogLevel, "want debug, info, warn or error")
	}
}

func (m *Media) validate(f faults) {
	f.size("ring", m.Ring, 64<<10, 512<<20)
	f.size("memory", m.Memory, 16<<20, 1<<40)
	if m.Memory > 0 && m.Ring > m.Memory {
		f.add("ring", m.Ring.String(), "want memory, which is "+m.Memory.String()+", at most")
	}
	if m.RingMax < 1<<20 || m.RingMax > 512<<20 {
		f.add("ring_max", m.RingMax.String(), "want 1MiB to 512MiB")
	}
}

// size checks a size that may be 0.
func (f faults) size(key string, got, least, most Size) {
	if got != 0 && (got < least || got > most) {
		f.add(key, got.String(), fmt.Sprintf("want 0, or %s to %s", least, most))
	}
}

func (r *RTSP) validate(f faults) {
	if r.Listen != "" {
		f.port("listen", r.Listen, ":8554")
	}
	if r.Ports.First < 1024 || r.Ports.Last <= r.Ports.First {
		f.add("ports", fmt.Sprintf("%d-%d", r.Ports.First, r.Ports.Last), "want a range of ports from 1024 on")
	}
}

func (w *WebRTC) validate(f faults) {
	if w.Listen != "" {
		f.port("listen", w.Listen, ":8889")
	}
	f.port("media", w.Media, ":8189")
	for i, a := range w.Addresses {
		if ip, err := netip.ParseAddr(a); err != nil || ip.Zone() != "" || ip.IsUnspecified() {
			f.add(fmt.Sprintf("addresses[%d]", i), a, "want an IP address")
		}
	}
	if w.Viewers < 1 || w.Viewers > maxViewers {
		f.add("viewers", strconv.Itoa(w.Viewers), fmt.Sprintf("want 1 to %d", maxViewers))
	}
}

// maxViewers bounds browsers at once, each of which takes a megabyte.
const maxViewers = 1024

// port checks an address to listen at, which may be a port alone.
func (f faults) port(key, got, example string) {
	host, port, err := net.SplitHostPort(got)
	n, perr := strconv.ParseUint(port, 10, 16)
	_, herr := netip.ParseAddr(host)
	if err != nil || perr != nil || n == 0 || host != "" && herr != nil {
		f.add(key, got, "want a port, such as "+example+", or an IP address and a port")
	}
}

func (u *Upper) validate(f faults) {
	f.code("id", u.ID, "the id of the upper server")
	f.hostPort("address", u.Address)
	f.oneOf("transport", u.Transport, "udp", "tcp")
	f.oneOf("profile", u.Profile, "main", "sub")
	f.atLeast("register_every", u.RegisterEvery, time.Minute)
	f.atLeast("retry_every", u.RetryEvery, time.Second)
	f.keepalive(u.KeepaliveEvery, u.KeepaliveMiss)
	f.oneOf("charset", u.Charset, "gb2312", "gb18030", "utf-8")
	if u.PTZRank < 0 || u.PTZRank > maxPTZRank {
		f.add("ptz_rank", strconv.Itoa(u.PTZRank), fmt.Sprintf("want 0 to %d", maxPTZRank))
	}
	for i, c := range u.Share {
		if _, err := domain.ParseCode(c); err != nil {
			f.add(fmt.Sprintf("share[%d]", i), c, "want the 20-digit code of a channel")
		}
	}
}

// maxPTZRank keeps uppers below this level's own users, who have 100.
const maxPTZRank = 99

func (l *Lower) validate(f faults) {
	f.code("id", l.ID, "the id of the lower server")
	if l.Password == "" {
		f.add("password", "", "want the password this lower domain registers with: there is no default")
	}
	f.oneOf("media", l.Media, "udp", "tcp-passive", "tcp-active")
	f.keepalive(l.KeepaliveEvery, l.KeepaliveMiss)
	f.oneOf("charset", l.Charset, "gb2312", "gb18030", "utf-8")
}

func (d *Discovery) validate(f faults) {
	f.atLeast("every", d.Every, 5*time.Second)
	hosts := 0
	for i, a := range d.Addresses {
		n := hostsOf(a)
		if n == 0 {
			f.add(fmt.Sprintf("addresses[%d]", i), a, "want an IP address or network such as 10.1.0.0/24")
		}
		hosts += n
	}
	if hosts > 4096 {
		f.add("addresses", "", fmt.Sprintf("%d hosts are too many to probe one by one: at most 4096", hosts))
	}
}

// hostsOf returns how many hosts an address or network names; 0 if it is neither.
func hostsOf(s string) int {
	if p, err := netip.ParsePrefix(s); err == nil {
		return 1 << min(p.Addr().BitLen()-p.Bits(), 20)
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return 1
	}
	return 0
}

func (e *Encoder) validate(f faults) {
	if e.ID != "" {
		f.code("id", e.ID, "the code of the channel")
	}
	if e.ONVIF == "" && e.RTSP == "" && e.Identity == "" && e.SDP == "" {
		f.add("onvif", "", "want onvif, rtsp, sdp or identity: where the encoder is, or how it is known")
	}
	e.validatePush(f)
	f.rtsp("rtsp", e.RTSP)
	f.rtsp("sub_rtsp", e.SubRTSP)
	f.oneOf("transport", e.Transport, "tcp", "udp", "multicast")
	switch {
	case e.UDP && e.Transport == "multicast":
		f.add("udp", "true", "is already transport = \"multicast\"")
	case e.UDP:
		e.Transport = "udp"
	}
}

// validatePush checks an encoder that sends by itself.
func (e *Encoder) validatePush(f faults) {
	if e.SDP != "" && !strings.HasPrefix(e.SDP, "/") {
		f.add("sdp", e.SDP, "want the absolute path of a file")
	}
	if e.SDP != "" && (e.ONVIF != "" || e.RTSP != "") {
		f.add("sdp", e.SDP, "an encoder that sends by itself has no onvif and no rtsp")
	}
	if _, err := netip.ParseAddr(e.From); e.From != "" && (err != nil || e.SDP == "") {
		f.add("from", e.From, "want the IP address of an encoder with sdp")
	}
}

func (v *Volume) validate(f faults) {
	if !strings.HasPrefix(v.Path, "/") {
		f.add("path", v.Path, "want the absolute path of a directory")
	}
	if v.Days < 0 {
		f.add("days", strconv.Itoa(v.Days), "want 0 or more")
	}
}

// unique checks that no two tables claim the same thing.
func (f *File) unique(all faults) {
	seen := map[string]string{}
	claim := func(kind, what, path string) {
		if what == "" {
			return
		}
		if first, dup := seen[kind+what]; dup {
			*all.list = append(*all.list, &FieldError{Path: path, Got: strconv.Quote(what), Want: "is already " + first})
			return
		}
		seen[kind+what] = path
	}
	claim("upper", f.Server.ID, "server.id")
	for i, u := range f.Uppers {
		claim("upper", u.ID, fmt.Sprintf("upper[%d].id", i))
	}
	claim("lower", f.Server.ID, "server.id")
	for i, l := range f.Lowers {
		claim("lower", l.ID, fmt.Sprintf("lower[%d].id", i))
	}
	for i, e := range f.Encoders {
		claim("channel", e.ID, fmt.Sprintf("encoder[%d].id", i))
		claim("rtsp", e.RTSP, fmt.Sprintf("encoder[%d].rtsp", i))
		claim("onvif", e.ONVIF, fmt.Sprintf("encoder[%d].onvif", i))
		claim("sdp", e.SDP, fmt.Sprintf("encoder[%d].sdp", i))
		claim("identity", strings.ToLower(e.Identity), fmt.Sprintf("encoder[%d].identity", i))
		if d := e.Dome; d != nil {
			claim("dome "+d.Bus+" ", strconv.Itoa(d.Address), fmt.Sprintf("encoder[%d].dome.address", i))
		}
	}
	for i, b := range f.Buses {
		claim("bus", b.Name, fmt.Sprintf("bus[%d].name", i))
		claim("port", b.Port, fmt.Sprintf("bus[%d].port", i))
	}
	for i, v := range f.Volumes {
		claim("volume", v.Path, fmt.Sprintf("volume[%d].path", i))
	}
}

func (f faults) code(key, got, what string) {
	if got == "" {
		f.add(key, "", "want "+what+": 20 digits")
	} else if _, err := domain.ParseCode(got); err != nil {
		f.add(key, got, err.(*domain.CodeError).Reason)
	}
}

func (f faults) hostPort(key, got string) {
	host, port, err := net.SplitHostPort(got)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" {
		f.add(key, got, "want host:port, such as 192.0.2.10:5060")
	}
}

func (f faults) rtsp(key, got string) {
	if got == "" {
		return
	}
	u, err := url.Parse(got)
	if err != nil || u.Scheme != "rtsp" || u.Host == "" {
		f.add(key, got, "want an address such as rtsp://10.1.0.31:554/main")
	} else if u.User != nil {
		f.add(key, u.Redacted(), "put user and password into the keys of that name")
	}
}

func (f faults) oneOf(key, got string, want ...string) {
	if !slices.Contains(want, got) {
		f.add(key, got, "want "+strings.Join(want, ", "))
	}
}

func (f faults) atLeast(key string, got, least time.Duration) {
	if got < least {
		f.add(key, got.String(), "want at least "+least.String())
	}
}

func (f faults) keepalive(every time.Duration, miss int) {
	f.atLeast("keepalive_every", every, time.Second)
	if miss < 1 || miss > 100 {
		f.add("keepalive_miss", strconv.Itoa(miss), "want 1 to 100")
	}
}

func digits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
