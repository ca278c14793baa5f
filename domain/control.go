package domain

import (
	"fmt"
	"time"
)

// A Verb is what a [Command] does.
type Verb uint8

// The verbs of MANSRTSP (GB/T 28181-2022 Annex B).
const (
	CommandPlay  Verb = iota // go on, perhaps elsewhere or at another speed
	CommandPause             // hold the picture
	CommandStop              // TEARDOWN: end the session
)

func (v Verb) String() string { return [...]string{"play", "pause", "stop"}[v%3] }

// A Command is what a viewer above does with a recording that is played to him.
// All but the verb is for CommandPlay.
type Command struct {
	Verb  Verb
	Scale float64       // how fast: 1 is real time, below 0 is backwards; 0: not stated
	Now   bool          // go on from where it stands: at real time, if no scale is stated
	Seek  bool          // go on from From
	From  time.Duration // since the beginning of what is played; not below 0
	To    time.Duration // until there, on the same count; 0: to the end
}

// Bounds of the speeds that the archive plays at.
const (
	leastScale = 1.0 / 16
	mostScale  = 32
)

// steering is how a sender's recording is controlled.
type steering struct {
	paused  bool
	pending *control // on its way down; one at a time
	latest  *control // that was passed down
}

// A control is a command that was passed on to the lower, until it is answered.
type control struct {
	ref     Ref
	command Command
	held    bool      // the receiver was held before
	at      time.Time // end of patience
}

// controlIn passes a command to the session of its dialog.
func (p *Processor) controlIn(ev ControlIn) {
	s := p.calls.senders[ev.Dialog]
	if s == nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrGone})
		return
	}
	p.stepSender(s, txControl{control{ref: ev.Ref, command: ev.Command, at: p.patience(ev.Deadline)}})
}

// control obeys a command where the recording is our own, and passes it down
// otherwise: only its owner can say what is possible. To end the session needs no
// word below but the BYE that follows.
func (s *sender) control(d *desk, c control) {
	err := s.controllable()
	switch {
	case c.command.Verb == CommandStop && s.stream.Kind == Playback:
		d.do(Reply{Ref: c.ref})
		s.bye(d, fmt.Errorf("stopped: %w", ErrGone))
		return
	case err == nil && s.from != nil:
		s.pass(d, c)
		return
	case err == nil:
		err = c.command.check(s.stream.Range)
	}
	d.do(Reply{Ref: c.ref, Err: err})
	if err == nil {
		s.steer.paused = c.command.Verb == CommandPause
		d.do(ControlSender{s.leg, c.command})
	}
}

// controllable says why no command can be obeyed now, nil if one can.
func (s *sender) controllable() error {
	switch {
	case s.stream.Kind != Playback:
		return ErrControl
	case s.state == txEnding || s.leg == 0 || s.from != nil && s.from.state != rxReady:
		return ErrGone
	case s.steer.pending != nil:
		return ErrBusy
	}
	return nil
}

// pass sends a command down. A receiver that is to be paused must not take the
// silence for the end, whenever the answer comes.
func (s *sender) pass(d *desk, c control) {
	c.held = s.from.held
	if c.command.Verb == CommandPause {
		s.from.hold(d, true)
	}
	s.steer.pending, s.steer.latest = &c, &c
	d.do(Control{Tag: d.ask(controlWait{s, &c}), Dialog: Dialog(s.from.tag), Command: c.command, Deadline: c.at})
}

// controlled takes the lower's answer. While nobody knows whether it obeyed, the
// receiver stays as patient as it is.
func (s *sender) controlled(d *desk, c *control, ev Answered) {
	pause := c.command.Verb == CommandPause
	switch {
	case c != s.steer.latest: // late, and another was obeyed since
	case ev.Status/100 == 2:
		s.steer.paused = pause
		s.from.hold(d, pause)
	case ev.Status != 0 && pause:
		s.from.hold(d, c.held)
	}
	if s.steer.pending != c { // too late: it was answered
		return
	}
	s.steer.pending = nil
	if ev.Status/100 == 2 {
		d.do(Reply{Ref: c.ref})
		return
	}
	d.do(Reply{Ref: c.ref, Err: refusedBy(s.from.peer.cfg.Code, ev)})
}

// controlDue gives up a command that the lower does not answer.
func (s *sender) controlDue(d *desk) {
	if c := s.steer.pending; c != nil && d.past(c.at) {
		s.controlled(d, c, Answered{})
	}
}

// dropControl answers a command whose session has ended.
func (s *sender) dropControl(d *desk) {
	if c := s.steer.pending; c != nil {
		s.steer.pending = nil
		d.do(Reply{Ref: c.ref, Err: ErrGone})
	}
}

// patience is until when a command is waited for; zero: none is.
func (s *sender) patience() time.Time {
	if c := s.steer.pending; c != nil {
		return c.at
	}
	return time.Time{}
}

type controlWait struct {
	s *sender
	c *control
}

func (w controlWait) answered(p *Processor, ev Answered) { p.stepSender(w.s, txControlled{w.c, ev}) }

// check says why a command cannot be obeyed with a recording of that range: the archive
// plays forwards, to the end of what was agreed.
func (c Command) check(in Range) error {
	length := in.To.Sub(in.From)
	switch {
	case c.Verb != CommandPlay:
		return nil
	case c.Scale != 0 && (c.Scale < leastScale || c.Scale > mostScale):
		return fmt.Errorf("scale %v: %w", c.Scale, ErrControl)
	case !c.Seek:
		return nil
	case c.To != 0 && c.To < length-time.Second: // a second: ends are rounded
		return fmt.Errorf("end at %s: %w", c.To, ErrControl)
	case c.From >= length:
		return fmt.Errorf("%s of %s: %w", c.From, length, ErrNoRecording)
	}
	return nil
}

// hold tells media to bear silence, or no more.
func (r *receiver) hold(d *desk, held bool) {
	if r.held == held || !r.open() || r.state == rxUnsaid {
		return
	}
	r.held = held
	d.do(HoldReceiver{r.leg, held})
}
