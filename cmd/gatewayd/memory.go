package main

import (
	"bytes"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"districtgateway/cmd/internal/config"
	"districtgateway/media"
	"districtgateway/media/mirror"
)

// memory is where the memory of streams comes from: one budget for the process.
type memory struct {
	available int64 // bytes that the process may use
	budget    *media.Budget
	ring      int // fixed size of each ring; 0: by need
	ringMax   int
}

func newMemory(cfg config.Media, available int64) *memory {
	limit := int64(cfg.Memory)
	if limit == 0 {
		limit = budgetOf(available)
	}
	return &memory{available: available, budget: media.NewBudget(limit), ring: int(cfg.Ring), ringMax: int(cfg.RingMax)}
}

// stream begins the configuration of a stream. What comes live may have a ring by
// need; recordings wait for their readers, and have one of the size that was set.
func (m *memory) stream(name string, p media.Purpose, live bool) media.StreamConfig {
	cfg := media.StreamConfig{Name: name, Memory: mirror.New, RingBytes: m.ring, Budget: m.budget, Purpose: p, Live: live}
	if live && m.ring == 0 {
		cfg.RingMax = m.ringMax
	}
	return cfg
}

// Bounds of the budget. On a 32-bit system addresses are scarce: a ring takes twice
// its size of them, of 2 to 3 GiB that a process has.
const (
	leastBudget  = 16 << 20
	mostBudget32 = 512 << 20
	// What is neither a stream's nor the Go heap's: the program, sockets in the
	// kernel, and a child with its index for each volume.
	besides       = 32 << 20
	besidesVolume = 16 << 20
	leastHeap     = 48 << 20
)

// budgetOf returns what streams may take of the memory that there is: half of it.
func budgetOf(available int64) int64 {
	limit := max(available/2, leastBudget)
	if strconv.IntSize == 32 {
		limit = min(limit, mostBudget32)
	}
	return limit
}

// limitHeap tells the Go runtime, unless GOMEMLIMIT does, how much memory is left
// for it, so that it collects garbage sooner rather than go beyond.
func limitHeap(m *memory, volumes int, log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	streams := m.budget.State().Limit
	heap := heapOf(m.available, streams, volumes)
	debug.SetMemoryLimit(heap)
	log.Info("memory divided", "available", m.available, "streams", streams, "heap", heap)
}

func heapOf(available, budget int64, volumes int) int64 {
	return max(available-budget-besides-int64(volumes)*besidesVolume, leastHeap)
}

// availableMemory returns the bytes that this process may use: the machine's memory,
// or the limit of its cgroup if that is less. Root is the root of the file system.
func availableMemory(root string) int64 {
	available := machineMemory(root)
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) // absent: no limit
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
		case f[1] == "":
			available = min(available, groupLimit(filepath.Join(root, "sys/fs/cgroup"), f[2], "memory.max"))
		case strings.Contains(","+f[1]+",", ",memory,"):
			available = min(available, groupLimit(filepath.Join(root, "sys/fs/cgroup/memory"), f[2], "memory.limit_in_bytes"))
		}
	}
	return available
}

// machineMemory returns the memory of the machine; 1 GiB if that cannot be known.
func machineMemory(root string) int64 {
	text, _ := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("MemTotal:")); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"), 10, 64)
			if err == nil && kb > 0 {
				return kb << 10
			}
		}
	}
	return 1 << 30
}

// groupLimit returns the least limit of a cgroup and those above it. In a container
// the path is that of the host, and the group lies at the mount itself.
func groupLimit(mount, path, file string) int64 {
	limit := int64(math.MaxInt64)
	for dir := filepath.Clean("/" + path); ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(mount, dir, file))
		if n, perr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && perr == nil && n > 0 { // "max": none
			limit = min(limit, n)
		}
		if dir == "/" {
			return limit
		}
	}
}
