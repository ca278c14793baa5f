package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"districtgateway/media"
)

// Volumes are those that a channel's footage may lie on.
type Volumes []*Volume

// A located is a segment and the directory of the volume that it lies on.
type located struct {
	Segment
	dir string
}

// Open returns an opener for the footage of channel in [from, to), on whichever of
// the volumes it lies: what relays play back recordings with. The opener finds nothing:
// [ErrNoRecording].
func (vols Volumes) Open(channel string, from, to time.Time, cfg PlayerConfig) media.Opener {
	return func(ctx context.Context) (media.Opened, error) {
		pb, err := vols.OpenPlayback(ctx, channel, from, to)
		if err != nil {
			return media.Opened{}, err
		}
		tracks := pb.Tracks() // from then on pb is the player's
		p := NewPlayer(pb, cfg)
		if cfg.OnOpen != nil {
			cfg.OnOpen(p)
		}
		return media.Opened{Source: p, Carriage: media.CarriageFrames, Tracks: tracks}, nil
	}
}

// OpenPlayback opens the footage of channel in [from, to) on all volumes, in order
// of time, beginning with the last key frame at or before from. It reads with
// system calls, also from a segment that is being written, up to what is durable.
// Without footage there the error is [ErrNoRecording]. A volume that is known to
// hold footage of the channel and does not answer is an error, unless the others
// hold the whole range: a hole must not be taken for one in the recording. The
// caller closes it.
func (vols Volumes) OpenPlayback(ctx context.Context, channel string, from, to time.Time) (*Playback, error) {
	p := &Playback{vols: vols, channel: channel, to: to.UnixNano()}
	if err := p.seek(ctx, from.UnixNano()); err != nil {
		return nil, fmt.Errorf("play %s: %w", channel, err)
	}
	return p, nil
}

// find returns the segments that reach into [from, p.to), of all volumes, in order
// of start.
func (p *Playback) find(ctx context.Context, from int64) ([]located, error) {
	var all []located
	var silent, fault error
	for _, v := range p.vols {
		segs, err := v.segments(ctx, p.channel, from, p.to)
		if err != nil && slices.Contains(v.Channels(), p.channel) {
			fault = err
		}
		silent = errors.Join(silent, err)
		for _, s := range within(segs, from, p.to) {
			all = append(all, located{s, v.cfg.Dir})
		}
	}
	slices.SortStableFunc(all, func(a, b located) int { return cmp.Compare(a.Start, b.Start) })
	switch {
	case len(all) == 0:
		return nil, cmp.Or(silent, ErrNoRecording)
	case fault != nil && !covers(all, from, p.to):
		return nil, fault
	}
	return all, nil
}

// covers reports whether segs leave no hole in [from, to).
func covers(segs []located, from, to int64) bool {
	for _, s := range segs {
		if s.Start > from+s.frame() {
			return false
		}
		from = max(from, s.End)
	}
	return from >= to
}
