package onvifserver

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// deviceActions are those of ver10/device. It is a table, never written.
var deviceActions = map[string]action{
	"GetSystemDateAndTime":   (*Server).getDateAndTime,
	"SetSystemDateAndTime":   (*Server).setDateAndTime,
	"GetDeviceInformation":   (*Server).getDeviceInformation,
	"GetCapabilities":        (*Server).getCapabilities,
	"GetServices":            (*Server).getServices,
	"GetServiceCapabilities": (*Server).deviceCapabilities,
	"GetNetworkInterfaces":   (*Server).getNetworkInterfaces,
	"GetScopes":              (*Server).getScopes,
	"GetHostname":            (*Server).getHostname,
	"SystemReboot":           (*Server).systemReboot,
}

func dateTime(name string, t time.Time) node {
	return el(name,
		el("tt:Time", el("tt:Hour", t.Hour()), el("tt:Minute", t.Minute()), el("tt:Second", t.Second())),
		el("tt:Date", el("tt:Year", t.Year()), el("tt:Month", int(t.Month())), el("tt:Day", t.Day())))
}

func (s *Server) getDateAndTime(*request) (node, *fault) {
	now := s.cfg.Clock()
	return el("tds:GetSystemDateAndTimeResponse", el("tds:SystemDateAndTime",
		el("tt:DateTimeType", "NTP"), el("tt:DaylightSavings", false),
		el("tt:TimeZone", el("tt:TZ", "CST-8")),
		dateTime("tt:UTCDateTime", now.UTC()),
		dateTime("tt:LocalDateTime", now.In(time.FixedZone("CST", 8*3600))))), nil
}

// setDateAndTime sets the clock by hand, or back to the host's with NTP.
func (s *Server) setDateAndTime(r *request) (node, *fault) {
	done := el("tds:SetSystemDateAndTimeResponse")
	switch r.body.value("DateTimeType") {
	case "NTP":
		s.cfg.SetClock(time.Time{})
		return done, nil
	case "Manual":
	default:
		return node{}, sender("want NTP or Manual", "ter:InvalidArgVal", "ter:InvalidDateTime")
	}
	var v [6]int
	for i, path := range [][]string{
		{"Date", "Year"}, {"Date", "Month"}, {"Date", "Day"}, {"Time", "Hour"}, {"Time", "Minute"}, {"Time", "Second"},
	} {
		n, err := strconv.Atoi(r.body.value(append([]string{"UTCDateTime"}, path...)...))
		if err != nil || n < 0 || n > 9999 {
			return node{}, sender("want a UTC date and time", "ter:InvalidArgVal", "ter:InvalidDateTime")
		}
		v[i] = n
	}
	t := time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], 0, time.UTC)
	if v[0] < 1970 || t.Month() != time.Month(v[1]) || t.Day() != v[2] || t.Hour() != v[3] || t.Minute() != v[4] || t.Second() != v[5] {
		return node{}, sender("no such date and time", "ter:InvalidArgVal", "ter:InvalidDateTime")
	}
	s.cfg.SetClock(t)
	return done, nil
}

func (s *Server) getDeviceInformation(*request) (node, *fault) {
	id := s.cfg.Identity
	return el("tds:GetDeviceInformationResponse",
		el("tds:Manufacturer", id.Manufacturer), el("tds:Model", id.Model),
		el("tds:FirmwareVersion", id.Firmware), el("tds:SerialNumber", id.Serial),
		el("tds:HardwareId", id.Hardware)), nil
}

// getCapabilities answers for one category or for all.
func (s *Server) getCapabilities(r *request) (node, *fault) {
	category := r.body.value("Category")
	if category == "" {
		category = "All"
	}
	if !slices.Contains([]string{"All", "Device", "Media", "PTZ", "Analytics", "Events", "Imaging"}, category) {
		return node{}, sender("unknown category", "ter:InvalidArgVal", "ter:NoSuchService")
	}
	var caps []node
	add := func(name string, n node) {
		if category == "All" || category == name {
			caps = append(caps, n)
		}
	}
	add("Device", el("tt:Device", el("tt:XAddr", r.url(pathDevice))))
	add("Media", el("tt:Media", el("tt:XAddr", r.url(pathMedia)), el("tt:StreamingCapabilities",
		el("tt:RTPMulticast", false), el("tt:RTP_TCP", true), el("tt:RTP_RTSP_TCP", true))))
	if s.cfg.PTZ {
		add("PTZ", el("tt:PTZ", el("tt:XAddr", r.url(pathPTZ))))
		add("Imaging", el("tt:Imaging", el("tt:XAddr", r.url(pathImaging))))
	}
	if len(caps) == 0 {
		return node{}, receiver("no such service", "ter:ActionNotSupported", "ter:NoSuchService")
	}
	return el("tds:GetCapabilitiesResponse", el("tds:Capabilities", caps)), nil
}

func (s *Server) getServices(r *request) (node, *fault) {
	with := r.body.value("IncludeCapability")
	service := func(space, path string, minor int, caps node) node {
		n := el("tds:Service", el("tds:Namespace", space), el("tds:XAddr", r.url(path)))
		if with == "true" || with == "1" {
			n.kids = append(n.kids, el("tds:Capabilities", caps))
		}
		n.kids = append(n.kids, el("tds:Version", el("tt:Major", 2), el("tt:Minor", minor)))
		return n
	}
	list := []node{
		service(nsDevice, pathDevice, 60, deviceCaps()),
		service(nsMedia, pathMedia, 60, s.mediaCaps()),
		service(nsMedia2, pathMedia2, 60, s.media2Caps()),
	}
	if s.cfg.PTZ {
		list = append(list, service(nsPTZ, pathPTZ, 60, ptzCaps()), service(nsImaging, pathImaging, 60, el("timg:Capabilities")))
	}
	return el("tds:GetServicesResponse", list), nil
}

func deviceCaps() node {
	return el("tds:Capabilities",
		el("tds:Network", attr{"NTP", "1"}),
		el("tds:Security", attr{"UsernameToken", "true"}, attr{"HttpDigest", "true"}),
		el("tds:System", attr{"DiscoveryBye", "true"}))
}

func (s *Server) deviceCapabilities(*request) (node, *fault) {
	return el("tds:GetServiceCapabilitiesResponse", deviceCaps()), nil
}

func (s *Server) getNetworkInterfaces(r *request) (node, *fault) {
	info := el("tt:Info", el("tt:Name", "eth0"), el("tt:HwAddress", s.cfg.Identity.MAC), el("tt:MTU", 1500))
	n := el("tds:NetworkInterfaces", attr{"token", "eth0"}, el("tt:Enabled", true), info)
	if !strings.Contains(r.host, ":") {
		n.kids = append(n.kids, el("tt:IPv4", el("tt:Enabled", true), el("tt:Config",
			el("tt:Manual", el("tt:Address", r.host), el("tt:PrefixLength", 24)), el("tt:DHCP", false))))
	}
	return el("tds:GetNetworkInterfacesResponse", n), nil
}

func (s *Server) getScopes(*request) (node, *fault) {
	var list []node
	for _, scope := range s.cfg.Scopes {
		list = append(list, el("tds:Scopes", el("tt:ScopeDef", "Fixed"), el("tt:ScopeItem", scope)))
	}
	return el("tds:GetScopesResponse", list), nil
}

func (s *Server) getHostname(*request) (node, *fault) {
	return el("tds:GetHostnameResponse", el("tds:HostnameInformation",
		el("tt:FromDHCP", false), el("tt:Name", s.cfg.Identity.Name))), nil
}

func (s *Server) systemReboot(*request) (node, *fault) {
	s.cfg.Reboot()
	return el("tds:SystemRebootResponse", el("tds:Message", "Rebooting")), nil
}
