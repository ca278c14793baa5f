package media

import (
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
	again   time.Time
	at      uint64    // position last reported
	moved   time.Time // when it changed, or nothing was waiting for it
}

// serve carries out what other goroutines asked for.
func (s *Stream) serve(now time.Time) {
	for _, r := range s.shared.take() {
		if r.gone == nil {
			st := seat{sink: r.sink, moved: now, again: now}
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
		s.count.Slow++
		return ErrSlow
	}
	return nil
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
	sinks := s.shared.stats.Sinks
	if counted {
		s.shared.state.Ring = s.ringState()
		sinks, s.pace.sinks = s.pace.sinks, sinks
	}
	s.shared.stats = s.count
	s.shared.stats.Sinks = sinks
}

// appendSinkStats appends the counters of sinks that count.
func (s *Stream) appendSinkStats(all []SinkStats) []SinkStats {
	for _, st := range s.seats {
		if k, ok := st.sink.(StatsSink); ok {
			all = append(all, k.SinkStats())
		}
	}
	return all
}
