package encoder

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"districtgateway/cmd/encodersim/internal/rtspserver"
)

// maxFault is how long a fault may last.
const maxFault = 24 * time.Hour

// A State is what GET /state tells of one encoder.
type State struct {
	Name     string               `json:"name"`
	Serial   string               `json:"serial"`
	MAC      string               `json:"mac"`
	UUID     string               `json:"uuid"`
	ONVIF    string               `json:"onvif"`
	RTSP     map[string]string    `json:"rtsp"`
	Up       bool                 `json:"up"`
	H265     bool                 `json:"h265"`
	Pictures map[string]uint64    `json:"pictures"` // taken so far; the next one's number
	Sessions []rtspserver.Session `json:"sessions"`
	PTZ      *PTZ                 `json:"ptz,omitempty"`
	Talk     Talk                 `json:"talk"`
	Skew     string               `json:"clock_off"`
	Asked    KeyRequests          `json:"key_pictures_asked"`
	Requests uint64               `json:"onvif_requests"` // so far, those refused included
}

// KeyRequests counts who asked for a key picture.
type KeyRequests struct {
	RTCP  uint64 `json:"rtcp"`  // PLI and FIR
	ONVIF uint64 `json:"onvif"` // SetSynchronizationPoint
}

// A PTZ is the state of the head.
type PTZ struct {
	Pan     float64           `json:"pan"`
	Tilt    float64           `json:"tilt"`
	Zoom    float64           `json:"zoom"`
	Focus   float64           `json:"focus"`  // 0 near, 1 far
	Moving  bool              `json:"moving"` // the head or the focus
	Wiper   bool              `json:"wiper"`
	Presets map[string]string `json:"presets"` // names by token
}

// State returns what the encoder is doing.
func (e *Encoder) State() State {
	id := e.cfg.Identity
	s := State{
		Name: id.Name, Serial: id.Serial, MAC: id.MAC, UUID: e.uuid(), ONVIF: e.ONVIF(),
		RTSP: map[string]string{}, Pictures: map[string]uint64{},
		Up: e.Up(), H265: e.player.Shown(0).H265, Sessions: e.rtsp.Sessions(), Talk: e.talk.report(),
		Skew:  e.clockError().Round(time.Millisecond).String(),
		Asked: KeyRequests{e.asks.rtcp.Load(), e.asks.onvif.Load()}, Requests: e.onvif.Requests(),
	}
	for i, n := range e.player.Numbers() {
		s.Pictures[Profiles()[i]] = n
		s.RTSP[Profiles()[i]] = e.RTSP(Profiles()[i])
	}
	if e.cfg.PTZ {
		at, presets := e.onvif.Head()
		focus, moving, wiping := e.onvif.Lens()
		s.PTZ = &PTZ{
			Pan: at.Position.Pan, Tilt: at.Position.Tilt, Zoom: at.Position.Zoom, Focus: focus,
			Moving: at.MovingHead || at.MovingZoom || moving, Wiper: wiping, Presets: map[string]string{},
		}
		for _, p := range presets {
			s.PTZ.Presets[p.Token] = p.Name
		}
	}
	return s
}

// Control answers the control endpoint: GET /state, and POST /fault/NAME for all
// encoders or, with ?encoder=N, for one, counted from 1. It asks for no
// credentials: listen on loopback only.
func Control(encoders []*Encoder) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		list := make([]State, 0, len(encoders))
		for _, e := range encoders {
			list = append(list, e.State())
		}
		answer(w, http.StatusOK, map[string]any{"encoders": list})
	})
	mux.HandleFunc("POST /fault/{fault}", func(w http.ResponseWriter, r *http.Request) {
		chosen, err := choose(encoders, r.URL.Query().Get("encoder"))
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"err": err.Error()})
			return
		}
		inject, result, err := faultOf(r.PathValue("fault"), r.URL.Query())
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"err": err.Error()})
			return
		}
		for _, e := range chosen {
			if err := inject(e); err != nil {
				answer(w, http.StatusConflict, map[string]any{"err": err.Error()})
				return
			}
		}
		answer(w, http.StatusOK, result)
	})
	return mux
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

func choose(encoders []*Encoder, which string) ([]*Encoder, error) {
	if which == "" {
		return encoders, nil
	}
	n, err := strconv.Atoi(which)
	if err != nil || n < 1 || n > len(encoders) {
		return nil, fmt.Errorf("encoder %q: want 1 to %d", which, len(encoders))
	}
	return encoders[n-1 : n], nil
}

// Inject causes a fault by name on one encoder, with parameters as the control
// endpoint takes them.
func (e *Encoder) Inject(name string, q url.Values) error {
	inject, _, err := faultOf(name, q)
	if err != nil {
		return err
	}
	return inject(e)
}

// CheckFault reports what is wrong with a fault's name or parameters.
func CheckFault(name string, q url.Values) error {
	_, _, err := faultOf(name, q)
	return err
}

// faultOf reads a fault and its parameters; result is what to answer.
func faultOf(name string, q url.Values) (inject func(*Encoder) error, result map[string]any, err error) {
	result = map[string]any{"fault": name}
	switch name {
	case "silence", "reboot":
		d, err := span(q, "for", 10*time.Second)
		if name == "reboot" {
			return func(e *Encoder) error { e.Reboot(d); return nil }, result, err
		}
		return func(e *Encoder) error { e.Silence(d); return nil }, result, err
	case "loss":
		d, err := span(q, "for", 10*time.Second)
		percent, bad := strconv.ParseFloat(q.Get("percent"), 64)
		if bad != nil || !(percent >= 0 && percent <= 100) {
			return nil, nil, fmt.Errorf("percent=%q: want 0 to 100", q.Get("percent"))
		}
		return func(e *Encoder) error { e.Lose(percent, d); return nil }, result, err
	case "clock", "timestamp":
		return timeFault(name, q, result)
	case "password":
		password := q.Get("to")
		if password == "" {
			password = RandomPassword()
		}
		result["password"] = password
		return func(e *Encoder) error { e.SetPassword(password); return nil }, result, nil
	case "codec":
		return (*Encoder).SwitchCodec, result, nil
	case "size":
		return (*Encoder).SwitchSize, result, nil
	case "none":
		return func(e *Encoder) error { e.Mend(); return nil }, result, nil
	}
	return nil, nil, fmt.Errorf("fault %q: want silence, reboot, loss, clock, timestamp, password, codec, size or none", name)
}

// timeFault reads a wrong clock or a jump of the timestamps.
func timeFault(name string, q url.Values, result map[string]any) (func(*Encoder) error, map[string]any, error) {
	key := map[string]string{"clock": "off", "timestamp": "jump"}[name]
	d, err := time.ParseDuration(q.Get(key))
	if err != nil || d.Abs() > 100*365*24*time.Hour {
		return nil, nil, fmt.Errorf("%s=%q: want a duration such as 24h or -10s", key, q.Get(key))
	}
	if name == "clock" {
		return func(e *Encoder) error { e.Skew(d); return nil }, result, nil
	}
	return func(e *Encoder) error { e.Jump(d); return nil }, result, nil
}

// span reads how long a fault lasts.
func span(q url.Values, key string, otherwise time.Duration) (time.Duration, error) {
	if q.Get(key) == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(q.Get(key))
	if err != nil || d < 0 || d > maxFault {
		return 0, fmt.Errorf("%s=%q: want a duration of at most %s", key, q.Get(key), maxFault)
	}
	return d, nil
}
