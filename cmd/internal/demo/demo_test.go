package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
)

// actor is the variable that makes the test program play a process; see TestMain.
const actor = "DEMO_TEST_ACTOR"

func TestMain(m *testing.M) {
	switch os.Getenv(actor) {
	case "":
		os.Exit(m.Run())
	case "dies":
		fmt.Fprintln(os.Stderr, "first words\nlast words")
		os.Exit(3)
	case "fails":
		wait()
		os.Exit(1)
	case "crashes":
		fmt.Fprint(os.Stderr, "ready\npanic: why\n"+strings.Repeat("trace\n", 100))
		os.Exit(2)
	case "obeys":
		wait()
	case "loads": // as a program does before it handles signals
		fmt.Fprintln(os.Stderr, "ready")
		<-time.After(time.Hour)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		<-time.After(time.Hour) // an empty select is a deadlock in a program without C
	}
}

func wait() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Fprintln(os.Stderr, "ready")
	<-stop
}

// play starts the test program in a role.
func play(t *testing.T, role string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), actor+"="+role)
	p, err := start(t.TempDir(), role, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ready waits until a role has said so.
func (p *process) ready() {
	for !strings.Contains(p.tail(), "ready") {
		select {
		case <-p.gone:
			return
		default:
		}
	}
}

func TestProcessThatDiesIsNamedWithItsLastWords(t *testing.T) {
	ctx, died := context.WithCancelCause(t.Context())
	p := play(t, "dies")
	p.watch(ctx, died)
	<-ctx.Done()
	if err := because(ctx, nil); err == nil || err.Error() != "dies died: exit status 3\n    first words\n    last words" {
		t.Errorf("said %v", err)
	}
}

func TestCrashIsShownFromItsCause(t *testing.T) {
	p := play(t, "crashes")
	<-p.gone
	if lines := strings.Split(p.tail(), "\n"); lines[0] != "    panic: why" || len(lines) != tailLines {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	if err := p.stop(time.Minute); err == nil || err.Error() != "crashes: had ended before: exit status 2" {
		t.Errorf("stop: %v", err)
	}
}

func TestStopSaysWhatDidNotEndWell(t *testing.T) {
	for role, want := range map[string]string{
		"obeys": "", "fails": "fails: exit status 1", "deaf": "still ran 300ms after SIGTERM",
	} {
		t.Run(role, func(t *testing.T) {
			patience := 300 * time.Millisecond
			if role != "deaf" {
				patience = time.Minute
			}
			p := play(t, role)
			p.ready()
			p.up = true
			err := p.stop(patience)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("stop: %v, want %q", err, want)
			}
			if p.group() {
				t.Error("still runs")
			}
		})
	}
}

// A Ctrl-C while everything starts is no fault.
func TestSignalEndsWhatWasNotUpYet(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for _, up := range []bool{false, true} {
			p := play(t, "loads")
			p.ready()
			p.up = up
			if err := p.stop(time.Minute); (err != nil) != up {
				t.Errorf("up %v: %v", up, err)
			}
			p = play(t, "loads")
			p.ready()
			p.up = up
			_ = p.cmd.Process.Signal(sig)
			<-p.gone
			if err := p.stop(time.Minute); (err != nil) != up {
				t.Errorf("%v before, up %v: %v", sig, up, err)
			}
		}
	}
}

func TestEveryConfigurationIsValid(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"gatewayd", "gatewayctl", "encodersim"} {
		if err := os.WriteFile(filepath.Join(bin, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, err := newSite(bin, "")
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range s.levels {
		f, err := config.Load(l.config())
		if err != nil {
			t.Errorf("%s: %v", l.english, err)
		}
		if f.Server.ControlSocket() != l.socket() {
			t.Errorf("%s: socket %s, want %s", l.english, f.Server.ControlSocket(), l.socket())
		}
		if len(f.Uppers) != min(i, 1) || len(f.Lowers) != min(district-i, 1) {
			t.Errorf("%s: %d uppers, %d lowers", l.english, len(f.Uppers), len(f.Lowers))
		}
		if i == district && (f.Discovery.Interfaces == nil || len(f.Discovery.Addresses) != len(encoderNames)) {
			t.Errorf("discovery would leave our network: %+v", f.Discovery)
		}
		if i != district && f.Discovery.Enabled {
			t.Errorf("%s looks for encoders", l.english)
		}
	}
	if err := s.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestAbsentProgramIsNamed(t *testing.T) {
	var out, errOut bytes.Buffer
	dir := t.TempDir()
	if code := run(t.Context(), []string{"-bin", dir}, &out, &errOut); code != 1 || !strings.Contains(errOut.String(), dir+"/gatewayd") {
		t.Errorf("status %d, %s", code, errOut.String())
	}
	if code := run(t.Context(), []string{"-x"}, &out, &errOut); code != 2 {
		t.Errorf("status %d for a wrong command line", code)
	}
}

// serve makes a level that answers from a map of paths.
func serve(t *testing.T, n int, answers map[string]any) *level {
	t.Helper()
	l := &level{code: levelNames[n].code, name: levelNames[n].name, english: levelNames[n].english, dir: t.TempDir()}
	socket, err := net.Listen("unix", l.socket())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(answers[r.URL.Path])
	}))
	srv.Listener.Close()
	srv.Listener = socket
	srv.Start()
	t.Cleanup(srv.Close)
	l.client = api.NewClient(l.socket())
	t.Cleanup(l.client.Close)
	return l
}

func TestLinksAreJudgedFromBothEnds(t *testing.T) {
	peer := func(n int, state string) []api.Peer { return []api.Peer{{Code: levelNames[n].code, State: state}} }
	for name, tc := range map[string]struct{ down, up, want string }{
		"both online":     {"online", "online", ""},
		"refused below":   {"online", "refused", "city says that province is refused"},
		"not seen above":  {"idle", "online", "province says that city is idle"},
		"district absent": {"online", "", "city does not know province"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{}
			middle := api.Status{Uppers: peer(province, tc.up), Lowers: peer(district, "online")}
			if tc.up == "" {
				middle.Uppers = nil
			}
			s.levels[province] = serve(t, province, map[string]any{api.PathStatus: api.Status{Lowers: peer(city, tc.down)}})
			s.levels[city] = serve(t, city, map[string]any{api.PathStatus: middle})
			s.levels[district] = serve(t, district, map[string]any{api.PathStatus: api.Status{Uppers: peer(city, "online")}})
			err := s.linked(t.Context())
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || strings.TrimSpace(err.Error()) != tc.want) {
				t.Errorf("linked: %v, want %q", err, tc.want)
			}
		})
	}
}

func TestChannelMustHangUnderItsDistrict(t *testing.T) {
	e := api.Encoder{Code: "33010600001320000001", Name: "断桥残雪"}
	node := func(change func(*api.Channel)) []api.Channel {
		n := api.Channel{ID: e.Code, Name: e.Name, Parent: levelNames[district].code, Online: true, Kind: "channel"}
		change(&n)
		return []api.Channel{
			n, {ID: levelNames[district].code, Name: "西湖区", Parent: levelNames[city].code}, {ID: levelNames[city].code, Name: "杭州市"},
		}
	}
	for name, tc := range map[string]struct {
		list []api.Channel
		want string
	}{
		"right":       {node(func(*api.Channel) {}), ""},
		"absent":      {nil, "does not list"},
		"mangled":     {node(func(n *api.Channel) { n.Name = "????" }), "calls"},
		"offline":     {node(func(n *api.Channel) { n.Online = false }), "offline"},
		"elsewhere":   {node(func(n *api.Channel) { n.Parent = levelNames[city].code }), "shows 断桥残雪 under"},
		"in a circle": {node(func(n *api.Channel) { n.Parent = n.ID }), "shows 断桥残雪 under"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{}
			s.levels[province] = serve(t, province, map[string]any{api.PathChannels: tc.list})
			err := s.listed(t.Context(), e)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("listed: %v, want %q", err, tc.want)
			}
		})
	}
}

func TestSharingAndIdlenessCountSessions(t *testing.T) {
	const channel = "33010600001320000001"
	one := api.Session{Channel: channel}
	other := api.Session{Channel: "33010600001320000002"}
	for name, tc := range map[string]struct {
		sessions     [3][]api.Session
		shared, idle bool
	}{
		"nobody":       {[3][]api.Session{}, false, true},
		"one viewer":   {[3][]api.Session{{one}, {one, one}, {one}}, true, false},
		"with another": {[3][]api.Session{{one, other}, {one, one}, {one}}, true, false},
		"not shared":   {[3][]api.Session{{one, one}, {one, one}, {one}}, false, false},
		"left over":    {[3][]api.Session{{}, {}, {one}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{}
			for i := range s.levels {
				s.levels[i] = serve(t, i, map[string]any{api.PathSessions: tc.sessions[i]})
			}
			if err := s.shared(t.Context(), channel); (err == nil) != tc.shared {
				t.Errorf("shared: %v", err)
			}
			if err := s.idle(t.Context()); (err == nil) != tc.idle {
				t.Errorf("idle: %v", err)
			}
		})
	}
}

func TestScoreCountsAndNames(t *testing.T) {
	var out bytes.Buffer
	var s score
	s.note(&out, "a", "3 ms", nil)
	s.note(&out, "b", "", nil)
	s.note(&out, "c", "ignored", errors.New("why\nmore"))
	want := "ok   a: 3 ms\nok   b\nFAIL c: why\n     more\n"
	if out.String() != want || s != (score{2, 1}) {
		t.Errorf("%+v\n%s", s, out.String())
	}
}
