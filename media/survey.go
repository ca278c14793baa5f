package media

import (
	"context"
	"time"
)

// A Survey is a look at a stream by its owner: its counters at one instant, which
// rates can be told by, and what the ring holds.
type Survey struct {
	At       time.Time
	Stats    StreamStats
	Size     int   // bytes of the ring
	Mirrored bool  // its memory is mapped twice; if not, what is received is copied once
	Held     int64 // bytes that consumers can still read
	Span     Ticks // from the oldest unit held to the newest
	Tracks   []TrackSurvey
}

// A TrackSurvey tells of one track what the units held tell. In [CarriagePS] only
// the newest of them are looked into.
type TrackSurvey struct {
	Units    int    // pictures, or packets of sound
	Bytes    uint64 // of them, without headers
	Span     Ticks  // from the first of them to the last
	Group    int    // pictures from the last key picture but one to the last; 0: not held
	Interval Ticks  // time between these two
}

// FPS returns how many units a second there are; 0 if too few are held.
func (t TrackSurvey) FPS() float64 {
	if t.Span <= 0 || t.Units < 2 {
		return 0
	}
	return float64(t.Units-1) * TicksPerSecond / float64(t.Span)
}

// Bits returns how many bits a second there are; 0 if too few units are held.
func (t TrackSurvey) Bits() float64 {
	if t.Span <= 0 || t.Units < 2 {
		return 0
	}
	return float64(t.Bytes) * 8 * TicksPerSecond / float64(t.Span) * float64(t.Units-1) / float64(t.Units)
}

// maxSurveyed bounds how many units of a program stream are unpacked for a survey:
// that is work for the stream's owner.
const maxSurveyed = 64

// Survey has the stream's owner look. It waits for that until ctx ends; the error
// is that of ctx, or [ErrEnded]. Any goroutine but the owner.
func (s *Stream) Survey(ctx context.Context) (Survey, error) {
	seen := make(chan Survey, 1)
	if err := s.shared.post(request{look: func(now time.Time) { seen <- s.survey(now) }}); err != nil {
		return Survey{}, err
	}
	s.Wake()
	select {
	case v := <-seen:
		return v, nil
	case <-s.shared.done:
		return Survey{}, ErrEnded
	case <-ctx.Done():
		return Survey{}, ctx.Err()
	}
}

// survey looks.
func (s *Stream) survey(now time.Time) Survey {
	v := Survey{At: now, Stats: s.count}
	v.Stats.Consumers.Now = s.appendSinkStats(nil)
	if s.ring == nil {
		return v
	}
	v.Size, v.Mirrored = s.ring.Size(), s.ring.mirrored
	v.Tracks = make([]TrackSurvey, len(s.form.tracks))
	oldest, next := s.Units()
	if oldest == next {
		return v
	}
	v.Held = int64(s.ring.Head() - s.Unit(oldest).low)
	v.Span = max(0, s.Unit(next-1).PTS-s.Unit(oldest).PTS)
	s.surveyKeys(&v, oldest)
	if s.form.carriage == CarriagePS {
		oldest = max(oldest, next-min(next, maxSurveyed))
	}
	views := make([]trackView, len(v.Tracks))
	for n := oldest; n < next; n++ {
		s.surveyUnit(n, views)
	}
	for i := range views {
		t := &v.Tracks[i]
		t.Units, t.Bytes, t.Span = views[i].units, views[i].bytes, views[i].last-views[i].first
		if s.form.carriage == CarriagePS { // sound lies between the pictures
			t.Group = int(t.FPS()*t.Interval.Duration().Seconds() + 0.5)
		}
	}
	return v
}

// A trackView gathers what a survey sees of one track.
type trackView struct {
	units       int
	bytes       uint64
	first, last Ticks // least and largest instant
}

// add takes one picture, or sound, of size bytes.
func (t *trackView) add(at Ticks, size uint64) {
	if t.units == 0 {
		t.first, t.last = at, at
	}
	t.units++
	t.bytes += size
	t.first, t.last = min(t.first, at), max(t.last, at)
}

// surveyUnit adds unit n to the tracks it belongs to.
func (s *Stream) surveyUnit(n uint64, views []trackView) {
	u := s.Unit(n)
	if !s.Held(u) {
		return
	}
	if s.form.carriage != CarriagePS {
		if int(u.Flow) < len(views) {
			views[u.Flow].add(u.PTS, s.payload(u))
		}
		return
	}
	units, err := s.Unpack(n)
	if err != nil {
		return
	}
	for i := range units {
		a := &units[i]
		if int(a.Track) >= len(views) {
			continue
		}
		size := uint64(0)
		for j := range a.NALs {
			size += uint64(a.NALs[j].Size)
		}
		for _, g := range a.Payload {
			size += uint64(g.Len)
		}
		views[a.Track].add(a.PTS, size)
	}
}

// payload returns how many bytes of payload u has.
func (s *Stream) payload(u Unit) (size uint64) {
	for n := u.First; n < u.End; n++ {
		size += uint64(s.Packet(u.Flow, n).Payload)
	}
	return size
}

// surveyKeys finds the last two key units held and what lies between them. Units of
// sound that lie there do not count, where they have a flow of their own.
func (s *Stream) surveyKeys(v *Survey, oldest uint64) {
	last, ok := s.LastKey()
	if !ok {
		return
	}
	key, group := s.Unit(last), 0
	for n := last; n > oldest; {
		n--
		u := s.Unit(n)
		if u.Flow != key.Flow {
			continue
		}
		group++
		if !u.Key() {
			continue
		}
		for i := range v.Tracks {
			if s.form.tracks[i].Codec.Video() && (s.form.carriage == CarriagePS || i == int(key.Flow)) {
				v.Tracks[i].Group, v.Tracks[i].Interval = group, key.PTS-u.PTS
				break
			}
		}
		return
	}
}
