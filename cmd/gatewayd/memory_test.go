package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media"
)

// What a process may use is the least of what the machine has and of the limits of
// its cgroups, in either version of them.
func TestAvailableMemoryIsTheLeastLimit(t *testing.T) {
	const machine = "proc/meminfo"
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known": {nil, 1 << 30},
		"machine alone":    {map[string]string{machine: "MemTotal:        2048 kB\nMemFree: 1 kB\n"}, 2 << 20},
		"version 2": {map[string]string{machine: "MemTotal: 4194304 kB\n", "proc/self/cgroup": "0::/box/gateway\n",
			"sys/fs/cgroup/box/gateway/memory.max": "max\n", "sys/fs/cgroup/box/memory.max": "268435456\n"}, 256 << 20},
		"version 1": {map[string]string{machine: "MemTotal: 4194304 kB\n", "proc/self/cgroup": "5:cpu,memory:/gateway\n4:cpuset:/x\n0::/\n",
			"sys/fs/cgroup/memory/gateway/memory.limit_in_bytes": "134217728\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 128 << 20},
		"container": {map[string]string{machine: "MemTotal: 4194304 kB\n", "proc/self/cgroup": "4:memory:/docker/0123\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n"}, 64 << 20},
		"more than there is": {map[string]string{machine: "MemTotal: 1024 kB\n", "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "268435456\n"}, 1 << 20},
		"nonsense": {map[string]string{machine: "MemTotal: much\n", "proc/self/cgroup": "x\n0::/../..\n",
			"sys/fs/cgroup/memory.max": "-1\n"}, 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range tc.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := availableMemory(root); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
}

// 256 MB are enough for the streams, the heap and what is besides.
func TestMemoryIsDividedWithoutAnythingLeftOver(t *testing.T) {
	const available = 256 << 20
	m := newMemory(config.Media{RingMax: 32 << 20}, available)
	streams := m.budget.State().Limit
	if heap := heapOf(m.available, streams, 1); streams != 128<<20 || streams+heap+besides+besidesVolume > available {
		t.Errorf("streams %d MiB, heap %d MiB", streams>>20, heap>>20)
	}
	if got := heapOf(64<<20, 32<<20, 1); got != leastHeap {
		t.Errorf("heap of a small box: %d", got)
	}
	if got := budgetOf(1 << 40); strconv.IntSize == 32 && got != mostBudget32 || strconv.IntSize == 64 && got != 1<<39 {
		t.Errorf("budget of a large machine: %d", got)
	}
	if got := newMemory(config.Media{Memory: 40 << 20}, available).budget.State().Limit; got != 40<<20 {
		t.Errorf("budget by setting: %d", got)
	}
}

// The ring of what comes live goes by need unless a size is set; that of a recording
// does not.
func TestRingsGoByNeedOrBySetting(t *testing.T) {
	for _, tc := range []struct {
		ring     int
		live     bool
		ringSize int
		ringMax  int
	}{{0, true, 0, 8 << 20}, {0, false, 0, 0}, {2 << 20, true, 2 << 20, 0}, {2 << 20, false, 2 << 20, 0}} {
		m := newMemory(config.Media{Ring: config.Size(tc.ring), RingMax: 8 << 20}, 1<<30)
		if cfg := m.stream("cam", media.ForViewing, tc.live); cfg.RingBytes != tc.ringSize || cfg.RingMax != tc.ringMax {
			t.Errorf("%+v: %d, %d", tc, cfg.RingBytes, cfg.RingMax)
		}
	}
}

// A leg for which there is no memory ends with a reason that the far end is told.
func TestLegWithoutMemoryIsRefusedWithItsReason(t *testing.T) {
	b := newBox(t)
	b.legs.memory = &memory{ring: 1 << 20, budget: media.NewBudget(1 << 20)}
	b.legs.Do(domain.OpenReceiver{Leg: 1, Transport: domain.MediaTCPPassive, Stream: domain.StreamID{Channel: camera1, Kind: domain.Live}})
	next[domain.ReceiverOpened](t, b)
	b.legs.Do(domain.ConnectReceiver{Leg: 1, Answer: domain.Endpoint{Host: "127.0.0.1", Port: 9, Transport: domain.MediaTCPPassive}})
	err := next[domain.MediaEnded](t, b).Err
	want := fmt.Sprintf("%s: %s: memory for streams is used up: 0 of 1 MiB, of which recording keeps a part", domain.ErrNoMemory, camera1)
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
