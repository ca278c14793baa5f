package domaintest

import (
	"errors"
	"time"

	"districtgateway/domain"
)

// retransmit is when a request is sent (RFC 3261 §17.1.2.2: T1 500 ms, T2 4 s), and
// giveUp when its absence is told.
var retransmit = []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond,
	7500 * time.Millisecond, 11500 * time.Millisecond, 15500 * time.Millisecond, 19500 * time.Millisecond,
	23500 * time.Millisecond, 27500 * time.Millisecond, 31500 * time.Millisecond}

const giveUp = 32 * time.Second

// A request is one transaction, but for INVITE.
type request struct {
	net          *Network
	a, b         *Node
	lifeA, lifeB int
	deliver      func(domain.Ref) // tells b; nil once it was
	twice        bool             // may come a second time as a request of its own
	done         func(domain.Answered)
	answer       *domain.Answered
	lostOut      bool
	lostBack     bool
	over         bool
}

// send begins a transaction from a to b. A domain that is not there never answers.
func (n *Network) send(a, b *Node, r request) {
	r.net, r.a, r.b, r.lifeA, r.lostOut = n, a, b, a.life, n.message()
	for _, at := range retransmit {
		n.after(at, r.transmit)
	}
	n.after(giveUp, func() { r.finish(domain.Answered{}) })
}

func (r *request) transmit() {
	if r.over || r.lostOut || r.a.life != r.lifeA || r.net.lost(r.a, r.b) {
		return
	}
	r.net.after(r.net.delay(), r.arrive)
	if r.twice && r.net.chance(r.net.Faults.Dup) {
		again := r.deliver
		r.net.after(r.net.delay()+r.net.delay(), func() {
			if r.b.core != nil && again != nil {
				again(r.b.ref(nil))
			}
		})
	}
}

func (r *request) arrive() {
	switch {
	case r.b.core == nil:
	case r.deliver != nil:
		deliver := r.deliver
		r.deliver, r.lifeB = nil, r.b.life
		deliver(r.b.ref(r))
	case r.answer != nil && r.b.life == r.lifeB:
		r.reply()
	}
}

// answered is called when b has decided.
func (r *request) answered(ev domain.Answered) {
	if r.answer != nil {
		r.net.violation("%s answered a request of %s twice", r.b.Code, r.a.Code)
		return
	}
	r.answer, r.lostBack = &ev, r.net.message()
	r.reply()
}

func (r *request) reply() {
	if r.lostBack || r.net.lost(r.b, r.a) {
		return
	}
	r.net.after(r.net.delay(), func() { r.finish(*r.answer) })
}

func (r *request) finish(ev domain.Answered) {
	if r.over {
		return
	}
	r.over = true
	if r.a.life == r.lifeA && r.done != nil {
		r.done(ev)
	}
}

// A call is an INVITE and the dialog it makes.
type call struct {
	net          *Network
	a, b         *Node
	lifeA, lifeB int
	tag          domain.Tag    // a's name of it
	dialog       domain.Dialog // b's
	event        domain.InviteIn
	delivered    bool
	answers      int // of b
	answer       *domain.Answered
	lost         [3]bool // INVITE, answer, ACK: all transmissions of it
	told, acked  bool    // a knows the answer; b knows that
	ending
}

// An ending is how far a call has ended.
type ending struct {
	cancelled bool
	closed    [2]bool // at a, at b
}

func (n *Network) invite(a, b *Node, fx domain.Invite) {
	c := &call{net: n, a: a, b: b, lifeA: a.life, tag: fx.Tag}
	c.event = domain.InviteIn{Origin: a.origin(), Channel: fx.Channel, Kind: fx.Kind, Profile: fx.Profile,
		Range: fx.Range, Speed: fx.Speed, Offer: fx.Offer, Deadline: fx.Deadline, Stream: fx.Stream, Monitor: fx.Monitor}
	c.lost[0] = n.message()
	n.calls = append(n.calls, c)
	a.dialogs[domain.Dialog(fx.Tag)] = c
	for _, at := range retransmit {
		n.after(at, c.transmit)
	}
	n.after(giveUp, func() {
		if !c.delivered || c.answer == nil && c.b.life != c.lifeB {
			c.tell(domain.Answered{})
		}
	})
}

func (c *call) transmit() {
	if c.delivered || c.told || c.lost[0] || c.a.life != c.lifeA || c.net.lost(c.a, c.b) {
		return
	}
	c.net.after(c.net.delay(), func() {
		if c.delivered || c.told || c.b.core == nil {
			return
		}
		c.delivered, c.lifeB = true, c.b.life
		c.dialog = c.b.newDialog(c)
		c.event.Dialog = c.dialog
		if c.cancelled { // CANCEL overtook it
			c.answers++
			c.decide(domain.Answered{Status: 487, Reason: "Request Terminated"})
			return
		}
		c.b.step(c.event)
	})
}

// answered is called when b has decided.
func (c *call) answered(ev domain.Answered) {
	if c.answers++; c.answers > 1 {
		c.net.violation("%s answered INVITE %d of %s %d times", c.b.Code, c.tag, c.a.Code, c.answers)
		return
	}
	c.decide(ev)
}

// decide sends the answer until it is acknowledged, or for 32 s.
func (c *call) decide(ev domain.Answered) {
	c.answer, c.lost[1] = &ev, c.net.message()
	if ev.Status != 200 {
		c.closed[1] = true
	}
	for _, at := range retransmit {
		c.net.after(at, func() {
			if c.acked || c.lost[1] || c.b.life != c.lifeB || c.net.lost(c.b, c.a) {
				return
			}
			c.net.after(c.net.delay(), func() { c.tell(ev); c.ack() })
		})
	}
	c.net.after(giveUp, func() { c.tell(domain.Answered{}) })
}

func (c *call) tell(ev domain.Answered) {
	if c.told || c.a.life != c.lifeA {
		return
	}
	c.told = true
	if ev.Status/100 != 2 {
		c.closed[0] = true
	}
	ev.Tag = c.tag
	if c.lost[2] = c.net.message(); ev.Status == 0 {
		c.lost[2] = true
	}
	c.a.step(ev)
}

func (c *call) ack() {
	if c.lost[2] || c.a.life != c.lifeA || c.net.lost(c.a, c.b) {
		return
	}
	c.net.after(c.net.delay(), func() {
		if c.b.life != c.lifeB {
			return
		}
		if first := !c.acked; c.answer.Status == 200 && (first || c.net.chance(c.net.Faults.Dup)) {
			c.acked = true
			c.b.step(domain.AckIn{Dialog: c.dialog})
		}
		c.acked = true
	})
}

// cancel gives the INVITE up.
func (c *call) cancel() {
	c.cancelled = true
	c.net.send(c.a, c.b, request{deliver: func(ref domain.Ref) {
		c.b.answer(ref, domain.Answered{Status: 200})
		if c.delivered && c.answer == nil && c.b.life == c.lifeB {
			c.answers++
			c.b.step(domain.CancelIn{Dialog: c.dialog})
			c.decide(domain.Answered{Status: 487, Reason: "Request Terminated"})
		}
	}})
	c.net.after(giveUp, func() { c.tell(domain.Answered{}) })
}

// bye ends the dialog from node's side; its end there is at once.
func (c *call) bye(node *Node, fx domain.Bye) {
	from, to, here, there := c.a, c.b, 0, 1
	if node == c.b {
		from, to, here, there = c.b, c.a, 1, 0
	}
	lives := [2]int{c.lifeA, c.lifeB}
	done := func(ev domain.Answered) { ev.Tag = fx.Tag; from.step(ev) }
	if c.closed[here] {
		c.net.after(0, func() { done(domain.Answered{Status: 481, Reason: "Call/Transaction Does Not Exist"}) })
		return
	}
	c.closed[here] = true
	dialog := [2]domain.Dialog{domain.Dialog(c.tag), c.dialog}[there]
	c.net.send(from, to, request{done: done, twice: true, deliver: func(ref domain.Ref) {
		known := to.life == lives[there] && !c.closed[there]
		c.closed[there] = c.closed[there] || known
		if !known {
			to.answer(ref, domain.Answered{Status: 481})
			return
		}
		to.answer(ref, domain.Answered{Status: 200})
		to.step(domain.ByeIn{Dialog: dialog, Reason: fx.Reason})
	}})
}

// info sends a command to who answered the INVITE.
func (c *call) info(fx domain.Control, done func(domain.Answered)) {
	if c.closed[0] {
		c.net.after(0, func() { done(domain.Answered{Status: 481, Reason: "Call/Transaction Does Not Exist"}) })
		return
	}
	c.net.send(c.a, c.b, request{done: done, deliver: func(ref domain.Ref) {
		if c.b.life != c.lifeB || c.closed[1] {
			c.b.answer(ref, domain.Answered{Status: 481})
			return
		}
		c.b.step(domain.ControlIn{Ref: ref, Dialog: c.dialog, Command: fx.Command, Deadline: fx.Deadline})
	}})
}

// status is what an error of the processor becomes on the wire.
func status(node domain.Code, err error) domain.Answered {
	var refused *domain.Refused
	switch {
	case err == nil:
		return domain.Answered{Status: 200, Reason: "OK"}
	case errors.As(err, &refused):
		if refused.Status == 0 {
			return domain.Answered{Status: 408, Reason: refused.Reason, Level: refused.Level}
		}
		return domain.Answered{Status: refused.Status, Reason: refused.Reason, Level: refused.Level}
	}
	for _, row := range []struct {
		err    error
		status int
	}{{domain.ErrDenied, 403}, {domain.ErrNoChannel, 404}, {domain.ErrNoRecording, 404}, {domain.ErrOffline, 480},
		{domain.ErrPeerOffline, 480}, {domain.ErrBusy, 486}, {domain.ErrHeld, 403}, {domain.ErrUnable, 488}, {domain.ErrTimeout, 408}, {domain.ErrMedia, 488}, {domain.ErrControl, 488},
		{domain.ErrGone, 487}, {domain.ErrNoDialog, 481}} {
		if errors.Is(err, row.err) {
			return domain.Answered{Status: row.status, Reason: err.Error(), Level: node}
		}
	}
	return domain.Answered{Status: 500, Reason: err.Error(), Level: node}
}
