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

// A Tenure is the time in which footage was recorded under a name: its segments
// that begin in [From, Until). A channel that was given another name has several.
type Tenure struct {
	Channel     string    // the name
	From, Until time.Time // zero: no limit
	Left        time.Time // when it was given another name: what is missing since is no hole of this one; zero: it was not
}

// Always is the footage of a channel that never had another name.
func Always(channel string) []Tenure { return []Tenure{{Channel: channel}} }

// has reports whether s is of the tenure.
func (t *Tenure) has(s *Segment) bool {
	return s.Channel == t.Channel && (t.From.IsZero() || s.Start >= t.From.UnixNano()) &&
		(t.Until.IsZero() || s.Start < t.Until.UnixNano())
}

// segments returns the segments of the tenure on v that reach into [from, to).
func (t *Tenure) segments(ctx context.Context, v *Volume, from, to int64) ([]Segment, error) {
	segs, err := v.segments(ctx, t.Channel, from, to)
	segs = slices.DeleteFunc(within(segs, from, to), func(s Segment) bool { return !t.has(&s) })
	return segs, err
}

// A located is a segment and the directory of the volume that it lies on.
type located struct {
	Segment
	dir string
}

// Recordings returns the footage of a channel that reaches into [from, to), of all
// its tenures on all volumes, in order of start; see [Volume.Recordings]. Where a
// volume does not answer, the error says so beside what the others hold.
func (vols Volumes) Recordings(ctx context.Context, of []Tenure, from, to time.Time) ([]Recording, error) {
	var all []Recording
	var errs []error
	for _, v := range vols {
		for i := range of {
			segs, err := of[i].segments(ctx, v, from.UnixNano(), to.UnixNano())
			all, errs = append(all, joinSegments(segs)...), append(errs, err)
		}
	}
	slices.SortFunc(all, func(a, b Recording) int { return a.Start.Compare(b.Start) })
	return all, errors.Join(errs...)
}

// Gaps returns the holes in the footage of a channel within [from, to) that no
// tenure on any volume fills, in order; see [Volume.Gaps].
func (vols Volumes) Gaps(ctx context.Context, of []Tenure, from, to time.Time) ([]Gap, error) {
	var all []Gap
	var errs []error
	for _, v := range vols {
		for _, t := range of {
			if !slices.Contains(v.Channels(), t.Channel) {
				continue
			}
			lo, hi := from, to
			if t.From.After(lo) {
				lo = t.From
			}
			if !t.Left.IsZero() && t.Left.Before(hi) {
				hi = t.Left
			}
			if lo.Before(hi) {
				gaps, err := v.Gaps(ctx, t.Channel, lo, hi)
				all, errs = append(all, gaps...), append(errs, err)
			}
		}
	}
	held, err := vols.Recordings(ctx, of, from, to)
	for i := range held {
		all = outside(all, &held[i])
	}
	slices.SortFunc(all, func(a, b Gap) int { return cmp.Compare(a.From, b.From) })
	return slices.Compact(all), errors.Join(append(errs, err)...)
}

// outside returns what is left of holes that a recording fills in part.
func outside(gaps []Gap, r *Recording) (left []Gap) {
	from, to := r.Start.UnixNano(), r.End.UnixNano()
	if !r.Complete { // it goes on
		to = max(to, time.Now().UnixNano())
	}
	for _, g := range gaps {
		before, after := g, g
		before.To, after.From = min(g.To, from), max(g.From, to)
		for _, part := range []Gap{before, after} {
			if part.From < part.To {
				left = append(left, part)
			}
		}
	}
	return left
}

// Open returns an opener for the footage of a channel in [from, to), on whichever of
// the volumes it lies: what relays play back recordings with. The opener finds
// nothing: [ErrNoRecording].
func (vols Volumes) Open(of []Tenure, from, to time.Time, cfg PlayerConfig) media.Opener {
	return func(ctx context.Context) (media.Opened, error) {
		pb, err := vols.OpenPlayback(ctx, of, from, to)
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

// OpenPlayback opens the footage of a channel in [from, to) on all volumes, in order
// of time, beginning with the last key frame at or before from. It reads with
// system calls, also from a segment that is being written, up to what is durable.
// Without footage there the error is [ErrNoRecording]. A volume that is known to
// hold footage of the channel and does not answer is an error, unless the others
// hold the whole range: a hole must not be taken for one in the recording. The
// caller closes it.
func (vols Volumes) OpenPlayback(ctx context.Context, of []Tenure, from, to time.Time) (*Playback, error) {
	p := &Playback{vols: vols, of: of, to: to.UnixNano()}
	if err := p.seek(ctx, from.UnixNano()); err != nil {
		return nil, fmt.Errorf("play %s: %w", p.channel(), err)
	}
	return p, nil
}

// channel is the channel's present name.
func (p *Playback) channel() string {
	if len(p.of) == 0 {
		return ""
	}
	return p.of[0].Channel
}

// find returns the segments that reach into [from, p.to), of all volumes, in order
// of start.
func (p *Playback) find(ctx context.Context, from int64) ([]located, error) {
	var all []located
	var silent, fault error
	for _, v := range p.vols {
		for i := range p.of {
			segs, err := p.of[i].segments(ctx, v, from, p.to)
			if err != nil && slices.Contains(v.Channels(), p.of[i].Channel) {
				fault = err
			}
			silent = errors.Join(silent, err)
			for _, s := range segs {
				all = append(all, located{s, v.cfg.Dir})
			}
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
