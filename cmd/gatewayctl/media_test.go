package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/footage"
)

// send answers with footage; a cause breaks it off by the trailer.
func send(parts [][]byte, cause string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", api.Trailer)
		for _, p := range parts {
			w.Write(p)
			http.NewResponseController(w).Flush()
		}
		if cause != "" {
			w.Header().Set(api.Trailer, cause)
		}
	}
}

func parts(n int) [][]byte {
	head, fragments := clip(n)
	return append([][]byte{head}, fragments...)
}

// left lists the files of a folder.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// pictures counts the pictures of a file, which must be whole.
func pictures(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := footage.NewReader(bytes.NewReader(b))
	for n := 0; ; n++ {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatalf("%s, picture %d: %v", path, n, err)
		}
	}
}

func TestFootageBecomesAFileWhenItIsComplete(t *testing.T) {
	for _, args := range [][]string{{"live", channel1, "--for", "3s"}, {"play", channel1, "-1h", "+3s"}} {
		dir := t.TempDir()
		file := filepath.Join(dir, "x.mp4")
		r := runner{fake: serve(t, send(parts(3), ""))}.run(append(args, "-o", file)...)
		if want := file + ": 3s, "; r.status != exitGood || !strings.HasPrefix(r.out, want) || r.errOut != "" {
			t.Errorf("%s: status %d, %q, %s", args[0], r.status, r.out, r.errOut)
		}
		if got := left(t, dir); len(got) != 1 || pictures(t, file) != 3 {
			t.Errorf("%s: files %q, %d pictures", args[0], got, pictures(t, file))
		}
	}
}

// TestSubStreamIsAskedForWhereItIsWanted.
func TestSubStreamIsAskedForWhereItIsWanted(t *testing.T) {
	for _, args := range [][]string{{"--for", "3s"}, {"--for", "3s", "--sub"}} {
		asked := ""
		answer := send(parts(3), "")
		f := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked = r.FormValue("profile")
			answer(w, r)
		})
		r := runner{fake: f}.run(append([]string{"live", channel1, "-o", filepath.Join(t.TempDir(), "x.mp4")}, args...)...)
		if want := map[int]string{2: "", 3: "sub"}[len(args)]; r.status != exitGood || asked != want {
			t.Errorf("%q: status %d, asked for %q: %s", args, r.status, asked, r.errOut)
		}
	}
}

func TestFootageToStandardOutputIsNothingElse(t *testing.T) {
	all := bytes.Join(parts(2), nil)
	r := runner{fake: serve(t, send(parts(2), ""))}.run("play", channel1, "-1h", "now", "-o", "-")
	if r.status != exitGood || r.out != string(all) {
		t.Errorf("status %d, %d bytes of %d, %s", r.status, len(r.out), len(all), r.errOut)
	}
}

// A pipe whose reader pauses for longer than --timeout is no silence of the daemon.
func TestSlowPipeIsWaitedFor(t *testing.T) {
	all := bytes.Join(parts(2000), nil) // more than a pipe holds
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan int, 1)
	go func() {
		f, err := os.Open(pipe)
		if err != nil {
			read <- -1
			return
		}
		defer f.Close()
		<-time.After(500 * time.Millisecond)
		b, _ := io.ReadAll(f)
		read <- len(b)
	}()
	r := runner{fake: serve(t, send(parts(2000), ""))}.run("play", channel1, "-1h", "now", "--timeout", "200ms", "-o", pipe)
	if n := <-read; r.status != exitGood || n != len(all) {
		t.Errorf("status %d, %d bytes of %d, %s", r.status, n, len(all), r.errOut)
	}
}

func TestFootageReportAsJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.mp4")
	r := runner{fake: serve(t, send(parts(2), ""))}.run("--json", "play", channel1, "-1h", "now", "-o", file)
	got := strictly[struct {
		Channel, File string
		Bytes         int
		Seconds       float64
	}](t, r.out)
	if got.Channel != channel1 || got.File != file || got.Seconds != 2 || got.Bytes != len(bytes.Join(parts(2), nil)) {
		t.Errorf("%+v", got)
	}
}

// torn cuts the last fragment in two.
func TestSpeedIsAskedFor(t *testing.T) {
	for speed, status := range map[string]int{"1": exitGood, "32": exitGood, "33": exitUsage, "-1": exitUsage} {
		f := serve(t, send(parts(2), ""))
		r := runner{fake: f}.run("play", channel1, "-1h", "now", "-o", "-", "--speed", speed)
		if r.status != status {
			t.Errorf("%s: status %d, %s", speed, r.status, r.errOut)
		}
		if status == exitGood && !strings.HasSuffix((<-f.asked).line, "&speed="+speed+"&to=2026-03-01T12%3A00%3A00%2B08%3A00") {
			t.Errorf("%s was not asked for", speed)
		}
	}
}

func torn(n int) [][]byte {
	p := parts(n)
	last := p[len(p)-1]
	return append(p[:len(p)-1], last[:len(last)/2])
}

func TestFootageThatBreaksOffIsAFailureAndIsKept(t *testing.T) {
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		args  []string
		want  string
		kept  int // pictures; 0: no file; -1: as the machine's load has it
	}{
		"refused on the way": {send(torn(3), `{"level":"`+level3+`","error":"480 Temporarily Unavailable"}`),
			[]string{"live", channel1}, "live " + channel1 + ": refused by " + level3 + ": 480 Temporarily Unavailable", 2},
		"words":            {send(parts(2), "volume full"), []string{"play", channel1, "-1h", "now"}, "volume full", 2},
		"before a picture": {send(parts(0), "no picture"), []string{"live", channel1}, "no picture", 0},
		"nothing":          {send(nil, ""), []string{"play", channel1, "-1h", "now"}, "no footage came", 0},
		"too soon":         {send(parts(3), ""), []string{"live", channel1, "--for", "10s"}, "ended after 3s of 10s", 3},
		"by itself":        {send(parts(3), ""), []string{"live", channel1}, "ended by itself after 3s", 3},
		"connection gone": {func(w http.ResponseWriter, r *http.Request) {
			send(parts(1), "")(w, r)
			panic(http.ErrAbortHandler)
		}, []string{"play", channel1, "-1h", "now"}, "unexpected EOF", 1},
		"silence": {func(w http.ResponseWriter, r *http.Request) {
			send(parts(1), "")(w, r)
			<-r.Context().Done()
		}, []string{"live", channel1, "--timeout", "50ms"}, "nothing came for 50ms (--timeout)", -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "x.mp4")
			r := runner{fake: serve(t, tc.serve)}.run(append(tc.args, "-o", file)...)
			if r.status != exitFailed || !strings.Contains(r.errOut, tc.want+"\n") || r.out != "" {
				t.Errorf("status %d, %s, want %s", r.status, r.errOut, tc.want)
			}
			files := left(t, dir)
			if tc.kept == 0 || tc.kept < 0 && len(files) == 0 {
				if len(files) != 0 {
					t.Errorf("left %q", files)
				}
				return
			}
			if len(files) != 1 || files[0] == "x.mp4" || !strings.Contains(r.errOut, "what came is kept in "+dir+"/"+files[0]) {
				t.Fatalf("left %q, said %s", files, r.errOut)
			}
			if n := pictures(t, filepath.Join(dir, files[0])); n != tc.kept && tc.kept > 0 {
				t.Errorf("kept %d pictures, want %d", n, tc.kept)
			}
		})
	}
}

func TestOldFileSurvivesAFailure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.mp4")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	runner{fake: serve(t, send(parts(1), "broken"))}.run("live", channel1, "-o", file)
	if b, _ := os.ReadFile(file); string(b) != "old" {
		t.Errorf("the old file holds %q", b)
	}
}

// A stopper is a handler that sends torn footage and then has the user press Ctrl-C.
func stopper(p [][]byte, stop context.CancelFunc, seen *footageSeen) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		send(p, "")(w, r)
		seen.wait(len(bytes.Join(p, nil)))
		stop()
		<-r.Context().Done()
	}
}

// footageSeen waits until a file in a folder has so many bytes.
type footageSeen struct{ dir string }

func (f *footageSeen) wait(size int) {
	for {
		entries, _ := os.ReadDir(f.dir)
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Size() >= int64(size) {
				return
			}
		}
	}
}

func TestInterruptEndsLiveWell(t *testing.T) {
	for name, tc := range map[string]struct {
		parts  [][]byte
		status int
		want   int
	}{
		"with pictures": {torn(4), exitGood, 3},
		"with none":     {parts(0), exitFailed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ctx, stop := context.WithCancel(t.Context())
			f := serve(t, stopper(tc.parts, stop, &footageSeen{dir}))
			file := filepath.Join(dir, "x.mp4")
			r := runner{fake: f, ctx: ctx}.run("live", channel1, "-o", file)
			if r.status != tc.status {
				t.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
			}
			files := left(t, dir)
			if tc.want == 0 {
				if len(files) != 0 {
					t.Errorf("left %q", files)
				}
				return
			}
			if len(files) != 1 || pictures(t, file) != tc.want {
				t.Errorf("files %q, %d pictures", files, pictures(t, file))
			}
		})
	}
}

func TestInterruptOfPlayIsAFailure(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	f := serve(t, stopper(torn(2), stop, &footageSeen{dir}))
	r := runner{fake: f, ctx: ctx}.run("play", channel1, "-1h", "now", "-o", filepath.Join(dir, "x.mp4"))
	if want := fmt.Sprintf("gatewayctl: play %s: interrupted\n", channel1); r.status != exitFailed || !strings.HasPrefix(r.errOut, want) {
		t.Errorf("status %d, %s", r.status, r.errOut)
	}
	if files := left(t, dir); len(files) != 1 || pictures(t, filepath.Join(dir, files[0])) != 1 {
		t.Errorf("left %q", files)
	}
}

func TestProgressIsForTerminalsOnly(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		f := serve(t, send(parts(2), ""))
		r := runner{fake: f, terminal: terminal}.run("live", channel1, "--for", "2s", "-o", "-")
		shown := strings.Contains(r.errOut, "waiting") && strings.HasSuffix(r.errOut, "\r\x1b[K")
		if shown != terminal || !terminal && r.errOut != "" || r.status != exitGood {
			t.Errorf("terminal %v: status %d, %q", terminal, r.status, r.errOut)
		}
	}
}
