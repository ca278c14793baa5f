package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a program that runs beside this one until it is stopped.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // of Wait; valid when ended is closed
}

// stopWithin is how long a program may take to end when asked to.
const stopWithin = 15 * time.Second

// start runs a program whose standard error goes to a log of its own. stdout may
// be nil. The caller owes it a stop.
func (b *bench) start(name string, stdout io.Writer, path string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), log: filepath.Join(b.logs, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own
	p.cmd.Stdout, p.cmd.Stderr = stdout, log
	// A group of its own, so that its children end with it, and no signal of the terminal gets to it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { // awaited by stop
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// check reports a process that has ended by itself, and its last words.
func (p *process) check() error {
	select {
	case <-p.ended:
	default:
		return nil
	}
	log, err := os.ReadFile(p.log)
	return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.err, err), tail(log))
}

// stop ends the process, by force if it takes too long, and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile; if not, its children are its to end
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
		<-p.ended
	}
}

// A Memory is a proportional set size in bytes, of which the rest is text.
type Memory struct {
	Total     int64 `json:"total"`
	Anonymous int64 `json:"anonymous"` // Go heap, stacks
	Shared    int64 `json:"shared"`    // rings
}

func (m Memory) plus(o Memory) Memory {
	return Memory{m.Total + o.Total, m.Anonymous + o.Anonymous, m.Shared + o.Shared}
}

// memoryOf returns the proportional set size of a process.
func memoryOf(pid int) (m Memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return m, err
	}
	for l := range bytes.Lines(text) {
		key, value, _ := strings.Cut(string(l), ":")
		kb, _ := strconv.ParseInt(first(value, 1), 10, 64) // the other lines are no sizes
		switch key {
		case "Pss":
			m.Total = kb << 10
		case "Pss_Anon":
			m.Anonymous = kb << 10
		case "Pss_Shmem":
			m.Shared = kb << 10
		}
	}
	return m, nil
}

// childrenOf returns the processes that a process started.
func childrenOf(pid int) (list []int, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, path := range stats {
		text := line(path) // empty if it has just ended
		_, after, _ := strings.Cut(text, ") ")
		f := strings.Fields(after)
		if len(f) < 2 || f[1] != strconv.Itoa(pid) {
			continue
		}
		if id, err := strconv.Atoi(first(text, 1)); err == nil {
			list = append(list, id)
		}
	}
	return list, nil
}

// A footprint is the memory of a daemon and, separately, of its children.
type footprint struct {
	Daemon   Memory `json:"daemon"`
	Children Memory `json:"children"`
	Count    int    `json:"count"` // of the children
}

func (f footprint) sum() Memory { return f.Daemon.plus(f.Children) }

func (p *process) footprint() (f footprint, err error) {
	if f.Daemon, err = memoryOf(p.pid()); err != nil {
		return f, err
	}
	ids, err := childrenOf(p.pid())
	for _, id := range ids {
		m, err2 := memoryOf(id)
		f.Children = f.Children.plus(m)
		f.Count++
		err = errors.Join(err, err2)
	}
	return f, err
}

// processorTime returns the time that all threads of the process and of its
// children have run.
func (p *process) processorTime() (sum time.Duration, err error) {
	for _, path := range p.tasks("schedstat") {
		ns, err := strconv.ParseInt(first(line(path), 1), 10, 64)
		if err == nil { // a thread may have ended
			sum += time.Duration(ns)
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("%s has no threads", p.name)
	}
	return sum, nil
}

// tasks returns the path of one file of each thread of the process and of its children.
func (p *process) tasks(file string) (paths []string) {
	ids, _ := childrenOf(p.pid()) // the pattern is good
	for _, id := range append(ids, p.pid()) {
		list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", id, file)) // so is this one
		paths = append(paths, list...)
	}
	return paths
}
