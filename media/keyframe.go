package media

import "time"

const (
	// askKeyEvery is the least time between two requests for a key frame. An encoder that
	// makes one answers within a frame or two; one that cannot is not to be nagged.
	askKeyEvery = 2 * time.Second
	// askKeyGrace is how long a source that was just opened is given to begin with a key
	// frame of its own accord, as nearly all do.
	askKeyGrace = 500 * time.Millisecond
	// rouseEvery is how often a wish wakes the owner: a player may say as often as it likes
	// that it lost something, and the owner lets all sinks send when it is woken. It
	// looks by itself before it may ask again.
	rouseEvery = askKeyEvery / 2
)

// A keyWish is whether the source is to be asked for a key frame, and when it was.
type keyWish struct {
	waiting bool      // a cursor waits for one that is not held
	wanted  bool      // AskKey was called, and no key unit has come since
	since   uint64    // key units there were when it was
	asked   time.Time // last
}

// opened lets a source begin by itself.
func (k *keyWish) opened(now time.Time) { k.asked = now.Add(askKeyGrace - askKeyEvery) }

// WantKey says, within [Sink].Flush, that a sink waits for a key frame that the ring does
// not hold. It counts for that Flush, and is to be said again in the next. A [Cursor]
// says it. Owner only.
func (s *Stream) WantKey() { s.pace.key.waiting = true }

// AskKey wants a key frame that the source makes from now on: for a consumer that lost
// something (a PLI of a browser), or a domain above that asks (IFrameCmd). A cursor
// that waits for a key frame needs no such call, and who waits as one says so by
// WantKey. The source is asked at once, but every 2 s at most: a wish that comes sooner
// is kept until then, and is granted by any key frame that comes meanwhile. One that
// cannot ask ([KeyAsker]) sends a key frame sooner or later by itself. It does not block,
// and may be called within [Sink].Flush, too. Any goroutine.
func (s *Stream) AskKey() {
	if s.shared.key.Swap(true) {
		return
	}
	now, last := time.Now().UnixNano(), s.shared.roused.Load()
	if now < last || now-last >= int64(rouseEvery) {
		s.shared.roused.Store(now)
		s.Wake()
	}
}

// askKey asks the source for a key frame if one is wanted and it is time, and returns
// when to look again. Asker is nil if the source cannot be asked.
func (s *Stream) askKey(asker KeyAsker, now time.Time) (again time.Time) {
	k := &s.pace.key
	if s.shared.key.Swap(false) {
		k.wanted, k.since = true, s.count.KeyUnits
	}
	k.wanted = k.wanted && k.since == s.count.KeyUnits
	wanted := k.wanted || k.waiting
	k.waiting = false
	switch due := k.asked.Add(askKeyEvery); {
	case !wanted || asker == nil:
		return time.Time{}
	case due.After(now):
		return due
	}
	k.asked, k.wanted = now, false
	if err := asker.AskKey(); err != nil { // many cannot: they send one sooner or later
		s.cfg.Log.Debug("key frame not asked for", "stream", s.cfg.Name, "err", err)
	}
	return time.Time{}
}
