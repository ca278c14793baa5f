package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/bench/peer"
	"districtgateway/cmd/internal/bench/traffic"
)

// Bars of what a new reader sees, and of what is added on the way.
const (
	keyBar     = 50 * time.Millisecond
	presentBar = 3 * time.Second
	delayBar   = time.Millisecond
)

// measureReader measures what a reader that has just come sees of a stream that
// others are reading: the first key picture, and how soon it is in the present.
func measureReader(ctx context.Context, b *bench) ([]Result, error) {
	f, err := b.newField(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var results []Result
	var errs []error
	for i, e := range f.entrants {
		if e.Can().Pushed { // takes part in fan-out only
			continue
		}
		list, err := f.newcomers(ctx, e, i == 0)
		results = append(results, list...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.Name(), err))
		}
	}
	return results, errors.Join(errs...)
}

// newcomers measures one entrant; ours has bars, and is measured over UDP too.
func (f *field) newcomers(ctx context.Context, e entrant, ours bool) ([]Result, error) {
	s, err := f.begin(ctx, e, 1, false)
	if err != nil {
		return nil, err
	}
	defer s.end()
	defer f.sinks.CloseReaders(ctx) // again, if something failed
	if err := s.open(ctx, traffic.Request{URLs: s.urls(1)}); err != nil {
		return nil, err
	}
	if err := sleep(ctx, warming); err != nil {
		return nil, err
	}
	n := f.bench.full(20, 10)
	if ours {
		n = f.bench.full(60, 20)
	}
	took, err := s.glances(ctx, n)
	if err != nil {
		return nil, err
	}
	if _, err := f.sinks.CloseReaders(ctx); err != nil || !ours {
		return []Result{keyResult(e.Name(), took, ours)}, err
	}
	r, err := s.joinUDP(ctx, f.bench.full(30, 15))
	return []Result{keyResult(e.Name(), took, ours), r}, err
}

// glances has n readers come, at instants that are spread over every place of the
// group of pictures: five a second on average.
func (s *server) glances(ctx context.Context, n int) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	g, ctx := errgroup.WithContext(ctx)
	for i := range took {
		g.Go(func() (err error) {
			if err := sleep(ctx, rand.N(time.Duration(n)*200*time.Millisecond)); err != nil {
				return err
			}
			took[i], err = s.field.sinks.Glance(ctx, traffic.Request{URLs: s.urls(1)})
			return err
		})
	}
	return took, g.Wait()
}

func keyResult(who string, took []time.Duration, ours bool) Result {
	p50, p95, most := percentile(took, 50), percentile(took, 95), percentile(took, 100)
	r := Result{
		Name: "first key picture of a new reader, " + who, Verdict: Told, On: "one stream of 3.9 Mbit/s, a key picture every 2 s, RTSP/TCP, from the connection to the whole picture",
		Measured: fmt.Sprintf("p50 %.1f, p95 %.1f, max %.1f ms, n %d", ms(p50), ms(p95), ms(most), len(took)),
		Values:   map[string]float64{"p50_ms": ms(p50), "p95_ms": ms(p95), "max_ms": ms(most), "n": float64(len(took))},
	}
	if ours {
		r.Bar, r.Verdict = "p95 <= 50 ms", judge(ms(p95), ms(keyBar), "")
	}
	for _, t := range took {
		r.Samples = append(r.Samples, ms(t))
	}
	return r
}

// joinUDP has n readers come over UDP one after the other, and looks when each was
// in the present.
func (s *server) joinUDP(ctx context.Context, n int) (r Result, err error) {
	for range n {
		if err := s.open(ctx, traffic.Request{URLs: s.urls(1), UDP: true, Prompt: true}); err != nil {
			return r, err
		}
		if err := sleep(ctx, rand.N(120*time.Millisecond)); err != nil {
			return r, err
		}
	}
	if err := sleep(ctx, presentBar+time.Second); err != nil {
		return r, err
	}
	sights, err := s.field.sinks.CloseReaders(ctx)
	if err != nil {
		return r, err
	}
	return presentResult(sights), nil
}

func presentResult(sights []traffic.Sight) Result {
	var sum traffic.Totals
	var behind []time.Duration
	for _, s := range sights {
		sum, behind = sum.Plus(s.Totals), append(behind, s.Behind)
	}
	lost := ""
	if blind := slices.ContainsFunc(sights, func(s traffic.Sight) bool { return s.Key == 0 }); blind || !sum.Whole() {
		lost = fmt.Sprintf("%d packets lost, %d twice, %d pictures missing, %d damaged, one without a key picture: %v", sum.Lost, sum.Twice, sum.Missing, sum.Damaged, blind)
	}
	worst := percentile(behind, 100)
	return Result{
		Name: "a new reader over UDP in the present", Bar: "<= 3 s, 0 lost", Verdict: judge(ms(worst), ms(presentBar), lost), On: "one stream of 3.9 Mbit/s, a key picture every 2 s, RTP/UDP",
		Measured: join(fmt.Sprintf("less than 500 ms late after p50 %.0f, max %.0f ms, n %d; %d packets, %d lost", ms(percentile(behind, 50)), ms(worst), len(behind), sum.Packets, sum.Lost), lost),
		Values:   map[string]float64{"p50_ms": ms(percentile(behind, 50)), "max_ms": ms(worst), "n": float64(len(behind)), "packets": float64(sum.Packets), "lost": float64(sum.Lost)},
	}
}

// measureDelay measures how long a picture is on its way through each server.
func measureDelay(ctx context.Context, b *bench) ([]Result, error) {
	f, err := b.newField(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	t := task{name: "delay", sources: streams, readers: 1, prompt: true, bars: map[string]bar{"mediamtx": {}, "go2rtc": {}, "ZLMediaKit": {}, peer.ZLMPrompt: {}}}
	scores, err := f.contest(ctx, t, 1)
	var results []Result
	for i, s := range scores {
		c := s.cells[0]
		if len(c.delays) == 0 {
			err = errors.Join(err, fmt.Errorf("%s: no picture: %s", s.name, c.lost))
			continue
		}
		p50, p99 := percentile(c.delays, 50), percentile(c.delays, 99)
		r := Result{
			Name: "delay added, " + s.name, Verdict: Told, On: t.on() + ", readers that read at once; from before a picture is sent to its last packet received",
			Measured: join(fmt.Sprintf("p50 %.2f, p99 %.2f ms of %d pictures", ms(p50), ms(p99), len(c.delays)), c.lost),
			Values:   map[string]float64{"p50_ms": ms(p50), "p99_ms": ms(p99), "n": float64(len(c.delays))},
		}
		if i == 0 {
			r.Bar, r.Verdict = "p50 <= 1 ms", judge(ms(p50), ms(delayBar), c.lost)
		}
		results = append(results, r)
	}
	return results, err
}

// measureAllocations counts what a relay of sixteen streams allocates.
func measureAllocations(ctx context.Context, b *bench) ([]Result, error) {
	f, err := b.newField(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	s, err := f.begin(ctx, f.entrants[0], streams, false)
	if err != nil {
		return nil, err
	}
	defer s.end()
	defer f.sinks.CloseReaders(ctx)
	t := task{sources: streams, readers: 1}
	before, err := f.reading(ctx, s, t)
	if err != nil {
		return nil, err
	}
	l := levelOf(s)
	defer l.client.Close()
	windows, err := l.windows(ctx, time.Duration(b.full(20, 10))*time.Second)
	if err != nil {
		return nil, err
	}
	after, err := s.account(ctx)
	if err != nil {
		return nil, err
	}
	var c cell
	c.settle(t, before, after)
	return []Result{mallocResult("relay", t.on(), windows, c.lost)}, nil
}

// reading gives a server its work and reads the counters.
func (f *field) reading(ctx context.Context, s *server, t task) (account, error) {
	if err := s.occupy(ctx, t, new(cell)); err != nil {
		return account{}, err
	}
	return s.account(ctx)
}

// levelOf is a gateway of a field, to be asked by its control socket.
func levelOf(s *server) *level {
	return &level{s.process, district, api.NewClient(control(s.job))}
}
