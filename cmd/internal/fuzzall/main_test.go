package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

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
// its seed, a package that does not compile, and one without targets.
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
	"b/b_test.go": "package b_test\n\nimport \"testing\"\n\nfunc FuzzNever(f *testing.F) { f.Add(\"\" + 1) }\n",
	"c/c_test.go": "package c\n\nimport \"testing\"\n\nfunc TestNothing(t *testing.T) {}\n",
}

// module writes the files of a module.
func module(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAllCountsCrashersAndBrokenPackages(t *testing.T) {
	var out bytes.Buffer
	r := runner{module: module(t, crashing), each: time.Second, match: regexp.MustCompile("."), out: &out}
	passed, failed, err := fuzz(t.Context(), r)
	if err != nil || passed != 1 || failed != 2 {
		t.Errorf("%d passed, %d failed, %v, want 1 and 2", passed, failed, err)
	}
	for _, want := range []string{"ok    m/a.FuzzSound execs: ", "FAIL  m/a.FuzzCrash", "crashed as it should", "FAIL  m/b: does not compile"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestOnlyWhatMatchesIsFuzzed(t *testing.T) {
	var out bytes.Buffer
	r := runner{module: module(t, crashing), each: 100 * time.Millisecond, match: regexp.MustCompile("^m/a.FuzzS"), out: &out}
	passed, _, err := fuzz(t.Context(), r)
	if err != nil || passed != 1 || strings.Contains(out.String(), "FuzzCrash") {
		t.Errorf("%d passed, %v\n%s", passed, err, out.String())
	}
}

func TestEndOfItsTimeIsNoFailure(t *testing.T) {
	const head = "fuzz: elapsed: 10s, execs: 481 (9/sec), new interesting: 0 (total: 1)\n"
	for text, want := range map[string]bool{
		head + "--- FAIL: FuzzSound (10.11s)\n    context deadline exceeded\nFAIL\n":                                                                                                true,
		head + "--- FAIL: FuzzSound (3.11s)\n    --- FAIL: FuzzSound (0.00s)\n        a_test.go:5: context deadline exceeded\n    Failing input written to testdata/fuzz/x\nFAIL\n": false,
		head + "--- FAIL: FuzzSound (10.11s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\n    Failing input written to x\nFAIL\n":                           false,
		head + "panic: context deadline exceeded\n": false,
		"": false,
	} {
		if got := timeUp([]byte(text)); got != want {
			t.Errorf("%v for\n%s", got, text)
		}
	}
}
