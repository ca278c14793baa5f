package webrtc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest/cost"
)

// studio is cameras that all obey, unless they are told otherwise.
type studio struct {
	mu    sync.Mutex
	moved []Move
	err   error
	wait  bool // for the end of the request
}

func (s *studio) May(_ context.Context, user, channel string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user != "wang" {
		return &Refusal{http.StatusForbidden, channel + " is not for " + user}
	}
	return s.err
}

func (s *studio) Move(ctx context.Context, m Move) error {
	s.mu.Lock()
	s.moved = append(s.moved, m)
	err, wait := s.err, s.wait
	s.mu.Unlock()
	if wait {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// fails has all that is asked from now on end in err.
func (s *studio) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *studio) taken() []Move {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.moved
	s.moved = nil
	return all
}

const aMove = `{"action":"move","pan":-40,"tilt":100,"zoom":1}`

func TestCommandsReachTheCamera(t *testing.T) {
	s := &studio{}
	h := newRig(t, ServerConfig{Cameras: s}, nil)
	c := newCaller(t, "wang", "right")
	for body, want := range map[string]Command{
		aMove: {Action: ActMove, Pan: -40, Tilt: 100, Zoom: 1},
		"\n{\"action\":\"lens\", \"focus\":7, \"iris\":-9}\n": {Action: ActLens, Focus: 7, Iris: -9},
		`{"action":"stop"}`:                     {Action: ActStop},
		`{"action":"lens-stop"}`:                {Action: ActLensStop},
		`{"action":"preset","number":255}`:      {Action: ActPreset, Number: 255},
		`{"action":"preset-set","number":1}`:    {Action: ActPresetSet, Number: 1},
		`{"action":"move","pan":4000,"tilt":1}`: {Action: ActMove, Pan: 4000, Tilt: 1}, // the cameras know what they take
	} {
		res := c.ask("POST", h.base+"/cam1/ptz", "application/json; charset=utf-8", body)
		if res.StatusCode != http.StatusNoContent || res.text != "" || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %s, %v, %q", body, res.Status, res.Header, res.text)
		}
		if d := cmp.Diff([]Move{{"wang", "cam1", want}}, s.taken()); d != "" {
			t.Errorf("%s (-want +got):\n%s", body, d)
		}
	}
}

func TestWhatIsNoCommandMovesNothing(t *testing.T) {
	s := &studio{}
	h := newRig(t, ServerConfig{Cameras: s}, nil)
	c := newCaller(t, "wang", "right")
	for _, tc := range []struct {
		method, path, kind, text string
		status                   int
		words                    string
	}{
		{"POST", "/cam1/ptz", "", aMove, 415, "want Content-Type application/json"},
		{"POST", "/cam1/ptz", "text/plain", aMove, 415, "want Content-Type application/json"},
		{"POST", "/cam1/ptz", "application/x-www-form-urlencoded", aMove, 415, "want Content-Type application/json"},
		{"POST", "/cam1/ptz", "application/json", "", 400, "want a body"},
		{"POST", "/cam1/ptz", "application/json", "{", 400, "body: unexpected EOF"},
		{"POST", "/cam1/ptz", "application/json", "null", 400, `action="": want move, lens`},
		{"POST", "/cam1/ptz", "application/json", `{"action":"release"}`, 400, `action="release": want move, lens`},
		{"POST", "/cam1/ptz", "application/json", `{"action":"stop","user":"li"}`, 400, `body: json: unknown field "user"`},
		{"POST", "/cam1/ptz", "application/json", `{"action":"stop"}{"action":"stop"}`, 400, "body: want one command"},
		{"POST", "/cam1/ptz", "application/json", `{"action":"stop"} x`, 400, "body: want one command"},
		{"POST", "/cam1/ptz", "application/json", `{"action":"move","pan":1.5}`, 400, "body: json: cannot unmarshal"},
		{"POST", "/cam1/ptz", "application/json", `[` + aMove + `]`, 400, "body: json: cannot unmarshal"},
		{"POST", "/cam1/ptz", "application/json", `{"action":"` + strings.Repeat("x", 900) + `"}`, 400, `action="xxx`},
		{"POST", "/cam1/ptz", "application/json", aMove + strings.Repeat(" ", maxCommand), 413, "too long"},
		{"PUT", "/cam1/ptz", "application/json", aMove, 405, "GET, HEAD, POST"},
		{"OPTIONS", "/cam1/ptz", "", "", 405, "GET, HEAD, POST"},
		{"POST", "/cam1/sub/ptz", "application/json", aMove, 404, ""},
		{"POST", "/cam1/ptz/x", "application/json", aMove, 404, ""},
		{"POST", "/cam1", "application/json", aMove, 405, "GET, HEAD"},
	} {
		res := c.ask(tc.method, h.base+tc.path, tc.kind, tc.text)
		if res.StatusCode != tc.status || !strings.Contains(res.text, tc.words) || len(res.text) > 300 {
			t.Errorf("%s %s %s %.60s: %d %s, want %d %s", tc.method, tc.path, tc.kind, tc.text, res.StatusCode, res.text, tc.status, tc.words)
		}
	}
	if res := newCaller(t, "wang", "wrong").ask("POST", h.base+"/cam1/ptz", "application/json", aMove); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("with the wrong password: %s", res.Status)
	}
	if all := s.taken(); len(all) > 0 {
		t.Errorf("moved %v", all)
	}
}

// A page of somebody else's can have a browser send a request with what it knows of
// our users.
func TestPagesOfOthersMoveNothing(t *testing.T) {
	s := &studio{}
	h := newRig(t, ServerConfig{Cameras: s}, nil)
	c := newCaller(t, "wang", "right")
	for _, tc := range []struct {
		name, key, value string
		want             int
	}{
		{"another site", "Sec-Fetch-Site", "cross-site", 403},
		{"another port of this host", "Sec-Fetch-Site", "same-site", 403},
		{"another origin, in clear", "Origin", "http://evil.example", 403},
		{"no origin", "Origin", "null", 403},
		{"our page", "Sec-Fetch-Site", "same-origin", 204},
		{"our page, in clear", "Origin", h.base, 204},
		{"no browser", "User-Agent", "curl", 204},
	} {
		c.header = http.Header{tc.key: {tc.value}}
		if res := c.ask("POST", h.base+"/cam1/ptz", "application/json", aMove); res.StatusCode != tc.want {
			t.Errorf("%s: %s %s, want %d", tc.name, res.Status, res.text, tc.want)
		}
		if n := len(s.taken()); (n == 1) != (tc.want == 204) {
			t.Errorf("%s: moved %d times", tc.name, n)
		}
	}
}

func TestRefusalsOfCamerasAreAnsweredAsTheyAre(t *testing.T) {
	s := &studio{}
	h := newRig(t, ServerConfig{Cameras: s}, nil)
	c := newCaller(t, "wang", "right")
	for _, tc := range []struct {
		err  error
		want int
	}{
		{&Refusal{403, "not permitted"}, 403}, {&Refusal{409, "another moves the camera: li, for 8s more"}, 409},
		{fmt.Errorf("%w", &Refusal{501, "it is fixed"}), 501}, {errors.New("no idea"), 503},
	} {
		s.fails(tc.err)
		for _, method := range []string{"GET", "POST"} {
			res := c.ask(method, h.base+"/cam1/ptz", "application/json", aMove)
			if res.StatusCode != tc.want || res.text != tc.err.Error()+"\n" {
				t.Errorf("%s: %s %s, want %d %v", method, res.Status, res.text, tc.want, tc.err)
			}
		}
	}
}

func TestPageAsksWhetherTheCameraCanBeMoved(t *testing.T) {
	h := newRig(t, ServerConfig{Cameras: &studio{}}, nil)
	if res := newCaller(t, "wang", "right").ask("GET", h.base+"/cam1/ptz", "", ""); res.StatusCode != http.StatusNoContent {
		t.Errorf("who may: %s", res.Status)
	}
	if res := newCaller(t, "li", "other").ask("GET", h.base+"/cam1/ptz", "", ""); res.StatusCode != http.StatusForbidden || res.text != "cam1 is not for li\n" {
		t.Errorf("who may not: %s %s", res.Status, res.text)
	}
	h = newRig(t, ServerConfig{}, nil)
	for _, method := range []string{"GET", "POST"} {
		if res := newCaller(t, "wang", "right").ask(method, h.base+"/cam1/ptz", "application/json", aMove); res.StatusCode != http.StatusNotFound {
			t.Errorf("without cameras, %s: %s", method, res.Status)
		}
	}
}

// Whoever asks as fast as he can has a camera told no more often than a page of many
// buttons, and nobody else waits for him.
func TestFloodOfCommandsIsRefused(t *testing.T) {
	s := &studio{}
	h := newRig(t, ServerConfig{Cameras: s}, nil)
	c, li := newCaller(t, "wang", "right"), newCaller(t, "li", "other")
	began, refused := time.Now(), 0
	for range 4 * paceBurst {
		switch res := c.ask("POST", h.base+"/cam1/ptz", "application/json", aMove); {
		case res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "1":
			refused++
		case res.StatusCode != http.StatusNoContent:
			t.Fatal(res.Status)
		}
	}
	most := paceBurst + int(time.Since(began)/paceEvery) + 1
	if n := len(s.taken()); n > most || n < min(paceBurst, most) || n+refused != 4*paceBurst {
		t.Errorf("moved %d times, want %d at most; refused %d", n, most, refused)
	}
	if res := li.ask("POST", h.base+"/cam1/ptz", "application/json", aMove); res.StatusCode != http.StatusNoContent {
		t.Errorf("another user: %s", res.Status)
	}
}

func TestPaceIsThatOfEachUser(t *testing.T) {
	p, now := newPace(), time.Now()
	count := func(user string) (n int) {
		for p.let(user, now) {
			n++
		}
		return n
	}
	if n := count("wang"); n != paceBurst {
		t.Errorf("%d at once", n)
	}
	now = now.Add(10 * paceEvery)
	if a, b := count("wang"), count("li"); a != 10 || b != paceBurst {
		t.Errorf("later %d, another %d", a, b)
	}
	now = now.Add(time.Hour)
	if n := count("wang"); n != paceBurst {
		t.Errorf("after a rest %d", n)
	}
	now = now.Add(time.Hour)
	for i := range mostPaced {
		p.let(fmt.Sprint(i), now)
	}
	if len(p.free) > mostPaced {
		t.Errorf("%d are remembered", len(p.free))
	}
}

func TestServerEndsThoughACameraDoesNotAnswer(t *testing.T) {
	s := &studio{wait: true}
	srv, err := NewServer(ServerConfig{Listen: "127.0.0.1:0", Media: "127.0.0.1:0", Cameras: s, Users: &people{all: map[string]string{"wang": "right"}},
		Streams: func(context.Context, string, string) (*media.Stream, func(), error) { return nil, nil, ErrNotFound }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	at, err := srv.Addr(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, "wang", "right")
	if res := c.ask("GET", "http://"+at.String()+"/cam1/ptz", "", ""); res.StatusCode != http.StatusNoContent {
		t.Fatal(res.Status)
	}
	a, err := c.session.Answer("POST", "/cam1/ptz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+at.String()+"/cam1/ptz", strings.NewReader(aMove))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", a.Header)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := c.client.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	until(t, "the camera is asked", func() bool { return len(s.taken()) > 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-answered
}

// The page says again what goes on before the domain ends it, and stops in whatever
// way it is left.
func TestPageStopsWhatItMoves(t *testing.T) {
	for _, want := range []string{
		"sayEvery = 400", "keepalive: true", "addEventListener('blur', letGo)", "addEventListener('pagehide', letGo)", "'visibilitychange'",
		"onpointercancel", "onlostpointercapture", "touch-action: none", `role="status"`,
	} {
		if !strings.Contains(player, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	pad, _, _ := strings.Cut(player[strings.Index(player, `<section id="pad"`):], "</section>")
	if !strings.Contains(strings.SplitN(pad, "\n", 2)[0], " hidden>") {
		t.Error("the pad is there before it is known whether the user may")
	}
	buttons := 0
	for _, line := range strings.Split(pad, "\n") {
		if !strings.HasPrefix(line, "<button") {
			continue
		}
		if buttons++; !strings.Contains(line, `aria-label="`) {
			t.Errorf("no name that can be read: %s", line)
		}
	}
	if buttons != 8+1+4+2 {
		t.Errorf("%d buttons", buttons)
	}
}

// FuzzCommand reads anything as a command.
func FuzzCommand(f *testing.F) {
	f.Add(aMove)
	f.Add(`{"action":"preset","number":255}`)
	f.Add(`{"action":"lens","focus":-1e2,"iris":9223372036854775808}`)
	f.Add(`{"ACTION":"stop","action":"lens-stop"} `)
	f.Add(strings.Repeat(`[`, maxCommand))
	f.Add(`{"action":"` + strings.Repeat(`\u0000`, 150) + `"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxCommand {
			return
		}
		var c Command
		var err error
		cost.Bound(t, func() { c, err = parseCommand(text) })
		if err != nil {
			if r := (*Refusal)(nil); !errors.As(err, &r) || r.Status != http.StatusBadRequest || len(r.Reason) > 1000 || c != (Command{}) {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := parseCommand(string(again)); d != c || err != nil {
			t.Fatalf("%+v, %+v, %v", c, d, err)
		}
	})
}
