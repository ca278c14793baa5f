package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A cgroup is a control group of the kernel that bounds memory, of version 2 or 1.
type cgroup struct {
	dir string
	v2  bool
}

// newCgroup makes a group below our own with a limit in bytes. The caller owes it a
// remove. The error says why this machine has none for us.
func newCgroup(limit int64) (g *cgroup, err error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	parent, v2, err := memoryGroup(string(text), "/sys/fs/cgroup")
	if err != nil {
		return nil, err
	}
	g = &cgroup{filepath.Join(parent, fmt.Sprintf("gwbench-%d-%d", os.Getpid(), rand.N(10000))), v2}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("no cgroup can be made: %w", err)
	}
	if err := os.WriteFile(g.file("memory.max", "memory.limit_in_bytes"), []byte(strconv.FormatInt(limit, 10)), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("limit not set: %w", err), g.remove())
	}
	return g, nil
}

// memoryGroup finds our own group of the memory controller.
func memoryGroup(groups, root string) (dir string, v2 bool, err error) {
	for line := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) == 3 && strings.Contains(","+f[1]+",", ",memory,"):
			return filepath.Join(root, "memory", f[2]), false, nil
		case len(f) == 3 && f[1] == "":
			if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
				dir, v2 = filepath.Join(root, f[2]), true
			}
		}
	}
	if dir == "" {
		return "", false, errors.New("no memory controller")
	}
	return dir, v2, nil
}

func (g *cgroup) file(v2, v1 string) string {
	if g.v2 {
		return filepath.Join(g.dir, v2)
	}
	return filepath.Join(g.dir, v1)
}

// remove removes the group, whose processes have ended.
func (g *cgroup) remove() (err error) {
	for range 50 { // the kernel may still be taking the last process away
		if err = os.Remove(g.dir); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// procs is the file that takes processes in.
func (g *cgroup) procs() string { return filepath.Join(g.dir, "cgroup.procs") }

// holds reports whether a process is in the group.
func (g *cgroup) holds(pid int) bool {
	text, _ := os.ReadFile(g.procs())
	for p := range strings.Lines(string(text)) {
		if strings.TrimSpace(p) == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}

// A groupMemory is what a group's processes take, in bytes.
type groupMemory struct {
	current, peak int64
	anonymous     int64 // heaps and stacks
	shared        int64 // rings
	kills         int64 // processes that the kernel ended for want of memory
}

func (g *cgroup) memory() (m groupMemory, err error) {
	read := func(path string) string {
		text, err2 := os.ReadFile(path)
		err = errors.Join(err, err2)
		return string(text)
	}
	number := func(text string) int64 {
		n, err2 := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		err = errors.Join(err, err2)
		return n
	}
	m.current = number(read(g.file("memory.current", "memory.usage_in_bytes")))
	m.peak = number(read(g.file("memory.peak", "memory.max_usage_in_bytes")))
	stat := keyed(read(filepath.Join(g.dir, "memory.stat")))
	events := keyed(read(g.file("memory.events", "memory.oom_control")))
	m.anonymous, m.shared, m.kills = stat["anon"], stat["shmem"], events["oom_kill"]
	if !g.v2 {
		m.anonymous = stat["rss"]
	}
	return m, err
}

// keyed reads lines of a word and a number.
func keyed(text string) map[string]int64 {
	all := map[string]int64{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 {
			all[f[0]], _ = strconv.ParseInt(f[1], 10, 64) // what is no number is not asked for
		}
	}
	return all
}
