// Package run starts the few other programs the gateway needs. It is the only
// place in the daemon that executes anything: the list of programs is closed,
// arguments are passed as they are, and no shell is ever involved.
package run

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// A Program is one of the programs that may be started.
type Program string

// The programs. Only these can be started.
const (
	Self Program = "self" // the running executable again, in another role
)

// ErrUnknown reports a program that is not on the list.
var ErrUnknown = errors.New("program is not on the list")

// path returns the executable of a program.
func (p Program) path() (string, error) {
	if p == Self {
		// The file we run from, even if it was replaced or removed meanwhile: both
		// sides of a conversation must be the same version.
		return "/proc/self/exe", nil
	}
	return "", fmt.Errorf("%q: %w", string(p), ErrUnknown)
}

// A Process is a started program.
type Process struct {
	cmd  *exec.Cmd
	wait func() error
}

// Start starts p with the given arguments. Its standard error is ours, its
// standard input and output are empty; files become its descriptors 3, 4, ….
// It gets no signals of our terminal; it is told to end through its files.
func Start(p Program, args []string, files []*os.File) (*Process, error) {
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p, err)
	}
	return &Process{cmd: cmd, wait: sync.OnceValue(cmd.Wait)}, nil
}

// Wait returns when the process has ended: nil if it ended with status 0. It must
// be called at least once, or what is left of the process stays with the system.
// Any goroutine, any number of times.
func (p *Process) Wait() error { return p.wait() }

// Kill ends the process at once. Any goroutine, any number of times.
func (p *Process) Kill() { _ = p.cmd.Process.Kill() } // fails only if it has ended

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }
