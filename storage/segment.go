package storage

import (
	"time"

	"districtgateway/media"
)

// A Kind says why something was recorded.
type Kind uint8

// The kinds. KindAny is for queries only.
const (
	KindAny Kind = iota
	KindScheduled
	KindAlarm
	KindManual
)

// String returns "scheduled", "alarm" or "manual".
func (k Kind) String() string {
	return [...]string{"any", "scheduled", "alarm", "manual"}[min(k, 3)]
}

// A Cause says why footage ends where it ends.
type Cause uint8

// The causes. CauseNone: it does not end, the next segment goes on.
const (
	CauseNone     Cause = iota
	CauseEncoder        // source silent, disconnected, or restarted
	CauseNetwork        // packets lost beyond repair
	CauseDisk           // the volume stalled, was full, or failed
	CauseStopped        // recording was stopped on purpose
	CauseUnclean        // power cut or crash; found at the next start
	CauseDisabled       // recording was switched off for the channel
	CauseClock          // the wall clock was set: the hole is in the clock, not in the footage
	causes
)

// String returns the cause in one word.
func (c Cause) String() string {
	names := [...]string{"none", "encoder", "network", "disk", "stopped", "unclean", "disabled", "clock"}
	if c < causes {
		return names[c]
	}
	return "unknown"
}

// SegmentFlags tell what is known of a [Segment].
type SegmentFlags uint8

// The flags of a segment.
const (
	SegmentOpen    SegmentFlags = 1 << iota // still being written; End is the last durable instant
	SegmentDamaged                          // holds units with packets missing, or a fragment that fails its checksum
	segmentDeleted                          // marked for deletion: the file is going or gone
)

// A Segment is one file of footage without a hole: the index's row.
type Segment struct {
	Channel  string
	Start    int64       // wall clock of the first sample, Unix nanoseconds; names the file
	End      int64       // wall clock after the last sample
	Duration media.Ticks // by the source's clock
	Bytes    int64       // length of the file, headers and padding included
	CRC      uint32      // CRC-32C over the fragments' checksums, in order
	Frames   uint32      // pictures, or audio frames where there is no video
	Keys     uint32      // samples at which decoding can start
	Kind     Kind
	Flags    SegmentFlags
	Cause    Cause          // why it ended
	Codecs   [4]media.Codec // its tracks' codings
	Before   []Gap          // holes just before it, as its writer knew them
}

// Open reports whether s is still being written.
func (s *Segment) Open() bool { return s.Flags&SegmentOpen != 0 }

// Path returns the file of s relative to the volume.
func (s *Segment) Path() string { return segmentPath(s.Channel, s.Start) }

// frame returns the mean length of a frame: what two segments may be apart and
// still be one recording. At least 1 ms, so that rounding never makes a hole.
func (s *Segment) frame() int64 {
	if s.Frames == 0 {
		return int64(40 * time.Millisecond)
	}
	return max(int64(s.Duration.Duration())/int64(s.Frames), int64(time.Millisecond))
}

// A Gap is a hole in a channel's footage, with its cause.
type Gap struct {
	From, To int64 // wall clock, Unix nanoseconds
	Cause    Cause
}

// A Recording is a maximal run of footage without a hole.
type Recording struct {
	Start, End time.Time // UTC
	Bytes      int64
	Kind       Kind
	Complete   bool // false while it is still being written
	Damaged    bool
	Segments   []Segment
}

// follows reports whether b goes on where a ended: at most one frame apart.
func follows(a, b *Segment) bool {
	d := b.Start - a.End
	return d <= a.frame() && d >= -a.frame()
}

// joinSegments makes recordings of segments in order of start, of one channel.
// Segments of different kinds are not joined.
func joinSegments(segs []Segment) []Recording {
	var out []Recording
	for i := range segs {
		s := &segs[i]
		if i == 0 || !follows(&segs[i-1], s) || segs[i-1].Kind != s.Kind {
			out = append(out, Recording{Start: time.Unix(0, s.Start).UTC(), Kind: s.Kind, Complete: true})
		}
		r := &out[len(out)-1]
		r.End = time.Unix(0, s.End).UTC()
		r.Bytes += s.Bytes
		r.Complete = r.Complete && !s.Open()
		r.Damaged = r.Damaged || s.Flags&SegmentDamaged != 0
		r.Segments = append(r.Segments, *s)
	}
	return out
}

// gapsBetween returns the holes between two neighbouring segments: those that b's
// writer knew, and before the first of them whatever is left, by a's own cause. A
// nil a stands for the beginning of what is kept.
func gapsBetween(a, b *Segment) []Gap {
	if a == nil {
		return b.Before
	}
	if follows(a, b) || b.Start < a.End {
		return nil
	}
	var out []Gap
	at := a.End
	for _, g := range b.Before {
		if g.To <= at || g.From >= b.Start {
			continue
		}
		if g.From-at > a.frame() {
			out = append(out, Gap{at, g.From, endCause(a)})
		}
		out = append(out, Gap{max(g.From, at), min(g.To, b.Start), g.Cause})
		at = out[len(out)-1].To
	}
	if b.Start-at > a.frame() {
		out = append(out, Gap{at, b.Start, endCause(a)})
	}
	return out
}

// endCause is why a ended, for a hole behind it: a writer that meant to go on and
// did not was interrupted.
func endCause(a *Segment) Cause {
	if a.Cause == CauseNone {
		return CauseUnclean
	}
	return a.Cause
}
