package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"districtgateway/media"
)

// placeEvery is how often a recorded camera is asked whether it is on the right volume.
const placeEvery = 2 * time.Second

// recordOn has a stream recorded as long as it belongs on the volume it falls to
// now. When that is gone, or another is right, it returns nil.
func (cs *cameras) recordOn(ctx context.Context, c *camera, s *media.Stream) error {
	r, err := cs.startRecording(ctx, c)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	watched := &watchedSink{Sink: r.sink, ended: make(chan error, 1)}
	if err := s.Attach(watched); err != nil {
		return err
	}
	cs.update(c.Code, func(sv *service) { sv.recorder = r.sink })
	tick := time.NewTicker(placeEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-watched.ended:
			return fmt.Errorf("recording ended: %w", err)
		case <-tick.C:
			if !r.misplaced() {
				continue
			}
		case <-r.volume:
		case <-ctx.Done():
		}
		s.Detach(watched)
		return nil
	}
}

// A recording is a recorder, when the volume it records on is closed, and whether it
// belongs on another.
type recording struct {
	sink      media.Sink
	volume    <-chan struct{}
	misplaced func() bool
}

// startRecording makes a recorder, waiting until there is a volume to record on.
func (cs *cameras) startRecording(ctx context.Context, c *camera) (recording, error) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		r, err := cs.record(c)
		if !errors.Is(err, errNoVolume) {
			return r, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return recording{}, ctx.Err()
		}
	}
}

// A watchedSink tells when its sink was closed.
type watchedSink struct {
	media.Sink
	ended chan error
}

// SinkStats are those of the recorder; see [media.StatsSink].
func (w *watchedSink) SinkStats() media.SinkStats {
	if k, ok := w.Sink.(media.StatsSink); ok {
		return k.SinkStats()
	}
	return media.SinkStats{}
}

func (w *watchedSink) Close(cause error) {
	w.Sink.Close(cause)
	w.ended <- cause
}

// records reports whether a camera is to be recorded.
func (cs *cameras) records(c camera) bool {
	if e := cs.settings(c); e != nil && e.Record != nil {
		return *e.Record
	}
	return cs.file.Record.Enabled
}
