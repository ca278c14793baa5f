package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// firstBar is how long the first picture at the province may take, at the 95th
// percentile.
const firstBar = 300 * time.Millisecond

// measureFirsts measures over both transports at once: two sets of three levels
// leave the machine most of its time.
func measureFirsts(ctx context.Context, b *bench) ([]Result, error) {
	tcp := func(ctx context.Context, b *bench) ([]Result, error) { return measureFirst(ctx, b, "tcp-passive") }
	udp := func(ctx context.Context, b *bench) ([]Result, error) { return measureFirst(ctx, b, "udp") }
	return together(ctx, b, tcp, udp)
}

// measureFirst measures how long the first picture takes over three levels, then
// watches both channels at once and counts what is missing. The encoders' streams
// run at the district, which records them; no session is open at any level when
// a picture is asked for.
func measureFirst(ctx context.Context, b *bench, transport string) ([]Result, error) {
	r, err := b.build(ctx, plan{media: transport, encoders: []simulators{{1, "h264"}, {1, "h265"}}})
	if err != nil {
		return nil, err
	}
	defer r.close()
	results := []Result{started(r)}
	sights, err := r.glance(ctx, b.full(100, 15))
	if err != nil {
		return results, err
	}
	views, err := r.lookBoth(ctx)
	if err != nil {
		return results, err
	}
	asked, err := r.askRecords(ctx, b.full(40, 10))
	if err != nil {
		return results, err
	}
	for i, codec := range []string{"H.264", "H.265"} {
		v := views[i]
		lost := v.lost()
		on := fmt.Sprintf("3 levels, %s media, %s of 4 Mbit/s, 2 s group of pictures", transport, codec)
		results = append(results, firstResult(codec+" "+transport, on, sights[i], lost), v.result(codec+" "+transport, on))
	}
	return append(results, recordsResult(transport, asked)), nil
}

// glance takes n first pictures of each channel, in turn. The pause between two
// is random, so that each request falls at a random place of the group of
// pictures: the ages of the pictures show whether it did.
func (r *rig) glance(ctx context.Context, n int) (sights [2][]sight, err error) {
	if err := sleep(ctx, 3*time.Second); err != nil { // a group of pictures and more is in the ring
		return sights, err
	}
	for i := range 2 * n {
		if err := r.quiet(ctx); err != nil {
			return sights, err
		}
		if err := sleep(ctx, rand.N(300*time.Millisecond)); err != nil {
			return sights, err
		}
		s, err := r.top().first(ctx, r.channels[i%2])
		if err != nil {
			return sights, fmt.Errorf("picture %d of %s: %w", i/2+1, r.channels[i%2], err)
		}
		sights[i%2] = append(sights[i%2], s)
		if (i+1)%50 == 0 {
			r.bench.say("%d first pictures", i+1)
		}
	}
	return sights, nil
}

// lookBoth watches both channels at once for ten seconds.
func (r *rig) lookBoth(ctx context.Context) (views [2]view, err error) {
	var errs [2]error
	var wg sync.WaitGroup
	for i := range views {
		wg.Go(func() { views[i], errs[i] = r.top().look(ctx, r.channels[i], 10*time.Second) })
	}
	err = r.inUse(ctx)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return views, fmt.Errorf("watch %s: %w", r.channels[i], err)
		}
	}
	return views, err
}

// inUse proves that the pictures come over every level: that each gets a session
// for either channel.
func (r *rig) inUse(ctx context.Context) error {
	return poll(ctx, patience{50 * time.Millisecond, 5 * time.Second, "two sessions at each level"}, func() (bool, error) {
		for _, l := range r.levels {
			if n, err := l.sessions(ctx); n < 2 || err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// lost says what was lost, empty for nothing.
func (v *view) lost() string {
	if v.tally.Whole() {
		return ""
	}
	return v.tally.String()
}

func firstResult(what, on string, sights []sight, lost string) Result {
	var took, ages []time.Duration
	var samples []float64
	for _, s := range sights {
		took, ages, samples = append(took, s.took), append(ages, s.age), append(samples, ms(s.took))
	}
	p50, p95, most := percentile(took, 50), percentile(took, 95), percentile(took, 100)
	return Result{
		Name: "first picture, " + what, Bar: "p95 <= 300 ms", Verdict: judge(ms(p95), ms(firstBar), lost), On: on, Samples: samples,
		Measured: join(fmt.Sprintf("p50 %.0f, p95 %.0f, max %.0f ms, n %d; key picture then %.0f to %.0f ms old, p50 %.0f",
			ms(p50), ms(p95), ms(most), len(took), ms(percentile(ages, 5)), ms(percentile(ages, 95)), ms(percentile(ages, 50))), lost),
		Values: map[string]float64{"p50_ms": ms(p50), "p95_ms": ms(p95), "max_ms": ms(most), "n": float64(len(took)),
			"age_p5_ms": ms(percentile(ages, 5)), "age_p50_ms": ms(percentile(ages, 50)), "age_p95_ms": ms(percentile(ages, 95))},
	}
}

// result tells whether every picture came, and how fast the view caught up with
// the present.
func (v *view) result(what, on string) Result {
	t := v.tally
	verdict := Kept
	if !t.Whole() {
		verdict = Missed
	}
	return Result{
		Name: "10 s of pictures, " + what, Bar: "0 lost, 0 twice", Verdict: verdict, On: on,
		Measured: fmt.Sprintf("%v; within 500 ms of the present after %.0f ms, then %.1f ms", &t, ms(v.live), ms(v.delay)),
		Values: map[string]float64{"pictures": float64(t.Pictures), "lost": float64(t.Lost), "duplicated": float64(t.Duplicated),
			"reordered": float64(t.Reordered), "caught_up_ms": ms(v.live), "delay_ms": ms(v.delay)},
	}
}

// started tells how long the three levels took to know each other.
func started(r *rig) Result {
	return Result{
		Name: "from the start of the daemons", Verdict: Told, On: fmt.Sprintf("3 levels, %d encoders by ONVIF", len(r.channels)),
		Measured: fmt.Sprintf("links online after %.1f s, every channel online at the province after %.1f s", r.online.Seconds(), r.complete.Seconds()),
		Values:   map[string]float64{"online_ms": ms(r.online), "complete_ms": ms(r.complete)},
	}
}
