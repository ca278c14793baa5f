package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"districtgateway/cmd/internal/api"
)

// askRecords asks the province for a district channel's recordings, n times, one
// after the other: each time a query and an answer over two links, which are
// eight SIP messages.
func (r *rig) askRecords(ctx context.Context, n int) (took []time.Duration, err error) {
	for range n {
		began := time.Now()
		if err := r.top().query(ctx, r.channels[0], r.began); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// query asks a level for a channel's recordings since a while before an instant. There
// must be one.
func (l *level) query(ctx context.Context, channel string, since time.Time) error {
	var found api.Recordings
	err := l.client.Get(ctx, api.PathRecords+channel, api.Range(since.Add(-time.Hour), time.Now()), &found)
	if err == nil && len(found.Items) == 0 {
		err = errors.New("no recording found")
	}
	if err != nil {
		return fmt.Errorf("recordings of %s: %w", channel, err)
	}
	return nil
}

func recordsResult(transport string, took []time.Duration) Result {
	p50, p95 := percentile(took, 50), percentile(took, 95)
	return Result{
		Name: "list of recordings, " + transport, Verdict: Told, On: "3 levels, asked at the province, SIP over UDP",
		Measured: fmt.Sprintf("p50 %.1f, p95 %.1f ms, n %d", ms(p50), ms(p95), len(took)),
		Values:   map[string]float64{"p50_ms": ms(p50), "p95_ms": ms(p95), "n": float64(len(took))},
	}
}
