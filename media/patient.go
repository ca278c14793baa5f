package media

import (
	"context"
	"time"
)

// patienceLimit is how long a sink of a patient stream may stand still: it is as
// slow as it likes, but one that takes nothing at all has been forgotten.
const patienceLimit = time.Hour

// aheadPart is the part of the ring that the source of a patient stream may be
// ahead of the slowest sink. With what a source takes at once and the largest
// picture, half a ring, that must not lap anybody.
const aheadPart = 4

// A Needer is a [Sink] that a patient stream ([StreamConfig].Patient) waits for.
type Needer interface {
	// Needs returns the oldest unit of s that the sink still has to take; it is not
	// ok if there is none. Owner only.
	Needs(s *Stream) (n uint64, ok bool)
}

// A Finisher is a [Sink] that has something to do once the stream has ended and
// all units were taken: its far end may not have everything yet.
type Finisher interface {
	// Finish goes on with that. It is called after each Flush, until it reports
	// that all is done. Owner only.
	Finish(now time.Time) (done bool)
}

// Patient reports whether s waits for its sinks.
func (s *Stream) Patient() bool { return s.cfg.Patient }

// linger keeps the sinks of a patient stream going until the source may go on:
// what is not received yet stays where it is, on the disk or, by the flow control
// of TCP, with the far end.
func (s *Stream) linger(ctx context.Context) {
	for s.behind() && ctx.Err() == nil && !s.alone() {
		now := time.Now()
		again := earlier(now.Add(lookEvery), s.Flush(now))
		if s.behind() {
			s.wait(ctx.Done(), again.Sub(now))
		}
	}
}

// alone reports whether StopAlone was called and nobody is left.
func (s *Stream) alone() bool { return s.shared.unless.Load() && len(s.seats) == 0 }

// behind reports whether a sink of a patient stream still needs what the source
// would soon overwrite.
func (s *Stream) behind() bool {
	if !s.cfg.Patient || s.ring == nil {
		return false
	}
	n, ok := s.needed()
	return ok && s.ring.Head()-s.Unit(n).low > s.ring.size/aheadPart
}

// needed returns the oldest unit that is still to be taken by a sink that says so,
// or by the first sink, which has yet to come.
func (s *Stream) needed() (n uint64, ok bool) {
	if !s.pace.begun {
		n, ok = s.beginning()
		return n, ok && s.pace.ready
	}
	for i := range s.seats {
		k, needs := s.seats[i].sink.(Needer)
		if !needs {
			continue
		}
		if at, wants := k.Needs(s); wants && (!ok || at < n) {
			n, ok = at, true
		}
	}
	return n, ok
}

// runOut lets the sinks send what the source left behind, and bring that to its
// end. A patient stream waits for those that say what they need; the others get
// as long as a slow one may take.
func (s *Stream) runOut(ctx context.Context) {
	limit := time.Now().Add(s.cfg.SlowLimit)
	for ctx.Err() == nil {
		now := time.Now()
		again := s.Flush(now)
		_, needed := s.needed()
		switch {
		case !needed && !s.finishing(now) && again.IsZero(), now.After(limit):
			return
		case needed && s.cfg.Patient:
			limit = now.Add(s.cfg.SlowLimit)
		}
		s.wait(ctx.Done(), earlier(now.Add(finishEvery), again).Sub(now))
	}
}

// finishEvery is how often the sinks of a stream that has ended are asked whether
// they are done.
const finishEvery = 20 * time.Millisecond

// finishing reports whether a sink is not done yet.
func (s *Stream) finishing(now time.Time) (more bool) {
	for i := range s.seats {
		if k, ok := s.seats[i].sink.(Finisher); ok && !k.Finish(now) {
			more = true
		}
	}
	return more
}

// Needs returns the oldest unit that c has yet to hand out, if it is held: what a
// sink's [Needer] reports.
func (c *Cursor) Needs(s *Stream) (n uint64, ok bool) {
	switch c.state {
	case cursorRunning:
		return c.next, c.next < s.units.next
	case cursorOldest:
		return s.beginning()
	}
	return 0, false
}

// beginning returns the oldest unit held that a consumer of everything begins with.
func (s *Stream) beginning() (n uint64, ok bool) {
	oldest, next := s.Units()
	if !s.Pictures() {
		return oldest, oldest < next
	}
	return s.firstKey(oldest)
}
