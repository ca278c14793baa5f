package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"districtgateway/cmd/internal/api"
)

// snapshots serves pictures of a type.
func snapshots(t *testing.T, kind, body string) *fake {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Write([]byte(body))
	})
}

func TestSnapshotIsNamedByWhatItIs(t *testing.T) {
	for name, tc := range map[string]struct {
		kind, file, want, says string
	}{
		"JPEG":              {api.TypeJPEG, "", channel1 + ".jpg", "JPEG of the encoder"},
		"MP4":               {api.TypeMP4, "", channel1 + ".mp4", "the last key picture, MP4"},
		"no JPEG after all": {api.TypeMP4, "gate.JPG", "gate.mp4", "MP4"},
		"no MP4 after all":  {api.TypeJPEG, "a.b/gate.mp4", "a.b/gate.jpg", "JPEG"},
		"as wished":         {api.TypeJPEG, "gate.jpeg", "gate.jpeg", "JPEG"},
		"some other ending": {api.TypeMP4, "gate.picture", "gate.picture", "MP4"},
		"no ending":         {api.TypeMP4, "gate", "gate.mp4", "MP4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.Mkdir("a.b", 0o755); err != nil {
				t.Fatal(err)
			}
			args := []string{"snapshot", channel1}
			if tc.file != "" {
				args = append(args, "-o", tc.file)
			}
			r := runner{fake: snapshots(t, tc.kind, "picture")}.run(args...)
			if r.status != exitGood || !strings.HasPrefix(r.out, tc.want+": ") || !strings.Contains(r.out, tc.says) {
				t.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
			}
			if b, err := os.ReadFile(tc.want); err != nil || string(b) != "picture" {
				t.Errorf("%q, %v", b, err)
			}
			if left, _ := filepath.Glob(".snapshot-*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestSnapshotAsksForWhatIsWanted(t *testing.T) {
	f := snapshots(t, api.TypeMP4, "picture")
	if r := (runner{fake: f}).run("snapshot", channel1, "--sub", "-o", "-"); r.status != exitGood || r.out != "picture" || r.errOut != "" {
		t.Errorf("status %d, %q, %s", r.status, r.out, r.errOut)
	}
	if got := (<-f.asked).line; got != "GET "+api.PathSnapshot+channel1+"?profile=sub" {
		t.Error(got)
	}
	file := filepath.Join(t.TempDir(), "x.mp4")
	r := runner{fake: f}.run("snapshot", channel1, "--json", "-o", file)
	var answer struct {
		Channel, File, Type string
		Bytes               int
	}
	if err := json.Unmarshal([]byte(r.out), &answer); err != nil || answer.File != file || answer.Type != api.TypeMP4 || answer.Bytes != 7 {
		t.Errorf("%s: %v", r.out, err)
	}
}

func TestSnapshotThatFailsLeavesNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, f := range map[string]*fake{
		"refused": serve(t, noMedia),
		"empty":   snapshots(t, api.TypeMP4, ""),
		"broken": serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", api.Trailer)
			w.Write([]byte("pic"))
			w.Header().Set(api.Trailer, `{"status":504,"error":"no media in time"}`)
		}),
	} {
		r := runner{fake: f}.run("snapshot", channel1)
		left, _ := os.ReadDir(".")
		if r.status != exitFailed || r.errOut == "" || len(left) > 0 {
			t.Errorf("%s: status %d, %s, left %v", name, r.status, r.errOut, left)
		}
	}
	if r := (runner{fake: snapshots(t, api.TypeMP4, "x")}).run("snapshot", channel1, "-o", "no/such/folder.mp4"); r.status != exitFailed {
		t.Errorf("status %d", r.status)
	}
}
