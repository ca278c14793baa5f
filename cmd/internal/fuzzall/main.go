// Command fuzzall runs every fuzz target of the module for a given time each, as
// many side by side as there are processors. It finds them itself, so that a new target cannot be
// forgotten; it fails when one crashed, when a package does not compile, and
// when there was nothing to run. Its last line is "N passed, N failed".
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// slack is what a target gets above its time: compiling, its seeds, shrinking a crasher.
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
	passed, failed := runner{dir: ".", each: *each, match: match, out: os.Stdout}.all(ctx)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// A runner fuzzes the targets of the module around dir that match accepts.
type runner struct {
	dir   string
	each  time.Duration
	match *regexp.Regexp
	out   io.Writer
}

// all counts the targets that ran clean and those that did not; a package whose
// targets cannot be listed counts as one that failed.
func (r runner) all(ctx context.Context) (passed, failed int) {
	out, err := r.command(ctx, "-json", "-list", "^Fuzz", "./...").Output()
	targets, broken := list(bytes.NewReader(out))
	for _, pkg := range broken {
		fmt.Fprintf(r.out, "FAIL  %s: does not compile\n", pkg)
		failed++
	}
	if err != nil && len(broken) == 0 {
		fmt.Fprintln(r.out, "FAIL  go test -list:", err)
		failed++
	}
	targets = slices.DeleteFunc(targets, func(t target) bool { return !r.match.MatchString(t.pkg + "." + t.name) })
	clean := r.sideBySide(ctx, targets)
	return passed + clean, failed + len(targets) - clean
}

// sideBySide fuzzes the targets, as many at a time as there are processors, each
// with one worker, and counts those that ran clean.
func (r runner) sideBySide(ctx context.Context, targets []target) (clean int) {
	var wg sync.WaitGroup
	next, done := make(chan target), make(chan result)
	for range runtime.NumCPU() {
		wg.Go(func() {
			for t := range next {
				done <- r.fuzz(ctx, t)
			}
		})
	}
	wg.Go(func() {
		for _, t := range targets {
			next <- t
		}
		close(next)
	})
	for range targets {
		res := <-done
		fmt.Fprintln(r.out, res.line)
		if res.clean {
			clean++
		}
	}
	wg.Wait()
	return clean
}

// A result is how one target ended, and what to say of it.
type result struct {
	line  string
	clean bool
}

func (r runner) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
	cmd.Dir = r.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that its workers end too
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// A target is one fuzz function.
type target struct{ pkg, name string }

// list reads the output of go test -json -list: the targets in its order, and
// the packages that failed.
func list(r io.Reader) (targets []target, broken []string) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var event struct{ Action, Package, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue // the go command's own words between the events
		}
		name := strings.TrimSpace(event.Output)
		switch {
		case event.Action == "output" && strings.HasPrefix(name, "Fuzz") && !strings.ContainsAny(name, " \t"):
			targets = append(targets, target{event.Package, name})
		case event.Action == "fail":
			broken = append(broken, event.Package)
		}
	}
	return targets, broken
}

// fuzz runs one target; it says one line, or everything when it failed.
func (r runner) fuzz(ctx context.Context, t target) result {
	ctx, cancel := context.WithTimeout(ctx, r.each+slack)
	defer cancel()
	start := time.Now()
	out, err := r.command(ctx, "-run", "^$", "-parallel", "1", "-fuzz", "^"+t.name+"$",
		"-fuzztime", r.each.String(), "-fuzzminimizetime", "20x", t.pkg).CombinedOutput()
	if err != nil {
		return result{line: fmt.Sprintf("FAIL  %s.%s: %v\n%s", t.pkg, t.name, err, out)}
	}
	took := time.Since(start).Round(100 * time.Millisecond)
	return result{fmt.Sprintf("ok    %s.%s %s (%s)", t.pkg, t.name, executions(out), took), true}
}

// executions is how many inputs the last progress line reports.
func executions(out []byte) string {
	all := regexp.MustCompile(`execs: \d+`).FindAll(out, -1)
	if len(all) == 0 {
		return "execs: 0"
	}
	return string(all[len(all)-1])
}
