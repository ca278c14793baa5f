// Package onvifserver answers the SOAP requests of ONVIF's device, media, media2,
// PTZ and imaging services for one simulated encoder. It is an http.Handler; it starts
// nothing and listens on nothing.
package onvifserver

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"districtgateway/cmd/encodersim/internal/ptz"
)

// An Identity is what a device says it is.
type Identity struct {
	Name, Manufacturer, Model, Firmware, Serial, Hardware string

	MAC string // of its network interface, as 00:11:22:33:44:55
}

// A Profile is one media profile.
type Profile struct {
	Token         string // also the path of its stream
	Width, Height int
	FPS           float64
	Group         int // pictures from key to key
	Kbps          int
	H265          bool
	Sound         *Sound // nil for none
}

// A Sound is a profile's audio encoding.
type Sound struct {
	AAC  bool // else G.711
	Law  string
	Rate int // samples a second
	Kbps int
}

// Config ties a Server to its encoder. The functions are called from any
// goroutine.
type Config struct {
	Identity    Identity
	Scopes      []string
	Credentials func() (user, password string)
	Profiles    func() []Profile
	Picture     func(token string) uint64 // number of a profile's present picture
	RTSPPort    int
	Multicast   bool              // streams are sent to groups, too
	PTZ         bool              // there is a head and a lens
	NoZoom      bool              // the head pans and tilts only
	Clock       func() time.Time  // what the device believes the time to be
	SetClock    func(t time.Time) // zero t: follow the host again
	KeyFrame    func()            // a key picture is wanted
	Reboot      func()            // must not wait for the request to end
	Log         *slog.Logger
}

// A Server is one device's services.
type Server struct {
	cfg   Config
	guard guard
	asked atomic.Uint64 // SOAP requests, those refused included

	mu    sync.Mutex // guards what follows
	head  ptz.Head
	wiper bool // it wipes
}

// New returns the services.
func New(cfg Config) *Server {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	s := &Server{cfg: cfg}
	s.guard = guard{key: key, credentials: cfg.Credentials, clock: cfg.Clock, seen: map[string]time.Time{}}
	return s
}

// Head returns where the PTZ head is and its presets.
func (s *Server) Head() (ptz.Status, []ptz.Preset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head.Status(time.Now()), s.head.Presets()
}

// Lens returns where the focus is, whether it moves, and whether the wiper before
// it wipes.
func (s *Server) Lens() (focus float64, moving, wiping bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	focus, moving = s.head.Focus(time.Now())
	return focus, moving, s.wiper
}

// Requests returns how many SOAP requests there were, those refused included.
func (s *Server) Requests() uint64 { return s.asked.Load() }

// Paths of the services.
const (
	pathDevice  = "/onvif/device_service"
	pathMedia   = "/onvif/media_service"
	pathMedia2  = "/onvif/media2_service"
	pathPTZ     = "/onvif/ptz_service"
	pathImaging = "/onvif/imaging_service"
)

// A request is one SOAP call.
type request struct {
	body *element // the action
	host string   // the device's address as the client reached it
	http *http.Request
}

// An action answers one call.
type action func(*Server, *request) (node, *fault)

// ServeHTTP answers one SOAP request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case pathSnapshot:
		s.serveSnapshot(w, r)
		return
	case pathDevice, pathMedia, pathMedia2, pathPTZ, pathImaging:
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "SOAP is posted", http.StatusMethodNotAllowed)
		return
	}
	s.asked.Add(1)
	body, f := s.answer(w, r)
	status := http.StatusOK
	if f != nil {
		body, status = f.node(), f.status
	}
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(envelope(body))) // the client may have gone
}

// answer reads, authorises and dispatches.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (node, *fault) {
	doc, err := parseXML(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) || errors.Is(err, errTooMuch) {
			return node{}, &fault{status: 413, code: "env:Sender", subcodes: []string{"ter:InvalidArgs"}, reason: err.Error()}
		}
		return node{}, sender(err.Error(), "ter:WellFormed")
	}
	if doc.space != nsEnvelope || doc.name != "Envelope" {
		return node{}, &fault{status: 500, code: "env:VersionMismatch", reason: "want SOAP 1.2"}
	}
	body := doc.kid("Body")
	if body == nil || len(body.kids) != 1 {
		return node{}, sender("want one action in the body", "ter:WellFormed")
	}
	req := &request{body: body.kids[0], host: localHost(r), http: r}
	known, open := lookup(req.body.space, req.body.name, s.cfg.PTZ)
	if !open {
		if v := s.guard.check(r, doc.kid("Header", "Security")); v != granted {
			s.cfg.Log.Info("request refused", "action", req.body.name, "remote", r.RemoteAddr)
			s.guard.challenge(w, v)
			return node{}, &fault{status: 401, code: "env:Sender", subcodes: []string{"ter:NotAuthorized"}, reason: "Sender not Authorized"}
		}
	}
	if known == nil {
		return node{}, receiver("Optional Action Not Implemented", "ter:ActionNotSupported")
	}
	return known(s, req)
}

// lookup finds an action and whether it is open to everybody: class PRE_AUTH of
// the ONVIF Core Specification, section 5.9.4.3.
func lookup(space, name string, hasPTZ bool) (do action, open bool) {
	switch space {
	case nsDevice:
		switch name {
		case "GetSystemDateAndTime", "GetCapabilities", "GetServices", "GetServiceCapabilities", "GetHostname":
			open = true
		}
		return deviceActions[name], open
	case nsMedia:
		return mediaActions[name], name == "GetServiceCapabilities"
	case nsMedia2:
		return media2Actions[name], name == "GetServiceCapabilities"
	case nsPTZ:
		if hasPTZ {
			return ptzActions[name], name == "GetServiceCapabilities"
		}
	case nsImaging:
		if hasPTZ {
			return imagingActions[name], name == "GetServiceCapabilities"
		}
	}
	return nil, false
}

// localHost is the address the client connected to, without a port.
func localHost(r *http.Request) string {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if host, _, err := net.SplitHostPort(addr.String()); err == nil {
			return host
		}
	}
	return "127.0.0.1"
}

// url returns the address of a service as this client can reach it.
func (r *request) url(path string) string {
	port := "80"
	if addr, ok := r.http.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, p, err := net.SplitHostPort(addr.String()); err == nil {
			port = p
		}
	}
	return "http://" + net.JoinHostPort(r.host, port) + path
}

// streamURI returns the RTSP address of a profile.
func (s *Server) streamURI(r *request, p *Profile) string {
	return "rtsp://" + net.JoinHostPort(r.host, strconv.Itoa(s.cfg.RTSPPort)) + "/" + p.Token
}
