package webrtc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Cameras are those that users move. Any goroutine.
type Cameras interface {
	// May tells why a user may not move a channel's camera, if that is known
	// beforehand; nil: it can be tried.
	May(ctx context.Context, user, channel string) error
	// Move has a camera obey, and returns when it has. A movement has to be asked for
	// again, as the page does every 400 ms, and ends by itself 1.5 s after it was last.
	// The error is a *[Refusal], or any other if it cannot be done now.
	Move(ctx context.Context, m Move) error
}

// A Move is what a user has the camera of a channel do.
type Move struct {
	User    string
	Channel string
	Command
}

// A Command is one to a camera, as the page sends it. What an action does not take
// must not be there.
type Command struct {
	Action string `json:"action"`
	Pan    int    `json:"pan,omitempty"`    // percent of full speed: to the left below 0, to the right above
	Tilt   int    `json:"tilt,omitempty"`   // down below 0, up above
	Zoom   int    `json:"zoom,omitempty"`   // out below 0, in above
	Focus  int    `json:"focus,omitempty"`  // near below 0, far above
	Iris   int    `json:"iris,omitempty"`   // closes below 0, opens above
	Number int    `json:"number,omitempty"` // of a preset: 1 to 255
}

// What a Command does.
const (
	ActMove      = "move"       // Pan, Tilt and Zoom
	ActLens      = "lens"       // Focus and Iris
	ActStop      = "stop"       // every movement ends
	ActLensStop  = "lens-stop"  // focus and iris stand still
	ActPreset    = "preset"     // goes to preset Number
	ActPresetSet = "preset-set" // keeps where it is as preset Number
)

// A Refusal says why a camera was not moved.
type Refusal struct {
	Status int    // of HTTP
	Reason string // in words for people
}

func (e *Refusal) Error() string { return e.Reason }

// Bounds of commands. How many are under way is bounded by the connections, each of
// which has one request at a time; how often a user may ask is by a [pace].
const (
	typeCommand = "application/json"
	maxCommand  = 1 << 10 // bytes
	moveWithin  = 15 * time.Second
)

// move answers what is asked about a channel's camera: whether the user may move it,
// by 204, or a command, by 204 when the camera has obeyed.
func (h *house) move(w http.ResponseWriter, r *http.Request, m Move) {
	ctx, cancel := context.WithTimeout(r.Context(), moveWithin)
	defer cancel()
	err := error(nil)
	switch {
	case !h.srv.pace.let(m.User, time.Now()):
		w.Header().Set("Retry-After", "1")
		err = &Refusal{http.StatusTooManyRequests, "too many commands by this user"}
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		err = h.srv.cfg.Cameras.May(ctx, m.User, m.Channel)
	default:
		// A browser sends the user's credentials along whatever page asks it to.
		if err := http.NewCrossOriginProtection().Check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		text := body(w, r, typeCommand, maxCommand)
		if text == "" {
			return
		}
		if m.Command, err = parseCommand(text); err == nil {
			err = h.srv.cfg.Cameras.Move(ctx, m)
		}
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// parseCommand reads a command. The error is a *[Refusal].
func parseCommand(text string) (c Command, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&c); err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("want one command")
		}
	}
	if err != nil {
		return Command{}, &Refusal{http.StatusBadRequest, fmt.Sprintf("body: %.200s", err)}
	}
	switch c.Action {
	case ActMove, ActLens, ActStop, ActLensStop, ActPreset, ActPresetSet:
		return c, nil
	}
	return Command{}, &Refusal{http.StatusBadRequest, fmt.Sprintf("action=%.32q: want move, lens, stop, lens-stop, preset or preset-set", c.Action)}
}

// How often one user may ask: the page of somebody who holds a button does so 2.5
// times a second, and of several who share an account each does.
const (
	paceEvery = 40 * time.Millisecond // in the long run
	paceBurst = 50                    // at once, after a rest
	mostPaced = 1024                  // users that are remembered without need
)

// A pace bounds how often each user asks. It is made by newPace. Any goroutine.
type pace struct {
	mu   sync.Mutex
	free map[string]time.Time // of a user: when all that he asked is worn off
}

func newPace() *pace { return &pace{free: map[string]time.Time{}} }

// let reports whether a user may ask once more.
func (p *pace) let(user string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) >= mostPaced {
		maps.DeleteFunc(p.free, func(_ string, at time.Time) bool { return at.Before(now) })
	}
	at := p.free[user]
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) >= paceBurst*paceEvery {
		return false
	}
	p.free[user] = at.Add(paceEvery)
	return true
}
