package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestListFindsTargetsAndBrokenPackages(t *testing.T) {
	events := `{"Action":"start","Package":"m/a"}
{"Action":"output","Package":"m/a","Output":"FuzzOne\n"}
{"Action":"output","Package":"m/a","Output":"FuzzTwo\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.003s\n"}
{"Action":"pass","Package":"m/a"}
# m/b
{"ImportPath":"m/b","Action":"build-output","Output":"m/b/b.go:1: FuzzNot here\n"}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b [build failed]\n"}
{"Action":"fail","Package":"m/b"}
{"Action":"output","Package":"m/c","Output":"Fuzzy words\n"}
`
	targets, broken := list(strings.NewReader(events))
	if want := []target{{"m/a", "FuzzOne"}, {"m/a", "FuzzTwo"}}; !slices.Equal(targets, want) {
		t.Errorf("targets %v, want %v", targets, want)
	}
	if want := []string{"m/b"}; !slices.Equal(broken, want) {
		t.Errorf("broken %v, want %v", broken, want)
	}
}

func TestExecutionsIsTheLastCount(t *testing.T) {
	out := "fuzz: elapsed: 3s, execs: 12 (4/sec)\nfuzz: elapsed: 4s, execs: 345 (9/sec)\nPASS\n"
	if got := executions([]byte(out)); got != "execs: 345" {
		t.Errorf("got %q", got)
	}
	if got := executions(nil); got != "execs: 0" {
		t.Errorf("no progress line: got %q", got)
	}
}

// crashing is a module with a sound target, one that crashes on any input but
// its seed, and a package that does not compile.
var crashing = map[string]string{
	"go.mod": "module m\n\ngo 1.26\n",
	"a/a_test.go": `package a

import "testing"

func FuzzSound(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, n int) {}) }

func FuzzCrash(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) {
		if n != 1 {
			panic("crashed as it should")
		}
	})
}
`,
	"b/b_test.go": "package b\n\nvar x int = \"\"\n",
}

func TestAllCountsCrashersAndBrokenPackages(t *testing.T) {
	dir := t.TempDir()
	for name, text := range crashing {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	r := runner{dir: dir, each: time.Second, match: regexp.MustCompile("."), out: &out}
	if passed, failed := r.all(t.Context()); passed != 1 || failed != 2 {
		t.Errorf("%d passed, %d failed, want 1 and 2", passed, failed)
	}
	for _, want := range []string{"ok    m/a.FuzzSound", "FAIL  m/a.FuzzCrash", "crashed as it should", "FAIL  m/b: does not compile"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
