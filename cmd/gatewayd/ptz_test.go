package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
)

// A helm is the domain as whoever moves cameras meets it.
type helm struct {
	users  *users
	began  time.Time
	answer func(n int, in domain.PTZAsked) (domain.Effect, time.Duration) // to the n-th command, how late; nil: none

	mu    sync.Mutex
	asked []domain.PTZAsked
	log   []string        // when, and what
	left  []domain.Ticket // in no order
}

func newHelm(answer func(n int, in domain.PTZAsked) (domain.Effect, time.Duration)) *helm {
	h := &helm{began: time.Now(), answer: answer}
	h.users = newUsers(func(ev domain.Event) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch ev := ev.(type) {
		case domain.PTZAsked:
			h.asked = append(h.asked, ev)
			h.log = append(h.log, fmt.Sprint(time.Since(h.began), " ", ev.Command))
			if e, late := h.answer(len(h.asked)-1, ev); e != nil {
				time.AfterFunc(late, func() { h.users.Tell(e) })
			}
		case domain.WatchOut:
			h.left = append(h.left, ev.Ticket)
		}
		return true
	})
	return h
}

// obeys answers everything at once.
func obeys(_ int, in domain.PTZAsked) (domain.Effect, time.Duration) {
	return domain.Done{Ticket: in.Ticket}, 0
}

// late is as obeys, over a long way.
func late(_ int, in domain.PTZAsked) (domain.Effect, time.Duration) {
	return domain.Done{Ticket: in.Ticket}, 1300 * time.Millisecond
}

// except answers the n-th command with err, or not at all, and obeys the others.
func except(n int, err error) func(int, domain.PTZAsked) (domain.Effect, time.Duration) {
	return func(i int, in domain.PTZAsked) (domain.Effect, time.Duration) {
		switch {
		case i != n:
			return obeys(i, in)
		case err == nil:
			return nil, 0
		}
		return domain.Denied{Ticket: in.Ticket, Err: err}, 0
	}
}

func silent(int, domain.PTZAsked) (domain.Effect, time.Duration) { return nil, 0 }

// steer sends a command to a camera and returns the answer.
func (h *helm) steer(ctx context.Context, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, api.PathPTZ+string(camera1), strings.NewReader(body))
	(&control{users: h.users}).routes().ServeHTTP(w, r)
	return w
}

// check compares what was asked, and that nothing is left of it.
func (h *helm) check(t *testing.T, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := cmp.Diff(want, h.log); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
	var tickets []domain.Ticket
	for _, a := range h.asked {
		tickets = append(tickets, a.Ticket)
	}
	slices.Sort(h.left)
	if !slices.Equal(tickets, h.left) || len(h.users.waiting) != 0 {
		t.Errorf("tickets %v, left %v, waiting %d", tickets, h.left, len(h.users.waiting))
	}
}

// refusalOf reads an answer: nothing of one that was obeyed.
func refusalOf(t *testing.T, w *httptest.ResponseRecorder) (e api.Error) {
	t.Helper()
	if w.Code == http.StatusOK {
		return e
	}
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Status != w.Code {
		t.Errorf("%d, %s: %v", w.Code, w.Body, err)
	}
	return e
}

func TestMovementIsRepeatedUntilItIsStopped(t *testing.T) {
	below := &domain.Refused{Level: districtCode, Status: 403, Reason: "Held"}
	for name, tc := range map[string]struct {
		answer  func(int, domain.PTZAsked) (domain.Effect, time.Duration)
		command string
		want    []string
		cause   string
		takes   time.Duration
	}{
		"for a while": {obeys, `"action":"move","pan":-40,"for":"2s"`,
			[]string{"0s left 102", "500ms left 102", "1s left 102", "1.5s left 102", "2s stop"}, "", 2 * time.Second},
		"without a word": {obeys, `"action":"move","tilt":100,"zoom":1`,
			[]string{"0s up 255 zoom in 1", "500ms up 255 zoom in 1", "1s stop"}, "", time.Second},
		"a moment": {obeys, `"action":"move","zoom":-100,"for":"10ms"`, []string{"0s zoom out 15", "10ms stop"}, "", 10 * time.Millisecond},
		"and a bit": {obeys, `"action":"move","pan":1,"for":"501ms"`,
			[]string{"0s right 3", "500ms right 3", "501ms stop"}, "", 501 * time.Millisecond},
		"the lens alone": {obeys, `"action":"lens","focus":-50,"iris":100`,
			[]string{"0s focus near 128 iris open 255", "500ms focus near 128 iris open 255", "1s lens stop"}, "", time.Second},
		"over a long way": {late, `"action":"move","pan":100,"for":"1500ms"`,
			[]string{"0s right 255", "500ms right 255", "1s right 255", "1.5s stop"}, "", 2800 * time.Millisecond},
		"shorter than the way": {late, `"action":"move","pan":100,"for":"400ms"`,
			[]string{"0s right 255", "400ms stop"}, "", 1700 * time.Millisecond},
		"refused": {except(0, domain.ErrHeld), `"action":"move","pan":100`, []string{"0s right 255"}, "another moves the camera", 0},
		"refused in the middle": {except(2, below), `"action":"move","pan":100,"for":"30s"`,
			[]string{"0s right 255", "500ms right 255", "1s right 255"}, "403 Held", time.Second},
		"not stopped": {except(2, domain.ErrPeerOffline), `"action":"move","pan":100`,
			[]string{"0s right 255", "500ms right 255", "1s stop"}, "domain is offline", time.Second},
		"the first is not answered": {except(0, nil), `"action":"move","pan":100,"for":"900ms"`,
			[]string{"0s right 255", "500ms right 255", "900ms stop"}, "", 900 * time.Millisecond},
		"only the stop is answered": {except(0, nil), `"action":"move","pan":100,"for":"300ms"`,
			[]string{"0s right 255", "300ms stop"}, "no answer in time", 300*time.Millisecond + ptzWithin},
		"nothing is answered": {silent, `"action":"move","pan":100,"for":"300ms"`,
			[]string{"0s right 255", "300ms stop"}, "no answer in time", 300*time.Millisecond + ptzWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHelm(tc.answer)
				e := refusalOf(t, h.steer(t.Context(), `{"user":"wang",`+tc.command+`}`))
				if took := time.Since(h.began); e.Cause != tc.cause || took != tc.takes {
					t.Errorf("%q after %s, want %q after %s", e.Cause, took, tc.cause, tc.takes)
				}
				if below := tc.cause == "403 Held"; (e.Level == districtCode) != below {
					t.Errorf("refused by %q", e.Level)
				}
				h.check(t, tc.want...)
			})
		})
	}
}

func TestMovementStopsWhenNobodyWaitsForIt(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(int, domain.PTZAsked) (domain.Effect, time.Duration)
		takes  time.Duration
	}{"obeyed": {obeys, 700 * time.Millisecond}, "silent": {silent, 700*time.Millisecond + haltWithin}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, goAway := context.WithCancel(t.Context())
				time.AfterFunc(700*time.Millisecond, goAway)
				h := newHelm(tc.answer)
				h.steer(ctx, `{"action":"move","pan":100,"for":"30s","user":"wang"}`)
				if took := time.Since(h.began); took != tc.takes {
					t.Errorf("took %s", took)
				}
				h.check(t, "0s right 255", "500ms right 255", "700ms stop")
				h.steer(ctx, `{"action":"move","pan":100,"for":"30s","user":"wang"}`)
				if len(h.asked) != 3 {
					t.Errorf("who has gone already moved it: %v", h.log)
				}
			})
		})
	}
}

// Everybody waits when the inbox is full: the movement is not gone on with.
func TestMovementEndsWhereTheDomainIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHelm(obeys)
		post := h.users.post
		h.users.post = func(ev domain.Event) bool {
			if _, asks := ev.(domain.PTZAsked); asks && len(h.asked) == 1 {
				return false
			}
			return post(ev)
		}
		e := refusalOf(t, h.steer(t.Context(), `{"action":"move","pan":100,"for":"30s","user":"wang"}`))
		if e.Status != http.StatusServiceUnavailable || len(h.asked) != 1 || len(h.users.waiting) != 0 {
			t.Errorf("%+v, asked %v", e, h.log)
		}
	})
}

// What holds a camera is said with every repetition of a movement, and not with its
// stop: a hold alone would be no stop.
func TestCommandsReachTheDomainAsTheyWereSaid(t *testing.T) {
	who := domain.PTZAsked{User: "wang", Channel: camera1}
	with := func(change func(*domain.PTZAsked)) domain.PTZAsked {
		a := who
		change(&a)
		return a
	}
	moved := with(func(a *domain.PTZAsked) {
		a.Command.Pan, a.Rank, a.Hold = domain.Axis{Dir: domain.Left, Speed: 128}, 7, time.Minute
	})
	for body, want := range map[string][]domain.PTZAsked{
		`"action":"move","pan":-50,"for":"501ms","rank":7,"hold":"60s"`: {moved, moved, with(func(a *domain.PTZAsked) { a.Rank = 7 })},
		`"action":"stop"`:                        {who},
		`"action":"lens-stop"`:                   {with(func(a *domain.PTZAsked) { a.Command.Action = domain.PTZLens })},
		`"action":"hold","hold":"10m","rank":99`: {with(func(a *domain.PTZAsked) { a.Hold, a.Rank = 10*time.Minute, 99 })},
		`"action":"release"`:                     {with(func(a *domain.PTZAsked) { a.Hold = -1 })},
		`"action":"preset","number":255,"hold":"1s"`: {with(func(a *domain.PTZAsked) {
			a.Command, a.Hold = domain.PTZ{Action: domain.PresetCall, Number: 255}, time.Second
		})},
		`"action":"preset-set","number":1`:                       {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.PresetSet, Number: 1} })},
		`"action":"preset-delete","number":2`:                    {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.PresetDelete, Number: 2} })},
		`"action":"cruise"`:                                      {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.CruiseStart} })},
		`"action":"cruise-add","number":3,"preset":4`:            {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.CruiseAdd, Number: 3, Preset: 4} })},
		`"action":"cruise-delete","number":3,"preset":4`:         {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.CruiseDelete, Number: 3, Preset: 4} })},
		`"action":"cruise-delete","number":3`:                    {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.CruiseDelete, Number: 3} })},
		`"action":"cruise-speed","number":3,"speed":4095`:        {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.CruiseSpeed, Number: 3, Value: 4095} })},
		`"action":"cruise-dwell","number":3,"dwell_seconds":300`: {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.CruiseDwell, Number: 3, Value: 300} })},
		`"action":"scan","number":5`:                             {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.ScanStart, Number: 5} })},
		`"action":"scan-left","number":5`:                        {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.ScanLeft, Number: 5} })},
		`"action":"scan-right","number":5`:                       {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.ScanRight, Number: 5} })},
		`"action":"scan-speed","number":5,"speed":1`:             {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.ScanSpeed, Number: 5, Value: 1} })},
		`"action":"aux-on","number":1`:                           {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.AuxOn, Number: 1} })},
		`"action":"aux-off","number":1`:                          {with(func(a *domain.PTZAsked) { a.Command = domain.PTZ{Action: domain.AuxOff, Number: 1} })},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHelm(obeys)
			if w := h.steer(t.Context(), `{"user":"wang",`+body+`}`); w.Code != http.StatusOK {
				t.Errorf("%s: %d %s", body, w.Code, w.Body)
			}
			for i := range h.asked {
				h.asked[i].Ticket = 0
				if !h.asked[i].Command.Valid() {
					t.Errorf("%s: %+v is not valid", body, h.asked[i].Command)
				}
			}
			if d := cmp.Diff(want, h.asked); d != "" {
				t.Errorf("%s: %s", body, d)
			}
		})
	}
}

func TestAnswerIsTheCommandWithWhatItDidNotSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHelm(obeys).steer(t.Context(), `{"action":"move","pan":-40,"user":"wang"}`)
		want := `{"channel":"` + string(camera1) + `","action":"move","pan":-40,"for":"1s","user":"wang"}` + "\n"
		if d := cmp.Diff(want, w.Body.String()); d != "" {
			t.Error(d)
		}
	})
}

func TestSpeedsArePercentOfFullSpeed(t *testing.T) {
	for _, tc := range []struct {
		percent, full int
		want          domain.Axis
	}{
		{0, fullSpeed, domain.Axis{}}, {1, fullSpeed, domain.Axis{Dir: 1, Speed: 3}}, {-50, fullSpeed, domain.Axis{Dir: -1, Speed: 128}},
		{100, fullSpeed, domain.Axis{Dir: 1, Speed: 255}}, {-100, fullSpeed, domain.Axis{Dir: -1, Speed: 255}},
		{1, fullZoom, domain.Axis{Dir: 1, Speed: 1}}, {-3, fullZoom, domain.Axis{Dir: -1, Speed: 1}},
		{50, fullZoom, domain.Axis{Dir: 1, Speed: 8}}, {100, fullZoom, domain.Axis{Dir: 1, Speed: 15}},
	} {
		if got := axis(tc.percent, tc.full); got != tc.want {
			t.Errorf("%d%% of %d: %+v, want %+v", tc.percent, tc.full, got, tc.want)
		}
	}
}

func TestCommandsThatMakeNoSenseAreTold(t *testing.T) {
	for body, want := range map[string]string{
		``:                                   `body: EOF`,
		`{"action":"stop","user":"w"} {}`:    `body: more than one value`,
		`{"action":"stop","user":"w","x":1}`: `body: json: unknown field "x"`,
		`{"action":"dance"}`: `action="dance": want move, lens, stop, lens-stop, preset, preset-set, preset-delete, cruise, cruise-add, ` +
			`cruise-delete, cruise-speed, cruise-dwell, scan, scan-left, scan-right, scan-speed, aux-on, aux-off, hold, release`,
		`{"action":"move","user":"w"}`: `move: want pan, tilt or zoom`,
		`{"action":"move","pan":101,"tilt":-101,"iris":5,"for":"31s","hold":"x","rank":100}`: "pan=101: want -100 to 100\ntilt=-101: want -100 to 100\nmove takes no iris\n" +
			"for=\"31s\": want a duration such as 2s, up to 30s\nhold=\"x\": want a duration such as 2s, up to 10m0s\n" +
			"user=\"\": want who moves the camera, in 64 bytes at most\nrank=100: want 0 to 99",
		fmt.Sprintf(`{"action":"move","user":"w","pan":%d}`, math.MinInt):    fmt.Sprintf("pan=%d: want -100 to 100", math.MinInt),
		`{"action":"lens","user":"w","pan":1,"for":"0s"}`:                    "lens takes no pan\nlens: want focus or iris\nfor=\"0s\": want a duration such as 2s, up to 30s",
		`{"action":"stop","user":"w","for":"1s","hold":"1s"}`:                "stop takes no for\nstop takes no hold",
		`{"action":"release","user":"w","hold":"1s"}`:                        `release takes no hold`,
		`{"action":"hold","user":"w"}`:                                       `hold="": want a duration such as 2s, up to 10m0s`,
		`{"action":"hold","user":"w","hold":"601s"}`:                         `hold="601s": want a duration such as 2s, up to 10m0s`,
		`{"action":"hold","user":"w","hold":"-1s"}`:                          `hold="-1s": want a duration such as 2s, up to 10m0s`,
		`{"action":"preset","user":"w"}`:                                     `number=0: want 1 to 255`,
		`{"action":"preset","user":"w","number":256,"preset":1}`:             "number=256: want 1 to 255\npreset takes no preset",
		`{"action":"cruise-add","user":"w","number":256}`:                    "number=256: want 0 to 255\npreset=0: want 1 to 255",
		`{"action":"cruise-speed","user":"w","speed":4096}`:                  `speed=4096: want 1 to 4095`,
		`{"action":"cruise-dwell","user":"w","speed":5}`:                     "cruise-dwell takes no speed\ndwell_seconds=0: want 1 to 4095",
		`{"action":"stop","user":"a\nb","rank":-1}`:                          "user=\"a\\nb\": want who moves the camera, in 64 bytes at most\nrank=-1: want 0 to 99",
		`{"action":"stop","user":"` + strings.Repeat("w", maxAsker+1) + `"}`: `user="` + strings.Repeat("w", maxAsker+1) + `": want who moves the camera, in 64 bytes at most`,
		`{"action":"stop","user":"` + strings.Repeat("w", maxPTZBody) + `"}`: `body: http: request body too large`,
	} {
		h := newHelm(obeys)
		e := refusalOf(t, h.steer(t.Context(), body))
		if d := cmp.Diff(want, e.Cause); d != "" || e.Status != http.StatusBadRequest || len(h.asked) > 0 {
			t.Errorf("%.80s: %d, asked %v\n%s", body, e.Status, h.log, d)
		}
	}
	w := httptest.NewRecorder()
	(&control{}).routes().ServeHTTP(w, httptest.NewRequest(http.MethodPost, api.PathPTZ+"gate", strings.NewReader(`{"action":"stop","user":"w"}`)))
	if e := refusalOf(t, w); e.Status != http.StatusBadRequest || !strings.Contains(e.Cause, "gate") {
		t.Errorf("no channel: %+v", e)
	}
}

// TestCallerThatHangsUpStopsTheCamera: on a real connection, which ends as that of a
// program that is killed.
func TestCallerThatHangsUpStopsTheCamera(t *testing.T) {
	const command = `{"action":"move","pan":100,"for":"30s","user":"wang"}`
	head := "POST " + api.PathPTZ + string(camera1) + " HTTP/1.1\r\nHost: gateway\r\n"
	for name, request := range map[string]string{
		"length": fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(command), command),
		"chunks": fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(command), command),
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan domain.PTZ, 100)
			h := newHelm(func(n int, in domain.PTZAsked) (domain.Effect, time.Duration) {
				asked <- in.Command
				return obeys(n, in)
			})
			l, err := net.Listen("unix", filepath.Join(stateDir(t), "s"))
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: (&control{users: h.users}).routes()}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(l) }()
			conn, err := net.Dial("unix", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte(request)); err != nil {
				t.Fatal(err)
			}
			if first := <-asked; !first.Moves() {
				t.Fatalf("%v", first)
			}
			conn.Close()
			for stopped, late := false, time.After(20*time.Second); !stopped; {
				select {
				case c := <-asked:
					stopped = c.Stops()
				case <-late:
					t.Fatal("it moves on")
				}
			}
			srv.Shutdown(t.Context())
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
}
