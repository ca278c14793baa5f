package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Recordings returns the footage of channel that reaches into [from, to), in order:
// maximal runs without a hole, whole segments each. Footage of the last 24 hours is
// answered from memory; for older the index is asked, and the error is
// [ErrVolumeStalled] if it does not answer within 2 s. Nothing found is no error.
func (v *Volume) Recordings(ctx context.Context, channel string, from, to time.Time) ([]Recording, error) {
	segs, err := v.segments(ctx, channel, from.UnixNano(), to.UnixNano())
	if err != nil {
		return nil, err
	}
	return joinSegments(within(segs, from.UnixNano(), to.UnixNano())), nil
}

// Gaps returns the holes in the footage of channel within [from, to), cut to it,
// each with its cause. There is no hole before a channel's first segment but those
// its recorder noted; after its last one the hole reaches to the present.
func (v *Volume) Gaps(ctx context.Context, channel string, from, to time.Time) ([]Gap, error) {
	lo, now := from.UnixNano(), time.Now().UnixNano()
	hi := min(to.UnixNano(), now)
	segs, err := v.segments(ctx, channel, lo, hi)
	if err != nil {
		return nil, err
	}
	var all []Gap
	var last *Segment
	for i := range segs {
		all = append(all, gapsBetween(last, &segs[i])...)
		if last == nil || segs[i].End > last.End {
			last = &segs[i]
		}
	}
	if last == nil || last.Start < hi {
		all = append(all, v.openGaps(channel, last, now)...)
	}
	return tidyGaps(all, lo, hi), nil
}

// openGaps returns the holes since the last segment, up to now.
func (v *Volume) openGaps(channel string, last *Segment, now int64) []Gap {
	held := v.holes.list(channel, now)
	if last == nil {
		return held
	}
	if len(held) == 0 && (last.Open() || v.holes.recording(channel)) {
		return nil
	}
	if len(held) == 0 { // nobody records: the hole has the cause that footage ended with
		return []Gap{{last.End, now, endCause(last)}}
	}
	return gapsBetween(last, &Segment{Start: now, Before: held})
}

// tidyGaps cuts gaps to [lo, hi) and joins those that touch and have one cause.
func tidyGaps(gaps []Gap, lo, hi int64) []Gap {
	var out []Gap
	for _, g := range gaps {
		g.From, g.To = max(g.From, lo), min(g.To, hi)
		if g.From >= g.To {
			continue
		}
		if n := len(out); n > 0 && out[n-1].To == g.From && out[n-1].Cause == g.Cause {
			out[n-1].To = g.To
			continue
		}
		out = append(out, g)
	}
	return out
}

// Channels returns the names of all channels with footage, as far as known.
func (v *Volume) Channels() []string {
	names := v.recent.channels()
	if t := v.keeper.totals.Load(); t != nil {
		names = append(names, t.channels...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// within leaves out the neighbours of a range.
func within(segs []Segment, from, to int64) []Segment {
	return slices.DeleteFunc(segs, func(s Segment) bool { return s.End <= from || s.Start >= to })
}

// segments returns the segments of channel that reach into [from, to), the one before
// and the one after, in order of start.
func (v *Volume) segments(ctx context.Context, channel string, from, to int64) ([]Segment, error) {
	if err := checkChannel(channel); err != nil {
		return nil, fmt.Errorf("query %q: %w", channel, err)
	}
	rows, complete := v.recent.query(channel, from, to)
	if complete {
		return rows, nil
	}
	select { // at the very start the index may still be coming up
	case <-v.ready:
		if rows, complete = v.recent.query(channel, from, to); complete {
			return rows, nil
		}
	case <-time.After(requestTimeout):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	old, err := v.askRows(ctx, query{channel: channel, from: from, to: to})
	if err != nil {
		v.noteQuery(err)
		return nil, fmt.Errorf("query %s: %w", channel, err)
	}
	return merge(old, rows), nil
}

// noteQuery has the index made anew if it turned out to be damaged.
func (v *Volume) noteQuery(err error) {
	if err != nil {
		v.note(err)
	}
}

// merge joins two answers; of a segment in both, fresh is right.
func merge(old, fresh []Segment) []Segment {
	all := append(slices.Clone(fresh), old...)
	slices.SortStableFunc(all, func(a, b Segment) int { return cmp.Compare(a.Start, b.Start) })
	return slices.CompactFunc(all, func(a, b Segment) bool { return a.Start == b.Start })
}

// Check verifies every finished segment against the index and its checksums and
// returns the damaged ones. It takes as long as reading everything does.
func (v *Volume) Check(ctx context.Context) (segments, bytes uint64, bad []Segment, err error) {
	at := checkReport{}
	for {
		b, err := v.child.ask(ctx, opCheck, at.encode())
		if err != nil {
			return segments, bytes, bad, fmt.Errorf("check volume: %w", err)
		}
		if at, err = decodeCheck(b); err != nil {
			return segments, bytes, bad, fmt.Errorf("check volume: %w", err)
		}
		segments, bytes, bad = segments+at.segments, bytes+at.bytes, append(bad, at.bad...)
		if at.channel == "" {
			return segments, bytes, bad, nil
		}
		at.segments, at.bytes, at.bad = 0, 0, nil
	}
}

// Rebuild sets the index aside and makes a new one from the segments alone, in the
// background: until it is done, footage older than 24 hours may be missing from
// answers.
func (v *Volume) Rebuild(ctx context.Context) error {
	if _, err := v.child.ask(ctx, opRebuild, nil); err != nil {
		return fmt.Errorf("rebuild index: %w", err)
	}
	v.keeper.recover.Store(true)
	return nil
}
