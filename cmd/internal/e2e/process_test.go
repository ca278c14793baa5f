//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a program that runs beside the test until it ends or the test does.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	out   output // standard output and standard error
	ended chan struct{}
	err   error // of Wait; valid when ended is closed
}

// An output keeps what a process writes. Any goroutine.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs a program until the test ends. What it said is told if the test failed.
func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: path, cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	// A group of its own, so that its children end with it; and it ends with us, whatever happens to us.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop(os.Interrupt)
		if t.Failed() {
			t.Logf("%s %s said:\n%s", path, strings.Join(args, " "), tail(p.out.String(), 4000))
		}
	})
	return p
}

// tail returns the last n bytes of s.
func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// stop ends the process with a signal, or by force 20 s later, and waits for it.
func (p *process) stop(sig os.Signal) {
	if p.done() {
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended meanwhile
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

func (p *process) done() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// says waits until the process has written text and returns the rest of the line
// that follows it.
func (p *process) says(text string) string {
	p.t.Helper()
	var rest string
	until(p.t, 30*time.Second, p.name+" says "+text, func() bool {
		_, after, found := strings.Cut(p.out.String(), text)
		line, _, whole := strings.Cut(after, "\n")
		if !found && p.done() {
			p.t.Fatalf("%s ended without %q: %v\n%s", p.name, text, p.err, p.out.String())
		}
		rest = strings.TrimSpace(line)
		return found && whole
	})
	return rest
}

// listens waits until somebody accepts connections at addr, which p is to do.
func (p *process) listens(addr string) {
	p.t.Helper()
	until(p.t, 30*time.Second, p.name+" listens at "+addr, func() bool {
		if p.done() {
			p.t.Fatalf("%s ended: %v\n%s", p.name, p.err, p.out.String())
		}
		c, err := net.Dial("tcp4", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// until polls what another process does, and fails the test when it takes too long.
func until(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// run runs a program to its end, a minute at most, and returns what it wrote to
// standard output and to standard error. It fails the test if the program does.
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), errors.Join(err, ctx.Err()), tail(errs.String(), 4000))
	}
	return out.String(), errs.String()
}

// silent runs a program as run does and wants no word on standard error.
func silent(t *testing.T, name string, args ...string) (stdout string) {
	t.Helper()
	out, errs := run(t, name, args...)
	if errs != "" {
		t.Errorf("%s %s complains:\n%s", name, strings.Join(args, " "), tail(errs, 4000))
	}
	return out
}
