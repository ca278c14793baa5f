package domain

import "time"

type watchState uint8

// The states of a watch.
const (
	watchWaiting watchState = iota
	watchOpen
	watchGone
)

// A watch is a local user's look at a stream.
type watch struct {
	ticket Ticket
	stream StreamID
	state  watchState
	at     time.Time
	from   *receiver // nil: our own channel
	alarm  alarm
}

// What happens to a watch.
type (
	watchReady struct{ Leg LegID }
	watchOver  struct{ Err error }
	watchOut   struct{}
	watchDue   struct{}
)

// step moves w. Every ticket is answered once, by Opened or Denied, unless its user
// left before.
func (w *watch) step(d *desk, ev any) {
	switch ev := ev.(type) {
	case watchReady:
		if w.state == watchWaiting {
			w.state, w.at = watchOpen, time.Time{}
			d.do(Opened{w.ticket, w.stream, ev.Leg})
		}
	case watchOver:
		w.end(d, ev.Err)
	case watchOut:
		w.state, w.at = watchGone, time.Time{}
	case watchDue:
		if w.state == watchWaiting && d.past(w.at) {
			w.end(d, ErrTimeout)
		}
	}
	d.set(&w.alarm, w.at)
}

func (w *watch) end(d *desk, err error) {
	switch w.state {
	case watchWaiting:
		if err == nil {
			err = ErrMedia
		}
		d.do(Denied{w.ticket, err})
	case watchOpen:
		d.do(Ended{w.ticket, err})
	}
	w.state, w.at = watchGone, time.Time{}
}

func (w *watch) expired(p *Processor) { p.stepWatch(w, watchDue{}) }

// ready, over and holds make a watch a user of a receiver.
func (w *watch) ready(p *Processor, source LegID) { p.stepWatch(w, watchReady{source}) }
func (w *watch) over(p *Processor, err error)     { p.stepWatch(w, watchOver{err}) }
func (w *watch) holds() bool                      { return w.state != watchGone }
