package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
)

// diskBar is what a gigabit may cost to record, in CPU seconds.
const diskBar = 0.04

// measureDisk measures what writing costs, from the ring to durable on the disk,
// in the process of storage's own benchmark: there is nothing else in it.
func measureDisk(ctx context.Context, b *bench) ([]Result, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkRecord$", "-benchtime", fmt.Sprintf("%ds", b.full(3, 1)), "-count", "3", "./storage")
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "TMPDIR="+b.scratch)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("benchmark of storage: %w\n%s", err, tail(out))
	}
	var list []float64
	for _, m := range regexp.MustCompile(`([0-9.]+) cpu-s/Gbit`).FindAllSubmatch(out, -1) {
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("benchmark of storage: no figure\n%s", tail(out))
	}
	var at syscall.Statfs_t
	if err := syscall.Statfs(b.scratch, &at); err != nil {
		return nil, err
	}
	return []Result{{
		Name: "recording, from the ring to the disk", Bar: "<= 0.04 CPU-s/Gbit", Verdict: judge(median(list), diskBar, ""), Samples: list,
		On:       fmt.Sprintf("pictures of 20 kB, as fast as the disk takes them, each second of footage durable; file system %#x", at.Type),
		Measured: fmt.Sprintf("%.4f CPU-s/Gbit, median of %d", median(list), len(list)), Values: map[string]float64{"cpu_s_per_gbit": median(list)},
	}}, nil
}
