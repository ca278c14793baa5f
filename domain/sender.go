package domain

import (
	"errors"
	"time"
)

type txState uint8

// The states of a sender.
const (
	txWaiting  txState = iota // for the stream to come from below
	txOpening                 // media prepares to send
	txAnswered                // we agreed; the ACK is awaited
	txFlowing                 // media flows
	txEnding                  // everything was sent; the BYE is awaited
	txGone
)

func (s txState) String() string {
	return [...]string{"waiting", "opening", "answered", "flowing", "ending", "gone"}[s%6]
}

// A sender is media going out to an upper: one dialog above and one leg.
type sender struct {
	dialog Dialog
	upper  *upper
	asked  InviteIn
	stream StreamID
	ssrc   uint32
	leg    LegID // 0 before it is opened and after it has gone
	parties

	state txState
	since time.Time
	at    time.Time
	sent  bool      // the source ended before the ACK came, or before all was passed on
	from  *receiver // nil: our own channel
	steer steering
	alarm alarm
}

// What happens to a sender.
type (
	txSource struct{ Leg LegID } // the stream can be read from there; 0: it is our own
	txOpened struct{ Answer Endpoint }
	txAck    struct{}
	txCancel struct{}
	txBye    struct{}
	txEnded  struct{ Err error } // its leg has gone; nil: everything was sent
	txOver   struct{ Err error } // its source has; nil: everything was received
	txDue    struct{}
	txDrop   struct{ Err error } // by us: peer lost, replaced, channel gone, shutdown

	txControl    struct{ control } // from above
	txControlled struct {          // by the lower
		control *control
		Answered
	}
)

// step moves s. Every INVITE is answered once: by AnswerInvite, by RefuseInvite, or
// by the transceiver after a CANCEL.
func (s *sender) step(d *desk, ev any) {
	was := s.state
	switch ev := ev.(type) {
	case txControlled:
		s.controlled(d, ev.control, ev.Answered)
	case txDue:
		s.controlDue(d)
	}
	switch s.state {
	case txWaiting, txOpening:
		s.early(d, ev)
	case txAnswered, txFlowing:
		s.agreed(d, ev)
	case txEnding:
		s.ending(d, ev)
	}
	if s.state != was {
		s.since = d.now
	}
	d.set(&s.alarm, s.at, s.patience())
}

// early judges what happens before the INVITE is answered.
func (s *sender) early(d *desk, ev any) {
	switch ev := ev.(type) {
	case txSource:
		if s.state == txWaiting {
			s.open(d, ev.Leg)
		}
	case txOpened:
		s.answer(d, ev.Answer)
	case txCancel:
		s.close(d)
	case txBye:
		s.refuse(d, ErrGone)
	case txEnded:
		s.leg = 0
		s.refuse(d, ev.Err)
	case txOver:
		s.refuse(d, ev.Err)
	case txDrop:
		s.refuse(d, ev.Err)
	case txControl: // nothing was agreed yet
		d.do(Reply{Ref: ev.ref, Err: ErrBusy})
	case txDue:
		if d.past(s.at) {
			s.refuse(d, ErrTimeout)
		}
	}
}

func (s *sender) open(d *desk, source LegID) {
	s.state, s.leg = txOpening, LegID(d.number())
	d.do(OpenSender{Leg: s.leg, Stream: s.stream, Source: source, Peer: s.upper.cfg.ref(), Offer: s.asked.Offer,
		SSRC: s.ssrc, Speed: s.asked.Speed})
}

func (s *sender) answer(d *desk, answer Endpoint) {
	if s.state != txOpening {
		return
	}
	if answer.SSRC == 0 {
		answer.SSRC = s.ssrc
	}
	s.ssrc = answer.SSRC
	s.state, s.at = txAnswered, d.now.Add(ackTime)
	if s.from != nil { // what the answer from below told, unless it was for another's monitor
		s.camera = s.from.camera
		if s.from.monitor.ID == s.monitor.ID {
			s.monitor = s.from.monitor
		}
	}
	d.do(AnswerInvite{s.dialog, answer, told(s.upper.link, s.camera), told(s.upper.link, s.monitor)})
}

func (s *sender) refuse(d *desk, err error) {
	if err == nil {
		err = ErrMedia
	}
	d.do(RefuseInvite{s.dialog, err})
	s.close(d)
}

// agreed judges what happens while media is agreed.
func (s *sender) agreed(d *desk, ev any) {
	switch ev := ev.(type) {
	case txAck:
		s.start(d)
	case txControl:
		s.control(d, ev.control)
	case txBye:
		s.close(d)
	case txEnded:
		s.legEnded(d, ev.Err)
	case txOver:
		s.sourceOver(d, ev.Err)
	case txDrop:
		s.bye(d, ev.Err)
	case txDue:
		switch {
		case !d.past(s.at):
		case s.state == txAnswered:
			s.bye(d, errors.New("never acknowledged"))
		case s.unsaid():
			s.bye(d, errors.New("media ended, perhaps not all was sent"))
		default:
			s.finish(d, nil)
		}
	}
}

func (s *sender) start(d *desk) {
	if s.state != txAnswered {
		return
	}
	s.state, s.at = txFlowing, time.Time{}
	d.do(StartSender{s.leg})
	if s.sent {
		s.at = d.now.Add(drainTime)
	}
}

// legEnded is told that the leg has gone. What comes from below and went out to its
// end is complete only if the receiver finds that it was.
func (s *sender) legEnded(d *desk, err error) {
	s.leg = 0
	if err == nil && s.unsaid() {
		s.at = d.now.Add(2 * drainTime)
		return
	}
	s.finish(d, err)
}

// unsaid reports whether the leg has gone but the receiver has not yet found
// whether that was all.
func (s *sender) unsaid() bool {
	return s.leg == 0 && s.from != nil && s.state == txFlowing && s.stream.Kind != Live && !s.sent
}

// sourceOver passes on the end of what comes from below. What was received is still
// sent; before the ACK nothing was.
func (s *sender) sourceOver(d *desk, err error) {
	if err == nil && s.stream.Kind != Live {
		s.sent = true
		if s.state == txAnswered {
			return
		}
		if s.leg != 0 && s.from != nil && !s.from.open() { // its stream has ended, and ends our leg when all is out
			s.at = d.now.Add(statusTime)
			return
		}
	}
	s.finish(d, err)
}

// finish tells the upper that everything was sent, or ends the dialog where there is
// nothing that could be sent completely.
func (s *sender) finish(d *desk, err error) {
	if err != nil || s.stream.Kind == Live || s.state == txAnswered {
		s.bye(d, err)
		return
	}
	s.state, s.at = txEnding, d.now.Add(statusTime)
	d.do(SendMediaStatus{Tag: d.ask(nobody{}), Dialog: s.dialog, Channel: s.stream.Channel})
}

// ending waits for the upper's BYE, but not for ever.
func (s *sender) ending(d *desk, ev any) {
	switch ev := ev.(type) {
	case txBye:
		s.close(d)
	case txEnded:
		s.leg = 0
	case txControl:
		s.control(d, ev.control)
	case txDrop:
		s.bye(d, ev.Err)
	case txDue:
		if d.past(s.at) {
			s.bye(d, nil)
		}
	}
}

func (s *sender) bye(d *desk, err error) {
	reason := "media ended"
	if err != nil {
		reason = err.Error()
	}
	d.do(Bye{Tag: d.ask(nobody{}), Dialog: s.dialog, Reason: reason})
	s.close(d)
}

func (s *sender) close(d *desk) {
	s.dropControl(d)
	if s.leg != 0 {
		d.do(CloseLeg{s.leg})
		s.leg = 0
	}
	s.state, s.at = txGone, time.Time{}
}

func (s *sender) expired(p *Processor) { p.stepSender(s, txDue{}) }

// ready, over and holds make a sender a user of a receiver.
func (s *sender) ready(p *Processor, source LegID) { p.stepSender(s, txSource{source}) }
func (s *sender) over(p *Processor, err error)     { p.stepSender(s, txOver{err}) }
func (s *sender) holds() bool                      { return s.state != txGone }
