package media

// A Cursor is an independent position in a stream's units. The zero value starts
// at the last key unit held; in a stream without video, at the newest unit. It
// belongs to one consumer, on the owner's goroutine.
type Cursor struct {
	next   uint64 // unit to be handed out; while waiting for a key unit, where waiting began
	lapped uint64
	state  cursorState
}

type cursorState uint8

const (
	cursorNew     cursorState = iota // no position: starts at the last key unit
	cursorOldest                     // no position: starts at the oldest key unit
	cursorSkipped                    // resumes at a key unit
	cursorLapped                     // resumes at a key unit, and counts what it missed
	cursorRunning
)

// Next returns the number of the next unit to consume and moves past it; it is
// not ok if there is none yet. A consumer that fell behind so far that the unit
// was overwritten resumes at the newest key unit (without video: at the oldest
// unit held); nothing in between is handed out. The unit is held until the next
// Receive. Where it waits for a key unit and none is held, the source is asked
// for one.
func (c *Cursor) Next(s *Stream) (n uint64, ok bool) {
	if c.state == cursorRunning && c.next < s.units.next && !s.Held(s.Unit(c.next)) {
		c.state = cursorLapped
	}
	if c.state != cursorRunning && !c.place(s) {
		return 0, false
	}
	if c.next >= s.units.next {
		return 0, false
	}
	n = c.next
	c.next++
	return n, true
}

// place finds the unit to start or to go on with.
func (c *Cursor) place(s *Stream) bool {
	at, ok := c.find(s)
	if !ok {
		return false
	}
	if c.state == cursorLapped {
		c.lapped += at - c.next
	}
	c.next, c.state = at, cursorRunning
	return true
}

// find returns the unit to start or to go on with, which is not before next.
func (c *Cursor) find(s *Stream) (n uint64, ok bool) {
	oldest, next := s.Units()
	switch {
	case !s.Pictures() && c.state == cursorNew && next > oldest:
		return next - 1, true
	case !s.Pictures():
		return max(oldest, c.next), true
	case c.state == cursorOldest:
		n, ok = s.firstKey(oldest)
	default:
		n, ok = s.LastKey()
		ok = ok && n >= c.next
	}
	if !ok {
		s.WantKey()
	}
	return n, ok
}

// firstKey returns the first key unit held from unit n on.
func (s *Stream) firstKey(n uint64) (key uint64, ok bool) {
	for ; n < s.units.next; n++ {
		if u := s.Unit(n); u.Key() && s.Held(u) {
			return n, true
		}
	}
	return 0, false
}

// FromOldest makes a cursor that has not begun start at the oldest key unit held
// rather than at the last: for consumers that want everything there is.
func (c *Cursor) FromOldest() {
	if c.state == cursorNew {
		c.state = cursorOldest
	}
}

// SkipToKey makes Next resume at a key unit that was not handed out yet, the
// newest one: the consumer itself lost something, or has fallen behind.
func (c *Cursor) SkipToKey() {
	if c.state == cursorRunning {
		c.state = cursorSkipped
	}
}

// Lapped returns how many units were missed because they were overwritten.
func (c *Cursor) Lapped() uint64 { return c.lapped }

// Position returns the number of the unit that Next hands out next, or [Idle]
// while c waits for a key unit: what a sink's [Progress] reports.
func (c *Cursor) Position() uint64 {
	if c.state != cursorRunning {
		return Idle
	}
	return c.next
}

// Lag returns how far the next unit is behind the newest one; 0 if there is none.
func (c *Cursor) Lag(s *Stream) Ticks {
	oldest, next := s.Units()
	at := max(c.next, oldest)
	if c.state != cursorRunning || at >= next {
		return 0
	}
	return max(0, s.Unit(next-1).PTS-s.Unit(at).PTS)
}
