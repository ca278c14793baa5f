package serial

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// An Order is one frame to one dome.
type Order struct {
	Address uint8 // of one of Config.Domes
	Kind    Kind
	Frame   []byte        // kept, and not to be changed; a Stop has none: the dome's own is sent
	For     time.Duration // Move: how long the dome may move, counted from now, if no other Move or Stop comes
}

// A Kind is what an Order does to the movement of its dome.
type Kind uint8

// The kinds. What stands in the queue is sent in its order, but for stops.
const (
	Once Kind = iota // changes no movement: a preset is stored, something switched
	Go               // begins one that the dome ends: a preset is called, a pattern run
	Move             // begins or changes one that is ended by us
	Stop             // ends every movement at once
)

// Reasons for which an order is refused.
var (
	ErrDown    = errors.New("serial line is down")
	ErrFull    = errors.New("serial line has more to send than it can")
	ErrUnknown = errors.New("no such dome on the serial line")
	ErrEndless = errors.New("movement without an end")
)

// Bounds and times of the schedule.
const (
	maxQueued     = 64 // orders of all domes
	maxDomeQueued = 8  // orders of one, so that it cannot keep others from being heard
	// gap is the silence behind each frame, for domes that have to think and lines that
	// have to turn round. The manuals name none; with the 29 ms that a frame takes at
	// 2400 baud a frame begins every 80 ms, which controllers in the field do.
	gap      = 50 * time.Millisecond
	charBits = 10 // start bit, 8 data bits, stop bit
	never    = time.Hour
)

// A schedule decides which frame is sent when. It does nothing and knows no clock: time
// is an argument that does not run backwards.
type schedule struct {
	baud   int
	domes  []*dome // by address
	queue  []queued
	urgent []*dome   // owed a stop before anything else, each once
	spared bool      // the last frame stopped what stood, so that the queue is next
	again  []*dome   // owed a second stop when there is nothing else to do: nothing tells that the first arrived
	free   time.Time // from when the line is silent long enough
}

type dome struct {
	address uint8
	stop    []byte
	moving  bool      // it was told to, and not yet to stop
	stands  bool      // it was stopped, and nothing has moved it since
	until   time.Time // moving, or about to: when it is stopped, by what was asked for last
}

type queued struct {
	dome  *dome
	kind  Kind
	frame []byte
	until time.Time // Move
}

func newSchedule(baud int, domes []Dome) *schedule {
	s := &schedule{baud: baud}
	for _, d := range domes {
		s.domes = append(s.domes, &dome{address: d.Address, stop: d.Stop})
	}
	return s
}

// open begins anew on a line of which nothing is known: every dome may be moving.
func (s *schedule) open(now time.Time) {
	s.close()
	s.urgent = slices.Clone(s.domes)
	s.free = now
}

// close forgets everything.
func (s *schedule) close() {
	s.queue, s.urgent, s.again = nil, nil, nil
	for _, d := range s.domes {
		d.moving, d.stands = false, false
	}
}

// end forgets what was not sent yet, and stops what moves.
func (s *schedule) end() {
	s.queue = nil
	for _, d := range s.domes {
		if d.moving {
			s.halt(d)
		}
	}
}

// add takes an order.
func (s *schedule) add(now time.Time, o Order) error {
	i := slices.IndexFunc(s.domes, func(d *dome) bool { return d.address == o.Address })
	if i < 0 {
		return fmt.Errorf("%w: address %d", ErrUnknown, o.Address)
	}
	d := s.domes[i]
	switch {
	case o.Kind == Stop:
		s.drop(d, Move, Go)
		s.halt(d)
		return nil
	case o.Kind == Move && o.For <= 0:
		return ErrEndless
	}
	q := queued{dome: d, kind: o.Kind, frame: o.Frame, until: now.Add(o.For)}
	if !s.replace(q) {
		if len(s.queue) >= maxQueued || s.queuedOf(d) >= maxDomeQueued {
			return fmt.Errorf("%w: %d orders wait", ErrFull, len(s.queue))
		}
		s.queue = append(s.queue, q)
	}
	if q.kind == Move {
		d.until = q.until // also if an older one waits before it
	}
	return nil
}

// replace puts a movement in the place of one that still waits, if nothing of that dome
// was asked for in between.
func (s *schedule) replace(q queued) bool {
	for i, old := range slices.Backward(s.queue) {
		if old.dome != q.dome {
			continue
		}
		if q.kind != Move || old.kind != Move {
			return false
		}
		s.queue[i] = q
		return true
	}
	return false
}

func (s *schedule) queuedOf(d *dome) (n int) {
	for _, q := range s.queue {
		if q.dome == d {
			n++
		}
	}
	return n
}

// drop removes what waits for a dome.
func (s *schedule) drop(d *dome, kinds ...Kind) {
	s.queue = slices.DeleteFunc(s.queue, func(q queued) bool { return q.dome == d && slices.Contains(kinds, q.kind) })
}

// halt owes a dome a stop.
func (s *schedule) halt(d *dome) {
	if !slices.Contains(s.urgent, d) {
		s.urgent = append(s.urgent, d)
	}
}

// next returns the frame to be sent now. If there is none it returns how long nothing
// will be due, and whether nothing is owed to anybody.
func (s *schedule) next(now time.Time) (frame []byte, wait time.Duration, idle bool) {
	if now.Before(s.free) {
		return nil, s.free.Sub(now), false
	}
	s.expire(now)
	if frame = s.pick(); frame != nil {
		s.free = now.Add(s.air(len(frame)) + gap)
		return frame, 0, false
	}
	wait = never
	for _, d := range s.domes {
		if d.moving {
			wait = min(wait, d.until.Sub(now))
		}
	}
	return nil, wait, true
}

// expire ends the movements that were not renewed, and drops those that are over before
// they were sent, or after which one was asked for that is.
func (s *schedule) expire(now time.Time) {
	s.queue = slices.DeleteFunc(s.queue, func(q queued) bool {
		return q.kind == Move && !(now.Before(q.until) && now.Before(q.dome.until))
	})
	for _, d := range s.domes {
		if d.moving && !now.Before(d.until) {
			s.drop(d, Move)
			s.halt(d)
		}
	}
}

// pick takes what is to be sent first.
func (s *schedule) pick() []byte {
	if i := s.pressing(); i >= 0 {
		d := s.urgent[i]
		s.urgent = slices.Delete(s.urgent, i, i+1)
		s.forgetAgain(d)
		s.again = append(s.again, d)
		s.spared = d.stands
		d.moving, d.stands = false, true
		return d.stop
	}
	s.spared = false
	if len(s.queue) > 0 {
		q := s.queue[0]
		if q.kind == Go && q.dome.moving {
			q.dome.moving = false // a movement is not left to a dome that may not have heard of its end
			return q.dome.stop
		}
		s.queue = s.queue[1:]
		if q.kind != Once {
			s.forgetAgain(q.dome)
			q.dome.moving, q.dome.stands = q.kind == Move, false
		}
		return q.frame
	}
	if len(s.again) > 0 {
		d := s.again[0]
		s.again = s.again[1:]
		return d.stop
	}
	return nil
}

// pressing returns which of the domes that are owed a stop gets it before what waits;
// below 0: none. One that stands is stopped again, should it not have heard, but it
// takes turns with the queue: stopping it over and over keeps no other dome waiting.
func (s *schedule) pressing() int {
	i := slices.IndexFunc(s.urgent, func(d *dome) bool { return !d.stands })
	switch {
	case i >= 0 || len(s.urgent) == 0:
		return i
	case s.spared && len(s.queue) > 0:
		return slices.Index(s.urgent, s.queue[0].dome) // its own comes first, as it was asked for
	}
	return 0
}

func (s *schedule) forgetAgain(d *dome) {
	s.again = slices.DeleteFunc(s.again, func(x *dome) bool { return x == d })
}

// air is how long n bytes take on the line.
func (s *schedule) air(n int) time.Duration {
	return time.Duration(n*charBits) * time.Second / time.Duration(s.baud)
}

func (s *schedule) moving() (n int) {
	for _, d := range s.domes {
		if d.moving {
			n++
		}
	}
	return n
}
