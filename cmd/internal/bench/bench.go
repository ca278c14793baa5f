package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// A bench is what the measurements share.
type bench struct {
	root     string // of the module
	scratch  string // removed at the end
	logs     string
	gatewayd string
	encoders string // encodersim
	quick    bool
	soak     time.Duration // how long a soak is
	rigs     atomic.Int32
	fields   int
	peers    []entrant // whose programs are there
	progress io.Writer
	began    time.Time
}

// newBench makes the directories. The caller owes it a close.
func newBench(opt options, progress io.Writer) (*bench, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	b := &bench{root: filepath.Dir(strings.TrimSpace(string(mod))), quick: opt.quick, soak: opt.soak, progress: progress, began: time.Now()}
	// In the system's temporary directory: the path of a Unix socket has 107 bytes at most.
	if b.scratch, err = os.MkdirTemp("", "gwbench"); err != nil {
		return nil, err
	}
	if b.logs = opt.logs; b.logs == "" {
		b.logs = filepath.Join(b.scratch, "logs")
	}
	return b, os.MkdirAll(b.logs, 0o755)
}

func (b *bench) close() {
	if err := os.RemoveAll(b.scratch); err != nil {
		b.say("remove %s: %v", b.scratch, err)
	}
}

// say writes a line of progress. Any goroutine.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%4.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// full returns all of a number, or with --quick less of it.
func (b *bench) full(all, quick int) int {
	if b.quick {
		return quick
	}
	return all
}

// prepare finds the programs, or has them built.
func (b *bench) prepare(ctx context.Context, opt options) error {
	if opt.bin != "" && b.take(opt.bin) == nil {
		b.say("programs of %s", opt.bin)
		return nil
	}
	if err := b.dist(ctx); err != nil {
		return err
	}
	return b.take(filepath.Join(b.root, "dist", "linux-"+runtime.GOARCH))
}

func (b *bench) take(dir string) error {
	b.gatewayd, b.encoders = filepath.Join(dir, "gatewayd"), filepath.Join(dir, "encodersim")
	_, err1 := exec.LookPath(b.gatewayd)
	_, err2 := exec.LookPath(b.encoders)
	return errors.Join(err1, err2)
}

// dist builds the programs as they are released. The Makefile alone knows how.
func (b *bench) dist(ctx context.Context) error {
	b.say("make dist")
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "dist")
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make dist: %w\n%s", err, tail(out))
	}
	return nil
}

// tail returns the end of a log, for an error.
func tail(log []byte) string {
	const most = 2000
	return strings.TrimSpace(string(log[max(0, len(log)-most):]))
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A patience says how often to look, for how long, and for what.
type patience struct {
	every, limit time.Duration
	what         string
}

// poll calls done until it says so; p bounds it.
func poll(ctx context.Context, p patience, done func() (bool, error)) error {
	deadline := time.Now().Add(p.limit)
	for {
		ok, err := done()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			if err == nil {
				return fmt.Errorf("not within %s: %s", p.limit, p.what)
			}
			return fmt.Errorf("not within %s: %s: %w", p.limit, p.what, err)
		}
		if err := sleep(ctx, p.every); err != nil {
			return err
		}
	}
}
