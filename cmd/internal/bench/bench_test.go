package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/internal/config"
)

func TestPercentileIsAValueThatSoManyDoNotExceed(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // 100 down to 1
	}
	for name, tc := range map[string]struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		"one value":        {[]time.Duration{7}, 95, 7},
		"95 of a hundred":  {hundred, 95, 95},
		"half":             {hundred, 50, 50},
		"the most":         {hundred, 100, 100},
		"rounded up":       {[]time.Duration{3, 1, 2}, 50, 2},
		"95 of few is max": {[]time.Duration{1, 9, 2}, 95, 9},
	} {
		if got := percentile(tc.values, tc.p); got != tc.want {
			t.Errorf("%s: percentile %d = %d, want %d", name, tc.p, got, tc.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the values were sorted in place")
	}
}

func TestAFigureIsVoidWhenSomethingWasLost(t *testing.T) {
	for name, tc := range map[string]struct {
		value float64
		lost  string
		want  Verdict
	}{
		"below": {1, "", Kept}, "at the bar": {2, "", Kept}, "above": {2.1, "", Missed},
		"below, lost": {1, "1 lost", Void}, "above, lost": {3, "1 lost", Void},
	} {
		if got := judge(tc.value, 2, tc.lost); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestFlagsNameMeasurementsThatExist(t *testing.T) {
	opt, err := parse([]string{"--only", "levels,size", "--quick"})
	if err != nil || !slices.Equal(opt.only, []string{"levels", "size"}) || !opt.quick {
		t.Errorf("parse = %+v, %v", opt, err)
	}
	for _, args := range [][]string{{"--only", "idel"}, {"--only", "levels,"}, {"more"}, {"--fast"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	if _, err := parse([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestFootprintCountsTheDaemonAndItsChildren(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		child.Process.Kill()
		child.Wait()
	}()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: &exec.Cmd{Process: self}}
	f, err := p.footprint()
	if err != nil {
		t.Fatal(err)
	}
	if f.Count != 1 || f.Children.Total <= 0 || f.Daemon.Total <= f.Daemon.Anonymous || f.Daemon.Anonymous <= 0 {
		t.Errorf("footprint %+v with one child", f)
	}
	if f.sum().Total != f.Daemon.Total+f.Children.Total {
		t.Errorf("sum %+v of %+v", f.sum(), f)
	}
	if busy, err := p.processorTime(); busy <= 0 || err != nil {
		t.Errorf("processor time %s, %v", busy, err)
	}
}

// The daemons must take what the rig writes for them.
func TestEveryLevelsConfigurationIsValid(t *testing.T) {
	r := &rig{net: "127.70.1", plan: plan{media: "udp", readers: true, size: "1GB"}, sources: []string{"http://127.70.1.11:80/onvif/device_service"}, channels: []string{channelCode(0)}}
	for i := range 3 {
		f, err := config.Parse(r.configuration(i, "/tmp/level"))
		if err != nil {
			t.Errorf("level %d: %v", i, err)
			continue
		}
		if up, low, enc := len(f.Uppers), len(f.Lowers), len(f.Encoders); up != min(i, 1) || low != min(2-i, 1) || enc != i/2 {
			t.Errorf("level %d has %d uppers, %d lowers, %d encoders", i, up, low, enc)
		}
		if readers := f.RTSP.Listen != ""; readers != (i == 2) {
			t.Errorf("level %d gives streams by RTSP: %v", i, readers)
		}
	}
}

func TestConfigurationWithinALimitIsValid(t *testing.T) {
	r := &rig{net: "127.70.1", dir: "/tmp/rig", sources: []string{"http://127.70.1.11:80/onvif/device_service"}, channels: []string{channelCode(0)}}
	for i, code := range []string{city, second, district} {
		f, err := config.Parse(r.limited(i, code))
		if err != nil {
			t.Errorf("level %d: %v", i, err)
			continue
		}
		if lower := code != district; lower != (len(f.Lowers) == 1) || lower == (len(f.Uppers) == uplinks) || lower == (len(f.Encoders) == 1) {
			t.Errorf("level %d has %d uppers, %d lowers, %d encoders", i, len(f.Uppers), len(f.Lowers), len(f.Encoders))
		}
	}
}

func TestMemoryGroupIsFoundInEitherVersion(t *testing.T) {
	root := t.TempDir()
	if _, _, err := memoryGroup("0::/box\n", root); err == nil {
		t.Error("a hierarchy without controllers was taken")
	}
	if dir, v2, err := memoryGroup("3:cpu:/x\n4:memory:/box\n0::/\n", root); err != nil || v2 || dir != root+"/memory/box" {
		t.Errorf("version 1: %s, %v, %v", dir, v2, err)
	}
	if err := os.WriteFile(root+"/cgroup.controllers", []byte("memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if dir, v2, err := memoryGroup("0::/box\n", root); err != nil || !v2 || dir != root+"/box" {
		t.Errorf("version 2: %s, %v, %v", dir, v2, err)
	}
}

func TestMemoryOfAGroupIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		v2    bool
		files map[string]string
	}{
		"version 2": {true, map[string]string{"memory.current": "9\n", "memory.peak": "10\n", "memory.stat": "anon 3\nfile 1\nshmem 4\n",
			"memory.events": "low 0\noom 1\noom_kill 2\n"}},
		"version 1": {false, map[string]string{"memory.usage_in_bytes": "9\n", "memory.max_usage_in_bytes": "10\n",
			"memory.stat": "cache 5\nrss 3\nshmem 4\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &cgroup{t.TempDir(), tc.v2}
			for file, text := range tc.files {
				if err := os.WriteFile(g.dir+"/"+file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if m, err := g.memory(); err != nil || m != (groupMemory{9, 10, 3, 4, 2}) {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

func TestReportNamesEveryFigureAndTheMachine(t *testing.T) {
	var b bytes.Buffer
	Report{Machine: Machine{Cores: 3, Go: "go9"}, Results: []Result{{Name: "one", Verdict: Missed}, {Name: "two", Verdict: Kept}}}.print(&b)
	for _, want := range []string{"one", "MISSED", "two", "3 cores", "go9"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestAStreamThatEndsEarlyIsAnError(t *testing.T) {
	if err := readVideo(strings.NewReader(""), nil); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("readVideo of nothing: %v", err)
	}
}

func TestSlopeIsThatOfMostRests(t *testing.T) {
	var rests []rest
	for i := range 9 {
		rests = append(rests, rest{at: time.Duration(i) * 10 * time.Minute, parts: parts{objects: int64(50e6 + 1e6*i)}})
	}
	rests[4].parts[rings] += 20e6 // an odd one
	if got := slopeOf(rests, rest.memory); got < 5.9e6 || got > 6.1e6 {
		t.Errorf("%.0f bytes an hour, want 6e6", got)
	}
	if got := slopeOf(rests[:1], rest.memory); got != 0 {
		t.Errorf("of one: %.0f", got)
	}
}

// Programs are copied and started by several measurements at once.
func TestCopiedProgramCanBeStartedAtOnce(t *testing.T) {
	dir := t.TempDir()
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			for k := range 25 {
				program := fmt.Sprintf("%s/%d-%d", dir, i, k)
				if err := copyProgram(program, "/bin/true"); err != nil {
					return err
				}
				if err := exec.Command(program).Run(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
