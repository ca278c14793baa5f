package media

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// StreamState is a snapshot of a stream.
type StreamState struct {
	Connected bool      // a source is open
	Since     time.Time // of the last change of Connected
	Err       error     // why the last source broke or could not be opened; nil once one delivers
	Tracks    []Track   // read only
	Carriage  Carriage
	Ordered   bool // it comes by a transport that keeps packets in order (TCP)
	Ring      RingState
}

// A RingState tells how much of a stream is held.
type RingState struct {
	Size    int           // bytes; 0: no ring yet
	Span    time.Duration // of what it holds
	Grown   int           // times it was replaced by a larger one
	Refused int           // times it should have been, but there was no memory
	Short   bool          // it should be larger, but there was no memory when that was tried last
}

// StreamStats are a stream's counters since it began.
type StreamStats struct {
	Packets         uint64 // taken; malformed ones are not
	Bytes           uint64 // of those packets
	Lost            uint64 // sequence numbers that never came
	Late            uint64 // came after they had been given up
	Reordered       uint64 // came after one that was sent later, and were put in order
	Duplicates      uint64
	Stray           uint64 // of another sequence or SSRC that did not continue
	Malformed       uint64 // no RTP, not announced, out of bounds
	Units           uint64
	Damaged         uint64 // units with UnitDamaged
	KeyUnits        uint64
	Discontinuities uint64 // units with UnitDiscontinuity
	Opened          uint64 // times a source was opened
	Panics          uint64 // of sinks, sources and unpackers, each contained
	Consumers       Consumers
}

// Consumers tell of a stream's sinks: those that count ([StatsSink]) and those that
// were cut.
type Consumers struct {
	Now  []SinkStats
	Cut  uint64    // sinks that ended with an error other than ErrDone
	Slow uint64    // of those, with ErrSlow
	Last []CutSink // the last of them, newest last; 16 at most; never written once published
}

// SinkStats are a sink's counters. Since and Behind are the stream's to fill in.
type SinkStats struct {
	Kind    string // what it is: protocol and transport, "recorder"
	Name    string // its far end
	Since   time.Time
	Units   uint64 // sent
	Packets uint64 // sent
	Bytes   uint64 // sent
	Dropped uint64 // units it had to leave out of its own accord
	Lapped  uint64 // units it lost because the ring was overwritten
	Copied  uint64 // bytes of media that user space copied for it
	Behind  Ticks  // how far what it takes next is behind the newest unit
}

// A CutSink is a sink that was cut: its counters at the end, when and why.
type CutSink struct {
	SinkStats
	At  time.Time
	Why error
}

// A StatsSink is a [Sink] that counts. Its counters are a part of
// [Consumers]. Owner only.
type StatsSink interface {
	SinkStats() SinkStats
}

// shared is the part of a stream that any goroutine may touch.
type shared struct {
	mu       sync.Mutex
	state    StreamState
	stats    StreamStats
	requests []request
	ready    chan struct{} // closed while the stream is ready
	isReady  bool
	ended    bool
	cause    error // what ended it

	wishes
	done chan struct{} // closed when the stream has ended and every sink is closed
	kick chan struct{} // wakes the owner where it waits for no source

	sourceMu sync.Mutex // held while waking the source, so that it is not closed meanwhile
	source   Source
}

// wishes are what other goroutines want of the owner.
type wishes struct {
	woken  atomic.Bool // the sinks flushed
	reopen atomic.Bool // another source
	unless atomic.Bool // the stream to go on for its sinks' sake only
	key    atomic.Bool // a key frame

	roused atomic.Int64 // when such a wish woke the owner last, Unix nanoseconds
}

// A request asks the owner to attach or detach a sink, or to look at something.
type request struct {
	sink Sink
	gone chan struct{} // detach: closed when done; nil: attach
	look func(now time.Time)
}

// maxRequests bounds what may wait for the owner.
const maxRequests = 4096

var errBusy = errors.New("too many requests wait for the stream")

// prepare makes the channels.
func (h *shared) prepare() {
	h.ready, h.done, h.kick = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
}

// setTracks publishes the tracks, and how they come.
func (h *shared) setTracks(tracks []Track, form *layout) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Tracks, h.state.Carriage, h.state.Ordered = tracks, form.carriage, form.ordered
}

// setSource makes src, or none, the one that Wake wakes.
func (h *shared) setSource(src Source) {
	h.sourceMu.Lock()
	defer h.sourceMu.Unlock()
	h.source = src
}

// over reports whether the stream has ended.
func (h *shared) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

// setConnected publishes that a source was opened, or why there is none.
func (h *shared) setConnected(up bool, err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state.Connected != up || h.state.Since.IsZero() {
		h.state.Since = now
	}
	h.state.Connected = up
	if err != nil {
		h.state.Err = err
	}
}

// setReady publishes whether consumers find something to start with.
func (h *shared) setReady(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case ready && !h.isReady:
		close(h.ready)
		h.state.Err = nil
	case !ready && h.isReady:
		h.ready = make(chan struct{})
	}
	h.isReady = ready
}

// post hands r to the owner.
func (h *shared) post(r request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return h.endError()
	case len(h.requests) >= maxRequests:
		return errBusy
	}
	h.requests = append(h.requests, r)
	return nil
}

// take returns the requests posted since the last take.
func (h *shared) take() []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.requests
	h.requests = nil
	return r
}

// end refuses everything from now on and returns the requests that are left.
func (h *shared) end(cause error) []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended, h.cause = true, cause
	h.state.Connected = false
	r := h.requests
	h.requests = nil
	return r
}

// endError returns what an ended stream answers with.
func (h *shared) endError() error {
	if h.cause == nil || errors.Is(h.cause, ErrEnded) {
		return ErrEnded
	}
	return fmt.Errorf("%w: %w", ErrEnded, h.cause)
}

// State returns a snapshot. Any goroutine.
func (s *Stream) State() StreamState {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	return s.shared.state
}

// Stats returns the counters as of the last time the owner sent something, which
// is no longer ago than a second. Any goroutine.
func (s *Stream) Stats() StreamStats {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	st := s.shared.stats
	st.Consumers.Now = slices.Clone(st.Consumers.Now) // the owner writes into its own
	return st
}

// Wake makes the owner look after its sinks at once. Any goroutine.
func (s *Stream) Wake() {
	s.shared.woken.Store(true)
	select {
	case s.shared.kick <- struct{}{}:
	default: // it is about to look anyway
	}
	s.shared.sourceMu.Lock()
	defer s.shared.sourceMu.Unlock()
	if s.shared.source != nil {
		s.shared.source.Wake()
	}
}

// errReopen is why a source is closed that Reopen replaces.
var errReopen = errors.New("another source is wanted")

// Reopen makes the owner close its source and open it anew: what it is opened
// from has changed. Sinks stay, and see a discontinuity. Any goroutine.
func (s *Stream) Reopen() {
	s.shared.reopen.Store(true)
	s.Wake()
}

// StopAlone makes the stream stop once it has no sink (any more): what it received
// may still be read. Any goroutine.
func (s *Stream) StopAlone() {
	s.shared.unless.Store(true)
	s.Wake()
}

// Attach hands k, which must be comparable, to the owner, which flushes it from now on and closes it exactly
// once. An error, [ErrEnded] or that too many requests wait, means that k was not
// taken and is not closed. Any goroutine.
func (s *Stream) Attach(k Sink) error {
	if err := s.shared.post(request{sink: k}); err != nil {
		return fmt.Errorf("attach to %s: %w", s.cfg.Name, err)
	}
	s.Wake()
	return nil
}

// Detach asks the owner to close k with cause nil, and returns after it was
// closed or the stream has ended. Any goroutine but the owner, on a stream that
// runs.
func (s *Stream) Detach(k Sink) {
	gone := make(chan struct{})
	for s.shared.post(request{sink: k, gone: gone}) == errBusy {
		select {
		case <-s.shared.done:
			return
		case <-time.After(unitWait):
		}
	}
	s.Wake()
	select {
	case <-gone:
	case <-s.shared.done:
	}
}

// WaitReady waits until tracks are known and a unit that decoding can start with
// is in the ring: a key unit or, without video, any. When ctx ends first, the
// error tells that and why the source could not be opened, if it could not; when
// the stream ends first, [ErrEnded] and its cause. While it waits the source is asked
// for a key frame. Any goroutine.
func (s *Stream) WaitReady(ctx context.Context) error {
	for {
		s.shared.mu.Lock()
		ready, isReady, last := s.shared.ready, s.shared.isReady, s.shared.state.Err
		s.shared.mu.Unlock()
		if isReady {
			return nil
		}
		s.AskKey()
		select {
		case <-ready:
		case <-s.shared.done:
			s.shared.mu.Lock()
			defer s.shared.mu.Unlock()
			return s.shared.endError()
		case <-ctx.Done():
			if last == nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		}
	}
}
