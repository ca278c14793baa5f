package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"districtgateway/cmd/internal/bench/peer"
)

// tasks are what servers are compared by.
func tasks() []task {
	return []task{
		{name: "relay", sources: 16, readers: 1, bars: map[string]bar{"mediamtx": {3, 4.5}, "go2rtc": {1.5, 2.1}, "ZLMediaKit": {2.5, 3.6}, peer.ZLMPrompt: {}}},
		{name: "fan-out", sources: 1, readers: 100, bars: map[string]bar{"mediamtx": {5, 8}, "go2rtc": {1.5, 2.2}, "ZLMediaKit": {5, 7.3}, peer.ZLMPrompt: {}, peer.ZLMPushed: {5, 7.3}}},
		{name: "fan-out-udp", sources: 1, readers: 100, udp: true, bars: map[string]bar{"mediamtx": {3, 4.3}, "ZLMediaKit": {2, 3}}},
		{name: "record", sources: 16, record: true, bars: map[string]bar{"mediamtx": {2.5, 4}, "ZLMediaKit": {1.5, 2.3}}},
	}
}

// on describes a task.
func (t task) on() string {
	over := "RTSP/TCP"
	if t.udp {
		over = "RTP/UDP"
	}
	if t.record {
		return fmt.Sprintf("%d streams of 3.9 Mbit/s in, all recorded", t.sources)
	}
	return fmt.Sprintf("%d in, %d out, %s, 3.9 Mbit/s each", t.sources, t.sources*t.readers, over)
}

// A score is what one entrant did, a cell a round.
type score struct {
	name  string
	cells []cell
}

// measureTask compares the gateway with every peer that is there. Alone, it is measured
// once.
func measureTask(ctx context.Context, b *bench, t task) ([]Result, error) {
	f, err := b.newField(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	rounds := 1
	if len(b.peers) > 0 {
		rounds = b.rounds()
	}
	scores, err := f.contest(ctx, t, rounds)
	if len(scores) == 0 {
		return nil, err
	}
	results := []Result{scores[0].result(t)}
	if t.readers > 1 {
		results = append(results, scores[0].perReader(t))
	}
	for _, s := range scores[1:] {
		results = append(results, s.against(scores[0], t))
	}
	return results, err
}

// rounds is how often things are compared: five times, alone twice.
func (b *bench) rounds() int {
	if len(b.peers) == 0 {
		return 2
	}
	return b.full(5, 2)
}

// contest has every entrant that can do it do the work, in rounds. The order is
// reversed each round, so that what the machine does meanwhile meets all alike. A cell
// that fails is void, and the round goes on.
func (f *field) contest(ctx context.Context, t task, rounds int) (scores []score, err error) {
	for _, e := range f.entrants {
		if _, rated := t.bars[e.Name()]; t.can(e) && (rated || len(scores) == 0) {
			scores = append(scores, score{name: e.Name()})
		}
	}
	for round := range rounds {
		order := slices.Clone(scores)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, o := range order {
			i := slices.IndexFunc(scores, func(s score) bool { return s.name == o.name })
			e := f.entrants[slices.IndexFunc(f.entrants, func(e entrant) bool { return e.Name() == o.name })]
			c, err := f.cell(ctx, e, t)
			if ctx.Err() != nil {
				return nil, errors.Join(err, ctx.Err())
			}
			c.void(err != nil, "%v", err)
			scores[i].cells = append(scores[i].cells, c)
			f.bench.say("%s, round %d: %-10s %.3f CPU-s/Gbit, %.2f cores %s", t.name, round+1, o.name, c.cost(), c.busy.Seconds()/max(1, c.span.Seconds()), c.lost)
		}
	}
	return scores, nil
}

// ratios returns the cost of a peer in that of ours, round by round, and how many rounds
// are void.
func ratios(peer, ours []cell) (list []float64, void int) {
	for i := range min(len(peer), len(ours)) {
		if peer[i].lost != "" || ours[i].lost != "" {
			void++
			continue
		}
		list = append(list, peer[i].cost()/ours[i].cost())
	}
	return list, void
}

// judgeRatios compares the median with a bar that it has to reach. Most rounds must be
// good, or nothing is said.
func judgeRatios(list []float64, void int, least float64) Verdict {
	switch {
	case len(list) <= void:
		return Void
	case median(list) >= least:
		return Kept
	}
	return Missed
}

// against is the result of a peer.
func (s score) against(ours score, t task) Result {
	list, void := ratios(s.cells, ours.cells)
	r := Result{Name: fmt.Sprintf("%s, %s / gatewayd", t.name, s.name), On: t.on(), Verdict: judgeRatios(list, void, t.bars[s.name].least), Samples: list, Values: s.values()}
	if need := t.bars[s.name]; need != (bar{}) {
		r.Bar = fmt.Sprintf(">= %.1f (%.1f)", need.least, need.goal)
	} else if r.Verdict == Kept {
		r.Verdict = Told
	}
	if len(list) > 0 {
		r.Measured = fmt.Sprintf("%.2f [%.2f..%.2f] in %d rounds; ", median(list), slices.Min(list), slices.Max(list), len(list))
		r.Values["ratio"] = median(list)
	}
	r.Measured = join(r.Measured+s.describe(t), s.voids())
	return r
}

// result is that of the gateway, which a peer's is divided by.
func (s score) result(t task) Result {
	r := Result{Name: t.name + ", " + s.name, Verdict: Told, On: t.on(), Measured: join(s.describe(t), s.voids()), Values: s.values()}
	if !slices.ContainsFunc(s.cells, func(c cell) bool { return c.lost == "" }) {
		r.Verdict = Void
	}
	return r
}

// readerBar is how much memory a reader may take, in bytes.
const readerBar = 0.1e6

// perReader is how much memory each reader but the first of a stream took.
func (s score) perReader(t task) Result {
	v, lost := s.values(), ""
	if v["cells"] == 0 {
		lost = s.voids()
	}
	each := (v["memory"] - v["memory_first"]) / float64(t.readers-1)
	return Result{
		Name: "memory a reader, " + t.name, Bar: "<= 0.1 MB", Verdict: judge(each, readerBar, lost), On: t.on(),
		Measured: join(fmt.Sprintf("%.3f MB: %s with all, %s with the first", each/1e6, mb(int64(v["memory"])), mb(int64(v["memory_first"]))), lost),
		Values:   map[string]float64{"bytes": each},
	}
}

// voids says why cells are void.
func (s score) voids() string {
	var list []string
	for i, c := range s.cells {
		if c.lost != "" {
			list = append(list, fmt.Sprintf("round %d void: %s", i+1, c.lost))
		}
	}
	return strings.Join(list, "; ")
}

// values are medians over the cells that are good.
func (s score) values() map[string]float64 {
	good := slices.DeleteFunc(slices.Clone(s.cells), func(c cell) bool { return c.lost != "" })
	v := map[string]float64{"cells": float64(len(good))}
	for key, of := range map[string]func(cell) float64{
		"cpu_s_per_gbit": cell.cost,
		"us_per_packet":  func(c cell) float64 { return c.busy.Seconds() * 1e6 / float64(max(1, c.packets)) },
		"cores":          func(c cell) float64 { return c.busy.Seconds() / c.span.Seconds() },
		"switches_per_s": func(c cell) float64 { return float64(c.switches) / c.span.Seconds() },
		"memory_first":   func(c cell) float64 { return float64(c.memory[0]) },
		"memory":         func(c cell) float64 { return float64(c.memory[1]) },
	} {
		var list []float64
		for _, c := range good {
			list = append(list, of(c))
		}
		if len(list) > 0 {
			v[key] = median(list)
		}
	}
	return v
}

func (s score) describe(t task) string {
	v := s.values()
	text := fmt.Sprintf("%.3f CPU-s/Gbit, %.1f µs a packet, %.0f switches/s, %s", v["cpu_s_per_gbit"], v["us_per_packet"], v["switches_per_s"], mb(int64(v["memory"])))
	if t.readers > 1 {
		text += fmt.Sprintf(", %.3f MB a reader", (v["memory"]-v["memory_first"])/1e6/float64(t.readers-1))
	}
	return text
}
