// Command fuzzall runs every fuzz target of the module for a given time each, as
// many side by side as there are processors. It finds them itself, so that a new target cannot be
// forgotten; it fails when one crashed, when a package with targets does not
// compile, and when there was nothing to run. Its last line is "N passed, N failed".
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// slack is what a target gets above its time: its seeds, shrinking a crasher.
const slack = 3 * time.Minute

func main() {
	each := flag.Duration("time", 10*time.Second, "how long each target is fuzzed")
	only := flag.String("only", ".", "regular expression that package.Target must match")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall: -only:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	passed, failed, err := fuzz(ctx, runner{module: ".", each: *each, match: match, out: os.Stdout})
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if err != nil || failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// fuzz runs r with a directory for its programs; inputs that were found stay in
// the cache of the go command, as they do with go test.
func fuzz(ctx context.Context, r runner) (passed, failed int, err error) {
	cache, err := command(ctx, r.module, "go", "env", "GOCACHE").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("go env: %w", err)
	}
	r.corpus = filepath.Join(strings.TrimSpace(string(cache)), "fuzz")
	if r.bin, err = os.MkdirTemp("", "fuzzall"); err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(r.bin)
	return r.all(ctx)
}

// A runner fuzzes the targets that match accepts.
type runner struct {
	module string // a directory of it
	bin    string // for the test programs
	corpus string // of inputs found before
	each   time.Duration
	match  *regexp.Regexp
	out    io.Writer
}

// A suite is a package with targets; its program is compiled once for all of them.
type suite struct {
	pkg, dir string
	program  string
}

// A target is one fuzz function.
type target struct {
	suite
	name string
}

// all counts the targets that ran clean and those that did not; a package with
// targets that does not compile counts as one that failed.
func (r runner) all(ctx context.Context) (passed, failed int, err error) {
	suites, err := r.suites(ctx)
	if err != nil {
		return 0, 0, err
	}
	var targets []target
	for list := range sideBySide(suites, func(s suite) result { return r.compile(ctx, s) }) {
		if list.line != "" {
			fmt.Fprintln(r.out, list.line)
			failed++
		}
		targets = append(targets, list.targets...)
	}
	slices.SortFunc(targets, func(a, b target) int { return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name)) })
	for res := range sideBySide(targets, func(t target) result { return r.fuzz(ctx, t) }) {
		fmt.Fprintln(r.out, res.line)
		if res.clean {
			passed++
		} else {
			failed++
		}
	}
	return passed, failed, nil
}

// sideBySide does the work, as much at a time as there are processors, and yields
// what came of it, whatever ends first.
func sideBySide[T any](work []T, do func(T) result) iter.Seq[result] {
	next, done := make(chan T, len(work)), make(chan result, len(work))
	for _, w := range work {
		next <- w
	}
	close(next)
	for range runtime.NumCPU() {
		go func() {
			for w := range next {
				done <- do(w)
			}
		}()
	}
	return func(yield func(result) bool) {
		for range work {
			if !yield(<-done) {
				return
			}
		}
	}
}

// A result is how one target ended, or what one package has; line says it.
type result struct {
	line    string
	clean   bool
	targets []target
}

// declares finds fuzz functions in the text of a test.
var declares = regexp.MustCompile(`(?m)^func Fuzz\w*\(`)

// suites finds the packages of the module that have fuzz functions.
func (r runner) suites(ctx context.Context) (found []suite, err error) {
	cmd := command(ctx, r.module, "go", "list", "-e", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", "./...")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		has := func(name string) bool {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			return err == nil && declares.Match(text)
		}
		if slices.ContainsFunc(append(p.TestGoFiles, p.XTestGoFiles...), has) {
			program := filepath.Join(r.bin, fmt.Sprintf("%d.test", len(found)))
			found = append(found, suite{pkg: p.ImportPath, dir: p.Dir, program: program})
		}
	}
}

// compile makes a package's test program, as go test -fuzz would, and lists the
// targets in it.
func (r runner) compile(ctx context.Context, s suite) result {
	out, err := command(ctx, r.module, "go", "test", "-c", "-vet=off", "-fuzz", ".", "-o", s.program, s.pkg).CombinedOutput()
	if err != nil {
		return result{line: fmt.Sprintf("FAIL  %s: does not compile: %v\n%s", s.pkg, err, out)}
	}
	out, err = command(ctx, s.dir, s.program, "-test.list", "^Fuzz").CombinedOutput()
	if err != nil {
		return result{line: fmt.Sprintf("FAIL  %s: cannot be listed: %v\n%s", s.pkg, err, out)}
	}
	var res result
	for _, name := range strings.Fields(string(out)) {
		if r.match.MatchString(s.pkg + "." + name) {
			res.targets = append(res.targets, target{s, name})
		}
	}
	return res
}

// fuzz runs one target with one worker; it says one line, or everything when it failed.
func (r runner) fuzz(ctx context.Context, t target) result {
	ctx, cancel := context.WithTimeout(ctx, r.each+slack)
	defer cancel()
	start := time.Now()
	out, err := command(ctx, t.dir, t.program, "-test.run", "^$", "-test.parallel", "1", "-test.fuzz", "^"+t.name+"$",
		"-test.fuzztime", r.each.String(), "-test.fuzzminimizetime", "20x",
		"-test.fuzzcachedir", filepath.Join(r.corpus, t.pkg)).CombinedOutput()
	took := time.Since(start).Round(100 * time.Millisecond)
	if err != nil && !(took >= r.each && timeUp(out)) {
		return result{line: fmt.Sprintf("FAIL  %s.%s: %v\n%s", t.pkg, t.name, err, out)}
	}
	return result{line: fmt.Sprintf("ok    %s.%s %s (%s)", t.pkg, t.name, executions(out), took), clean: true}
}

// timeUp reports whether a run that failed was only stopped by its own time: where
// that comes while a worker answers, the engine takes the end of its context for a
// failure. Whatever an input brings about is told with the input.
func timeUp(out []byte) bool {
	return regexp.MustCompile(`(?m)^--- FAIL: .*\n\s+context deadline exceeded\nFAIL$`).Match(out) &&
		!bytes.Contains(out, []byte("Failing input")) && !bytes.Contains(out, []byte("panic"))
}

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that its workers end too
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// executions is how many inputs the last progress line reports.
func executions(out []byte) string {
	all := regexp.MustCompile(`execs: \d+`).FindAll(out, -1)
	if len(all) == 0 {
		return "execs: 0"
	}
	return string(all[len(all)-1])
}
