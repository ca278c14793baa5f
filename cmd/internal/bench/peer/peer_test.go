package peer

import (
	"os"
	"path/filepath"
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
