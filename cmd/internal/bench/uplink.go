package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/internal/api"
)

// uplinkBar is what sending to an upper by program stream may cost, in what it
// costs to give the same streams to as many readers by RTSP.
const uplinkBar = 1.3

// A taking is a way to take every stream of the measured gateway.
type taking struct {
	name   string
	media  string // of a link of GB/T 28181; empty for RTSP
	udp    bool   // by RTSP
	beside int    // the taking that it is divided by; itself for none
}

func takings() []taking {
	return []taking{
		{name: "RTSP over TCP", beside: 0},
		{name: "program stream over TCP", media: "tcp-passive", beside: 0},
		{name: "RTSP over UDP", udp: true, beside: 2},
		{name: "program stream over UDP", media: "udp", beside: 2},
	}
}

// A taker is a gateway that takes the streams in one of these ways, and gives each
// to a local viewer. Takers are alike but for the way, so that waking them costs the
// measured gateway the same.
type taker struct {
	taking
	*level
	dir   string
	host  string
	got   atomic.Uint64 // bytes of MP4
	cells []cell
}

// An uplink is the measured gateway with its takers.
type uplink struct {
	field  *field
	low    *server
	takers []*taker
	warm   bool // every page of the measured gateway's rings has been written
}

// measureUplink measures what it costs to send sixteen streams up.
func measureUplink(ctx context.Context, b *bench) ([]Result, error) {
	f, err := b.newField(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	u := &uplink{field: f}
	defer u.close()
	if err := u.build(ctx); err != nil {
		return nil, err
	}
	for round := range b.rounds() {
		order := slices.Clone(u.takers)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, t := range order {
			c, err := u.cell(ctx, t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			t.cells = append(t.cells, c)
			b.say("%s, round %d: %.3f CPU-s/Gbit %s", t.name, round+1, c.cost(), c.lost)
		}
	}
	return u.results(), nil
}

// upperCode is the code of the n-th taker.
func upperCode(n int) string { return fmt.Sprintf("330100000020000000%02d", n+1) }

// build starts the measured gateway, which has the takers by link as uppers, and then the takers.
func (u *uplink) build(ctx context.Context) error {
	var uppers bytes.Buffer
	for i, way := range takings() {
		t := &taker{taking: way, host: fmt.Sprintf("%s.%d", u.field.host, 251-i), dir: filepath.Join(u.field.bench.scratch, fmt.Sprintf("taker%d-%d", u.field.bench.fields, i))}
		u.takers = append(u.takers, t)
		if way.media != "" {
			fmt.Fprintf(&uppers, "[[upper]]\nid = %q\naddress = \"%s:5060\"\npassword = %q\nretry_every = \"1s\"\n", upperCode(i), t.host, password)
		}
	}
	var err error
	if u.low, err = u.field.begin(ctx, entrant{ours{uppers.String()}, u.field.bench.gatewayd}, streams, false); err != nil {
		return err
	}
	for i, t := range u.takers {
		if err := u.launch(t, i); err != nil {
			return err
		}
	}
	for _, t := range u.takers {
		if err := t.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the i-th taker.
func (u *uplink) launch(t *taker, i int) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "[server]\nid = %q\nname = \"taker\"\nlisten = \"%s:5060\"\nstate = %q\nlog_level = \"warn\"\n[rtsp]\nlisten = \"\"\n[webrtc]\nlisten = \"\"\n[discovery]\nenabled = false\n[record]\nenabled = false\n[media]\nlinger = \"1s\"\n",
		upperCode(i), t.host, t.dir)
	if t.media != "" {
		fmt.Fprintf(&b, "[[lower]]\nid = %q\npassword = %q\nmedia = %q\n", district, password, t.media)
	} else {
		for n := range streams {
			fmt.Fprintf(&b, "[[encoder]]\nid = %q\nname = \"stream %d\"\nrtsp = \"rtsp://%s/%s\"\nuser = %q\npassword = %q\nudp = %v\n", channelCode(n), n, u.low.job.RTSP(), channelCode(n), viewer, password, t.udp)
		}
	}
	file := filepath.Join(t.dir, "gatewayd.toml")
	if err := errors.Join(os.Mkdir(t.dir, 0o755), os.WriteFile(file, b.Bytes(), 0o600)); err != nil {
		return err
	}
	p, err := u.field.bench.start(filepath.Base(t.dir), nil, u.field.bench.gatewayd, "--config", file)
	if err != nil {
		return err
	}
	t.level = &level{p, upperCode(i), api.NewClient(filepath.Join(t.dir, "control.sock"))}
	return nil
}

// ready waits until a taker has every channel.
func (t *taker) ready(ctx context.Context) error {
	return poll(ctx, patience{50 * time.Millisecond, 60 * time.Second, t.name + ": every channel known"}, func() (bool, error) {
		if err := t.check(); err != nil {
			return false, err
		}
		var list []api.Channel
		if err := t.client.Get(ctx, api.PathChannels, nil, &list); err != nil {
			return false, err
		}
		n := 0
		for _, c := range list {
			if c.Kind == "channel" && (c.Online || t.media == "") {
				n++
			}
		}
		return n == streams, nil
	})
}

func (u *uplink) close() {
	for _, t := range u.takers {
		if t.level != nil {
			t.client.Close()
			t.stop()
		}
	}
	if u.low != nil {
		u.low.end()
	}
}

// cell has one taker take everything for a while.
func (u *uplink) cell(ctx context.Context, t *taker) (c cell, err error) {
	watching, stop := context.WithCancel(ctx)
	g, watching := errgroup.WithContext(watching)
	for n := range streams {
		g.Go(func() error { return t.client.Live(watching, api.LiveRequest{Channel: channelCode(n)}, t) })
	}
	c, err = u.window(watching, t)
	stop()
	if err2 := g.Wait(); err2 != nil && ctx.Err() == nil {
		err = errors.Join(err2, err)
	}
	if err != nil {
		return c, err
	}
	return c, t.rest(ctx)
}

// Write takes what a viewer receives.
func (t *taker) Write(p []byte) (int, error) {
	t.got.Add(uint64(len(p)))
	return len(p), nil
}

// window measures while the taker takes.
func (u *uplink) window(ctx context.Context, t *taker) (c cell, err error) {
	if err := u.low.fed(ctx); err != nil {
		return c, err
	}
	wait := warming + time.Second // who comes over UDP is paced for as long
	if !u.warm {
		u.warm, wait = true, filling
	}
	if err := sleep(ctx, wait); err != nil {
		return c, err
	}
	before, err := u.low.account(ctx)
	got := t.got.Load()
	if err != nil {
		return c, err
	}
	if err := sleep(ctx, measuring); err != nil {
		return c, err
	}
	after, err := u.low.account(ctx)
	if err != nil {
		return c, err
	}
	got = t.got.Load() - got
	c.settle(task{sources: streams}, before, after)
	c.void(!near(float64(got), float64(c.bytes), 2*bytesSlack), "%d bytes watched of %d", got, c.bytes)
	for _, l := range []*level{t.level, levelOf(u.low)} {
		lost, err := l.losses(ctx)
		if err != nil {
			return c, err
		}
		c.lost = join(c.lost, lost)
	}
	return c, nil
}

// rest waits until a taker takes nothing any more.
func (t *taker) rest(ctx context.Context) error {
	return poll(ctx, patience{50 * time.Millisecond, 20 * time.Second, t.name + ": no stream"}, func() (bool, error) {
		var list []api.Stream
		err := t.client.Get(ctx, api.PathStreams, nil, &list)
		return err == nil && !slices.ContainsFunc(list, func(s api.Stream) bool { return s.Connected }), err
	})
}

func (u *uplink) results() (list []Result) {
	for _, t := range u.takers {
		base := u.takers[t.beside]
		if base == t {
			continue
		}
		rates, void := ratios(t.cells, base.cells)
		mine, plain := score{cells: t.cells}, score{cells: base.cells}
		r := Result{
			Name: fmt.Sprintf("cost of %s / %s", t.name, base.name), Bar: "<= 1.3", Verdict: Void, Samples: rates,
			On:     fmt.Sprintf("%d streams in by RTSP/TCP and out to one gateway, which takes them in either way", streams),
			Values: map[string]float64{"cpu_s_per_gbit": mine.values()["cpu_s_per_gbit"], "plain_cpu_s_per_gbit": plain.values()["cpu_s_per_gbit"]},
		}
		if len(rates) > void {
			r.Verdict = judge(median(rates), uplinkBar, "")
			r.Values["ratio"] = median(rates)
			r.Measured = fmt.Sprintf("%.2f [%.2f..%.2f] in %d rounds; %.3f against %.3f CPU-s/Gbit", median(rates), slices.Min(rates), slices.Max(rates), len(rates), r.Values["cpu_s_per_gbit"], r.Values["plain_cpu_s_per_gbit"])
		}
		r.Measured = join(r.Measured, mine.voids(), plain.voids())
		list = append(list, r)
	}
	return list
}
