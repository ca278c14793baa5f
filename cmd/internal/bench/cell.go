package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"districtgateway/cmd/internal/bench/traffic"
)

// A task is one kind of work that servers are compared by.
type task struct {
	name    string
	sources int
	readers int // of each source
	udp     bool
	record  bool
	prompt  bool
	// The peers' cost in ours that is the bar, and the one that is the goal, by
	// the peer's name; for the zero bar it is only told, and a peer that is not named is not measured.
	bars map[string]bar
}

// A bar is what a ratio has to reach, and what it is hoped to.
type bar struct{ least, goal float64 }

// can tells whether an entrant can do the work.
func (t task) can(e entrant) bool {
	can := e.Can()
	return (can.UDP || !t.udp) && (can.Record || !t.record)
}

// Times of a cell. A server is warm when more than a group of pictures has gone
// through it. Where most of the work is to receive, its buffers must have been full
// once, too: the gateway's ring holds up to 8.6 s of such a stream, and until then each
// new page of it costs a fault. A window is two groups.
const (
	warming   = 2500 * time.Millisecond
	filling   = 9500 * time.Millisecond
	measuring = 4 * time.Second
)

// A cell is one window of one server at one task.
type cell struct {
	busy     time.Duration
	span     time.Duration
	bytes    uint64 // relayed: to all readers; recorded: from the sources
	packets  uint64
	switches uint64
	memory   [2]int64 // proportional set size in bytes: with one reader a source, with all
	delays   []time.Duration
	lost     string // why the cell is void; empty if it is not
}

// cost is in CPU seconds a Gbit.
func (c cell) cost() float64 { return c.busy.Seconds() / (float64(max(1, c.bytes)) * 8 / 1e9) }

// cell measures an entrant once.
func (f *field) cell(ctx context.Context, e entrant, t task) (c cell, err error) {
	s, err := f.begin(ctx, e, t.sources, t.record)
	if err != nil {
		return c, err
	}
	defer s.end()
	defer func() {
		_, err2 := f.sinks.CloseReaders(ctx)
		err = errors.Join(err, err2)
	}()
	if err := s.occupy(ctx, t, &c); err != nil {
		return c, err
	}
	before, err := s.account(ctx)
	if err != nil {
		return c, err
	}
	if err := sleep(ctx, measuring); err != nil {
		return c, err
	}
	after, err := s.account(ctx)
	if err != nil {
		return c, err
	}
	c.settle(t, before, after)
	foot, err := s.footprint()
	c.memory[1] = foot.sum().Total
	return c, err
}

// warm is how long the sources send before anything is measured.
func (t task) warm() time.Duration {
	if t.sources > 1 {
		return filling
	}
	return warming
}

// occupy gives a server its work, and time to get used to it.
func (s *server) occupy(ctx context.Context, t task, c *cell) error {
	if t.readers > 0 {
		if err := s.open(ctx, traffic.Request{URLs: s.urls(1), UDP: t.udp, Prompt: t.prompt}); err != nil {
			return err
		}
	}
	if err := s.fed(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, t.warm()); err != nil {
		return err
	}
	foot, err := s.footprint()
	if err != nil {
		return err
	}
	c.memory[0] = foot.sum().Total
	if t.readers > 1 {
		if err := s.open(ctx, traffic.Request{URLs: s.urls(t.readers - 1), UDP: t.udp, Prompt: t.prompt}); err != nil {
			return err
		}
		return sleep(ctx, warming)
	}
	return nil
}

// An account is what counters stood at.
type account struct {
	at       time.Time
	busy     time.Duration
	switches uint64
	sent     traffic.Sent
	got      traffic.Receipt
	recorded int64
}

func (s *server) account(ctx context.Context) (a account, err error) {
	if err := s.check(); err != nil {
		return a, err
	}
	a.at = time.Now()
	var errs [4]error
	a.busy, errs[0] = s.processorTime()
	a.got, errs[1] = s.field.sinks.Read(ctx, traffic.Reading{Fresh: true})
	a.sent, errs[2] = s.field.source.Sent(ctx)
	if s.job.Record {
		a.recorded, errs[3] = s.recorded()
	}
	a.switches = s.switches()
	return a, errors.Join(errs[:]...)
}

// Rules of what is void. What a window's edges cut is a picture a reader and what
// quiet sinks have not looked at yet, so bytes are compared loosely; numbers tell exactly.
const (
	bytesSlack    = 0.05
	recordedSlack = 0.3 // a server may keep a second to itself
	latest        = time.Second
)

// settle works out a cell from what the counters stood at.
func (c *cell) settle(t task, before, after account) {
	got := after.got.Minus(before.got.Totals)
	in := after.sent.Bytes - before.sent.Bytes
	c.span, c.busy = after.at.Sub(before.at), after.busy-before.busy
	c.switches = after.switches - before.switches
	c.delays = after.got.Delays
	c.bytes, c.packets = got.Bytes, got.Packets
	want := float64(in) * float64(t.readers)
	if t.readers == 0 {
		c.bytes, c.packets = in, after.sent.Packets-before.sent.Packets
	}
	c.void(after.sent.Late > latest, "the source was %v late", after.sent.Late)
	c.void(after.sent.Playing != t.sources, "%d sources of %d", after.sent.Playing, t.sources)
	c.void(!got.Whole(), "%d packets lost, %d twice; %d pictures missing, %d damaged", got.Lost, got.Twice, got.Missing, got.Damaged)
	c.void(after.got.Ended != "", "%s", after.got.Ended)
	c.void(after.got.Readers != t.sources*t.readers, "%d readers of %d", after.got.Readers, t.sources*t.readers)
	c.void(t.readers > 0 && !near(float64(got.Bytes), want, bytesSlack), "%d bytes received of %.0f", got.Bytes, want)
	written := after.recorded - before.recorded
	c.void(t.record && !near(float64(written), float64(in), recordedSlack), "%d bytes recorded of %d", written, in)
}

// void notes why the cell is void, if bad.
func (c *cell) void(bad bool, format string, args ...any) {
	if bad {
		c.lost = join(c.lost, fmt.Sprintf(format, args...))
	}
}

func near(got, want, slack float64) bool { return got >= want*(1-slack) && got <= want*(1+slack) }

// switches returns how often threads of the server and its children gave way.
func (p *process) switches() (sum uint64) {
	for _, path := range p.tasks("status") {
		for _, l := range lines(path) {
			if key, value, ok := strings.Cut(l, ":"); ok && strings.HasSuffix(key, "ctxt_switches") {
				n, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 64) // a count
				sum += n
			}
		}
	}
	return sum
}
