package onvifserver

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"districtgateway/cmd/encodersim/internal/ptz"
)

// Spaces of the generic kind (ONVIF PTZ Service Specification section 5.8).
const (
	spacePosition     = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/PositionGenericSpace"
	spaceZoomPosition = "http://www.onvif.org/ver10/tptz/ZoomSpaces/PositionGenericSpace"
	spaceMove         = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/TranslationGenericSpace"
	spaceZoomMove     = "http://www.onvif.org/ver10/tptz/ZoomSpaces/TranslationGenericSpace"
	spaceVelocity     = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/VelocityGenericSpace"
	spaceZoomVelocity = "http://www.onvif.org/ver10/tptz/ZoomSpaces/VelocityGenericSpace"
	spaceSpeed        = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/GenericSpeedSpace"
	spaceZoomSpeed    = "http://www.onvif.org/ver10/tptz/ZoomSpaces/ZoomGenericSpeedSpace"
)

// defaultTimeout ends a continuous move that names no timeout; maxTimeout the
// longest one.
const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
)

// ptzActions are those of ver20/ptz. It is a table, never written.
var ptzActions = map[string]action{
	"GetServiceCapabilities": (*Server).ptzCapabilities,
	"GetNodes":               (*Server).getNodes,
	"GetConfigurations":      (*Server).getConfigurations,
	"GetStatus":              (*Server).getStatus,
	"ContinuousMove":         (*Server).continuousMove,
	"AbsoluteMove":           (*Server).absoluteMove,
	"RelativeMove":           (*Server).relativeMove,
	"Stop":                   (*Server).stop,
	"GetPresets":             (*Server).getPresets,
	"SetPreset":              (*Server).setPreset,
	"GotoPreset":             (*Server).gotoPreset,
	"RemovePreset":           (*Server).removePreset,
	"SendAuxiliaryCommand":   (*Server).auxiliary,
}

func intAttr(name string, v int) attr { return attr{name, strconv.Itoa(v)} }

func ptzCaps() node {
	return el("tptz:Capabilities", attr{"EFlip", "false"}, attr{"Reverse", "false"}, attr{"MoveStatus", "true"}, attr{"StatusPosition", "true"})
}

func (s *Server) ptzCapabilities(*request) (node, *fault) {
	return el("tptz:GetServiceCapabilitiesResponse", ptzCaps()), nil
}

func span(name string, low, high float64) node {
	return el(name, el("tt:Min", low), el("tt:Max", high))
}

func space2(name, uri string, low float64) node {
	return el(name, el("tt:URI", uri), span("tt:XRange", low, 1), span("tt:YRange", low, 1))
}

func space1(name, uri string, low float64) node {
	return el(name, el("tt:URI", uri), span("tt:XRange", low, 1))
}

func (s *Server) getNodes(*request) (node, *fault) {
	spaces := []node{
		space2("tt:AbsolutePanTiltPositionSpace", spacePosition, -1),
		space1("tt:AbsoluteZoomPositionSpace", spaceZoomPosition, 0),
		space2("tt:RelativePanTiltTranslationSpace", spaceMove, -1),
		space1("tt:RelativeZoomTranslationSpace", spaceZoomMove, -1),
		space2("tt:ContinuousPanTiltVelocitySpace", spaceVelocity, -1),
		space1("tt:ContinuousZoomVelocitySpace", spaceZoomVelocity, -1),
		space1("tt:PanTiltSpeedSpace", spaceSpeed, 0),
		space1("tt:ZoomSpeedSpace", spaceZoomSpeed, 0),
	}
	if s.cfg.NoZoom {
		spaces = slices.DeleteFunc(spaces, func(n node) bool { return strings.Contains(n.name, "Zoom") })
	}
	return el("tptz:GetNodesResponse", el("tptz:PTZNode", attr{"token", tokenPTZNode}, attr{"FixedHomePosition", "false"},
		el("tt:Name", tokenPTZNode), el("tt:SupportedPTZSpaces", spaces),
		el("tt:MaximumNumberOfPresets", ptz.MaxPresets), el("tt:HomeSupported", false),
		el("tt:AuxiliaryCommands", wiperOn), el("tt:AuxiliaryCommands", wiperOff))), nil
}

func ptzConfiguration(name string) node {
	return el(name, attr{"token", tokenPTZConfig}, el("tt:Name", tokenPTZConfig), el("tt:UseCount", 2),
		el("tt:NodeToken", tokenPTZNode),
		el("tt:DefaultAbsolutePantTiltPositionSpace", spacePosition), // the schema's own spelling
		el("tt:DefaultAbsoluteZoomPositionSpace", spaceZoomPosition),
		el("tt:DefaultRelativePanTiltTranslationSpace", spaceMove),
		el("tt:DefaultRelativeZoomTranslationSpace", spaceZoomMove),
		el("tt:DefaultContinuousPanTiltVelocitySpace", spaceVelocity),
		el("tt:DefaultContinuousZoomVelocitySpace", spaceZoomVelocity),
		el("tt:DefaultPTZTimeout", fmt.Sprintf("PT%dS", int(defaultTimeout.Seconds()))))
}

func (s *Server) getConfigurations(*request) (node, *fault) {
	return el("tptz:GetConfigurationsResponse", ptzConfiguration("tptz:PTZConfiguration")), nil
}

func moving(v bool) string {
	if v {
		return "MOVING"
	}
	return "IDLE"
}

func position(name string, v ptz.Vector) node {
	coordinate := func(f float64) string { return strconv.FormatFloat(f, 'f', 6, 64) }
	return el(name,
		el("tt:PanTilt", attr{"x", coordinate(v.Pan)}, attr{"y", coordinate(v.Tilt)}, attr{"space", spacePosition}),
		el("tt:Zoom", attr{"x", coordinate(v.Zoom)}, attr{"space", spaceZoomPosition}))
}

func (s *Server) getStatus(r *request) (node, *fault) {
	if _, f := s.profile(r.body.value("ProfileToken")); f != nil {
		return node{}, f
	}
	st, _ := s.Head()
	return el("tptz:GetStatusResponse", el("tptz:PTZStatus", position("tt:Position", st.Position),
		el("tt:MoveStatus", el("tt:PanTilt", moving(st.MovingHead)), el("tt:Zoom", moving(st.MovingZoom))),
		el("tt:UtcTime", s.cfg.Clock().UTC().Format(time.RFC3339)))), nil
}

// vector reads a PanTilt and Zoom pair; what is missing is 0.
func vector(e *element) (v ptz.Vector, _ *fault) {
	for _, c := range []struct {
		at   *element
		axis string
		to   *float64
	}{
		{e.kid("PanTilt"), "x", &v.Pan}, {e.kid("PanTilt"), "y", &v.Tilt}, {e.kid("Zoom"), "x", &v.Zoom},
	} {
		if c.at == nil {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(c.at.attr(c.axis)), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return v, sender("want a number", "ter:InvalidArgVal", "ter:InvalidPosition")
		}
		*c.to = f
	}
	return v, nil
}

// move runs f on the head if the profile exists, and answers.
func (s *Server) move(r *request, f func(now time.Time, h *ptz.Head) error) (node, *fault) {
	if _, fault := s.profile(r.body.value("ProfileToken")); fault != nil {
		return node{}, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := f(time.Now(), &s.head); err != nil {
		return node{}, ptzFault(err)
	}
	return el("tptz:" + r.body.name + "Response"), nil
}

// ptzFault is the one table of errors onto the wire.
func ptzFault(err error) *fault {
	switch {
	case errors.Is(err, ptz.ErrPosition):
		return sender("Invalid position", "ter:InvalidArgVal", "ter:InvalidPosition")
	case errors.Is(err, ptz.ErrSpeed):
		return sender("Invalid speed", "ter:InvalidArgVal", "ter:InvalidSpeed")
	case errors.Is(err, ptz.ErrPreset):
		return sender("Preset token does not exist", "ter:InvalidArgVal", "ter:NoToken")
	case errors.Is(err, ptz.ErrName):
		return sender("Preset name in use", "ter:InvalidArgVal", "ter:PresetExist")
	case errors.Is(err, ptz.ErrFull):
		return receiver("Too many presets", "ter:Action", "ter:TooManyPresets")
	case errors.Is(err, ptz.ErrMoving):
		return receiver("Preset cannot be set while PTZ unit is moving", "ter:Action", "ter:MovingPTZ")
	}
	return receiver(err.Error(), "ter:Action")
}

// target reads where or how fast to move and which axes that is for. Zoom is refused
// where there is none, even to be still.
func (s *Server) target(e *element) (ptz.Vector, ptz.Axes, *fault) {
	v, f := vector(e)
	axes := ptz.Axes{PanTilt: e.kid("PanTilt") != nil, Zoom: e.kid("Zoom") != nil}
	if f == nil && axes.Zoom && s.cfg.NoZoom {
		f = sender("Space not supported", "ter:InvalidArgVal", "ter:SpaceNotSupported")
	}
	return v, axes, f
}

func (s *Server) continuousMove(r *request) (node, *fault) {
	speed, axes, f := s.target(r.body.kid("Velocity"))
	if f != nil {
		return node{}, f
	}
	timeout, ok := duration(r.body.value("Timeout"))
	if !ok {
		return node{}, sender("Timeout out of range", "ter:InvalidArgVal", "ter:TimeoutNotSupported")
	}
	return s.move(r, func(now time.Time, h *ptz.Head) error { return h.Continuous(now, speed, axes, timeout) })
}

// duration reads an xs:duration of at most a minute: PT5S, PT0.5S, PT1M.
func duration(text string) (time.Duration, bool) {
	if text == "" {
		return defaultTimeout, true
	}
	text, ok := strings.CutPrefix(text, "PT")
	d, err := time.ParseDuration(strings.ToLower(text)) // 5S and 1M30S are Go's 5s and 1m30s
	return d, ok && err == nil && d >= 0 && d <= maxTimeout
}

func (s *Server) absoluteMove(r *request) (node, *fault) {
	to, axes, f := s.target(r.body.kid("Position"))
	if f != nil {
		return node{}, f
	}
	speed, f := vector(r.body.kid("Speed"))
	if f != nil {
		return node{}, f
	}
	return s.move(r, func(now time.Time, h *ptz.Head) error { return h.Absolute(now, to, speed, axes) })
}

func (s *Server) relativeMove(r *request) (node, *fault) {
	by, axes, f := s.target(r.body.kid("Translation"))
	if f != nil {
		return node{}, f
	}
	speed, f := vector(r.body.kid("Speed"))
	if f != nil {
		return node{}, f
	}
	return s.move(r, func(now time.Time, h *ptz.Head) error { return h.Relative(now, by, speed, axes) })
}

// stop stops what it names, and everything if it names nothing.
func (s *Server) stop(r *request) (node, *fault) {
	yes := func(name string) bool {
		v := r.body.value(name)
		return v == "true" || v == "1"
	}
	axes := ptz.Axes{PanTilt: yes("PanTilt"), Zoom: yes("Zoom")}
	if r.body.kid("PanTilt") == nil && r.body.kid("Zoom") == nil {
		axes = ptz.Axes{PanTilt: true, Zoom: true}
	}
	return s.move(r, func(now time.Time, h *ptz.Head) error { h.Stop(now, axes); return nil })
}

func (s *Server) getPresets(r *request) (node, *fault) {
	if _, f := s.profile(r.body.value("ProfileToken")); f != nil {
		return node{}, f
	}
	_, presets := s.Head()
	var list []node
	for _, p := range presets {
		list = append(list, el("tptz:Preset", attr{"token", p.Token}, el("tt:Name", p.Name), position("tt:PTZPosition", p.Position)))
	}
	return el("tptz:GetPresetsResponse", list), nil
}

func (s *Server) setPreset(r *request) (node, *fault) {
	name := r.body.value("PresetName")
	if len(name) > 64 {
		return node{}, sender("Preset name too long", "ter:InvalidArgVal", "ter:InvalidPresetName")
	}
	var token string
	n, f := s.move(r, func(now time.Time, h *ptz.Head) (err error) {
		token, err = h.SetPreset(now, r.body.value("PresetToken"), name)
		return err
	})
	n.kids = append(n.kids, el("tptz:PresetToken", token))
	return n, f
}

func (s *Server) gotoPreset(r *request) (node, *fault) {
	speed, f := vector(r.body.kid("Speed"))
	if f != nil {
		return node{}, f
	}
	return s.move(r, func(now time.Time, h *ptz.Head) error {
		return h.GotoPreset(now, r.body.value("PresetToken"), speed)
	})
}

func (s *Server) removePreset(r *request) (node, *fault) {
	return s.move(r, func(_ time.Time, h *ptz.Head) error {
		return h.RemovePreset(r.body.value("PresetToken"))
	})
}

// Auxiliary commands (ONVIF Core Specification, 8.6).
const (
	wiperOn  = "tt:Wiper|On"
	wiperOff = "tt:Wiper|Off"
)

// auxiliary switches the wiper.
func (s *Server) auxiliary(r *request) (node, *fault) {
	command := r.body.value("AuxiliaryData")
	if command != wiperOn && command != wiperOff {
		return node{}, sender("Auxiliary command not supported", "ter:InvalidArgVal", "ter:AuxiliaryDataNotSupported")
	}
	n, f := s.move(r, func(time.Time, *ptz.Head) error { s.wiper = command == wiperOn; return nil })
	n.kids = append(n.kids, el("tptz:AuxiliaryResponse", command))
	return n, f
}
