package domain

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	leavePatience = 5 * time.Minute // of an operator who does not say
	mostPatient   = 24 * time.Hour  // of one who does
	farewellPause = time.Minute     // least time between two deregistrations at a former upper (KA-506)
)

const agreed = "the upper agreed" // how an upper was left, unless by force

// A Tombstone is what stays of an upper that was left for good (DEREG-608): it keeps
// us from registering again, and lets us answer that upper (KA-506).
type Tombstone struct {
	Peer      Code
	Address   string // host:port where it was left
	Transport string // "udp" or "tcp"; empty: udp
	Left      time.Time
	Reason    string // how it was left, in words
	Force     bool   // whether it agreed or not
}

// A departure is how far we are with leaving an upper.
type departure struct {
	left   bool      // we said goodbye, or never came: nothing is registered
	asked  bool      // the REGISTER under way leaves for good
	forced bool      // and insists
	force  bool      // the operator does
	orphan bool      // the upper is not configured any more: only a tombstone is left
	until  time.Time // end of the operator's patience; zero: nobody leaves for good
	again  time.Time // next attempt
	resume time.Time // registerAt before the attempt
	ticket Ticket    // of the local user who waits; 0: nobody
}

// What happens to an upper by an operator's decision, and when it was left.
type (
	upLeave  struct{ LeaveAsked }
	upJoin   struct{ JoinAsked }
	upFormer struct{} // it takes us for its lower still
)

// leaving reports whether we are leaving for good.
func (u *upper) leaving() bool { return !u.leave.until.IsZero() }

// leaveFor begins to leave for good (DEREG-601). The link stays as it is until the
// upper agrees: it may refuse because of what it still receives.
func (u *upper) leaveFor(d *desk, ev LeaveAsked) {
	u.tell(d, fmt.Errorf("overtaken by another command: %w", ErrGone))
	if u.link.State == LinkLeft {
		d.do(Done{ev.Ticket})
		return
	}
	patience := min(ev.For, mostPatient)
	if patience <= 0 {
		patience = leavePatience
	}
	u.leave.ticket, u.leave.force, u.leave.until = ev.Ticket, ev.Force, d.now.Add(patience)
	u.takeLeave(d)
}

// takeLeave asks the upper to let us go. While a REGISTER is under way it waits for
// the answer to that.
func (u *upper) takeLeave(d *desk) {
	u.leave.again = time.Time{}
	if u.registering != 0 {
		return
	}
	u.leave.asked, u.leave.forced, u.leave.resume = true, u.leave.force, u.registerAt
	u.register(d, 0)
}

// judgeLeave judges the answer to a deregistration for good (DEREG-607).
func (u *upper) judgeLeave(d *desk, ev Answered) {
	u.leave.asked, u.registerAt = false, u.leave.resume
	yes := ev.Status/100 == 2
	switch {
	case u.link.State == LinkLeft: // said once more to a former upper, whatever it answers
		u.registerAt = time.Time{}
	case u.link.State == LinkLeaving && yes:
		u.depart(d, agreed)
	case u.link.State == LinkLeaving && ev.Status != 0: // going down, if not for good
		u.sayGoodbye(d)
	case u.link.State == LinkLeaving:
		u.gone(d)
	case !u.leaving(): // we were told to come back meanwhile
		u.registerAgain(d)
	case yes:
		u.depart(d, agreed)
	case u.leave.forced:
		u.depart(d, "by force, not confirmed: "+refusalOf(ev))
	case u.leave.force: // the operator began to insist meanwhile
		u.takeLeave(d)
	default:
		u.refused(d, ev)
	}
}

// refused tries again when the upper says, and at last when the patience ends
// (DEREG-609).
func (u *upper) refused(d *desk, ev Answered) {
	if !d.now.Before(u.leave.until) {
		u.remain(d, ev)
		return
	}
	pause := ev.RetryAfter
	if pause <= 0 {
		pause = leaveRetry
	}
	u.leave.again = d.now.Add(pause)
	if u.leave.again.After(u.leave.until) {
		u.leave.again = u.leave.until
	}
	u.link.Reason = "leaving: " + refusalOf(ev)
}

func refusalOf(ev Answered) string {
	if ev.Status == 0 {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", ev.Status, ev.Reason)
}

// remain gives up leaving, and says so.
func (u *upper) remain(d *desk, ev Answered) {
	d.note(slog.LevelWarn, "leaving given up", slog.String("peer", string(u.cfg.Code)), slog.String("role", "upper"),
		slog.String("reason", refusalOf(ev)))
	u.tell(d, refusedBy(u.cfg.Code, ev))
	u.leave = departure{}
	u.link.Reason = "not left: " + refusalOf(ev)
	if u.link.State != LinkOnline {
		u.rejoin(d, d.jitter(rejoinJitter))
	}
}

// depart has left for good: the upper is out of our table, durably (DEREG-608).
func (u *upper) depart(d *desk, reason string) {
	u.move(d, LinkLeft, reason)
	u.push.forget()
	u.link.Version, u.link.Caps, u.registerAt = VersionUnknown, 0, time.Time{}
	d.do(SaveTombstone{Tombstone{Peer: u.cfg.Code, Address: u.cfg.Address, Transport: u.cfg.Transport, Left: d.now,
		Reason: reason, Force: u.leave.force}})
	u.tell(d, nil)
	u.leave = departure{left: true, force: u.leave.force}
}

// comeBack lifts the tombstone, or ends leaving, and registers.
func (u *upper) comeBack(d *desk, ticket Ticket) {
	u.tell(d, fmt.Errorf("overtaken by another command: %w", ErrGone))
	u.leave = departure{asked: u.leave.asked, resume: u.leave.resume, ticket: ticket}
	if u.link.State == LinkLeft {
		d.do(ForgetTombstone{u.cfg.Code})
		u.failures = 0
		u.move(d, LinkRegistering, "")
	}
	switch {
	case u.registering != 0: // its answer decides
	case u.link.State == LinkOnline:
		u.tell(d, nil)
	default:
		u.registerAgain(d)
	}
}

// answerFormer deregisters once more at an upper that was left and still sends
// keepalives (KA-506).
func (u *upper) answerFormer(d *desk) {
	u.link.LastSeen = d.now
	if u.link.State == LinkLeft && u.registering == 0 && d.now.Sub(u.tried) >= farewellPause {
		u.takeLeave(d)
	}
}

// tell answers the local user who waits, if there is one.
func (u *upper) tell(d *desk, err error) {
	ticket := u.leave.ticket
	u.leave.ticket = 0
	switch {
	case ticket == 0:
	case err == nil:
		d.do(Done{ticket})
	default:
		d.do(Denied{ticket, err})
	}
}

// leaveAsked and joinAsked pass on an operator's decision.
func (p *Processor) leaveAsked(ev LeaveAsked) {
	if u := p.steered(ev.Ticket, ev.Peer); u != nil {
		p.stepUpper(u, upLeave{ev})
	}
}

func (p *Processor) joinAsked(ev JoinAsked) {
	if u := p.steered(ev.Ticket, ev.Peer); u != nil {
		p.stepUpper(u, upJoin{ev})
	}
}

// steered returns the upper that an operator names, or refuses it. One that is not
// configured any more cannot be registered with, and was left already.
func (p *Processor) steered(ticket Ticket, peer Code) *upper {
	u, err := p.byCode[peer], error(nil)
	switch {
	case u == nil || u.leave.orphan:
		err = ErrNoUpper
	case p.phase != phaseRunning:
		err = ErrGone
	default:
		return u
	}
	p.desk.do(Denied{ticket, err})
	return nil
}

// bury takes over a tombstone from before our start.
func (p *Processor) bury(t Tombstone) {
	u := p.byCode[t.Peer]
	if u == nil {
		u = newUpper(PeerConfig{Code: t.Peer, Role: Upper, Address: t.Address, Transport: t.Transport})
		u.leave.orphan = true
		p.byCode[t.Peer] = u
		p.uppers = append(p.uppers, u)
		slices.SortFunc(p.uppers, func(a, b *upper) int { return cmp.Compare(a.cfg.Code, b.cfg.Code) })
	}
	u.link.State, u.link.Since, u.link.Reason = LinkLeft, t.Left, t.Reason
	u.leave.left, u.leave.force = true, t.Force
}

// former tells an upper that was left, and still sends keepalives, that it was.
func (p *Processor) former(u *upper) {
	if p.phase == phaseRunning {
		p.stepUpper(u, upFormer{})
	}
}
