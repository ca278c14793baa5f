package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// scaleBar is how much more a stream may cost where there are four times as many.
const (
	scaleBar = 1.1
	many     = 64
)

// measureScale relays 16 streams and 64 in turn, and compares what a stream costs.
func measureScale(ctx context.Context, b *bench) ([]Result, error) {
	f, err := b.newField(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	f.entrants = f.entrants[:1]
	few, lots := task{name: "16 streams", sources: streams, readers: 1}, task{name: "64 streams", sources: many, readers: 1}
	cells := map[string][]cell{}
	for round := range b.rounds() {
		order := []task{few, lots}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, t := range order {
			scores, err := f.contest(ctx, t, 1)
			if err != nil {
				return nil, err
			}
			cells[t.name] = append(cells[t.name], scores[0].cells...)
		}
	}
	list, void := ratios(cells[lots.name], cells[few.name])
	if len(list) == 0 {
		return nil, errors.New("every round is void: " + score{cells: cells[lots.name]}.voids())
	}
	small, large := score{cells: cells[few.name]}.values(), score{cells: cells[lots.name]}.values()
	perStream := (large["memory"] - small["memory"]) / (many - streams)
	r := Result{
		Name: "cost of a stream, 64 / 16 streams", Bar: "<= 1.1", Verdict: judge(median(list), scaleBar, ""), On: lots.on() + "; against " + few.on(), Samples: list,
		Measured: join(fmt.Sprintf("%.2f [%.2f..%.2f] in %d rounds; %.3f against %.3f CPU-s/Gbit; %.1f MB a stream with its reader", median(list), slices.Min(list), slices.Max(list), len(list),
			large["cpu_s_per_gbit"], small["cpu_s_per_gbit"], perStream/1e6), score{cells: cells[lots.name]}.voids()),
		Values: map[string]float64{"ratio": median(list), "cpu_s_per_gbit_64": large["cpu_s_per_gbit"], "cpu_s_per_gbit_16": small["cpu_s_per_gbit"], "memory_per_stream": perStream},
	}
	if len(list) <= void {
		r.Verdict = Void
	}
	return []Result{r}, nil
}
