package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/rtsp"
)

// What a small box must carry, and the bars.
const (
	memoryLimit = 256 << 20
	gcBar       = 0.10
	viewers     = 8
	uplinks     = 2
)

// second is the code of the district's other upper.
const second = "33020000002000000001"

// measureLimit measures a district that records sixteen streams, shows eight to
// players by RTSP and sends one up to each of two uppers, while its processes may
// take 256 MiB together.
func measureLimit(ctx context.Context, b *bench) ([]Result, error) {
	group, err := newCgroup(memoryLimit)
	if err != nil {
		b.say("not measured: %v", err)
		return []Result{{Name: "memory within 256 MiB", Verdict: Told, Measured: "not measured: " + err.Error(), On: "no cgroup for memory here"}}, nil
	}
	defer func() {
		if err := group.remove(); err != nil {
			b.say("remove %s: %v", group.dir, err)
		}
	}()
	r, err := b.buildLimited(ctx, group)
	if err != nil {
		return nil, err
	}
	defer r.close()
	b.say("%d streams recorded within %d MiB, %d players, %d uplinks", streams, memoryLimit>>20, viewers, uplinks)
	crowd, err := r.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	seen, err := r.squeeze(ctx, group, crowd, b.busyTime())
	if err != nil {
		return nil, err
	}
	return seen.results(), nil
}

// buildLimited starts two uppers and, within the group, a district that has both.
func (b *bench) buildLimited(ctx context.Context, group *cgroup) (*rig, error) {
	r := &rig{bench: b, name: fmt.Sprintf("rig%d", b.rigs.Add(1)), net: fmt.Sprintf("127.%d.%d", 64+rand.N(128), rand.N(256))}
	r.dir = filepath.Join(b.scratch, r.name)
	if err := errors.Join(os.MkdirAll(r.dir, 0o755), r.assembleLimited(ctx, group)); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) assembleLimited(ctx context.Context, group *cgroup) error {
	if err := r.simulate(ctx, 0, simulators{streams, "h264"}); err != nil {
		return err
	}
	for i, code := range []string{city, second, district} {
		within := group
		if code != district {
			within = nil
		}
		if err := r.launch(code, r.limited(i, code), within); err != nil {
			return err
		}
	}
	inside := patience{10 * time.Millisecond, 5 * time.Second, "the district is within its cgroup"}
	if err := poll(ctx, inside, func() (bool, error) { return group.holds(r.bottom().pid()), r.bottom().check() }); err != nil {
		return err
	}
	what := fmt.Sprintf("both uppers have %d channels, online", streams)
	return poll(ctx, patience{50 * time.Millisecond, 90 * time.Second, what}, func() (bool, error) { return r.known(ctx) })
}

// limited writes the configuration of one of the two uppers, or of their lower.
func (r *rig) limited(i int, code string) []byte {
	var b bytes.Buffer
	listen := "" // players come to the district only
	if code == district {
		listen = r.rtsp()
	}
	fmt.Fprintf(&b, "[server]\nid = %q\nname = \"level %d\"\nlisten = \"%s.%d:5060\"\nstate = %q\n[rtsp]\nlisten = %q\n[webrtc]\nlisten = \"\"\n", code, i+1, r.net, i+1,
		filepath.Join(r.dir, code), listen)
	fmt.Fprintf(&b, "[discovery]\nenabled = false\nuser = \"admin\"\npassword = %q\n", password)
	if code != district {
		fmt.Fprintf(&b, "[[lower]]\nid = %q\npassword = %q\n", district, password)
		return b.Bytes()
	}
	for n, upper := range []string{city, second} {
		fmt.Fprintf(&b, "[[upper]]\nid = %q\naddress = \"%s.%d:5060\"\npassword = %q\n", upper, r.net, n+1, password)
	}
	fmt.Fprintf(&b, "[[volume]]\npath = %q\ncreate = true\nfree = \"100MB\"\n", filepath.Join(r.dir, code, "volume"))
	for n, onvif := range r.sources {
		fmt.Fprintf(&b, "[[encoder]]\nid = %q\nname = \"encoder %d\"\nonvif = %q\n", r.channels[n], n+1, onvif)
	}
	return b.Bytes()
}

// known reports whether both uppers have every channel.
func (r *rig) known(ctx context.Context) (bool, error) {
	for _, l := range r.levels {
		s, err := l.status(ctx)
		if err != nil || s.Channels.Online != streams {
			return false, err
		}
	}
	return true, nil
}

// A crowd is the players of a district.
type crowd struct {
	streams []*media.Stream
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// admit makes an account and has players watch, each a channel of its own, by TCP.
func (r *rig) admit(ctx context.Context) (*crowd, error) {
	if err := admit(ctx, r.bottom().client); err != nil {
		return nil, fmt.Errorf("make an account: %w", err)
	}
	c := &crowd{}
	ctx, c.cancel = context.WithCancel(ctx)
	for n := range viewers {
		cfg := rtsp.Config{URL: fmt.Sprintf("rtsp://%s/%s", r.rtsp(), r.channels[n]), User: viewer, Password: digest.Secret(password)}
		s := media.NewStream(media.StreamConfig{Name: r.channels[n]}, func(ctx context.Context) (media.Opened, error) { return rtsp.Open(ctx, cfg) })
		c.streams = append(c.streams, s)
		c.running.Go(func() { _ = s.Run(ctx) }) // its state tells how it fares
	}
	for _, s := range c.streams {
		ready, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := s.WaitReady(ready)
		cancel()
		if err != nil {
			c.close()
			return nil, fmt.Errorf("player: %w", err)
		}
	}
	return c, nil
}

// losses says what the players have lost, and who was cut.
func (c *crowd) losses() (lost string) {
	for _, s := range c.streams {
		st, n := s.State(), s.Stats()
		if n.Lost > 0 || n.Damaged > 0 || n.Opened != 1 || !st.Connected {
			lost = join(lost, fmt.Sprintf("player %d packets lost, %d damaged, opened %d times, connected %v", n.Lost, n.Damaged, n.Opened, st.Connected))
		}
	}
	return lost
}

func (c *crowd) close() {
	c.cancel()
	c.running.Wait()
}

// A squeezed is what was seen of a district within its limit.
type squeezed struct {
	memory  groupMemory
	used    api.Budget
	ring    [2]int64   // smallest and largest, bytes
	held    [2]float64 // least and most, seconds
	garbage float64    // part of the processor time
	cycles  uint32     // times that garbage was collected
	busy    float64    // cores
	lost    string
	length  time.Duration
}

// squeeze lets the district work for a while.
func (r *rig) squeeze(ctx context.Context, group *cgroup, c *crowd, length time.Duration) (s squeezed, err error) {
	began := time.Now()
	ends := make([]func(error) (string, error), uplinks)
	for i := range ends {
		ends[i] = r.watchedAt(ctx, r.levels[i], r.channels[i], length)
	}
	before, err := r.spent(ctx, settling)
	if err == nil {
		err = sleep(ctx, time.Until(began.Add(length)))
	}
	after, err2 := r.spent(ctx, 0)
	err = errors.Join(err, err2, s.rings(ctx, r.bottom()))
	busy := (after.busy - before.busy).Seconds()
	s.length, s.used, s.cycles = length, after.streams, after.process.Cycles-before.process.Cycles
	s.garbage = (after.process.Garbage - before.process.Garbage) / busy
	s.busy = busy / (length - settling).Seconds()
	s.lost = c.losses()
	for _, end := range ends {
		var lost string
		lost, err = end(err)
		s.lost = join(s.lost, lost)
	}
	lost, err2 := r.bottom().losses(ctx)
	s.lost = join(s.lost, lost)
	memory, err3 := group.memory()
	s.memory = memory
	return s, errors.Join(err, err2, err3, r.bottom().check())
}

// rings reads how large the rings are and what they hold.
func (s *squeezed) rings(ctx context.Context, l *level) error {
	var list []api.Stream
	if err := l.client.Get(ctx, api.PathStreams, nil, &list); err != nil {
		return err
	}
	for i, x := range list {
		if i == 0 {
			s.ring, s.held = [2]int64{x.Ring, x.Ring}, [2]float64{x.Held, x.Held}
		}
		s.ring = [2]int64{min(s.ring[0], x.Ring), max(s.ring[1], x.Ring)}
		s.held = [2]float64{min(s.held[0], x.Held), max(s.held[1], x.Held)}
	}
	return nil
}

// An effort is what a district has taken since its start.
type effort struct {
	busy    time.Duration
	process api.Process
	streams api.Budget
}

// spent returns that of the district, after a while.
func (r *rig) spent(ctx context.Context, after time.Duration) (e effort, err error) {
	if err := sleep(ctx, after); err != nil {
		return e, err
	}
	s, err := r.bottom().status(ctx)
	if err != nil {
		return e, err
	}
	e.process, e.streams = s.Process, s.Streams
	e.busy, err = r.bottom().processorTime()
	return e, err
}

// watchedAt has a channel watched at one level; see watched.
func (r *rig) watchedAt(ctx context.Context, l *level, channel string, length time.Duration) func(error) (string, error) {
	at := *r
	at.levels = []*level{l}
	return at.watched(ctx, []string{channel}, length)
}

func (s *squeezed) results() []Result {
	on := fmt.Sprintf("%d H.264 streams of 4 Mbit/s with sound, all recorded, %d players by RTSP, %d uplinks by TCP, in a cgroup of %d MiB, after %.0f s",
		streams, viewers, uplinks, memoryLimit>>20, s.length.Seconds())
	m := s.memory
	lost := s.lost
	if m.kills > 0 {
		lost = join(lost, fmt.Sprintf("%d processes killed", m.kills))
	}
	taken := m.anonymous + m.shared
	return []Result{
		{
			Name: "memory of a small box", Bar: "<= " + mb(memoryLimit), Verdict: judge(float64(taken), memoryLimit, lost), On: on,
			Measured: join(fmt.Sprintf("%s that cannot be taken back (heaps %s, rings %s); with cached files %s, at most %s; 0 killed; streams %s of %s; rings of %s to %s hold %.1f to %.1f s",
				mb(taken), mb(m.anonymous), mb(m.shared), mb(m.current), mb(m.peak), mb(s.used.Used), mb(s.used.Limit), mb(s.ring[0]), mb(s.ring[1]), s.held[0], s.held[1]), lost),
			Values: map[string]float64{"anonymous": float64(m.anonymous), "shared": float64(m.shared), "current": float64(m.current), "peak": float64(m.peak),
				"kills": float64(m.kills), "budget_used": float64(s.used.Used), "budget_limit": float64(s.used.Limit), "held_least_s": s.held[0]},
		},
		{
			Name: "garbage collection of a small box", Bar: "<= 10 %", Verdict: judge(s.garbage, gcBar, lost), On: on,
			Measured: join(fmt.Sprintf("%.1f %% of the processor time, which is %.2f cores; collected %d times", 100*s.garbage, s.busy, s.cycles), lost),
			Values:   map[string]float64{"share": s.garbage, "cores": s.busy, "cycles": float64(s.cycles)},
		},
	}
}
