package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"districtgateway/cmd/internal/api"
)

// Bars of the loaded district.
const (
	mallocBar   = 0.01
	districtBar = 160e6 // bytes
	streams     = 16
)

// measureDistrict measures a district that records sixteen streams and sends one
// of them up, through the city, to a viewer at the province.
func measureDistrict(ctx context.Context, b *bench) ([]Result, error) {
	r, err := b.build(ctx, plan{"tcp-passive", []simulators{{streams, "h264"}}})
	if err != nil {
		return nil, err
	}
	defer r.close()
	b.say("%d streams recorded and one sent up", streams)
	length := time.Duration(b.full(75, 25)) * time.Second // in which every stream begins a new segment once
	type seen struct {
		view view
		err  error
	}
	done := make(chan seen, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		v, err := r.top().look(watching, r.channels[0], length+5*time.Second)
		done <- seen{v, err}
	}()
	load, err := r.load(ctx, length)
	if err != nil {
		stop()
		s := <-done
		return nil, errors.Join(err, s.err)
	}
	s := <-done
	if s.err != nil {
		return nil, s.err
	}
	load.lost = join(load.lost, s.view.lost())
	on := fmt.Sprintf("%d H.264 streams of 4 Mbit/s with sound, all recorded, one uplink by TCP, after %.0f s", streams, length.Seconds())
	results := []Result{started(r), load.memory(on), load.processor(on)}
	results = append(results, mallocResult("district", on, load.windows[1], load.lost))
	return append(results, mallocResult("city", "one 4 Mbit/s stream with sound in and out by TCP", load.windows[0], load.lost)), nil
}

// A load is what was read of a district at work.
type load struct {
	footprint footprint
	windows   [2][]window // of city and district
	busy      float64     // cores that the district kept busy
	packets   float64     // a second, received by the district
	written   float64     // bit/s
	lost      string      // empty for nothing
}

// A window is ten seconds of a process.
type window struct {
	mallocs, packets float64
	call             float64 // mallocs of reading the counters, already taken off
}

// load reads the counters while the rig works for a while.
func (r *rig) load(ctx context.Context, length time.Duration) (l load, err error) {
	began := time.Now()
	if err := sleep(ctx, 10*time.Second); err != nil { // connections are up, segments are open
		return l, err
	}
	before, err := r.reading(ctx)
	if err != nil {
		return l, err
	}
	for time.Since(began) < length-10*time.Second || l.windows[0] == nil { // without a pause: a minute, and so a new segment of each stream
		w, err := r.windows(ctx)
		if err != nil {
			return l, err
		}
		for i := range w {
			l.windows[i] = append(l.windows[i], w[i])
		}
	}
	if err := sleep(ctx, time.Until(began.Add(length))); err != nil {
		return l, err
	}
	after, err := r.reading(ctx)
	if err != nil {
		return l, err
	}
	span := after.at.Sub(before.at).Seconds()
	l.busy = (after.busy - before.busy).Seconds() / span
	l.written = float64(after.written-before.written) * 8 / span
	l.packets = float64(after.packets-before.packets) / span
	l.lost = join(after.lost, proof(l.written))
	l.footprint, err = r.bottom().footprint()
	return l, err
}

// proof reports a district that did not record what it was to record: then the
// figures mean nothing either.
func proof(written float64) string {
	if want := 0.9 * streams * bitrate; written < want {
		return fmt.Sprintf("recorded %.1f Mbit/s only", written/1e6)
	}
	return ""
}

// A reading is what the district's counters stood at.
type reading struct {
	at      time.Time
	busy    time.Duration
	written int64
	packets uint64
	lost    string
}

func (r *rig) reading(ctx context.Context) (n reading, err error) {
	s, err := r.bottom().status(ctx)
	if err != nil {
		return n, err
	}
	n.at, n.packets = time.Now(), s.Process.Packets
	for _, v := range s.Volumes {
		n.written += v.Used
	}
	if n.busy, err = r.bottom().processorTime(); err != nil {
		return n, err
	}
	for _, l := range r.levels {
		lost, err := l.losses(ctx)
		if err != nil {
			return n, err
		}
		n.lost = join(n.lost, lost)
	}
	return n, nil
}

// losses says what a level's streams have lost, empty for nothing.
func (l *level) losses(ctx context.Context) (lost string, err error) {
	var list []api.Stream
	if err := l.client.Get(ctx, api.PathStreams, nil, &list); err != nil {
		return "", err
	}
	for _, s := range list {
		if s.Lost > 0 || s.Damaged > 0 || !s.Connected {
			lost = join(lost, fmt.Sprintf("%s at %s: %d packets lost, %d damaged, connected %v", s.Channel, l.code, s.Lost, s.Damaged, s.Connected))
		}
	}
	return lost, nil
}

// windows counts ten seconds of the city's and the district's allocations.
func (r *rig) windows(ctx context.Context) (w [2]window, err error) {
	var before [2]api.Process
	for i, l := range []*level{r.middle(), r.bottom()} {
		if before[i], w[i].call, err = l.calibrate(ctx); err != nil {
			return w, err
		}
	}
	if err := sleep(ctx, 10*time.Second); err != nil {
		return w, err
	}
	for i, l := range []*level{r.middle(), r.bottom()} {
		s, err := l.status(ctx)
		if err != nil {
			return w, err
		}
		w[i].mallocs = max(0, float64(s.Process.Mallocs-before[i].Mallocs)-w[i].call)
		w[i].packets = float64(s.Process.Packets - before[i].Packets)
	}
	return w, nil
}

// calibrate measures what one reading of the counters allocates: between two
// readings lies the rest of the first and the beginning of the second, together
// one whole. It returns the last reading.
func (l *level) calibrate(ctx context.Context) (last api.Process, cost float64, err error) {
	const readings = 10
	var costs []float64
	for i := range readings {
		s, err := l.status(ctx)
		if err != nil {
			return last, 0, err
		}
		if i > 0 {
			costs = append(costs, float64(s.Process.Mallocs-last.Mallocs))
		}
		last = s.Process
	}
	return last, median(costs), nil
}

func mallocResult(where, on string, windows []window, lost string) Result {
	var worst, mallocs, packets, call float64
	var each []float64
	for _, w := range windows {
		each = append(each, w.mallocs/max(1, w.packets))
		worst = max(worst, each[len(each)-1])
		mallocs, packets, call = mallocs+w.mallocs, packets+w.packets, call+w.call
	}
	n := float64(len(windows))
	return Result{
		Name: "allocations a packet, " + where, Bar: "<= 0.01", Verdict: judge(worst, mallocBar, lost), On: on, Samples: each,
		Measured: join(fmt.Sprintf("%.4f in the worst of %.0f windows of 10 s, %.4f in the median one, %.4f in all: %.0f for %.0f packets a window, %.0f for reading the counters taken off",
			worst, n, median(each), mallocs/max(1, packets), mallocs/n, packets/n, call/n), lost),
		Values: map[string]float64{"worst": worst, "median": median(each), "mean": mallocs / max(1, packets), "mallocs": mallocs / n, "packets": packets / n,
			"reading": call / n, "windows": n},
	}
}

func (l *load) memory(on string) Result {
	f := l.footprint
	return footprintResult(Result{Name: "memory, district at work", On: on}, districtBar, f, l.lost)
}

func (l *load) processor(on string) Result {
	return Result{
		Name: "processor time and loss, district at work", Bar: "0 lost", Verdict: judge(0, 0, l.lost), On: on,
		Measured: join(fmt.Sprintf("%.2f cores for %.0f packets a second in, %.1f Mbit/s recorded; 0 lost, 0 damaged", l.busy, l.packets, l.written/1e6), l.lost),
		Values:   map[string]float64{"cores": l.busy, "packets_per_s": l.packets, "recorded_bits_per_s": l.written},
	}
}
