package peer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryServerIsToldItsSourcesAndItsPort(t *testing.T) {
	for _, s := range All() {
		j := Job{Dir: t.TempDir(), Host: "127.80.1.2", Sources: []string{"rtsp://127.80.1.1:1/a/0"}, Record: s.Can().Record}
		args, err := s.Prepare(j)
		if err != nil || len(args) == 0 {
			t.Fatalf("%s: %q, %v", s.Name(), args, err)
		}
		files, err := filepath.Glob(filepath.Join(j.Dir, "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s wrote %q: %v", s.Name(), files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "8554") || !strings.HasPrefix(s.Variable, "PEER_") {
			t.Errorf("%s, %s:\n%s", s.Variable, s.Name(), text)
		}
		if told := s.URL(j, 0); !strings.HasPrefix(told, "rtsp://"+j.RTSP()+"/") {
			t.Errorf("%s is read at %s", s.Name(), told)
		}
		if j.Record && !strings.Contains(string(text), j.Recordings()) {
			t.Errorf("%s is not told where to record:\n%s", s.Name(), text)
		}
	}
}

func TestAServerIsThereUnderEachOfItsNamesOnce(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name())
	}
	slices.Sort(names)
	if want := []string{"ZLMediaKit", ZLMPrompt, ZLMPushed, "go2rtc", "mediamtx"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestOnlyWhoIsPushedToAsksForNothing(t *testing.T) {
	for _, s := range All() {
		if got := s.Can().Pushed; got != (s.Name() == ZLMPushed) {
			t.Errorf("%s is pushed to: %v", s.Name(), got)
		}
		if s.Variable != "PEER_ZLM" {
			continue
		}
		j := Job{Dir: t.TempDir(), Host: "127.80.1.2", Sources: []string{"rtsp://127.80.1.1:1/a/0"}}
		args, err := s.Prepare(j)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(args[1])
		if err != nil {
			t.Fatal(err)
		}
		if deaf := strings.Contains(string(text), "[http]\nport=0\n"); deaf != s.Can().Pushed {
			t.Errorf("%s has no HTTP port: %v", s.Name(), deaf)
		}
		if low := strings.Contains(string(text), "lowLatency=1\n"); low != (s.Name() == ZLMPrompt) {
			t.Errorf("%s has lowLatency: %v", s.Name(), low)
		}
		if err := s.Begin(t.Context(), j); (err == nil) != s.Can().Pushed { // nobody listens there
			t.Errorf("%s begins: %v", s.Name(), err)
		}
	}
}
