package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A process is one that we started, in a process group of its own: a terminal's
// Ctrl-C reaches us alone, and we end everything in order.
type process struct {
	name string
	log  string // file with what it wrote
	cmd  *exec.Cmd
	up   bool // it has said or answered something; before that a signal just ends it
	gone chan struct{}
	err  error // of its end, once gone is closed
}

// start starts a program that logs to a file in dir. The caller's goroutine must
// be locked to a thread that lives as long as this program: if we are killed, the
// kernel ends the process when that thread does.
func start(dir, name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), cmd: cmd, gone: make(chan struct{})}
	f, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stderr = f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// watch calls died when the process ends before ctx does.
func (p *process) watch(ctx context.Context, died context.CancelCauseFunc) {
	go func() {
		select {
		case <-p.gone:
			if ctx.Err() == nil {
				died(fmt.Errorf("%s died: %s\n%s", p.name, ending(p.err), p.tail()))
			}
		case <-ctx.Done():
		}
	}()
}

func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// crash begins the last words of a Go program.
var crash = regexp.MustCompile(`^(panic: |fatal error: |SIG[A-Z]+: )`)

// tailLines is how much of a log is shown.
const tailLines = 20

// tail returns the last lines of the log or, if the program crashed, the first
// ones of its crash: what failed stands there, and hundreds of lines follow.
func (p *process) tail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var lines []string
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	crashed := false
	for in.Scan() {
		if !crashed && crash.MatchString(in.Text()) {
			crashed, lines = true, nil
		}
		if crashed && len(lines) == tailLines {
			break
		}
		if lines = append(lines, "    "+in.Text()); len(lines) > tailLines {
			lines = lines[1:]
		}
	}
	return strings.Join(lines, "\n")
}

// patience is how long a process may take to end.
const patience = 10 * time.Second

// stop ends the process: SIGTERM, then SIGKILL to its whole group. It is an error
// if it did not end by itself, with status 0 (or of the signal, when it was not up
// yet), and with all that it had started.
func (p *process) stop(patience time.Duration) error {
	var err error
	select {
	case <-p.gone: // and its log was shown then
		if !p.up && interrupted(p.err) {
			return nil // by a Ctrl-C that came before it had a group of its own
		}
		return fmt.Errorf("%s: had ended before: %s", p.name, ending(p.err))
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it is gone by now
	select {
	case <-p.gone:
		if p.err != nil && (p.up || !interrupted(p.err)) {
			err = fmt.Errorf("%s: %s\n%s", p.name, ending(p.err), p.tail())
		}
	case <-time.After(patience):
		err = fmt.Errorf("%s: still ran %s after SIGTERM\n%s", p.name, patience, p.tail())
	}
	for end := time.Now().Add(time.Second); p.group() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // its children end a moment after it
	}
	if p.group() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		err = errors.Join(err, fmt.Errorf("%s: left processes behind", p.name))
	}
	<-p.gone
	return err
}

// interrupted reports whether a request to end was what ended a process.
func interrupted(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGTERM || status.Signal() == syscall.SIGINT)
}

// group reports whether anything of the process's group runs.
func (p *process) group() bool { return syscall.Kill(-p.cmd.Process.Pid, 0) == nil }
