package media

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// minAgain is how soon a sink is called again at its own wish.
const minAgain = time.Millisecond

// A seat is a sink and what the owner knows of it.
type seat struct {
	sink    Sink
	watched Progress // the sink, if its progress is watched
	since   time.Time
	again   time.Time
	at      uint64    // position last reported
	moved   time.Time // when it changed, or nothing was waiting for it
}

// serve carries out what other goroutines asked for.
func (s *Stream) serve(now time.Time) {
	for _, r := range s.shared.take() {
		if r.look != nil {
			r.look(now)
			continue
		}
		if r.gone == nil {
			st := seat{sink: r.sink, since: now, moved: now, again: now}
			st.watched, _ = r.sink.(Progress)
			s.seats, s.pace.begun = append(s.seats, st), true
			continue
		}
		s.seats = slices.DeleteFunc(s.seats, func(st seat) bool {
			if st.sink != r.sink {
				return false
			}
			s.closeSink(st.sink, nil)
			return true
		})
		close(r.gone)
	}
}

// Flush does what the owner does between two calls of Receive: it ends units that
// were waited for long enough, admits and removes sinks, and lets each sink send.
// It returns when it has something to do again even if nothing arrives, or the
// zero time. [Stream.Run] calls it; only who drives a stream by hand does so
// besides. Owner only.
func (s *Stream) Flush(now time.Time) (again time.Time) {
	s.clock.arrived(now)
	s.fitRing(now)
	past := s.fit.past(s.ring)
	again = s.expire(now)
	s.serve(now)
	again = earlier(again, s.flushSinks(now, true))
	s.retire(past)
	s.publishStats(now)
	return again
}

// flushSinks lets sinks send: all of them, or those that asked for it by now. It
// returns when the next one asked to.
func (s *Stream) flushSinks(now time.Time, all bool) (again time.Time) {
	kept := s.seats[:0]
	for i := range s.seats {
		st := &s.seats[i]
		if all || !st.again.IsZero() && !st.again.After(now) {
			if err := s.flushSink(st, now); err != nil {
				s.cfg.Log.Info("sink ended", "stream", s.cfg.Name, "err", err)
				s.noteCut(st, err, now)
				s.closeSink(st.sink, err)
				continue
			}
		}
		again = earlier(again, st.again)
		kept = append(kept, *st)
	}
	clear(s.seats[len(kept):]) // let go of the sinks that ended
	s.seats = kept
	return again
}

// flushSink lets one sink send. A panic is its error.
func (s *Stream) flushSink(st *seat, now time.Time) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.count.Panics++
			err = panicked("flush", r)
		}
	}()
	st.again, err = st.sink.Flush(s, now)
	if soonest := now.Add(minAgain); !st.again.IsZero() && st.again.Before(soonest) {
		st.again = soonest // a sink that always wants to go on must not keep the owner from receiving
	}
	if err != nil || st.watched == nil {
		return err
	}
	at := st.watched.Position()
	if at != st.at || at >= s.units.next {
		st.at, st.moved = at, now
	}
	if now.Sub(st.moved) >= s.cfg.SlowLimit {
		return ErrSlow
	}
	return nil
}

// keptCuts is how many sinks that were cut are remembered.
const keptCuts = 16

// noteCut counts and remembers a sink that ended with an error, unless it had just
// got all it wanted.
func (s *Stream) noteCut(st *seat, cause error, now time.Time) {
	if errors.Is(cause, ErrDone) {
		return
	}
	c := &s.count.Consumers
	c.Cut++
	if errors.Is(cause, ErrSlow) {
		c.Slow++
	}
	last := slices.Clone(c.Last[max(0, len(c.Last)+1-keptCuts):]) // readers hold the old one
	c.Last = append(last, CutSink{SinkStats: s.seatStats(st), At: now, Why: cause})
}

// closeSink closes k. A panic is contained.
func (s *Stream) closeSink(k Sink, cause error) {
	defer func() {
		if r := recover(); r != nil {
			s.count.Panics++
			s.cfg.Log.Error("sink panicked", "stream", s.cfg.Name, "err", panicked("close", r))
		}
	}()
	k.Close(cause)
}

// panicked turns what was recovered into an error that says where it came from.
func panicked(doing string, r any) error {
	return fmt.Errorf("%s: panic: %v\n%s", doing, r, debug.Stack())
}

// publishStats makes the counters visible: the stream's each time, the sinks'
// once a second, for they cost more.
func (s *Stream) publishStats(now time.Time) {
	counted := now.Sub(s.pace.counted) >= time.Second
	if counted {
		s.pace.counted = now
		s.pace.sinks = s.appendSinkStats(s.pace.sinks[:0])
	}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	sinks := s.shared.stats.Consumers.Now
	if counted {
		s.shared.state.Ring = s.ringState()
		sinks, s.pace.sinks = s.pace.sinks, sinks
	}
	s.shared.stats = s.count
	s.shared.stats.Consumers.Now = sinks
}

// appendSinkStats appends the counters of sinks that count.
func (s *Stream) appendSinkStats(all []SinkStats) []SinkStats {
	for i := range s.seats {
		if _, ok := s.seats[i].sink.(StatsSink); ok {
			all = append(all, s.seatStats(&s.seats[i]))
		}
	}
	return all
}

// seatStats returns the counters of a sink: of one that does not count, since when
// it was there and how far behind it is.
func (s *Stream) seatStats(st *seat) (all SinkStats) {
	defer func() {
		if r := recover(); r != nil { // it may have been cut for a panic
			s.count.Panics++
		}
		all.Since = st.since
	}()
	if k, ok := st.sink.(StatsSink); ok {
		all = k.SinkStats()
	}
	if st.watched != nil {
		all.Behind = s.behindOf(st.watched.Position())
	}
	return all
}

// behindOf returns how far unit n, or the oldest one after it that is remembered, is
// behind the newest one.
func (s *Stream) behindOf(n uint64) Ticks {
	oldest, next := s.units.oldest, s.units.next
	if n >= next {
		return 0
	}
	n = max(n, oldest, next-min(next, uint64(len(s.units.entries))))
	return max(0, s.Unit(next-1).PTS-s.Unit(n).PTS)
}
