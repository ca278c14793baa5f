package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"districtgateway/media"
)

// RecorderConfig configures a recorder. Zero values mean the defaults.
type RecorderConfig struct {
	Channel  string        // names the recording; letters, digits, '-', '_', '.'
	Kind     Kind          // 0: KindScheduled
	Segment  time.Duration // a segment is cut at the first key frame after so long, and anywhere after twice as long; 0: 60 s; at most 2 min
	Fragment time.Duration // longest fragment: what a power cut may cost; 0: 1 s; at most 1 s
	Silence  time.Duration // a source silent for so long ends the segment; 0: 10 s
	Log      *slog.Logger  // nil: discard
}

const (
	jobsPerRecorder = 10                     // fragments waiting for the disk: what a stall may last, in fragments
	maxPayload      = 8 << 20                // bytes of a fragment; it is cut earlier than by time if it has more
	ringShare       = 4                      // or more than this part of the ring
	audioLead       = media.Ticks(90000 / 4) // room for sound that comes before the first picture but is completed after it
	maxSlew         = int64(500 * time.Microsecond)
	maxJump         = media.Ticks(90000)
	clockTolerance  = 2 * time.Second
	clockPatience   = 10 * time.Second
)

// A Recorder is the consumer of a stream that records it on a volume. It never
// waits for the disk: when the volume cannot follow it notes a hole and goes on at
// the next key frame. It implements media.Sink; its methods but SetKind, Disable
// and SinkStats belong to the stream's owner.
type Recorder struct {
	cfg    RecorderConfig
	vol    *Volume
	ring   ringRef
	free   chan *job
	jobs   []*job
	cursor media.Cursor
	tracks trackMap
	run    running
	cur    *job
	gen    uint32
	stats  recorderStats
	head   header // tracks and boxes of the newest segment; the disk goroutine's

	failed  atomic.Uint32 // generation of the segment that the disk gave up
	kind    atomic.Uint32
	disable atomic.Bool
}

// running is the state of the segment being recorded.
type running struct {
	on       bool
	seamless bool        // the next segment goes on where the last ended
	start    int64       // wall clock
	first    media.Ticks // of the primary track
	base     media.Ticks
	last     media.Ticks // decoding time of the newest primary sample
	step     media.Ticks // its distance to the one before
	end      int64       // wall clock at which the next fragment begins
	endDTS   media.Ticks
	arrival  time.Time // of the newest unit
	skewed   time.Time // since when the wall clock disagrees; zero: it does not
	limit    time.Duration
	damaged  bool // the newest primary sample was
}

type recorderStats struct {
	lapped uint64 // units of the stream, when last looked; the owner's

	fragments, bytes, samples, dropped, holes atomic.Uint64
}

// NewRecorder makes a recorder on v. Until the first footage arrives the channel
// has a hole with cause encoder.
func NewRecorder(v *Volume, cfg RecorderConfig) (*Recorder, error) {
	if err := checkChannel(cfg.Channel); err != nil {
		return nil, fmt.Errorf("record %q: %w", cfg.Channel, err)
	}
	if cfg.Kind == KindAny {
		cfg.Kind = KindScheduled
	}
	cfg.Segment = min(defaultTo(cfg.Segment, time.Minute), 2*time.Minute)
	cfg.Fragment = min(defaultTo(cfg.Fragment, time.Second), time.Second)
	cfg.Silence = defaultTo(cfg.Silence, 10*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{cfg: cfg, vol: v, free: make(chan *job, jobsPerRecorder)}
	r.kind.Store(uint32(cfg.Kind))
	for range jobsPerRecorder {
		j := &job{rec: r}
		r.jobs = append(r.jobs, j)
		r.free <- j
	}
	r.run.limit = stagger(cfg.Channel, cfg.Segment)
	v.holes.begin(cfg.Channel, time.Now().UnixNano(), CauseEncoder)
	return r, nil
}

func defaultTo(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// stagger returns the length of a channel's first segment, between half and all of
// d, so that channels started together do not end their segments together. Channels
// are numbered in a row: what spreads them has to change altogether with one digit.
func stagger(channel string, d time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(channel))
	return d/2 + time.Duration(binary.BigEndian.Uint64(sum[:])%uint64(max(d/2, 1)))
}

// SetKind changes what the footage is recorded for: a new segment begins at the
// next key frame. Any goroutine.
func (r *Recorder) SetKind(k Kind) { r.kind.Store(uint32(k)) }

// Disable makes the hole that follows Close one with cause disabled rather than
// stopped. Any goroutine.
func (r *Recorder) Disable() { r.disable.Store(true) }

var _ media.StatsSink = (*Recorder)(nil)

// SinkStats returns the counters; as Lapped, how often a hole began, whatever its
// cause. Any goroutine.
func (r *Recorder) SinkStats() media.SinkStats {
	return media.SinkStats{
		Kind: "recorder", Name: r.vol.cfg.Dir, Copied: r.stats.bytes.Load(), Packets: r.stats.fragments.Load(), Bytes: r.stats.bytes.Load(),
		Units: r.stats.samples.Load(), Dropped: r.stats.dropped.Load(), Lapped: r.stats.holes.Load(),
	}
}

// Flush takes what has become available. It implements media.Sink and returns no
// error: a volume that fails is noted as a hole, and tried again.
func (r *Recorder) Flush(s *media.Stream, now time.Time) (time.Time, error) {
	r.bind(s.Ring())
	r.checkDisk()
	for {
		n, ok := r.cursor.Next(s)
		if !ok {
			break
		}
		if l := r.cursor.Lapped(); l != r.stats.lapped {
			r.stats.lapped = l
			r.stop(CauseDisk)
		}
		if v := s.TrackVersion(); !r.tracks.known || v != r.tracks.version {
			r.setTracks(s.Tracks(), v)
		}
		aus, err := s.Unpack(n)
		if err != nil {
			r.stats.dropped.Add(1)
			continue
		}
		u := s.Unit(n)
		for i := range aus {
			au := aus[i] // a copy: the stream shows the same to other consumers
			r.take(&u, &au, now)
		}
	}
	return r.idle(now), nil
}

// bind makes ring the one that jobs are copied from. A ring that follows another
// holds at the same positions what that one held: jobs that wait are good.
func (r *Recorder) bind(ring *media.Ring) {
	if r.ring.ring != ring {
		r.ring.mu.Lock()
		r.ring.ring = ring
		r.ring.mu.Unlock()
	}
}

// Close hands over what is pending and ends the recording. After it the stream's
// ring is not touched again.
func (r *Recorder) Close(cause error) {
	why := CauseStopped
	switch {
	case r.disable.Load():
		why = CauseDisabled
	case cause != nil && !errors.Is(cause, media.ErrEnded) && !errors.Is(cause, media.ErrStopped):
		why = CauseEncoder
	}
	r.stop(why)
	r.vol.holes.begin(r.cfg.Channel, time.Now().UnixNano(), why)
	r.ring.release(r.jobs, len(r.tracks.tracks))
	select {
	case r.vol.disk.queue <- &job{rec: r, closes: true, cause: why}:
	default: // as deep as this, the volume ends the segment when it stops
	}
}

// setTracks takes over the stream's tracks; recording goes on in a new segment if
// they are not the same.
func (r *Recorder) setTracks(tracks []media.Track, version uint32) {
	next := chooseTracks(tracks, version)
	if !slices.EqualFunc(next.tracks, r.tracks.tracks, sameTrack) {
		r.stop(CauseEncoder)
	}
	r.tracks = next
}

// checkDisk notices that the disk gave up the present segment.
func (r *Recorder) checkDisk() {
	if r.run.on && r.failed.Load() == r.gen {
		r.drop()
		r.hole(CauseDisk)
	}
}

// fail tells that the segment of generation gen is lost to the disk. Disk
// goroutine.
func (r *Recorder) fail(gen uint32) { r.failed.Store(gen) }

// give returns a job. Disk goroutine.
func (r *Recorder) give(j *job) {
	if !j.closes {
		r.free <- j
	}
}

// LastDurable returns up to when footage of the channel is durable; zero if there
// is none of the last 24 hours. Any goroutine.
func (r *Recorder) LastDurable() time.Time {
	if end := r.vol.recent.last(r.cfg.Channel); end > 0 {
		return time.Unix(0, end).UTC()
	}
	return time.Time{}
}
