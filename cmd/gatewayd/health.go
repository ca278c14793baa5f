package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media/rtsp"
	"districtgateway/storage"
)

// recently is for how long it is wrong that something was refused.
const recently = time.Minute

// health says what is wrong, in words, or that all is good.
func health(s api.Status, now time.Time) string {
	var wrong []string
	for _, v := range s.Volumes {
		if v.State != volumeGood {
			wrong = append(wrong, fmt.Sprintf("volume %s: %s", v.Path, v.State))
		}
	}
	for _, u := range s.Uppers {
		if u.State != domain.LinkOnline.String() && u.State != domain.LinkLeft.String() {
			wrong = append(wrong, fmt.Sprintf("upper %s is %s", u.Code, u.State))
		}
	}
	off := 0
	for _, e := range s.Encoders {
		if !e.Online {
			off++
		}
	}
	if off > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %d encoders offline", off, len(s.Encoders)))
	}
	for _, b := range s.Buses {
		if b.Problem != "" {
			wrong = append(wrong, fmt.Sprintf("bus %s: %s", b.Name, b.Problem))
		}
	}
	for _, v := range s.Servers {
		if v.Problem != "" {
			wrong = append(wrong, fmt.Sprintf("%s for viewers: %s", v.Kind, v.Problem))
		}
	}
	wrong = append(wrong, shortage(s.Streams, now)...)
	if len(wrong) == 0 {
		return "good"
	}
	return strings.Join(wrong, "; ")
}

// shortage says what memory does not suffice for.
func shortage(b api.Budget, now time.Time) (wrong []string) {
	if b.Short > 0 {
		wrong = append(wrong, fmt.Sprintf("memory: the rings of %d streams cannot grow", b.Short))
	}
	if b.Short == 0 && !b.Last.IsZero() && now.Sub(b.Last) < recently { // what could not grow was refused, too
		wrong = append(wrong, fmt.Sprintf("memory: did not suffice %s ago", now.Sub(b.Last).Round(time.Second)))
	}
	return wrong
}

// streamMemory tells what streams have of the memory for them.
func (c *control) streamMemory() api.Budget {
	b := c.memory.budget.State()
	out := api.Budget{Used: b.Used, Limit: b.Limit, Refused: b.Refused, Last: b.Last}
	for _, k := range c.hub.Streams() {
		if k.State.Ring.Short {
			out.Short++
		}
	}
	for _, r := range c.legs.received() {
		if r.stream.State().Ring.Short {
			out.Short++
		}
	}
	return out
}

// process tells what the daemon costs.
func (c *control) process() api.Process {
	var m runtime.MemStats
	runtime.ReadMemStats(&m) // package runtime/metrics knows of an object only when its span is full, in lumps
	p := api.Process{PID: os.Getpid(), Mallocs: m.Mallocs, Cycles: m.NumGC, Goroutines: runtime.NumGoroutine(), Memory: proportionalSize(), Stacks: m.StackInuse}
	p.CPU, p.Garbage = processorTime()
	live := [...]metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live[:])
	p.Objects = live[0].Value.Uint64()
	for _, k := range c.hub.Streams() {
		p.Packets += k.Stats.Packets
	}
	for _, s := range c.legs.receiving() {
		p.Packets += s.Packets
	}
	return p
}

// processorTime returns the seconds of processor time that the process has had, and
// how many of them were for collecting garbage. The runtime brings them up to date
// whenever it has collected.
func processorTime() (all, garbage float64) {
	samples := [...]metrics.Sample{
		{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}, {Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(samples[:])
	return samples[0].Value.Float64() - samples[1].Value.Float64(), samples[2].Value.Float64()
}

// proportionalSize returns the process's proportional set size: shared pages
// count by their share, a ring that is mapped twice counts once. 0 if unknown.
func proportionalSize() int64 {
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(rest)), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// volumeGood is the state of a volume that works.
const volumeGood = "recording"

// list tells how the volumes are.
func (vs *volumes) list() []api.Volume {
	list := []api.Volume{}
	for _, c := range vs.configs {
		vs.mu.Lock()
		v, open := vs.open[c.Path]
		err := vs.errs[c.Path]
		vs.mu.Unlock()
		out := api.Volume{Path: c.Path, State: "not open yet"}
		if err != nil {
			out.State = err.Error()
		}
		if open {
			out = volumeOf(c.Path, v.Volume)
		}
		list = append(list, out)
	}
	return list
}

func volumeOf(path string, v *storage.Volume) api.Volume {
	st := v.Stats()
	return api.Volume{
		Path: path, ID: v.Identity().Volume, State: volumeState(st.Disk.Stalled, v.Failing()), Used: st.Bytes + st.OpenBytes, Free: st.Free,
		Oldest: st.Oldest, Segments: int(st.Segments) + st.Open, Memory: st.ChildMemory,
	}
}

// volumeState says how an open volume is, in words.
func volumeState(stalled, failing time.Duration) string {
	switch {
	case stalled > 0:
		return fmt.Sprintf("has not answered for %s", stalled.Round(time.Second))
	case failing >= failingFor: // its channels are recorded on others
		return fmt.Sprintf("has taken nothing for %s", failing.Round(time.Second))
	}
	return volumeGood
}

// list tells how the encoders are.
func (cs *cameras) list() []api.Encoder {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	list := []api.Encoder{}
	for _, c := range cs.inv.list() {
		e := api.Encoder{Code: string(c.Code), Name: c.Name, Identity: c.Identity, Address: cmp.Or(c.RTSP, c.SDP, c.Address),
			Model: strings.TrimSpace(c.Maker + " " + c.Model)}
		if s := cs.services[c.Code]; s != nil {
			s.describe(&e)
			if set := cs.settings(*c); set != nil && transports[set.Transport] != rtsp.TCP && s.byTCP() {
				e.Problem = byTCP
			}
		}
		list = append(list, e)
	}
	return list
}

// byTCP is what is wrong with an encoder that is to send by UDP or multicast and does not.
const byTCP = "by TCP, though transport says otherwise: nothing came by that, or it was refused"

// byTCP reports whether a camera's stream comes by TCP. The caller holds cameras.mu.
func (s *service) byTCP() bool {
	if s.stream == nil {
		return false
	}
	st := s.stream.State()
	return st.Connected && st.Ordered
}

// describe tells how one camera in service is. The caller holds cameras.mu.
func (s *service) describe(e *api.Encoder) {
	e.Online, e.Since, e.Recording = s.online, s.since, s.recorder != nil
	if s.problem != nil {
		e.Problem = s.problem.Error()
	}
	if s.stream == nil {
		return
	}
	st := s.stream.State()
	if st.Err != nil && !st.Connected {
		e.Problem = st.Err.Error()
	}
	for _, t := range st.Tracks {
		if t.Codec.Video() {
			e.Video = trackName(t)
		} else {
			e.Audio = trackName(t)
		}
	}
	if r, ok := s.recorder.(*storage.Recorder); ok {
		e.LastByte = r.LastDurable()
	}
}
