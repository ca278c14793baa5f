package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/bench/traffic"
)

// What a soak is: levels at work for long, with viewers that come and go. From time
// to time nobody comes, and everything is counted: what has grown by then was left
// behind.
const (
	soakVolume = "1GB"            // full after four minutes, so that retention is at work, too
	soakSpell  = 4 * time.Minute  // viewers come and go
	soakRest   = 40 * time.Second // nobody comes: streams linger 10 s, SIP transactions end after 32 s
	soakLook   = 10 * time.Second // at its end, everything is counted each second
	soakRests  = 4                // the fewest that tell anything
	soakComers = 6                // viewers at once that come and go
)

// Bars of a soak.
const (
	slopeBar = 0.5e6 // bytes an hour, of each level
	driftBar = 4     // goroutines or descriptors between beginning and end: idle connections to encoders come and go
)

// A soaker is one level under a soak.
type soaker struct {
	*level
	name  string
	rests []rest
}

// A rest is the least that was counted while nobody came.
type rest struct {
	at          time.Duration // since the begin of the soak
	parts       parts
	goroutines  int
	descriptors int // of the daemon and its children
}

// memory is what a level holds, in bytes. Of pages the runtime has more, takes more and
// gives them back, by megabytes from one second to the next; they are told besides.
func (n rest) memory() int64 {
	return n.parts[objects] + n.parts[stacks] + n.parts[rings] + n.parts[children]
}

// parts are what memory is made of, in bytes.
type parts [partCount]int64

// The parts.
const (
	objects  = iota // of the daemon, in use
	stacks          // of its goroutines
	rings           // pages of them
	children        // objects and stacks of the volumes' processes
	pages           // of the daemon's own and of its children's, which hold objects and stacks
	partCount
)

var partNames = [partCount]string{"objects", "stacks", "rings", "children", "pages"}

// least returns the least of both of each part.
func (p parts) least(o parts) parts {
	for i := range p {
		p[i] = min(p[i], o[i])
	}
	return p
}

func (p parts) String() string {
	var list []string
	for i, n := range p {
		list = append(list, fmt.Sprintf("%s %.2f", partNames[i], float64(n)/1e6))
	}
	return strings.Join(list, ", ")
}

// A soak is a rig and what is done to it.
type soak struct {
	rig     *rig
	sinks   *loader
	began   time.Time
	levels  []*soaker
	came    counts
	comers  [soakComers]counts
	watcher view
}

// counts are what viewers saw.
type counts struct{ watched, readers, queries int }

func (c counts) plus(o counts) counts {
	return counts{c.watched + o.watched, c.readers + o.readers, c.queries + o.queries}
}

// measureSoak has three levels work for b.soak, and tells what grew.
func measureSoak(ctx context.Context, b *bench) ([]Result, error) {
	r, err := b.build(ctx, plan{media: "tcp-passive", encoders: []simulators{{6, "h264"}, {2, "h265"}}, readers: true, size: soakVolume})
	if err != nil {
		return nil, err
	}
	defer r.close()
	s := &soak{rig: r, began: time.Now()}
	for i, name := range []string{"province", "city", "district"} {
		s.levels = append(s.levels, &soaker{level: r.levels[i], name: name})
	}
	if s.sinks, err = b.loader(ctx, "soak"); err != nil {
		return nil, err
	}
	defer s.sinks.end()
	if err := errors.Join(admit(ctx, r.bottom().client), s.recorded(ctx)); err != nil {
		return nil, err
	}
	if err := s.run(ctx, b.soak); err != nil {
		return nil, err
	}
	return s.results(), nil
}

// recorded waits until something of every channel is recorded.
func (s *soak) recorded(ctx context.Context) error {
	for _, channel := range s.rig.channels {
		err := poll(ctx, patience{100 * time.Millisecond, 30 * time.Second, channel + " is recorded"}, func() (bool, error) {
			err := s.rig.bottom().query(ctx, channel, s.began)
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// run alternates spells and rests until the time is over. A viewer at the top
// watches one channel throughout.
func (s *soak) run(ctx context.Context, length time.Duration) error {
	watching, stop := context.WithCancel(ctx)
	g, watching := errgroup.WithContext(watching)
	g.Go(func() (err error) {
		s.watcher, err = s.rig.top().look(watching, s.rig.channels[0], length)
		return err
	})
	err := s.alternate(watching, length)
	if err != nil {
		stop()
	}
	err2 := g.Wait()
	stop()
	if err != nil {
		return errors.Join(err, err2)
	}
	return err2
}

func (s *soak) alternate(ctx context.Context, length time.Duration) error {
	spell := min(soakSpell, max(0, length/(soakRests+1)-soakRest))
	for time.Since(s.began)+spell+soakRest <= length {
		if err := s.spell(ctx, spell); err != nil {
			return err
		}
		if err := sleep(ctx, soakRest-soakLook); err != nil {
			return err
		}
		if err := s.count(ctx); err != nil {
			return err
		}
	}
	return nil
}

// spell has viewers come and go for a while.
func (s *soak) spell(ctx context.Context, length time.Duration) error {
	until, stop := context.WithTimeout(ctx, length)
	defer stop()
	g, within := errgroup.WithContext(until)
	for i := range s.comers {
		g.Go(func() error {
			for within.Err() == nil {
				if err := s.visit(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		for within.Err() == nil {
			if err := s.read(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	err := g.Wait()
	for i, c := range s.comers {
		s.came, s.comers[i] = s.came.plus(c), counts{}
	}
	return err
}

// visit is one viewer's: a live picture at any level, or a list of recordings.
func (s *soak) visit(ctx context.Context, i int) error {
	l := s.levels[rand.N(len(s.levels))].level
	channel := s.rig.channels[rand.N(len(s.rig.channels))]
	if rand.N(4) == 0 {
		s.comers[i].queries++
		return l.query(ctx, channel, s.began)
	}
	s.comers[i].watched++
	v, err := l.look(ctx, channel, rand.N(4*time.Second))
	if lost := v.lost(); err == nil && lost != "" {
		return fmt.Errorf("a viewer of %s at %s: %s", channel, l.code, lost)
	}
	return err
}

// read has a reader come by RTSP, over TCP or UDP, and go after a while.
func (s *soak) read(ctx context.Context) error {
	url := fmt.Sprintf("rtsp://%s:%s@%s/%s", viewer, password, s.rig.rtsp(), s.rig.channels[rand.N(len(s.rig.channels))])
	s.came.readers++
	if err := s.sinks.Open(ctx, traffic.Request{URLs: []string{url}, UDP: rand.N(2) == 0}); err != nil {
		return err
	}
	if err := sleep(ctx, rand.N(2*time.Second)); err != nil {
		return err
	}
	_, err := s.sinks.CloseReaders(ctx)
	return err
}

// count counts at each level, second after second, and keeps the least. A level's
// garbage is collected before: what is left is what it holds, and a profile of that is
// kept with the logs.
func (s *soak) count(ctx context.Context) error {
	for _, l := range s.levels {
		held, err := l.client.Profile(ctx, api.ProfileMemory, 0)
		if err == nil {
			err = os.WriteFile(filepath.Join(s.rig.bench.logs, fmt.Sprintf("heap-%s-%d.pprof", l.name, len(l.rests))), held, 0o600)
		}
		if err != nil {
			return err
		}
	}
	for end := time.Now().Add(soakLook); time.Now().Before(end); {
		for _, l := range s.levels {
			if err := l.count(ctx, time.Since(s.began), end); err != nil {
				return err
			}
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%d viewers and %d readers came", s.came.watched, s.came.readers)
	for _, l := range s.levels {
		n := l.rests[len(l.rests)-1]
		line += fmt.Sprintf("; %s %s (%s), %d goroutines, %d descriptors", l.name, mb(n.memory()), n.parts, n.goroutines, n.descriptors)
	}
	s.rig.bench.say("%s", line)
	return nil
}

// count adds one reading to the rest that ends at end.
func (l *soaker) count(ctx context.Context, at time.Duration, end time.Time) error {
	status, err := l.status(ctx)
	if err != nil {
		return err
	}
	foot, err := l.footprint()
	if err != nil {
		return err
	}
	fds, err := l.descriptors()
	if err != nil {
		return err
	}
	p, sum := status.Process, foot.sum()
	n := rest{at, parts{objects: int64(p.Objects), stacks: int64(p.Stacks), rings: sum.Shared, pages: sum.Anonymous}, p.Goroutines, fds}
	for _, v := range status.Volumes {
		n.parts[children] += v.Memory
	}
	if last := len(l.rests) - 1; last >= 0 && at-l.rests[last].at < soakRest-soakLook {
		o := &l.rests[last]
		o.parts, o.goroutines, o.descriptors = o.parts.least(n.parts), min(o.goroutines, n.goroutines), min(o.descriptors, n.descriptors)
		return nil
	}
	l.rests = append(l.rests, n)
	return nil
}

// descriptors counts those of the process and of its children.
func (p *process) descriptors() (sum int, err error) {
	ids, err := childrenOf(p.pid())
	if err != nil {
		return 0, err
	}
	for _, id := range append(ids, p.pid()) {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", id))
		if err != nil {
			return 0, err
		}
		sum += len(list)
	}
	return sum, nil
}

// results compares what was counted at the rests, the first sixth of the time left out:
// until then caches and volumes fill.
func (s *soak) results() []Result {
	length := time.Since(s.began)
	on := fmt.Sprintf("%d encoders of 4 Mbit/s recorded on a volume of %s that is always full, one watched at the top throughout; %d live pictures at all levels, %d RTSP readers and %d queries came and went in %s",
		len(s.rig.channels), soakVolume, s.came.watched, s.came.readers, s.came.queries, length.Round(time.Second))
	var list []Result
	for _, l := range s.levels {
		list = append(list, l.results(length, s.watcher.lost(), on)...)
	}
	return list
}

func (l *soaker) results(length time.Duration, lost, on string) []Result {
	rests := slices.DeleteFunc(slices.Clone(l.rests), func(n rest) bool { return n.at < length/6 })
	if len(rests) < soakRests {
		lost = join(lost, fmt.Sprintf("%d rests only", len(rests)))
	}
	if len(rests) == 0 {
		return nil
	}
	first, last := rests[0], rests[len(rests)-1]
	slope := slopeOf(rests, rest.memory)
	memory := Result{
		Name: "growth of memory, " + l.name, Bar: "<= 0.5 MB/h", Verdict: judge(slope, slopeBar, lost), On: on,
		Measured: join(fmt.Sprintf("%+.2f MB/h over %d rests, from %s to %s", slope/1e6, len(rests), mb(first.memory()), mb(last.memory())), lost),
		Values:   map[string]float64{"bytes_per_hour": slope},
	}
	for i, name := range partNames {
		memory.Values[name+", bytes_per_hour"] = slopeOf(rests, func(n rest) int64 { return n.parts[i] })
	}
	for _, n := range l.rests {
		memory.Samples = append(memory.Samples, float64(n.memory()))
	}
	goroutines, descriptors := last.goroutines-first.goroutines, last.descriptors-first.descriptors
	return []Result{memory, {
		Name: "drift of goroutines and descriptors, " + l.name, Bar: "<= 4", Verdict: judge(float64(max(goroutines, descriptors)), driftBar, lost), On: on,
		Measured: join(fmt.Sprintf("goroutines %d to %d, descriptors %d to %d", first.goroutines, last.goroutines, first.descriptors, last.descriptors), lost),
		Values:   map[string]float64{"goroutines": float64(goroutines), "descriptors": float64(descriptors)},
	}}
}

// slopeOf is the growth of something in bytes an hour: the median of the slopes between any two
// rests (Theil and Sen), which one odd rest does not move. Of fewer than two it is 0.
func slopeOf(rests []rest, bytes func(rest) int64) float64 {
	var slopes []float64
	for i, a := range rests {
		for _, b := range rests[:i] {
			slopes = append(slopes, float64(bytes(a)-bytes(b))/(a.at-b.at).Hours())
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	return median(slopes)
}
