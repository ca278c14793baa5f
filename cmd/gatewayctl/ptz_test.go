package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/internal/api"
)

func TestCameraCommandsAreReadFromWords(t *testing.T) {
	for words, want := range map[string]api.PTZ{
		"left":                           {Action: "move", Pan: -50, For: "1s"},
		"right":                          {Action: "move", Pan: 50, For: "1s"},
		"left up in --speed 100":         {Action: "move", Pan: -100, Tilt: 100, Zoom: 100, For: "1s"},
		"--for 2s out down --speed=1":    {Action: "move", Tilt: -1, Zoom: -1, For: "2s"},
		"near open":                      {Action: "lens", Focus: -50, Iris: 50, For: "1s"},
		"close far --for 30s":            {Action: "lens", Focus: 50, Iris: -50, For: "30s"},
		"stop":                           {Action: "stop"},
		"preset 255":                     {Action: "preset", Number: 255},
		"preset set 3":                   {Action: "preset-set", Number: 3},
		"preset delete 3":                {Action: "preset-delete", Number: 3},
		"cruise 0":                       {Action: "cruise"},
		"cruise add 1 5":                 {Action: "cruise-add", Number: 1, Preset: 5},
		"cruise delete 1":                {Action: "cruise-delete", Number: 1},
		"cruise delete 1 5":              {Action: "cruise-delete", Number: 1, Preset: 5},
		"cruise speed 1 7":               {Action: "cruise-speed", Number: 1, Speed: 7},
		"cruise dwell 1 20":              {Action: "cruise-dwell", Number: 1, Dwell: 20},
		"scan 2":                         {Action: "scan", Number: 2},
		"scan left 2":                    {Action: "scan-left", Number: 2},
		"scan right 2":                   {Action: "scan-right", Number: 2},
		"scan speed 2 9":                 {Action: "scan-speed", Number: 2, Speed: 9},
		"aux 1 on":                       {Action: "aux-on", Number: 1},
		"aux 1 off":                      {Action: "aux-off", Number: 1},
		"hold 60s --rank 10 --user li":   {Action: "hold", Hold: "60s", User: "li", Rank: 10},
		"release":                        {Action: "release"},
		"up --rank 99 --user guard-room": {Action: "move", Tilt: 50, For: "1s", User: "guard-room", Rank: 99},
	} {
		if want.User == "" {
			want.User = "wang"
		}
		f := serve(t, noMedia)
		r := runner{fake: f}.run(append([]string{"ptz", channel1}, strings.Fields(words)...)...)
		if r.status != exitGood || r.errOut != "" || !strings.HasPrefix(r.out, channel1+": ") {
			t.Errorf("%s: status %d, %s%s", words, r.status, r.out, r.errOut)
			continue
		}
		got := <-f.asked
		if d := cmp.Diff(want, strictly[api.PTZ](t, got.body)); d != "" || got.line != "POST "+api.PathPTZ+channel1 {
			t.Errorf("%s: %s %s", words, got.line, d)
		}
	}
}

func TestWrongCameraCommandsAreTold(t *testing.T) {
	for words, want := range map[string]string{
		"":                   "want CHANNEL COMMAND... [--for D]",
		"dance":              `"dance": want left, right, up, down, in, out, near, far, open, close, stop, preset, cruise, scan, aux, hold or release`,
		"left jump":          `"jump": want left, right,`,
		"left right":         "left right: want one of left and right, up and down, in and out, near and far, open and close",
		"up up":              "up up: want one of",
		"left near":          "left near: want to move the camera or to set its lens, one after the other",
		"open in":            "open in: want to move",
		"left up in far out": "left up in far out: want to move",
		"stop now":           "stop now: want stop\n",
		"preset":             "preset: want preset N, preset set N, preset delete N\n",
		"preset set":         "preset set: want preset N, preset set N, preset delete N\n",
		"preset five":        "preset five: want preset N,",
		"preset store 5":     "preset store 5: want preset N,",
		"cruise 1 2":         "cruise 1 2: want cruise N, cruise add N PRESET,",
		"cruise add 1 2 3":   "cruise add 1 2 3: want cruise N,",
		"cruise dwell 1 20s": "cruise dwell 1 20s: want cruise N,",
		"scan left":          "scan left: want scan N, scan left N,",
		"aux 1":              "aux 1: want aux N on, aux N off",
		"aux 1 up":           "aux 1 up: want aux N on, aux N off",
		"hold":               "hold: want hold D",
		"hold on":            "hold on: want hold D",
		"release 5":          "release 5: want release",
		"left --speed 0":     "--speed 0: want 1 to 100",
		"left --speed 101":   "--speed 101: want 1 to 100",
		"left --speed fast":  "invalid value",
		"left --for 0s":      "--for 0s: want more than 0, up to 30s",
		"left --for 31s":     "--for 31s: want more than 0, up to 30s",
		"left --rank 100":    "--rank 100: want 0 to 99",
		"stop --for 2s":      "--for: stop is no movement",
		"preset 5 --speed 9": "--speed: preset 5 is no movement",
	} {
		f := serve(t, noMedia)
		r := runner{fake: f}.run(append([]string{"ptz", channel1}, strings.Fields(words)...)...)
		if r.status != exitUsage || !strings.HasPrefix(r.errOut, "gatewayctl: ptz: ") || !strings.Contains(r.errOut, want) || len(f.asked) > 0 {
			t.Errorf("%s: status %d, %q, want %q", words, r.status, r.errOut, want)
		}
	}
}

// interrupted has a movement interrupted, and returns what the daemon was asked besides.
// The stop that follows is answered with a status; 0: not at all.
func interrupted(t *testing.T, status int, words ...string) (result, []api.PTZ) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	hungUp := make(chan struct{})
	f, asked := &fake{socket: filepath.Join(t.TempDir(), "s")}, make(chan api.PTZ, 10)
	f.listen(t, func(w http.ResponseWriter, r *http.Request) {
		var in api.PTZ
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		asked <- in
		switch {
		case in.For == "" && status == 0:
			<-r.Context().Done()
			return
		case in.For == "":
			w.WriteHeader(status)
			if status == http.StatusOK {
				json.NewEncoder(w).Encode(api.PTZDone{Channel: channel1, PTZ: in})
				return
			}
			json.NewEncoder(w).Encode(api.Error{Status: status, Level: level2, Cause: "403 Held"})
			return
		}
		interrupt()
		<-r.Context().Done()
		close(hungUp)
	})
	r := runner{fake: f, ctx: ctx}.run(append([]string{"ptz", channel1}, words...)...)
	<-hungUp // the daemon notices
	var all []api.PTZ
	for len(asked) > 0 {
		all = append(all, <-asked)
	}
	return r, all
}

func TestInterruptStopsTheCameraAndIsSuccess(t *testing.T) {
	for words, stop := range map[string]string{"left up --for 30s --rank 7": api.PTZStop, "near --for 30s --rank 7": api.PTZLensStop} {
		r, asked := interrupted(t, http.StatusOK, strings.Fields(words)...)
		said := strings.TrimSuffix(words, " --for 30s --rank 7")
		if want := channel1 + ": " + said + " for 30s, interrupted, done\n"; r.status != exitGood || r.out != want || r.errOut != "" {
			t.Errorf("status %d, %q, want %q; %s", r.status, r.out, want, r.errOut)
		}
		if want := (api.PTZ{Action: stop, User: "wang", Rank: 7}); len(asked) != 2 || asked[1] != want {
			t.Errorf("%s: asked %+v, want at last %+v", words, asked, want)
		}
	}
}

func TestInterruptThatDoesNotStopTheCameraIsTold(t *testing.T) {
	r, _ := interrupted(t, http.StatusBadGateway, "left", "--for", "30s")
	want := "gatewayctl: ptz " + channel1 + ": interrupted, but it does not stop: refused by " + level2 + ": 403 Held\n"
	if r.status != exitFailed || r.errOut != want {
		t.Errorf("status %d, %q, want %q", r.status, r.errOut, want)
	}
	r, _ = interrupted(t, 0, "left", "--for", "30s", "--timeout", "100ms")
	want = "gatewayctl: ptz " + channel1 + ": interrupted, but nobody says that it stands\n"
	if r.status != exitFailed || r.errOut != want {
		t.Errorf("status %d, %q, want %q", r.status, r.errOut, want)
	}
}

func TestCommandThatIsNoMovementIsOnlyInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	r := runner{fake: serve(t, noMedia), ctx: ctx}.run("ptz", channel1, "preset", "5")
	if want := "gatewayctl: ptz " + channel1 + ": interrupted\n"; r.status != exitFailed || r.errOut != want {
		t.Errorf("status %d, %q, want %q", r.status, r.errOut, want)
	}
}

func TestMovementShowsItsProgress(t *testing.T) {
	r := runner{fake: serve(t, noMedia), terminal: true}.run("ptz", channel1, "left", "--for", "2s")
	if r.status != exitGood || !strings.HasPrefix(r.errOut, "\rmoving "+channel1+": 0s of 2s\x1b[K") || !strings.HasSuffix(r.errOut, "\r\x1b[K") {
		t.Errorf("status %d, %q", r.status, r.errOut)
	}
}

func TestMovementAnswersItselfAsJSON(t *testing.T) {
	r := runner{fake: serve(t, noMedia)}.run("ptz", channel1, "left", "--json")
	if d := cmp.Diff(obeyed, strictly[api.PTZDone](t, r.out)); d != "" || r.status != exitGood {
		t.Errorf("status %d, %s%s", r.status, r.errOut, d)
	}
}

func TestAccountHasAName(t *testing.T) {
	if u, err := user.Current(); err == nil && accountName() != u.Username || accountName() == "" {
		t.Errorf("%q, %+v, %v", accountName(), u, err)
	}
}
