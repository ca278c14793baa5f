package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Bars of a daemon that does nothing, and of its program, in bytes.
const (
	idleBar = 25e6
	sizeBar = 20e6
)

// measureIdle measures levels that have each other and nothing to do: the
// district with a volume and no encoder, the city with neither.
func measureIdle(ctx context.Context, b *bench) ([]Result, error) {
	r, err := b.build(ctx, plan{media: "tcp-passive"})
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := sleep(ctx, time.Duration(b.full(20, 5))*time.Second); err != nil {
		return nil, err
	}
	results := []Result{started(r)}
	for _, l := range []struct {
		*level
		name, on string
	}{{r.bottom(), "district", "a link up, one volume, no encoder"}, {r.middle(), "city", "a link up and one down, no volume"}} {
		f, err := l.footprint()
		if err != nil {
			return results, err
		}
		results = append(results, footprintResult(Result{Name: "memory, idle " + l.name, On: l.on}, idleBar, f, ""))
	}
	return results, nil
}

// footprintResult fills in what was measured of the memory of what r names.
func footprintResult(r Result, bar float64, f footprint, lost string) Result {
	r.Bar, r.Verdict = "<= "+mb(int64(bar)), judge(float64(f.sum().Total), bar, lost)
	r.Measured = join(fmt.Sprintf("%s: daemon %s (heap and stacks %s, rings %s), %d children %s", mb(f.sum().Total), mb(f.Daemon.Total),
		mb(f.Daemon.Anonymous), mb(f.Daemon.Shared), f.Count, mb(f.Children.Total)), lost)
	r.Values = map[string]float64{"sum": float64(f.sum().Total), "daemon": float64(f.Daemon.Total), "daemon_anonymous": float64(f.Daemon.Anonymous),
		"daemon_shared": float64(f.Daemon.Shared), "children": float64(f.Children.Total), "children_anonymous": float64(f.Children.Anonymous)}
	return r
}

// measureSize measures the program as it is released.
func measureSize(ctx context.Context, b *bench) ([]Result, error) {
	dist := filepath.Join(b.root, "dist")
	if filepath.Dir(filepath.Dir(b.gatewayd)) != dist { // not built just now
		if err := b.dist(ctx); err != nil {
			return nil, err
		}
	}
	var results []Result
	for _, arch := range []string{"arm", "arm64", "amd64"} {
		info, err := os.Stat(filepath.Join(dist, "linux-"+arch, "gatewayd"))
		if err != nil {
			return results, err
		}
		x := Result{Name: "size of gatewayd, linux/" + arch, Verdict: Told, On: "make dist",
			Measured: fmt.Sprintf("%.2f MB", float64(info.Size())/1e6), Values: map[string]float64{"bytes": float64(info.Size())}}
		if arch == "arm" {
			x.Bar, x.Verdict = "<= "+mb(sizeBar), judge(float64(info.Size()), sizeBar, "")
		}
		results = append(results, x)
	}
	return results, nil
}
