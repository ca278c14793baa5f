package main

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/internal/api"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got; go test -update writes it):\n%s", path, d)
	}
}

func TestEveryVerbShowsItsAnswer(t *testing.T) {
	for name, args := range map[string][]string{
		"status": {"status"}, "peers": {"peers"}, "channels": {"channels"}, "tree": {"channels", "--tree"},
		"encoders": {"encoders"}, "streams": {"streams"}, "stream": {"streams", channel1}, "no-stream": {"streams", channel2}, "help-streams": {"help", "streams"}, "help-snapshot": {"help", "snapshot"}, "sessions": {"sessions"},
		"records":  {"records", channel1, "-1h", "now"},
		"discover": {"discover", "--for", "1s"},
		"import":   {"import", "-"}, "replace": {"replace", channel1, "02:00:00:00:00:07"}, "refresh": {"refresh", level2},
		"leave": {"leave", level2}, "join": {"join", level2}, "help-leave": {"help", "leave"},
		"user": {"user"}, "help-user": {"help", "user"}, "user-role": {"user", "role", "wang", "viewer"}, "user-remove": {"user", "remove", "wang"},
		"diff": {"config", "diff", "-"},
		"ptz":  {"ptz", channel1, "left", "up", "--for", "2s", "--rank", "7"}, "help-ptz": {"help", "ptz"},
		"help": {"help"}, "help-live": {"help", "live"}, "help-records": {"records", "--help"},
	} {
		t.Run(name, func(t *testing.T) {
			r := runner{fake: serve(t, noMedia)}.run(args...)
			if r.status != exitGood || r.errOut != "" {
				t.Errorf("status %d, %s", r.status, r.errOut)
			}
			golden(t, name, r.out)
		})
	}
}

// strictly decodes JSON into a T, and says so if T does not have what it holds.
func strictly[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Errorf("%v in %s", err, text)
	}
	return v
}

func TestJSONIsTheAnswerItself(t *testing.T) {
	check := func(path string, got func(t *testing.T, text string) any, args ...string) {
		t.Run(args[0], func(t *testing.T) {
			r := runner{fake: serve(t, noMedia)}.run(append(args, "--json")...)
			if r.status != exitGood || r.errOut != "" {
				t.Fatalf("status %d, %s", r.status, r.errOut)
			}
			if d := cmp.Diff(answers["GET "+path], got(t, r.out)); d != "" {
				t.Errorf("answer changed on its way:\n%s", d)
			}
		})
	}
	check(api.PathStatus, func(t *testing.T, s string) any { return strictly[api.Status](t, s) }, "status")
	check(api.PathPeers, func(t *testing.T, s string) any { return strictly[[]api.Peer](t, s) }, "peers")
	check(api.PathChannels, func(t *testing.T, s string) any { return strictly[[]api.Channel](t, s) }, "channels")
	check(api.PathEncoders, func(t *testing.T, s string) any { return strictly[[]api.Encoder](t, s) }, "encoders")
	check(api.PathStreams, func(t *testing.T, s string) any { return strictly[[]api.Stream](t, s) }, "streams")
	check(api.PathSessions, func(t *testing.T, s string) any { return strictly[[]api.Session](t, s) }, "sessions")
	check(api.PathDiscover, func(t *testing.T, s string) any { return strictly[[]api.Found](t, s) }, "discover")
	check(api.PathRecords+channel1, func(t *testing.T, s string) any { return strictly[api.Recordings](t, s) }, "records", channel1, "-1h", "now")
}

func TestLeavingAnswersTheLinkAsJSON(t *testing.T) {
	r := runner{fake: serve(t, noMedia)}.run("leave", level2, "--json")
	if d := cmp.Diff(departed, strictly[api.Peer](t, r.out)); d != "" || r.status != exitGood {
		t.Errorf("status %d, %s%s", r.status, r.errOut, d)
	}
}

// TestLeavingShowsItsProgress: on a terminal, with what the upper says, and wiped away
// at the end.
func TestLeavingShowsItsProgress(t *testing.T) {
	f, asked := &fake{socket: filepath.Join(t.TempDir(), "s")}, make(chan struct{}, 9)
	f.listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == api.PathPeers {
			json.NewEncoder(w).Encode([]api.Peer{{Code: level1, State: "leaving", Reason: "leaving: 403 Forbidden"},
				{Code: level2, State: "leaving", Reason: "leaving: 486 Busy Here"}})
			asked <- struct{}{}
			return
		}
		<-asked
		<-asked // what it said first is shown by now
		json.NewEncoder(w).Encode(departed)
	})
	r := runner{fake: f, terminal: true}.run("leave", level2)
	begins, ends := strings.HasPrefix(r.errOut, "\rleaving "+level2+": 0s of 5m00s\x1b[K"), strings.HasSuffix(r.errOut, "\r\x1b[K")
	if !begins || !ends || !strings.Contains(r.errOut, " of 5m00s, 486 Busy Here\x1b[K") || r.status != exitGood {
		t.Errorf("status %d, %q", r.status, r.errOut)
	}
}

func TestNothingIsAnEmptyJSONList(t *testing.T) {
	f := &fake{socket: filepath.Join(t.TempDir(), "s")}
	f.listen(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("null")) })
	if r := (runner{fake: f}).run("sessions", "--json"); r.out != "[]\n" {
		t.Errorf("no sessions are %q", r.out)
	}
	if r := (runner{fake: f}).run("sessions"); r.out != "no sessions\n" {
		t.Errorf("no sessions are %q", r.out)
	}
}

func TestRequestsCarryWhatWasSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want request
	}{
		"range": {[]string{"records", channel1, "2026-03-01 08:00", "+5m"}, request{
			line: "GET /v1/records/" + channel1 + "?from=2026-03-01T08%3A00%3A00%2B08%3A00&to=2026-03-01T08%3A05%3A00%2B08%3A00"}},
		"everywhere": {[]string{"records", channel1, "2026-03-01 08:00", "+5m", "--everywhere"}, request{
			line: "GET /v1/records/" + channel1 + "?everywhere=1&from=2026-03-01T08%3A00%3A00%2B08%3A00&to=2026-03-01T08%3A05%3A00%2B08%3A00"}},
		"time":            {[]string{"--timeout", "9s", "discover", "--for=3s"}, request{line: "GET /v1/discover?for=3s"}},
		"list":            {[]string{"import", "-"}, request{"POST /v1/encoders", "standard input"}},
		"replace":         {[]string{"replace", "c", "i"}, request{"PUT /v1/encoders", `{"code":"c","identity":"i"}`}},
		"replace, unseen": {[]string{"replace", "--force", "c", "i"}, request{"PUT /v1/encoders", `{"code":"c","identity":"i","force":true}`}},
		"leave":           {[]string{"leave", level2}, request{line: "POST /v1/leave/" + level2 + "?for=5m0s"}},
		"force":           {[]string{"leave", "--force", level2, "--for", "90s"}, request{line: "POST /v1/leave/" + level2 + "?for=1m30s&force=1"}},
		"join":            {[]string{"join", level2}, request{line: "POST /v1/join/" + level2}},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, noMedia)
			r := runner{fake: f, stdin: "standard input"}.run(tc.args...)
			if got := <-f.asked; got != tc.want || r.status != exitGood {
				t.Errorf("asked %+v, want %+v; status %d, %s", got, tc.want, r.status, r.errOut)
			}
		})
	}
}

func TestFailuresNameWhatAndWhy(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "none")
	for name, tc := range map[string]struct {
		status int
		want   string
		args   []string
	}{
		"refused above": {exitFailed, "gatewayctl: live busy: refused by " + level1 + ": 486 Busy Here (encoder busy)\n",
			[]string{"live", "busy", "-o", absent}},
		"refused here": {exitFailed, "gatewayctl: live none: no such channel\n", []string{"live", "none", "-o", absent}},
		"not let go": {exitFailed, "gatewayctl: leave " + level1 + ": refused by " + level1 + ": 486 Busy Here\n" +
			"gatewayctl: leave " + level1 + ": not left in 5m00s, still registered with; --force leaves all the same\n", []string{"leave", level1}},
		"not an upper": {exitFailed, "gatewayctl: leave " + level3 + ": no such upper domain is configured\n", []string{"leave", level3}},
		"not let in":   {exitFailed, "gatewayctl: join " + level1 + ": refused by " + level1 + ": 403 Forbidden\n", []string{"join", level1}},
		"no patience":  {exitUsage, "gatewayctl: leave: --for 0s: want more than 0, up to 24h\nTry: gatewayctl help leave\n", []string{"leave", "x", "--for", "0s"}},
		"wrong code":   {exitFailed, "gatewayctl: refresh nobody: code \"nobody\": want 20 digits\n", []string{"refresh", "nobody"}},
		"not running": {exitFailed, "gatewayctl: status: gatewayd is not running: nothing answers at " + absent + "\n",
			[]string{"--socket", absent, "status"}},
		"incomplete": {exitFailed, "gatewayctl: records " + channel2 + ": incomplete: the owner sent fewer recordings than it announced\n",
			[]string{"records", channel2, "-1m", "now"}},
		"no file":     {exitFailed, "gatewayctl: import " + absent + ": no such file or directory\n", []string{"import", absent}},
		"no place":    {exitFailed, "gatewayctl: live busy: " + absent + "/x.mp4: no such file or directory\n", []string{"live", "busy", "-o", absent + "/x.mp4"}},
		"no verb":     {exitUsage, "gatewayctl: want a verb\nTry: gatewayctl help\n", nil},
		"wrong verb":  {exitUsage, "gatewayctl: no verb \"stat\"; did you mean status?\nTry: gatewayctl help\n", []string{"stat"}},
		"other verb":  {exitUsage, "gatewayctl: no verb \"x\"\nTry: gatewayctl help\n", []string{"x"}},
		"option":      {exitUsage, "gatewayctl: peers: flag provided but not defined: -x\nTry: gatewayctl help peers\n", []string{"peers", "-x"}},
		"argument":    {exitUsage, "gatewayctl: peers: unexpected argument \"x\"\nTry: gatewayctl help peers\n", []string{"peers", "x"}},
		"no argument": {exitUsage, "gatewayctl: records: want CHANNEL FROM TO [--everywhere]\nTry: gatewayctl help records\n", []string{"records", "x"}},
		"no target":   {exitUsage, "gatewayctl: live: want -o FILE, or -o - for standard output\nTry: gatewayctl help live\n", []string{"live", "x"}},
		"two outputs": {exitUsage, "gatewayctl: live: --json and -o -: both want standard output\nTry: gatewayctl help live\n", []string{"live", "x", "-o", "-", "--json"}},
		"backwards": {exitUsage, "gatewayctl: records: FROM 2026-03-01 12:00:00 is not before TO 2026-03-01 11:59:00\nTry: gatewayctl help records\n",
			[]string{"records", "x", "now", "-1m"}},
		"held above":      {exitFailed, "gatewayctl: ptz " + channel2 + ": refused by " + level2 + ": 403 Held\n", []string{"ptz", channel2, "left"}},
		"does not move":   {exitFailed, "gatewayctl: ptz fixed: camera cannot do that\n", []string{"ptz", "fixed", "cruise", "1"}},
		"two faults":      {exitFailed, "gatewayctl: ptz bad: number=0: want 1 to 255\ngatewayctl: ptz bad: preset takes no for\n", []string{"ptz", "bad", "preset", "0"}},
		"wrong action":    {exitUsage, "gatewayctl: config: \"x\": want check, show or diff\nTry: gatewayctl help config\n", []string{"config", "x"}},
		"check of what":   {exitUsage, "gatewayctl: config: check: want FILE\nTry: gatewayctl help config\n", []string{"config", "check"}},
		"no time at all":  {exitUsage, "gatewayctl: status: --timeout -1s: want more than 0\nTry: gatewayctl help status\n", []string{"status", "--timeout", "-1s"}},
		"endless listen":  {exitUsage, "gatewayctl: discover: --for 2h0m0s: want up to 1m\nTry: gatewayctl help discover\n", []string{"discover", "--for", "2h"}},
		"daemon too old":  {exitFailed, "gatewayctl: play " + channel1 + ": 404 Not Found\n", []string{"play", channel1, "-2m", "-1m", "-o", absent}},
		"no length":       {exitUsage, "gatewayctl: live: --for 0s: want more than 0\nTry: gatewayctl help live\n", []string{"live", "x", "-o", "y", "--for", "0s"}},
		"negative length": {exitUsage, "gatewayctl: live: --for -1s: want more than 0\nTry: gatewayctl help live\n", []string{"live", "x", "-o", "y", "--for", "-1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := runner{fake: serve(t, noMedia)}.run(tc.args...)
			if r.status != tc.status || r.errOut != tc.want {
				t.Errorf("status %d, want %d\ngot  %swant %s", r.status, tc.status, r.errOut, tc.want)
			}
			if _, err := os.Stat(absent); err == nil {
				t.Error("left a file")
			}
		})
	}
}

func TestDaemonThatDoesNotAnswerIsGivenUp(t *testing.T) {
	hang := make(chan struct{})
	f := serve(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	r := runner{fake: f}.run("records", "silent", "-1m", "now", "--timeout", "300ms")
	if want := "gatewayctl: records silent: no answer in time (--timeout)\n"; r.status != exitFailed || r.errOut != want {
		t.Errorf("status %d, %q, want %q", r.status, r.errOut, want)
	}
}

func TestVersionTellsBoth(t *testing.T) {
	r := runner{fake: serve(t, noMedia)}.run("version")
	if r.status != exitGood || !strings.HasPrefix(r.out, "gatewayctl  "+version+" ") || !strings.Contains(r.out, "\ngatewayd    v1.2.3  ") {
		t.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
	}
}

func TestVersionNeedsNoDaemon(t *testing.T) {
	r := runner{}.run("version", "--json", "--socket", filepath.Join(t.TempDir(), "none"))
	got := strictly[struct{ Program, Daemon *api.Version }](t, r.out)
	if r.status != exitGood || got.Program == nil || got.Program.Version != version || got.Daemon != nil {
		t.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
	}
}

const faulty = "[server]\nid = \"5\"\nnaem = \"x\"\nregion = \"33\"\n"

func TestConfigCheckTellsEveryFaultWithItsLine(t *testing.T) {
	r := runner{stdin: faulty}.run("config", "check", "-")
	want := "gatewayctl: config check -: line 2: server.id = \"5\": want 20 digits, got 1 characters\n" +
		"gatewayctl: config check -: line 3: server.naem: no such key; did you mean \"name\"?\n"
	if r.status != exitFailed || r.errOut != want || r.out != "" {
		t.Errorf("status %d\ngot  %swant %s", r.status, r.errOut, want)
	}
	r = runner{stdin: faulty}.run("config", "check", "-", "--json")
	got := strictly[struct {
		File   string
		Good   bool
		Faults []fault
	}](t, r.out)
	if d := cmp.Diff([]fault{
		{2, "server.id", `"5"`, "want 20 digits, got 1 characters"}, {3, "server.naem", "", `no such key; did you mean "name"?`},
	}, got.Faults); d != "" || got.Good || r.status != exitFailed {
		t.Errorf("status %d, good %v\n%s", r.status, got.Good, d)
	}
	path := filepath.Join(t.TempDir(), "good.toml")
	if err := os.WriteFile(path, []byte("[server]\nid = \"33010600002000000001\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := (runner{}).run("config", "check", path); r.status != exitGood || r.out != path+": good\n" {
		t.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
	}
}

func TestConfigShowIsTheFile(t *testing.T) {
	const text = "[server]\nname = \"西湖区\"\n"
	r := runner{fake: serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) })}.run("config", "show")
	if r.status != exitGood || r.out != text {
		t.Errorf("status %d, %q", r.status, r.out)
	}
}

// A helper of the shell relies on it: every verb explains itself, and in full.
func TestEveryVerbHasAManual(t *testing.T) {
	for _, v := range verbs() {
		r := runner{}.run(v.name, "-h")
		if r.status != exitGood {
			t.Errorf("%s -h: status %d", v.name, r.status)
		}
		for _, part := range []string{"NAME\n", "SYNOPSIS\n", "DESCRIPTION\n", "OPTIONS\n", "--json", "EXIT STATUS\n", "EXAMPLES\n"} {
			if !strings.Contains(r.out, part) {
				t.Errorf("the manual of %s has no %q", v.name, part)
			}
		}
		for line := range strings.Lines(r.out) {
			if len([]rune(line)) > 100 {
				t.Errorf("%s: long line %q", v.name, line)
			}
		}
	}
}

func TestStatusSaysOfServersForViewersWhyTheyAreNotOpen(t *testing.T) {
	for want, v := range map[string]api.Server{
		"off": {Kind: api.ServerRTSP, State: api.ServerOff},
		":8554, no user yet: gatewayctl user add": {Kind: api.ServerRTSP, Listen: ":8554", State: api.ServerNoUser},
		":8554, not open yet":                     {Kind: api.ServerRTSP, Listen: ":8554", State: api.ServerClosed},
		":8554, not open: address already in use": {Kind: api.ServerRTSP, Listen: ":8554", State: api.ServerClosed, Problem: "address already in use"},
		"http://:8889, media udp/tcp :8189, 1 browsers: media port: address already in use": {Kind: api.ServerWeb, Listen: ":8889", Media: ":8189",
			State: api.ServerOpen, Viewers: 1, Problem: "media port: address already in use"},
	} {
		if got := server(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
