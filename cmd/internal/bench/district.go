package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/internal/api"
)

// Bars of the loaded district.
const (
	mallocBar   = 0.01
	districtBar = 160e6 // bytes
	streams     = 16
)

// measureLevels measures levels that are idle, a district and a city at work, and a district within little memory. All at
// once, which saves two minutes: neither memory nor allocations nor losses depend on what
// else the machine does, as long as it has time left.
func measureLevels(ctx context.Context, b *bench) ([]Result, error) {
	return together(ctx, b, measureIdle, measureDistrict, measureCity, measureLimit)
}

// together makes several measurements at once and returns their results in order.
func together(ctx context.Context, b *bench, runs ...func(context.Context, *bench) ([]Result, error)) (all []Result, err error) {
	lists, errs := make([][]Result, len(runs)), make([]error, len(runs))
	var wg sync.WaitGroup
	for i, run := range runs {
		wg.Go(func() { lists[i], errs[i] = run(ctx, b) })
	}
	wg.Wait()
	return slices.Concat(lists...), errors.Join(errs...)
}

// measureDistrict measures a district that records sixteen streams and sends one
// of them up, through the city, to a viewer at the province.
func measureDistrict(ctx context.Context, b *bench) ([]Result, error) {
	r, err := b.build(ctx, plan{media: "tcp-passive", encoders: []simulators{{streams, "h264"}}})
	if err != nil {
		return nil, err
	}
	defer r.close()
	b.say("%d streams recorded and one sent up", streams)
	length := b.busyTime()
	watched := r.watched(ctx, r.channels[:1], length)
	load, err := r.load(ctx, length)
	lost, err := watched(err)
	if err != nil {
		return nil, err
	}
	load.lost = join(load.lost, lost)
	on := fmt.Sprintf("%d H.264 streams of 4 Mbit/s with sound, all recorded, one uplink by TCP, after %.0f s", streams, length.Seconds())
	return []Result{started(r), load.memory(on), load.processor(on), mallocResult("district", on, load.windows, load.lost)}, nil
}

// measureCity measures a city that relays sixteen streams from its district to
// viewers at its province.
func measureCity(ctx context.Context, b *bench) ([]Result, error) {
	r, err := b.build(ctx, plan{media: "tcp-passive", encoders: []simulators{{streams, "h264"}}})
	if err != nil {
		return nil, err
	}
	defer r.close()
	b.say("%d streams relayed", streams)
	length := b.busyTime()
	watched := r.watched(ctx, r.channels, length)
	windows, missed, err := r.middle().relaying(ctx, length)
	lost, err := watched(err)
	if err != nil {
		return nil, err
	}
	on := fmt.Sprintf("%d H.264 streams of 4 Mbit/s with sound, in from the district and out to the province by TCP, all watched there", streams)
	return []Result{mallocResult("city", on, windows, join(missed, lost))}, nil
}

// relaying counts a level's allocations for a while, once connections are up, and
// says what its streams have lost.
func (l *level) relaying(ctx context.Context, length time.Duration) (list []window, lost string, err error) {
	if err := sleep(ctx, settling); err != nil {
		return nil, "", err
	}
	if list, err = l.windows(ctx, length-settling); err != nil {
		return nil, "", err
	}
	lost, err = l.losses(ctx)
	return list, lost, err
}

// settling is how long a level works before it is measured: the SIP transactions
// of its beginning end after 32 s (RFC 3261 §17.1.1.2).
const settling = 35 * time.Second

// busyTime is how long a level at work is measured: every stream begins a new
// segment, and every link is kept alive, at least once.
func (b *bench) busyTime() time.Duration { return settling + time.Duration(b.full(65, 15))*time.Second }

// watched has channels watched at the top for a while. The function returned waits
// for the end of that, or brings it about if something else has failed with err; it
// says what was lost on the way.
func (r *rig) watched(ctx context.Context, channels []string, length time.Duration) (end func(err error) (lost string, _ error)) {
	watching, stop := context.WithCancel(ctx)
	g, watching := errgroup.WithContext(watching)
	lost := make([]string, len(channels))
	for i, channel := range channels {
		g.Go(func() error {
			v, err := r.top().look(watching, channel, length+5*time.Second)
			lost[i] = v.lost()
			return err
		})
	}
	return func(err error) (string, error) {
		if err != nil {
			stop()
		}
		err = errors.Join(err, g.Wait())
		stop()
		return join(lost...), err
	}
}

// A load is what was read of a district at work.
type load struct {
	footprint footprint
	windows   []window
	busy      float64 // cores that the district kept busy
	packets   float64 // a second, received by the district
	written   float64 // bit/s
	lost      string  // empty for nothing
}

// A window is ten seconds of a process.
type window struct {
	mallocs, packets float64
	call             float64 // mallocs of reading the counters, already taken off
}

// load reads the counters while the rig works for a while.
func (r *rig) load(ctx context.Context, length time.Duration) (l load, err error) {
	began := time.Now()
	if err := sleep(ctx, settling); err != nil {
		return l, err
	}
	before, err := r.reading(ctx)
	if err != nil {
		return l, err
	}
	if l.windows, err = r.bottom().windows(ctx, length-settling); err != nil {
		return l, err
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
	if want := 0.8 * streams * bitrate; written < want { // a segment that has just ended is counted some seconds later
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

// windows counts a level's allocations, ten seconds after ten seconds, for a while.
func (l *level) windows(ctx context.Context, length time.Duration) (list []window, err error) {
	for began := time.Now(); len(list) == 0 || time.Since(began)+10*time.Second <= length; {
		w, err := l.window(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

func (l *level) window(ctx context.Context) (w window, err error) {
	before, call, err := l.calibrate(ctx)
	if err != nil {
		return w, err
	}
	if err := sleep(ctx, 10*time.Second); err != nil {
		return w, err
	}
	s, err := l.status(ctx)
	w.call = call
	w.mallocs = max(0, float64(s.Process.Mallocs-before.Mallocs)-call)
	w.packets = float64(s.Process.Packets - before.Packets)
	return w, err
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
