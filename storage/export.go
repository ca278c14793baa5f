package storage

import (
	"errors"
	"fmt"
	"time"

	"districtgateway/media"
)

// ErrChanged reports that a stream's coding changed: one MP4 file cannot go on.
var ErrChanged = errors.New("the encoder changed its coding")

// An ExportConfig configures an export.
type ExportConfig struct {
	Length    time.Duration // ends after so much of the stream; 0: goes on until the stream ends
	FromStart bool          // begins with the oldest key picture the stream holds, and leaves out nothing (recordings)
	Budget    *media.Budget // what its queue is taken from; nil: as much as there is
	Still     bool          // the last key picture alone
	Name      string        // for whom, for statistics
}

// errComplete ends an export that has the length asked for.
var errComplete = fmt.Errorf("%w: it has the length asked for", media.ErrDone)

// An Export is the consumer of a stream that makes a fragmented MP4 of it for
// somebody who watches or saves it: one fragment a picture, so that nothing waits.
// It is a media.Sink, driven by the stream's owner; Copy runs on the reader's
// goroutine. A reader that is too slow for a live stream loses pictures, up to the
// next key picture; a recording waits for it (media.Needer), and breaks off with
// media.ErrSlow where its stream cannot wait.
type Export struct {
	cfg    ExportConfig
	cursor media.Cursor
	tracks trackMap // of the file, once it has any; index: of the stream as it is
	begun  bool
	since  time.Time // of waiting for tracks
	skip   bool      // until a key picture: the reader lost something
	seq    uint32
	job    job

	base media.Ticks            // the stream's time of the file's 0
	step media.Ticks            // between the last two samples of the primary track
	last [maxTracks]media.Ticks // of each track: decoding time, in the file, of the last sample

	out   exportQueue
	stats media.SinkStats
}

// NewExport makes an export, which is to be closed. The error wraps
// [media.ErrMemory].
func NewExport(cfg ExportConfig) (*Export, error) {
	e := &Export{cfg: cfg, step: media.TicksPerSecond / 25}
	e.out.ready.L = &e.out.mu
	e.out.budget = cfg.Budget
	if err := e.out.charge(1); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if cfg.FromStart {
		e.out.whole = true
		e.cursor.FromOldest()
	}
	return e, nil
}

// settleTicks is how much of a program stream is looked at before the file
// begins: sound shows itself by its first frame, not by an announcement.
const settleTicks = 150 * media.TicksPerSecond / 1000

// Flush takes what has become available; see media.Sink.
func (e *Export) Flush(s *media.Stream, now time.Time) (time.Time, error) {
	if !e.begun && !e.settled(s, now) {
		return now.Add(10 * time.Millisecond), nil
	}
	for {
		if e.lapped(s) {
			return time.Time{}, media.ErrSlow
		}
		if e.waits(s) {
			return now.Add(fullPause), nil
		}
		n, ok := e.cursor.Next(s)
		if !ok {
			return time.Time{}, nil
		}
		if err := e.setTracks(s); err != nil {
			return time.Time{}, err
		}
		if len(e.tracks.tracks) == 0 {
			continue // parameters not known yet
		}
		aus, err := s.Unpack(n)
		if err != nil {
			continue // nothing usable in it
		}
		for i := range aus {
			if err := e.take(s.Ring(), aus[i]); err != nil {
				return time.Time{}, err
			}
		}
	}
}

// fullPause is how soon an export looks again whether its reader took something.
const fullPause = 20 * time.Millisecond

// waits reports whether the reader of a recording has to take something first.
func (e *Export) waits(s *media.Stream) bool {
	enough := muchBytes
	if s.Patient() {
		enough = enoughBytes
	}
	return e.cfg.FromStart && e.out.full(enough)
}

// lapped reports whether a recording lost something of what was to be saved.
func (e *Export) lapped(s *media.Stream) bool {
	n, ok := e.Needs(s)
	return ok && !s.Held(s.Unit(n))
}

// Needs returns the oldest unit not taken; see media.Needer.
func (e *Export) Needs(s *media.Stream) (uint64, bool) {
	if !e.cfg.FromStart {
		return 0, false
	}
	return e.cursor.Needs(s)
}

// settled reports whether the tracks that the file will have are known.
func (e *Export) settled(s *media.Stream, now time.Time) bool {
	if s.Carriage() != media.CarriagePS || len(e.tracks.tracks) > 0 || e.cfg.Still && len(s.Tracks()) > 0 {
		return true
	}
	if e.since.IsZero() {
		e.since = now
	}
	key, ok := s.LastKey()
	if !ok {
		s.WantKey()
		return false
	}
	_, next := s.Units()
	for n := key; n < next && len(s.Tracks()) < 2; n++ {
		_, _ = s.Unpack(n) // for what the stream learns by it
	}
	return len(s.Tracks()) > 1 || s.Unit(next-1).PTS-s.Unit(key).PTS >= settleTicks ||
		now.Sub(e.since) >= media.Ticks(settleTicks).Duration()
}

// setTracks notices new and changed tracks. Tracks that come once the file has
// begun are left out.
func (e *Export) setTracks(s *media.Stream) error {
	v := s.TrackVersion()
	if e.tracks.known && v == e.tracks.version {
		return nil
	}
	if e.begun {
		e.tracks.version = v
		if !e.tracks.goesOn(s.Tracks()) {
			return ErrChanged
		}
		return nil
	}
	if e.tracks = chooseTracks(s.Tracks(), v); e.tracks.wait {
		e.tracks.tracks = nil // not known well enough to begin
	}
	if e.cfg.Still {
		e.tracks.onlyPrimary()
	}
	return nil
}

// take adds one access unit, a copy of what the stream shows others too, to the
// file.
func (e *Export) take(r *media.Ring, au media.AccessUnit) error {
	track := e.tracks.of(au.Track)
	primary := track == e.tracks.primary
	switch {
	case track < 0:
		return nil
	case !e.begun && (!primary || au.Codec.Video() && !au.Key()):
		return nil
	case e.skip && (!primary || au.Codec.Video() && !au.Key()):
		return nil
	case !e.begun:
		if err := e.begin(au.DTS); err != nil {
			return err
		}
	case primary:
		e.follow(&au)
	}
	if e.cfg.Length > 0 && primary && au.DTS-e.base >= media.TicksOf(e.cfg.Length) {
		return errComplete
	}
	if err := e.add(r, &au, track); err != nil || !e.cfg.Still {
		return err
	}
	return errComplete
}

// begin writes the file's head.
func (e *Export) begin(dts media.Ticks) error {
	head, err := initBoxes(e.tracks.tracks)
	if err != nil {
		return err
	}
	e.begun, e.base = true, dts
	for i := range e.last {
		e.last[i] = -1
	}
	e.out.head(head)
	return nil
}

// backwards is a step back in time that is no jitter: another source goes on.
const backwards = media.TicksPerSecond

// follow makes time go on in the file where it goes back in the stream.
func (e *Export) follow(au *media.AccessUnit) {
	last := e.base + e.last[e.tracks.primary]
	switch step := au.DTS - last; {
	case step > 0 && (e.skip || step > media.TicksPerSecond): // a hole tells nothing of how long pictures last
	case step > 0:
		e.step = step
	case step < -backwards || au.Flags&media.UnitDiscontinuity != 0:
		e.base += step - e.step
	}
}

// add adds au as a sample of track. Sound rides in the next picture's fragment.
func (e *Export) add(r *media.Ring, au *media.AccessUnit, track int) error {
	if au.DTS < e.base && track != e.tracks.primary {
		return nil // from before the file
	}
	au.DTS = max(au.DTS, e.base+e.last[track]+1) // time only goes on
	e.last[track] = au.DTS - e.base
	video := au.Codec.Video()
	duration := e.step
	if video {
		au.PTS = max(au.PTS, au.DTS-10*media.TicksPerSecond)
	} else {
		au.PTS = max(au.PTS, au.DTS)
		duration = nominal(au, &e.tracks.tracks[track])
	}
	e.closeSample(au.DTS, uint8(track))
	e.job.add(au, uint8(track)).duration = duration
	if track != e.tracks.primary && len(e.job.samples) < maxWaiting {
		return nil
	}
	return e.emit(r)
}

// maxWaiting is how many samples of sound wait for a picture.
const maxWaiting = 64

// closeSample gives the sample of a track that waits its true duration, now that
// the next one is known.
func (e *Export) closeSample(dts media.Ticks, track uint8) {
	for i := len(e.job.samples) - 1; i >= 0; i-- {
		if s := &e.job.samples[i]; s.track == track {
			s.duration = dts - s.dts
			return
		}
	}
}

// emit writes the samples gathered as one fragment.
func (e *Export) emit(r *media.Ring) error {
	defer e.job.reset()
	l := layout{tracks: e.tracks.tracks, base: e.base, samples: e.job.samples}
	ok := e.out.fragment(e.job.bytes, func(b []byte) ([]byte, error) {
		return e.job.appendPayload(l.appendMoof(b, e.seq), r, len(e.tracks.tracks))
	})
	if !ok && e.cfg.FromStart {
		return media.ErrSlow
	}
	if e.skip = !ok; ok {
		e.seq++
		e.stats.Packets++
		e.stats.Units += uint64(len(e.job.samples))
		e.stats.Bytes += uint64(e.job.bytes)
	} else {
		e.stats.Dropped += uint64(len(e.job.samples))
	}
	return nil
}

// SinkStats returns the counters; its packets are fragments. See media.StatsSink.
func (e *Export) SinkStats() media.SinkStats {
	st := e.stats
	st.Kind, st.Name, st.Lapped, st.Copied = "mp4", e.cfg.Name, e.cursor.Lapped(), st.Bytes
	return st
}

// Close ends the file; see media.Sink.
func (e *Export) Close(cause error) {
	if errors.Is(cause, errComplete) || e.cfg.FromStart && errors.Is(cause, media.ErrEnded) {
		cause = nil
	}
	e.out.close(cause)
}
