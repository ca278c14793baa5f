package domain

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	mostDomes = 1024 // of one upper, and of all users of this level
	mostQueue = 8    // orders that wait for a camera
	mostSame  = 16   // that wait for the answer to one of these; a camera of ours takes 5 s at most

	// A movement that nobody asks for again ends: of those who repeat it soon, of a
	// standard upper, which sends one start and one stop, late (PTZ-1).
	repeatedFor = 1500 * time.Millisecond
	standardFor = 30 * time.Second
	// How often we repeat a movement ourselves, to a lower that expects it and to a
	// camera of our own, which stops by itself after drivenFor.
	repeatEvery = 500 * time.Millisecond
	driveEvery  = 2 * time.Second
	drivenFor   = 5 * time.Second

	orderFor  = 3 * time.Second // an order to a lower that is not answered is given up
	hastyFor  = time.Second     // the same, while a stop waits behind it
	mostStops = 3               // times that a stop is sent until it is answered
)

// A dome is a camera that is moved or held. Each level between who asks and the camera
// has one of its own, since each has callers of its own. It sends one order at a time,
// so that a stop never arrives before the movement that it is to end; what was given
// up and may still arrive is set right when its answer comes.
type dome struct {
	channel Code
	lower   *lower // that has the camera; nil: it is our own
	below   Code   // its id there
	grip    grip
	queue   []*order
	sent    *order    // is under way; nil: none
	strays  int       // given up, and not answered yet
	moving  [2]motion // by PTZMove and PTZLens
	gone    bool
	alarm   alarm
}

// A motion is what a camera is to do now. The zero motion stands still.
type motion struct {
	command PTZ
	until   time.Time // it is stopped then
	again   time.Time // it is repeated then; zero: never
}

// wanted is the command that brings about what the motion of an action is now.
func (d *dome) wanted(a PTZAction) PTZ {
	if m := d.moving[a]; m.command.Moves() {
		return m.command
	}
	return PTZ{Action: a}
}

// take takes an order, or says why not.
func (d *dome) take(desk *desk, o *order) error {
	if err := d.grip.refuses(desk.now, o); err != nil {
		return err
	}
	switch {
	case o.holds() && o.hold < 0 && d.grip.hand != o.hand && d.grip.hand != hand{}:
		o.answer(desk, nil) // he has not got it
		return nil
	case d.grip.hand != o.hand:
		d.handOver(desk, o)
	case !o.stops() && len(d.queue) >= mostQueue:
		return ErrBusy
	}
	d.grip.take(desk.now, o)
	if o.holds() {
		d.tellHold(desk, o)
		return nil
	}
	if o.command.Action > PTZLens {
		if o.command.goes() { // repeating the movement would end that
			d.moving[PTZMove].again = time.Time{}
		}
		d.queue = append(d.queue, o)
		return nil
	}
	d.move(desk, o)
	return nil
}

// move has a camera move, or stand. A stop of its movement ends that of the lens, too.
func (d *dome) move(desk *desk, o *order) {
	m := &d.moving[o.command.Action]
	switch {
	case o.command.Moves() && m.command == o.command && o.hold == 0:
		m.until = desk.now.Add(o.lasts)
		d.moreOf(desk, o)
		return
	case o.command.Moves():
		*m = motion{command: o.command, until: desk.now.Add(o.lasts)}
	default:
		*m = motion{}
	}
	d.put(desk, o)
	if o.command.Action == PTZMove && o.command.Stops() && d.moving[PTZLens].command.Moves() {
		d.halt(desk, PTZLens)
	}
}

// moreOf answers who asks for what is done already, once the camera has obeyed.
func (d *dome) moreOf(desk *desk, o *order) {
	first := d.sent
	if first == nil || first.command != o.command {
		i := slices.IndexFunc(d.queue, func(q *order) bool { return q.command == o.command })
		if i < 0 {
			o.answer(desk, nil)
			return
		}
		first = d.queue[i]
	}
	switch {
	case first.ref == 0 && first.ticket == 0: // our own repetition: it was obeyed before
		o.answer(desk, nil)
	case len(first.same) >= mostSame:
		o.answer(desk, ErrBusy)
	default:
		first.same = append(first.same, o)
	}
}

// tellHold passes on that the camera is held or let go, which moves nothing and ends
// nothing: to a lower that knows holds, with the least that a PTZCmd can say.
func (d *dome) tellHold(desk *desk, o *order) {
	if d.lower == nil || !d.lower.link.Caps.Has(CapPTZ) {
		o.answer(desk, nil)
		return
	}
	o.command = PTZ{Action: PTZLens}
	d.put(desk, o)
}

// handOver ends what the hand before moves and the new one does not, and drops what it
// had asked for beyond that.
func (d *dome) handOver(desk *desk, o *order) {
	if !d.grip.until.IsZero() {
		desk.note(slog.LevelInfo, "camera taken over", slog.String("channel", string(d.channel)), slog.String("by", o.asker))
	}
	d.queue = slices.DeleteFunc(d.queue, func(q *order) bool {
		if q.command.Action <= PTZLens && !q.holds() {
			return false // it is overtaken, or the same is asked for
		}
		q.answer(desk, fmt.Errorf("%w: it was taken over", ErrHeld))
		return true
	})
	for a := range d.moving {
		if d.moving[a].command.Moves() && (o.holds() || o.command.Action != PTZAction(a)) {
			d.halt(desk, PTZAction(a))
		}
	}
}

// halt has a motion end.
func (d *dome) halt(desk *desk, a PTZAction) {
	d.moving[a] = motion{}
	d.put(desk, &order{hand: d.grip.hand, standing: d.grip.standing, command: PTZ{Action: a}})
}

// put puts a movement, or its end, or a hold into the queue: what still waits there of
// the same axes, or of holds, is overtaken.
func (d *dome) put(desk *desk, o *order) {
	d.queue = slices.DeleteFunc(d.queue, func(q *order) bool {
		if q.command.Action != o.command.Action || q.holds() != o.holds() {
			return false
		}
		q.answer(desk, nil)
		return true
	})
	d.queue = append(d.queue, o)
}

// waits reports whether an order of an action is under way or will be.
func (d *dome) waits(a PTZAction) bool {
	is := func(o *order) bool { return o.command.Action == a && !o.holds() }
	return d.sent != nil && is(d.sent) || slices.ContainsFunc(d.queue, is)
}

// expired does what is due.
func (d *dome) expired(p *Processor) {
	if d.sent != nil && d.lower != nil && p.desk.past(d.deadline()) {
		o := d.sent
		d.sent = nil
		d.strays++
		o.answer(&p.desk, ErrTimeout)
		d.insist(&p.desk, o)
	}
	for a := range d.moving {
		switch m := &d.moving[a]; {
		case p.desk.past(m.until):
			d.halt(&p.desk, PTZAction(a))
		case p.desk.past(m.again) && !d.waits(PTZAction(a)):
			d.put(&p.desk, &order{hand: d.grip.hand, standing: d.grip.standing, command: m.command})
		}
	}
	p.pump(d)
}

// deadline is until when the answer to what is under way is waited for.
func (d *dome) deadline() time.Time {
	if slices.ContainsFunc(d.queue, (*order).stops) {
		return d.sent.at.Add(hastyFor - orderFor)
	}
	return d.sent.at
}

// pump sends what waits, and forgets a dome that nobody moves or holds.
func (p *Processor) pump(d *dome) {
	if d.sent == nil && len(d.queue) > 0 {
		d.sent = d.queue[0]
		d.queue = slices.Delete(d.queue, 0, 1)
		p.order(d, d.sent)
	}
	instants := []time.Time{d.moving[0].until, d.moving[1].until}
	for a, m := range d.moving {
		if !d.waits(PTZAction(a)) {
			instants = append(instants, m.again)
		}
	}
	if d.sent != nil && d.lower != nil {
		instants = append(instants, d.deadline())
	}
	still := d.sent == nil && d.strays == 0 && d.moving == [2]motion{}
	switch {
	case still && !p.desk.now.Before(d.grip.until):
		p.forgetDome(d)
		return
	case still:
		instants = append(instants, d.grip.until)
	}
	p.desk.set(&d.alarm, instants...)
}

// order sends an order to the lower or the camera.
func (p *Processor) order(d *dome, o *order) {
	tag := p.desk.ask(orderWait{d, o})
	o.at = p.desk.now.Add(orderFor)
	every := driveEvery
	switch {
	case d.lower == nil:
		fx := DrivePTZ{Tag: tag, Channel: d.channel, Command: o.command}
		if o.command.Moves() {
			fx.For = drivenFor
		}
		p.desk.do(fx)
	default:
		fx := AskPTZ{Tag: tag, Peer: d.lower.cfg.ref(), SN: p.desk.serial(), Channel: d.below, Command: o.command}
		every = 0
		if d.lower.link.Caps.Has(CapPTZ) {
			fx.Rank, fx.Asker, fx.Hold, every = o.standing.passed(), o.asker, o.hold, repeatEvery
		}
		p.desk.do(fx)
	}
	if o.command.Moves() && every > 0 {
		d.moving[o.command.Action].again = p.desk.now.Add(every)
	}
}

// orderWait waits for the answer to an order.
type orderWait struct {
	d *dome
	o *order
}

func (w orderWait) answered(p *Processor, ev Answered) {
	switch {
	case ev.Status/100 == 2:
		p.ordered(w.d, w.o, nil)
	case w.d.lower == nil:
		p.ordered(w.d, w.o, ErrTimeout)
	default:
		p.ordered(w.d, w.o, refusedBy(w.d.lower.cfg.Code, ev))
	}
}

// driven takes what became of an order to a camera of our own.
func (p *Processor) driven(ev Driven) {
	if w, ok := p.desk.tags[ev.Tag].(orderWait); ok && w.d.lower == nil {
		delete(p.desk.tags, ev.Tag)
		p.ordered(w.d, w.o, ev.Err)
	}
}

// ordered takes what became of an order. Whoever did not obey may have done so all
// the same, unless he said no.
func (p *Processor) ordered(d *dome, o *order, err error) {
	if d.gone {
		return
	}
	late := d.sent != o
	if late {
		d.strays--
	} else {
		d.sent = nil
		o.answer(&p.desk, err)
		if r, ok := errors.AsType[*Refused](err); ok && r.Status == 403 && d.grip.hand == o.hand {
			d.grip.until = p.desk.now // who has not got the camera there has not got it here
		}
	}
	switch {
	case o.holds():
	case o.command.Action <= PTZLens:
		d.settle(&p.desk, o, late, err)
	case o.command.goes() && !late && !d.waits(PTZMove):
		d.went(&p.desk, err)
	}
	p.pump(d)
}

// went ends the movement of a camera that went somewhere by itself; where it did not the
// movement goes on.
func (d *dome) went(desk *desk, err error) {
	m := &d.moving[PTZMove]
	switch {
	case err == nil:
		*m = motion{}
	case m.command.Moves() && (d.lower == nil || d.lower.link.Caps.Has(CapPTZ)):
		m.again = desk.now
	}
}

// settle brings what the camera does in line with what it is to do, after an order of
// an action was answered.
func (d *dome) settle(desk *desk, o *order, late bool, err error) {
	a := o.command.Action
	unsure := err != nil && !refusal(err)
	switch {
	case d.waits(a):
	case late && o.command != d.wanted(a):
		d.put(desk, &order{hand: d.grip.hand, standing: d.grip.standing, command: d.wanted(a)})
	case late || err == nil:
	case o.command.Moves() && d.moving[a].command == o.command:
		if d.moving[a] = (motion{}); unsure {
			d.halt(desk, a)
		}
	case unsure:
		d.insist(desk, o)
	}
}

// insist sends a stop again that nobody answered.
func (d *dome) insist(desk *desk, o *order) {
	if a := o.command.Action; o.stops() && o.tries+1 < mostStops && !d.waits(a) {
		d.put(desk, &order{hand: o.hand, standing: o.standing, command: o.command, tries: o.tries + 1})
	}
}

// refusal reports whether err says that a camera was not moved.
func refusal(err error) bool {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r.Status >= 300 && r.Status != 408 && r.Status != 504
	}
	return errors.Is(err, ErrUnable)
}

// dropHand ends what an upper moves and holds.
func (p *Processor) dropHand(u *upper) {
	for _, d := range sorted(p.domes) {
		if d.grip.upper == u {
			d.grip.until = p.desk.now
			p.still(d)
		}
	}
}

// still has everything that a camera does end.
func (p *Processor) still(d *dome) {
	for a := range d.moving {
		if d.moving[a].command.Moves() {
			d.halt(&p.desk, PTZAction(a))
		}
	}
	p.pump(d)
}

// dropDomes forgets the domes that which tells, with what waits for them: they cannot be
// reached any more.
func (p *Processor) dropDomes(which func(*dome) bool, err error) {
	for _, d := range sorted(p.domes) {
		if which(d) {
			p.dropDome(d, err)
		}
	}
}

// strand keeps what moves, or is about to, of a lower that is lost and does not stop it by
// itself.
func (p *Processor) strand(l *lower) {
	for _, d := range sorted(p.domes) {
		moves := d.sent != nil && d.sent.command.Moves() || d.moving != [2]motion{}
		if d.lower == l && moves && !l.link.Caps.Has(CapPTZ) {
			l.astray = append(l.astray, d)
		}
	}
}

// recall stops what was stranded, now that the lower is back.
func (p *Processor) recall(l *lower) {
	for _, old := range l.astray {
		if p.domes[old.channel] != nil {
			continue // by another way now
		}
		d := &dome{channel: old.channel, lower: l, below: old.below}
		d.alarm.owner = d
		p.domes[d.channel] = d
		d.halt(&p.desk, PTZMove)
		d.halt(&p.desk, PTZLens)
		p.pump(d)
	}
	l.astray = nil
}

func (p *Processor) dropDome(d *dome, err error) {
	if d.sent != nil {
		d.sent.answer(&p.desk, err)
		d.sent = nil
	}
	for _, o := range d.queue {
		o.answer(&p.desk, err)
	}
	p.forgetDome(d)
}

func (p *Processor) forgetDome(d *dome) {
	d.gone = true
	p.desk.set(&d.alarm)
	if p.domes[d.channel] == d {
		delete(p.domes, d.channel)
	}
}

// stopDomes stops every camera that is moved from here, before the end.
func (p *Processor) stopDomes() {
	for _, d := range sorted(p.domes) {
		p.still(d)
	}
}
