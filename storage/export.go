package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"districtgateway/media"
)

// ErrChanged reports that a stream's coding changed: one MP4 file cannot go on.
var ErrChanged = errors.New("the encoder changed its coding")

// An ExportConfig configures an export.
type ExportConfig struct {
	Length    time.Duration // ends after so much of the stream; 0: goes on until the stream ends
	FromStart bool          // begins with the oldest key picture the stream holds, and drops nothing (recordings)
}

// errComplete ends an export that has the length asked for.
var errComplete = errors.New("export complete")

// exportBytes bounds what an export holds for its reader.
const exportBytes = 32 << 20

// An Export is the consumer of a stream that makes a fragmented MP4 of it for
// somebody who watches or saves it: one fragment a picture, so that nothing waits.
// It is a media.Sink, driven by the stream's owner; Copy runs on the reader's
// goroutine. A reader that is too slow loses pictures, up to the next key picture.
type Export struct {
	cfg    ExportConfig
	cursor media.Cursor

	tracks  []media.Track
	index   [16]int8 // stream's track → track of the file; -1: left out
	version uint32
	known   bool
	primary int
	begun   bool
	since   time.Time   // of waiting for tracks
	skip    bool        // until a key picture: the reader lost something
	base    media.Ticks // the stream's time of the file's 0
	step    media.Ticks // between the last two samples of the primary track
	last    media.Ticks // decoding time of the last one
	seq     uint32
	job     job

	mu    sync.Mutex
	ready sync.Cond
	queue []byte // finished boxes
	cause error
	done  bool
}

// NewExport makes an export.
func NewExport(cfg ExportConfig) *Export {
	e := &Export{cfg: cfg, step: media.TicksPerSecond / 25}
	e.ready.L = &e.mu
	if cfg.FromStart {
		e.cursor.FromOldest()
	}
	return e
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
		n, ok := e.cursor.Next(s)
		if !ok {
			return time.Time{}, nil
		}
		if err := e.setTracks(s); err != nil {
			return time.Time{}, err
		}
		if e.tracks == nil {
			continue // parameters not known yet
		}
		aus, err := s.Unpack(n)
		if err != nil {
			continue // nothing usable in it
		}
		for i := range aus {
			au := aus[i] // a copy: the stream shows the same to other consumers
			if err := e.take(s.Ring(), &au); err != nil {
				return time.Time{}, err
			}
		}
	}
}

// settled reports whether the tracks that the file will have are known.
func (e *Export) settled(s *media.Stream, now time.Time) bool {
	if s.Carriage() != media.CarriagePS || e.tracks != nil {
		return true
	}
	if e.since.IsZero() {
		e.since = now
	}
	key, ok := s.LastKey()
	if !ok {
		return false
	}
	_, next := s.Units()
	for n := key; n < next && len(s.Tracks()) < 2; n++ {
		_, _ = s.Unpack(n) // for what the stream learns by it
	}
	return len(s.Tracks()) > 1 || s.Unit(next-1).PTS-s.Unit(key).PTS >= settleTicks ||
		now.Sub(e.since) >= media.Ticks(settleTicks).Duration()
}

// setTracks notices new and changed tracks. Tracks that come later are left out.
func (e *Export) setTracks(s *media.Stream) error {
	v := s.TrackVersion()
	if e.known && v == e.version {
		return nil
	}
	e.known, e.version = true, v
	rec, index, wait := recordableTracks(s.Tracks())
	switch {
	case wait || len(rec) == 0:
		return nil
	case e.tracks == nil:
		e.tracks, e.index, e.primary = rec, index, primaryTrack(rec)
	case len(rec) < len(e.tracks) || !equalTracks(rec[:len(e.tracks)], e.tracks):
		return ErrChanged
	}
	return nil
}

// take adds one access unit to the file.
func (e *Export) take(r *media.Ring, au *media.AccessUnit) error {
	if int(au.Track) >= len(e.index) || e.index[au.Track] < 0 {
		return nil
	}
	track := uint8(e.index[au.Track])
	if int(track) != e.primary {
		return e.takeOther(r, au, track)
	}
	if (!e.begun || e.skip) && au.Codec.Video() && !au.Key() {
		return nil
	}
	if !e.begun {
		if err := e.begin(au.DTS); err != nil {
			return err
		}
	} else if au.DTS <= e.last {
		au.DTS = e.last + 1
	} else {
		e.step = min(au.DTS-e.last, media.TicksPerSecond)
	}
	if e.cfg.Length > 0 && au.DTS-e.base >= media.TicksOf(e.cfg.Length) {
		return errComplete
	}
	e.skip, e.last = false, au.DTS
	au.PTS = max(au.PTS, au.DTS-10*media.TicksPerSecond)
	e.job.add(au, track).duration = e.step
	return e.emit(r)
}

// takeOther adds sound, which rides in the next picture's fragment.
func (e *Export) takeOther(r *media.Ring, au *media.AccessUnit, track uint8) error {
	if !e.begun || e.skip || au.DTS < e.base {
		return nil
	}
	au.PTS = max(au.PTS, au.DTS)
	e.job.add(au, track).duration = nominal(au, &e.tracks[track])
	if len(e.job.samples) < 64 {
		return nil
	}
	return e.emit(r) // no picture for long
}

// begin writes the file's head.
func (e *Export) begin(dts media.Ticks) error {
	head, err := initBoxes(e.tracks)
	if err != nil {
		return err
	}
	e.begun, e.base, e.last = true, dts, dts
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, head...)
	return nil
}

// emit writes the samples gathered as one fragment.
func (e *Export) emit(r *media.Ring) error {
	defer e.job.reset()
	l := layout{tracks: e.tracks, base: e.base, samples: e.job.samples}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue)+e.job.bytes > exportBytes {
		if e.cfg.FromStart {
			return media.ErrSlow
		}
		e.skip = true
		return nil
	}
	before := len(e.queue)
	b, err := e.job.appendPayload(l.appendMoof(e.queue, e.seq), r, len(e.tracks))
	if err != nil { // cannot happen on the owner's goroutine, which asked for what is held
		e.queue, e.skip = b[:before], true
		return nil
	}
	e.queue = b
	e.seq++
	e.ready.Signal()
	return nil
}

// Close ends the file; see media.Sink.
func (e *Export) Close(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done, e.cause = true, cause
	e.ready.Broadcast()
}

// Copy writes the file to w as it grows, calling flush whenever w has all there
// is, until the export was closed or ctx ends. It returns nil if the recording, or
// the length asked for, came to its end, or it was detached; otherwise why it broke off.
func (e *Export) Copy(ctx context.Context, w io.Writer, flush func()) error {
	stop := context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.ready.Broadcast()
	})
	defer stop()
	var spare []byte
	for {
		b, err := e.next(ctx, spare)
		if len(b) == 0 {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		flush()
		spare = b[:0]
	}
}

// next waits for bytes and takes them, leaving spare as the memory for more. No
// bytes: the file is complete, or broke off with err.
func (e *Export) next(ctx context.Context, spare []byte) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queue) == 0 && !e.done && ctx.Err() == nil {
		e.ready.Wait()
	}
	if len(e.queue) > 0 && ctx.Err() == nil {
		b := e.queue
		e.queue = spare
		return b, nil
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case e.cause == nil, e.cause == errComplete, e.cfg.FromStart && errors.Is(e.cause, media.ErrEnded):
		return nil, nil
	}
	return nil, e.cause
}

// recordableTracks chooses the tracks that a file carries, with the number each of
// the stream's tracks has in it, or -1. Wait: there is a video track whose
// parameters are not known yet.
func recordableTracks(tracks []media.Track) (rec []media.Track, index [16]int8, wait bool) {
	for i := range index {
		index[i] = -1
	}
	for i := range min(len(tracks), len(index)) {
		t := &tracks[i]
		if !recordable(t) {
			wait = wait || t.Codec.Video()
			continue
		}
		if len(rec) < maxTracks {
			index[i] = int8(len(rec))
			rec = append(rec, *t)
		}
	}
	return rec, index, wait
}

func equalTracks(a, b []media.Track) bool { return slices.EqualFunc(a, b, sameTrack) }
