package onvifserver

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Tokens of what every profile shares.
const (
	tokenVideoSource = "camera"
	tokenAudioSource = "microphone"
	tokenPTZNode     = "head"
	tokenPTZConfig   = "head_config"
	audioConfig      = "audio"
)

// mediaActions are those of ver10/media. It is a table, never written.
var mediaActions = map[string]action{
	"GetServiceCapabilities":        (*Server).mediaCapabilities,
	"GetProfiles":                   (*Server).getProfiles,
	"GetProfile":                    (*Server).getProfile,
	"GetStreamUri":                  (*Server).getStreamURI,
	"SetSynchronizationPoint":       (*Server).syncPoint,
	"GetSnapshotUri":                (*Server).getSnapshotURI,
	"GetVideoSources":               (*Server).getVideoSources,
	"GetVideoEncoderConfigurations": (*Server).getVideoEncoders,
	"GetAudioEncoderConfigurations": (*Server).getAudioEncoders,
}

// profile finds a profile by its token.
func (s *Server) profile(token string) (*Profile, *fault) {
	list := s.cfg.Profiles()
	i := slices.IndexFunc(list, func(p Profile) bool { return p.Token == token })
	if i < 0 {
		return nil, sender("Profile Not Exist", "ter:InvalidArgVal", "ter:NoProfile")
	}
	return &list[i], nil
}

func (s *Server) mediaCaps() node {
	return el("trt:Capabilities", attr{"SnapshotUri", "true"},
		el("trt:ProfileCapabilities", attr{"MaximumNumberOfProfiles", "2"}),
		el("trt:StreamingCapabilities", attr{"RTPMulticast", strconv.FormatBool(s.cfg.Multicast)}, attr{"RTP_TCP", "true"}, attr{"RTP_RTSP_TCP", "true"}))
}

func (s *Server) mediaCapabilities(*request) (node, *fault) {
	return el("trt:GetServiceCapabilitiesResponse", s.mediaCaps()), nil
}

func (s *Server) getProfiles(*request) (node, *fault) {
	var list []node
	for _, p := range s.cfg.Profiles() {
		list = append(list, s.profileNode("trt:Profiles", p))
	}
	return el("trt:GetProfilesResponse", list), nil
}

func (s *Server) getProfile(r *request) (node, *fault) {
	p, f := s.profile(r.body.value("ProfileToken"))
	if f != nil {
		return node{}, f
	}
	return el("trt:GetProfileResponse", s.profileNode("trt:Profile", *p)), nil
}

// profileNode is a profile of ver10. That schema has no H.265: such a profile is
// listed without its video encoder, and clients must ask media2.
func (s *Server) profileNode(name string, p Profile) node {
	n := el(name, attr{"token", p.Token}, attr{"fixed", "true"}, el("tt:Name", p.Token),
		s.videoSourceConfig("tt:VideoSourceConfiguration"))
	if p.Sound != nil {
		n.kids = append(n.kids, audioSourceConfig("tt:AudioSourceConfiguration"))
	}
	if !p.H265 {
		n.kids = append(n.kids, videoEncoder("tt:VideoEncoderConfiguration", p))
	}
	if p.Sound != nil {
		n.kids = append(n.kids, audioEncoder("tt:AudioEncoderConfiguration", *p.Sound))
	}
	if s.cfg.PTZ {
		n.kids = append(n.kids, ptzConfiguration("tt:PTZConfiguration"))
	}
	return n
}

func (s *Server) videoSourceConfig(name string) node {
	w, h := s.sourceSize()
	return el(name, attr{"token", tokenVideoSource + "_config"}, el("tt:Name", tokenVideoSource), el("tt:UseCount", 2),
		el("tt:SourceToken", tokenVideoSource),
		el("tt:Bounds", intAttr("x", 0), intAttr("y", 0), intAttr("width", w), intAttr("height", h)))
}

// sourceSize is the size of the largest profile.
func (s *Server) sourceSize() (w, h int) {
	for _, p := range s.cfg.Profiles() {
		w, h = max(w, p.Width), max(h, p.Height)
	}
	return w, h
}

func audioSourceConfig(name string) node {
	return el(name, attr{"token", tokenAudioSource + "_config"}, el("tt:Name", tokenAudioSource), el("tt:UseCount", 2),
		el("tt:SourceToken", tokenAudioSource))
}

func multicast() node {
	return el("tt:Multicast", el("tt:Address", el("tt:Type", "IPv4"), el("tt:IPv4Address", "0.0.0.0")),
		el("tt:Port", 0), el("tt:TTL", 0), el("tt:AutoStart", false))
}

func videoEncoder(name string, p Profile) node {
	return el(name, attr{"token", p.Token + "_video"}, el("tt:Name", p.Token+"_video"), el("tt:UseCount", 1),
		el("tt:Encoding", "H264"),
		el("tt:Resolution", el("tt:Width", p.Width), el("tt:Height", p.Height)),
		el("tt:Quality", 4),
		el("tt:RateControl", el("tt:FrameRateLimit", int(math.Round(p.FPS))), el("tt:EncodingInterval", 1), el("tt:BitrateLimit", p.Kbps)),
		el("tt:H264", el("tt:GovLength", p.Group), el("tt:H264Profile", "Main")),
		multicast(), el("tt:SessionTimeout", "PT60S"))
}

func audioEncoder(name string, a Sound) node {
	encoding := "G711"
	if a.AAC {
		encoding = "AAC"
	}
	return el(name, attr{"token", audioConfig}, el("tt:Name", audioConfig), el("tt:UseCount", 2),
		el("tt:Encoding", encoding), el("tt:Bitrate", a.Kbps), el("tt:SampleRate", a.Rate/1000),
		multicast(), el("tt:SessionTimeout", "PT60S"))
}

func (s *Server) getVideoEncoders(*request) (node, *fault) {
	var list []node
	for _, p := range s.cfg.Profiles() {
		if !p.H265 {
			list = append(list, videoEncoder("trt:Configurations", p))
		}
	}
	return el("trt:GetVideoEncoderConfigurationsResponse", list), nil
}

func (s *Server) getAudioEncoders(*request) (node, *fault) {
	var list []node
	if p := s.cfg.Profiles(); len(p) > 0 && p[0].Sound != nil {
		list = append(list, audioEncoder("trt:Configurations", *p[0].Sound))
	}
	return el("trt:GetAudioEncoderConfigurationsResponse", list), nil
}

func (s *Server) getVideoSources(*request) (node, *fault) {
	w, h := s.sourceSize()
	var fps float64
	for _, p := range s.cfg.Profiles() {
		fps = max(fps, p.FPS)
	}
	return el("trt:GetVideoSourcesResponse", el("trt:VideoSources", attr{"token", tokenVideoSource},
		el("tt:Framerate", fps), el("tt:Resolution", el("tt:Width", w), el("tt:Height", h)))), nil
}

// getStreamURI gives the same address for every transport: RTSP negotiates it.
func (s *Server) getStreamURI(r *request) (node, *fault) {
	p, f := s.profile(r.body.value("ProfileToken"))
	if f != nil {
		return node{}, f
	}
	setup := r.body.kid("StreamSetup")
	if setup.value("Stream") == "RTP-Multicast" && !s.cfg.Multicast || !slices.Contains(
		[]string{"", "UDP", "TCP", "RTSP"}, setup.value("Transport", "Protocol")) {
		return node{}, sender("Invalid Stream setup", "ter:InvalidArgVal", "ter:InvalidStreamSetup")
	}
	return el("trt:GetStreamUriResponse", el("trt:MediaUri", el("tt:Uri", s.streamURI(r, p)),
		el("tt:InvalidAfterConnect", false), el("tt:InvalidAfterReboot", false), el("tt:Timeout", "PT0S"))), nil
}

// syncPoint makes a key picture (Media section 5.18.1).
func (s *Server) syncPoint(r *request) (node, *fault) {
	if _, f := s.profile(r.body.value("ProfileToken")); f != nil {
		return node{}, f
	}
	s.cfg.KeyFrame()
	return el("trt:SetSynchronizationPointResponse"), nil
}

// syncPoint2 is the same in media2 (section 5.6).
func (s *Server) syncPoint2(r *request) (node, *fault) {
	if _, f := s.syncPoint(r); f != nil {
		return node{}, f
	}
	return el("tr2:SetSynchronizationPointResponse"), nil
}

// media2Actions are those of ver20/media. It is a table, never written.
var media2Actions = map[string]action{
	"GetServiceCapabilities":        (*Server).media2Capabilities,
	"GetProfiles":                   (*Server).getProfiles2,
	"GetStreamUri":                  (*Server).getStreamURI2,
	"SetSynchronizationPoint":       (*Server).syncPoint2,
	"GetSnapshotUri":                (*Server).getSnapshotURI2,
	"GetVideoEncoderConfigurations": (*Server).getVideoEncoders2,
	"GetAudioEncoderConfigurations": (*Server).getAudioEncoders2,
}

func (s *Server) media2Caps() node {
	return el("tr2:Capabilities", attr{"SnapshotUri", "true"},
		el("tr2:ProfileCapabilities", attr{"MaximumNumberOfProfiles", "2"},
			attr{"ConfigurationsSupported", "VideoSource VideoEncoder AudioSource AudioEncoder PTZ"}),
		el("tr2:StreamingCapabilities", attr{"RTSPStreaming", "true"}, attr{"RTPMulticast", strconv.FormatBool(s.cfg.Multicast)}, attr{"RTP_RTSP_TCP", "true"}))
}

func (s *Server) media2Capabilities(*request) (node, *fault) {
	return el("tr2:GetServiceCapabilitiesResponse", s.media2Caps()), nil
}

// getProfiles2 lists the profiles with those configurations that are asked for.
func (s *Server) getProfiles2(r *request) (node, *fault) {
	asked := map[string]bool{}
	for _, k := range r.body.kids {
		if k.name == "Type" {
			asked[strings.TrimSpace(k.text)] = true
		}
	}
	token := r.body.value("Token")
	if _, f := s.profile(token); token != "" && f != nil {
		return node{}, f
	}
	var list []node
	for _, p := range s.cfg.Profiles() {
		if token == "" || token == p.Token {
			list = append(list, s.profile2(p, asked))
		}
	}
	return el("tr2:GetProfilesResponse", list), nil
}

func (s *Server) profile2(p Profile, asked map[string]bool) node {
	var confs []node
	add := func(kind string, n func() node) {
		if asked[kind] || asked["All"] {
			confs = append(confs, n())
		}
	}
	add("VideoSource", func() node { return s.videoSourceConfig("tr2:VideoSource") })
	if p.Sound != nil {
		add("AudioSource", func() node { return audioSourceConfig("tr2:AudioSource") })
	}
	add("VideoEncoder", func() node { return videoEncoder2("tr2:VideoEncoder", p) })
	if p.Sound != nil {
		add("AudioEncoder", func() node { return audioEncoder2("tr2:AudioEncoder", *p.Sound) })
	}
	if s.cfg.PTZ {
		add("PTZ", func() node { return ptzConfiguration("tr2:PTZ") })
	}
	n := el("tr2:Profiles", attr{"token", p.Token}, attr{"fixed", "true"}, el("tr2:Name", p.Token))
	if len(confs) > 0 {
		n.kids = append(n.kids, el("tr2:Configurations", confs))
	}
	return n
}

func videoEncoder2(name string, p Profile) node {
	encoding := "H264"
	if p.H265 {
		encoding = "H265"
	}
	return el(name, attr{"token", p.Token + "_video"}, intAttr("GovLength", p.Group), attr{"Profile", "Main"},
		el("tt:Name", p.Token+"_video"), el("tt:UseCount", 1), el("tt:Encoding", encoding),
		el("tt:Resolution", el("tt:Width", p.Width), el("tt:Height", p.Height)),
		el("tt:RateControl", attr{"ConstantBitRate", "false"}, el("tt:FrameRateLimit", p.FPS), el("tt:BitrateLimit", p.Kbps)),
		el("tt:Quality", 4))
}

// audioEncoder2 names the encoding as its MIME subtype, as ver20 does.
func audioEncoder2(name string, a Sound) node {
	encoding := a.Law
	if a.AAC {
		encoding = "MP4A-LATM"
	}
	return el(name, attr{"token", audioConfig}, el("tt:Name", audioConfig), el("tt:UseCount", 2),
		el("tt:Encoding", encoding), el("tt:Bitrate", a.Kbps), el("tt:SampleRate", a.Rate/1000))
}

func (s *Server) getVideoEncoders2(*request) (node, *fault) {
	var list []node
	for _, p := range s.cfg.Profiles() {
		list = append(list, videoEncoder2("tr2:Configurations", p))
	}
	return el("tr2:GetVideoEncoderConfigurationsResponse", list), nil
}

func (s *Server) getAudioEncoders2(*request) (node, *fault) {
	var list []node
	if p := s.cfg.Profiles(); len(p) > 0 && p[0].Sound != nil {
		list = append(list, audioEncoder2("tr2:Configurations", *p[0].Sound))
	}
	return el("tr2:GetAudioEncoderConfigurationsResponse", list), nil
}

func (s *Server) getStreamURI2(r *request) (node, *fault) {
	p, f := s.profile(r.body.value("ProfileToken"))
	if f != nil {
		return node{}, f
	}
	known := []string{"RtspUnicast", "RTSP"}
	if s.cfg.Multicast {
		known = append(known, "RtspMulticast")
	}
	if !slices.Contains(known, r.body.value("Protocol")) {
		return node{}, sender("Invalid Stream setup", "ter:InvalidArgVal", "ter:InvalidStreamSetup")
	}
	return el("tr2:GetStreamUriResponse", el("tr2:Uri", s.streamURI(r, p))), nil
}
