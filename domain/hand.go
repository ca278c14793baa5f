package domain

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

const (
	ownRank = 100              // of the users of this level; uppers have less
	handFor = 10 * time.Second // a camera is left to who moved it, after the last command
	mostFor = 10 * time.Minute // that it can be held
)

// A hand is who moves a camera: a user of this level, or an upper, which settles
// among its own users whose turn it is.
type hand struct {
	upper *upper // nil: a user of this level
	user  string
}

// A standing decides between two hands: the rank of the level first, then that of the
// user there.
type standing struct{ level, person uint8 }

func (s standing) compare(other standing) int {
	return cmp.Or(cmp.Compare(s.level, other.level), cmp.Compare(s.person, other.person))
}

// passed is the rank that a lower is told, by which it knows our users apart: those of
// an upper by the rank of that, our own above them.
func (s standing) passed() uint8 {
	if s.level < ownRank {
		return s.level
	}
	return ownRank + min(s.person, ownRank)
}

// A grip is a hand on a camera.
type grip struct {
	hand
	standing
	until time.Time // the camera is nobody else's of the same rank before
}

// refuses says why a hand may not move the camera now. Another upper is not named:
// servers of one level do not see each other.
func (g *grip) refuses(now time.Time, o *order) error {
	if g.hand == o.hand || !now.Before(g.until) || o.standing.compare(g.standing) > 0 {
		return nil
	}
	who := "another domain"
	switch {
	case g.upper == nil && o.hand.upper == nil && g.user != "":
		who = g.user
	case g.upper == nil:
		who = "a user of this server"
	case o.hand.upper == nil:
		who = string(g.upper.cfg.Code)
	}
	return fmt.Errorf("%w: %s, for %s more", ErrHeld, who, max(time.Second, g.until.Sub(now).Round(time.Second)))
}

// take puts the hand of an order on the camera, for as long as it asks.
func (g *grip) take(now time.Time, o *order) {
	until := now.Add(handFor)
	switch {
	case o.hold < 0:
		until = now
	case o.hold > 0:
		until = now.Add(min(o.hold, mostFor))
	case g.hand == o.hand && g.until.After(until):
		until = g.until
	}
	*g = grip{o.hand, o.standing, until}
}

// An order is a command on its way to a camera, and who is told what became of it:
// an upper (ref), a local user (ticket), or nobody.
type order struct {
	hand
	standing
	command PTZ
	asker   string        // who asked first, to be passed on
	hold    time.Duration // to be passed on
	lasts   time.Duration // a movement does, without being asked for again
	ref     Ref
	ticket  Ticket
	same    []*order  // asked for the same movement meanwhile, and are answered with it
	tries   int       // of a stop that nobody answers
	at      time.Time // end of patience, once it was sent
}

// holds reports whether o is about the hold alone, stops whether it ends a movement.
func (o *order) holds() bool { return o.hold != 0 && o.command.Stops() }
func (o *order) stops() bool { return o.hold == 0 && o.command.Stops() }

// answer tells, once, what became of o.
func (o *order) answer(d *desk, err error) {
	ref, ticket, same := o.ref, o.ticket, o.same
	o.ref, o.ticket, o.same = 0, 0, nil
	for _, s := range same {
		s.answer(d, err)
	}
	switch {
	case ref != 0:
		reply := Reply{Ref: ref, Err: err}
		if errors.Is(err, ErrHeld) || errors.Is(err, ErrUnable) {
			reply.Reason = err.Error()
		}
		d.do(reply)
	case ticket != 0 && err != nil:
		d.do(Denied{ticket, err})
	case ticket != 0:
		d.do(Done{ticket})
	}
}

// ptzIn has a camera moved for an upper. Where the camera is a lower's, the answer is
// the lower's.
func (p *Processor) ptzIn(ev PTZIn) {
	u, err := p.callingUpper(ev.Origin)
	o := &order{hand: hand{upper: u}, command: ev.Command, ref: ev.Ref}
	channel, ok := ev.Target.code()
	switch {
	case err != nil:
	case u.cfg.Rank == 0:
		err = ErrDenied
	case !ok:
		err = ErrNoChannel
	default:
		o.standing, o.asker, o.lasts = standing{u.cfg.Rank, 0}, string(u.cfg.Code), cmp.Or(p.cfg.MoveFor, standardFor)
		if u.link.Caps.Has(CapPTZ) {
			o.asker, o.hold, o.lasts = cmp.Or(ev.Asker, o.asker), ev.Hold, repeatedFor
			o.standing.person = ev.Rank // a standard upper sends the same with all
		}
		err = p.steer(channel, o)
	}
	if err != nil {
		o.answer(&p.desk, err)
	}
}

// ptzAsked has a camera moved for a local user.
func (p *Processor) ptzAsked(ev PTZAsked) {
	o := &order{hand: hand{user: ev.User}, command: ev.Command, ticket: ev.Ticket, hold: ev.Hold, lasts: repeatedFor,
		standing: standing{ownRank, ev.Rank}, asker: string(p.cfg.Self) + "-" + ev.User}
	err := ErrGone
	if p.phase == phaseRunning {
		err = p.steer(ev.Channel, o)
	}
	if err != nil {
		o.answer(&p.desk, err)
	}
}

// steer hands an order to the dome of its channel, unless it cannot be obeyed.
func (p *Processor) steer(channel Code, o *order) error {
	if !o.command.Valid() {
		return ErrUnable
	}
	kind := Live
	if o.command.Stops() {
		kind = Playback // a camera that is said to be off may move all the same
	}
	e, err := p.reach(o.hand.upper, channel, kind)
	if err != nil {
		return err
	}
	if e.owner == "" && e.item.PTZ == PTZFixed {
		return fmt.Errorf("%w: it is fixed", ErrUnable)
	}
	d := p.domes[channel]
	if d != nil && (d.lower != p.lowers[e.owner] || d.below != Code(e.below)) {
		p.dropDome(d, ErrGone)
		d = nil
	}
	if d == nil {
		if p.domesOf(o.upper) >= mostDomes {
			return ErrBusy
		}
		d = &dome{channel: channel, lower: p.lowers[e.owner], below: Code(e.below)}
		d.alarm.owner = d
	}
	if err := d.take(&p.desk, o); err != nil {
		return err
	}
	p.domes[channel] = d
	p.pump(d)
	return nil
}

// domesOf counts the domes of an upper, or of the users of this level.
func (p *Processor) domesOf(u *upper) (n int) {
	for _, d := range p.domes {
		if d.grip.upper == u {
			n++
		}
	}
	return n
}
