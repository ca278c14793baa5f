package onvifserver

import (
	"strconv"
	"time"

	"districtgateway/cmd/encodersim/internal/ptz"
)

// imagingActions are those of ver20/imaging: the focus is all that can be changed.
// It is a table, never written.
var imagingActions = map[string]action{
	"GetServiceCapabilities": (*Server).imagingCapabilities,
	"GetMoveOptions":         (*Server).getMoveOptions,
	"GetStatus":              (*Server).getImagingStatus,
	"Move":                   (*Server).moveFocus,
	"Stop":                   (*Server).stopFocus,
}

func (s *Server) imagingCapabilities(*request) (node, *fault) {
	return el("timg:GetServiceCapabilitiesResponse", el("timg:Capabilities")), nil
}

// source checks that a request is about the one video source.
func source(r *request) *fault {
	if r.body.value("VideoSourceToken") != tokenVideoSource {
		return sender("The requested VideoSource does not exist", "ter:InvalidArgVal", "ter:NoSource")
	}
	return nil
}

func (s *Server) getMoveOptions(r *request) (node, *fault) {
	return el("timg:GetMoveOptionsResponse", el("timg:MoveOptions", el("tt:Continuous",
		el("tt:Speed", el("tt:Min", float64(-ptz.FocusSpeed)), el("tt:Max", float64(ptz.FocusSpeed)))))), source(r)
}

func (s *Server) getImagingStatus(r *request) (node, *fault) {
	at, moves, _ := s.Lens()
	return el("timg:GetStatusResponse", el("timg:Status", el("tt:FocusStatus20",
		el("tt:Position", at), el("tt:MoveStatus", moving(moves))))), source(r)
}

// moveFocus moves continuously, which is the only way here (section 5.3.1).
func (s *Server) moveFocus(r *request) (node, *fault) {
	if f := source(r); f != nil {
		return node{}, f
	}
	speed, err := strconv.ParseFloat(r.body.value("Focus", "Continuous", "Speed"), 64)
	if err != nil {
		return node{}, sender("Requested values cannot be set", "ter:InvalidArgVal", "ter:SettingsInvalid")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.head.MoveFocus(time.Now(), speed); err != nil {
		return node{}, sender("Requested values cannot be set", "ter:InvalidArgVal", "ter:SettingsInvalid")
	}
	return el("timg:MoveResponse"), nil
}

func (s *Server) stopFocus(r *request) (node, *fault) {
	if f := source(r); f != nil {
		return node{}, f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head.StopFocus(time.Now())
	return el("timg:StopResponse"), nil
}
