package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"districtgateway/cmd/internal/api"
)

func TestProfileIsSavedAsItCame(t *testing.T) {
	f := &fake{socket: filepath.Join(t.TempDir(), "s")}
	asked := make(chan string, 9)
	f.listen(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		w.Write([]byte("profile\x00\xff"))
	})
	file := filepath.Join(t.TempDir(), "cpu")
	if r := (runner{fake: f}).run("profile", api.ProfileProcessor, "-o", file, "--for", "3s"); r.status != exitGood || !strings.Contains(r.out, "9 bytes") {
		t.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
	}
	if got := <-asked; got != api.PathProfile+"cpu?for=3s" {
		t.Errorf("asked for %s", got)
	}
	if data, err := os.ReadFile(file); string(data) != "profile\x00\xff" {
		t.Errorf("%q, %v", data, err)
	}
	if r := (runner{fake: f}).run("profile", api.ProfileMemory, "-o", "-"); r.out != "profile\x00\xff" {
		t.Errorf("%q", r.out)
	}
	for _, args := range [][]string{{"profile", "cpu"}, {"profile", "-o", "x"}, {"profile", "heap", "-o", "x", "--for", "1s"}} {
		if r := (runner{fake: f}).run(args...); r.status != exitUsage {
			t.Errorf("%q: status %d", args, r.status)
		}
	}
}
