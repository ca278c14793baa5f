package domain

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	ownCaps = CapUpperKeepalive | CapRefuseLeave | CapPush | CapElementary | CapParties | CapPTZ

	registerWait  = 70 * time.Second // two transactions: the challenge and the answer to it
	rejoinJitter  = 3 * time.Second  // spread of those that an upper's restart sends back to it
	rejoinPause   = 5 * time.Second  // least time between two registrations that an upper's own words cause
	backoffFactor = 8                // longest pause, in pauses
)

// An upper is our registration at, and heartbeat to, one upper (REG-401 to 406,
// KA-501 to 509 seen from below). It keeps trying for ever; the registration does
// not depend on the heartbeat.
type upper struct {
	cfg   PeerConfig
	link  Link
	alarm alarm
	push  push
	sub   subscription
	share map[Code]bool // nil: everything

	registering Tag // REGISTER not answered yet
	beating     Tag // heartbeat neither answered nor counted as missed
	missed      int // heartbeats in a row without an answer
	failures    int // registrations in a row that failed
	leave       departure

	registerAt time.Time // next REGISTER, or when one counts as unanswered
	beatAt     time.Time // next heartbeat
	silentAt   time.Time // when a negotiated upper that said nothing is offline
	tried      time.Time // last REGISTER
}

// What happens to an upper.
type (
	upStart      struct{}
	upDue        struct{}
	upStop       struct{}
	upHeard      struct{} // it sent us something
	upRegistered struct{ Answered }
	upBeaten     struct{ Answered }
)

func newUpper(pc PeerConfig) *upper {
	u := &upper{cfg: pc.withDefaults()}
	u.link = Link{Peer: pc.Code, Role: Upper, Name: pc.Name, Address: pc.Address}
	u.alarm.owner, u.sub.alarm.owner = u, subscriptionEnd{u}
	if pc.Share != nil {
		u.share = make(map[Code]bool, len(pc.Share))
		for _, ch := range pc.Share {
			u.share[ch] = true
		}
	}
	return u
}

// step moves u. The processor compares the states before and after.
func (u *upper) step(d *desk, ev any) {
	switch ev := ev.(type) {
	case upStart:
		if u.link.State == LinkIdle && !u.leave.left {
			u.move(d, LinkRegistering, "")
			u.register(d, u.cfg.RegisterEvery)
		}
	case upDue:
		u.due(d)
	case upHeard:
		u.heard(d)
	case upRegistered:
		if ev.Tag == u.registering {
			u.registering = 0
			u.registered(d, ev.Answered)
		}
	case upBeaten:
		u.beaten(d, ev.Answered)
	case upLeave:
		u.leaveFor(d, ev.LeaveAsked)
	case upJoin:
		u.comeBack(d, ev.Ticket)
	case upFormer:
		u.answerFormer(d)
	case upStop:
		u.stop(d)
	}
	d.set(&u.alarm, u.registerAt, u.beatAt, u.silentAt, u.leave.again)
}

func (u *upper) move(d *desk, s LinkState, reason string) {
	u.link.Reason = reason
	if u.link.State == s {
		return
	}
	u.link.State, u.link.Since = s, d.now
	if s != LinkOnline {
		u.beatAt, u.silentAt, u.beating, u.missed = time.Time{}, time.Time{}, 0, 0
		u.link.Expires = time.Time{}
	}
	if s == LinkOffline && u.cfg.Forget { // KA-503: deleted but for what is configured
		u.push.forget()
		u.link.Version, u.link.Caps, u.link.LastSeen = VersionUnknown, 0, time.Time{}
	}
}

func (u *upper) register(d *desk, expires time.Duration) {
	u.registering = d.ask(upRegisterWait{u})
	u.tried, u.registerAt = d.now, d.now.Add(registerWait)
	d.do(Register{Tag: u.registering, Peer: u.cfg.Code, Expires: expires, Caps: ownCaps,
		Leaving: u.leave.asked, Force: u.leave.asked && u.leave.forced})
}

func (u *upper) due(d *desk) {
	if d.past(u.registerAt) {
		u.registerDue(d)
	}
	if d.past(u.leave.again) {
		u.takeLeave(d)
	}
	if d.past(u.silentAt) {
		u.lost(d, fmt.Sprintf("no keepalive from above for %v", u.cfg.silence()))
	}
	if d.past(u.beatAt) {
		u.beat(d)
	}
}

func (u *upper) registerDue(d *desk) {
	switch tag := u.registering; {
	case tag != 0: // the transceiver never answered
		delete(d.tags, tag)
		u.registering = 0
		u.registered(d, Answered{Tag: tag})
	case u.leaving() && u.link.State != LinkOnline: // who leaves does not come back first
		u.registerAt = time.Time{}
	default:
		u.registerAgain(d)
	}
}

func (u *upper) registerAgain(d *desk) {
	if u.link.State != LinkOnline {
		u.move(d, LinkRegistering, u.link.Reason)
	}
	u.register(d, u.cfg.RegisterEvery)
}

// registered judges the answer to REGISTER.
func (u *upper) registered(d *desk, ev Answered) {
	var refusal error
	switch {
	case u.leave.asked:
		u.judgeLeave(d, ev)
		return
	case u.link.State == LinkLeft:
		u.registerAt = time.Time{}
		return
	case u.link.State == LinkLeaving && !u.leave.left && ev.Status/100 == 2:
		u.sayGoodbye(d)
		return
	case u.link.State == LinkLeaving:
		u.gone(d)
		return
	case ev.Status/100 == 2:
		u.accepted(d, ev)
	default:
		u.rejected(d, ev)
		refusal = refusedBy(u.cfg.Code, ev)
	}
	if u.leaving() { // which waited for this
		u.takeLeave(d)
		return
	}
	u.tell(d, refusal)
}

// accepted begins or refreshes the registration. It is renewed at 80 % of its
// validity, and a minute before its end where that is earlier; never before half.
func (u *upper) accepted(d *desk, ev Answered) {
	granted := ev.Expires
	if granted <= 0 {
		granted = u.cfg.RegisterEvery
	}
	fresh := u.link.State != LinkOnline
	u.move(d, LinkOnline, "")
	u.failures, u.link.LastSeen = 0, d.now
	u.link.Expires, u.link.Version, u.link.Caps = d.now.Add(granted), ev.Version, ev.Caps&ownCaps
	u.registerAt = d.now.Add(max(min(granted*8/10, granted-time.Minute), granted/2))
	if fresh {
		u.beatAt = d.now.Add(u.cfg.KeepaliveEvery)
	}
	u.silentAt = time.Time{}
	if u.link.Caps.Has(CapUpperKeepalive) {
		u.silentAt = d.now.Add(u.cfg.silence())
	}
}

// rejected tells a no from silence. A refresh that got lost, or met a busy upper,
// does not end a registration that is still valid.
func (u *upper) rejected(d *desk, ev Answered) {
	u.failures++
	reason := "no answer to the registration"
	if ev.Status != 0 {
		reason = fmt.Sprintf("registration: %d %s", ev.Status, ev.Reason)
		u.link.LastSeen = d.now
	}
	passing := ev.Status == 0 || ev.Status/100 == 5
	switch {
	case passing && u.link.State == LinkOnline && u.link.Expires.After(d.now):
		u.link.Reason = reason
	case passing:
		u.move(d, LinkOffline, reason)
	default:
		u.move(d, LinkRefused, reason)
	}
	pause := u.cfg.RetryEvery << min(u.failures-1, 30)
	if longest := u.cfg.RetryEvery * backoffFactor; pause > longest || pause <= 0 {
		pause = longest
	}
	u.registerAt = d.now.Add(max(pause, ev.RetryAfter) + d.jitter(u.cfg.RetryEvery/2))
}

// lost takes the upper for offline and registers again soon.
func (u *upper) lost(d *desk, reason string) {
	u.move(d, LinkOffline, reason)
	u.rejoin(d, d.jitter(rejoinJitter))
}

func (u *upper) rejoin(d *desk, after time.Duration) {
	if u.registering == 0 {
		u.registerAt = d.now.Add(after)
	}
}

func (u *upper) beat(d *desk) {
	if u.beating != 0 && u.miss(d) {
		return
	}
	u.beating = d.ask(upBeatWait{u})
	u.beatAt = d.now.Add(u.cfg.KeepaliveEvery)
	d.do(Keepalive{Tag: u.beating, Peer: u.cfg.ref()})
}

// miss counts the outstanding heartbeat as missed, once, whoever notices it
// first; it reports whether that was one too many.
func (u *upper) miss(d *desk) bool {
	u.beating = 0
	u.missed++
	if u.missed < u.cfg.KeepaliveMiss {
		return false
	}
	u.lost(d, fmt.Sprintf("%d heartbeats unanswered", u.missed))
	return true
}

func (u *upper) beaten(d *desk, ev Answered) {
	current := ev.Tag == u.beating
	if u.link.State != LinkOnline {
		return
	}
	switch ev.Status {
	case 0:
		if current {
			u.miss(d)
		}
		return
	case 403, 404, 481: // it does not know us: it was restarted, or gave us up
		if current {
			u.move(d, LinkRegistering, fmt.Sprintf("heartbeat: %d %s", ev.Status, ev.Reason))
			u.rejoin(d, d.jitter(rejoinJitter))
		}
		return
	}
	if current {
		u.beating = 0
	}
	u.missed, u.link.LastSeen = 0, d.now
}

func (u *upper) heard(d *desk) {
	u.link.LastSeen = d.now
	switch u.link.State {
	case LinkOnline:
		if !u.silentAt.IsZero() {
			u.silentAt = d.now.Add(u.cfg.silence())
		}
	case LinkOffline, LinkRefused, LinkRegistering:
		if d.now.Sub(u.tried) >= rejoinPause {
			u.rejoin(d, 0)
		}
	}
}

func (u *upper) stop(d *desk) {
	u.tell(d, ErrGone)
	u.leave.until, u.leave.again = time.Time{}, time.Time{}
	online := u.link.State == LinkOnline
	switch {
	case u.link.State == LinkLeaving:
	case u.link.State == LinkLeft:
		delete(d.tags, u.registering)
		u.registering, u.registerAt, u.leave.asked = 0, time.Time{}, false
	case u.registering != 0: // never two REGISTERs at once
		u.move(d, LinkLeaving, "")
	case online:
		u.move(d, LinkLeaving, "")
		u.sayGoodbye(d)
	default:
		u.gone(d)
	}
}

func (u *upper) sayGoodbye(d *desk) {
	u.leave.left = true
	u.register(d, 0)
}

func (u *upper) gone(d *desk) {
	u.move(d, LinkIdle, "")
	u.leave.left, u.registerAt = true, time.Time{}
}

// usable reports whether requests of this upper are served. While registering
// they are: its 200 may come after its first query.
func (u *upper) usable() bool {
	return u.link.State == LinkOnline || u.link.State == LinkRegistering
}

func (u *upper) expired(p *Processor) { p.stepUpper(u, upDue{}) }

type (
	upRegisterWait struct{ u *upper }
	upBeatWait     struct{ u *upper }
)

func (w upRegisterWait) answered(p *Processor, ev Answered) { p.stepUpper(w.u, upRegistered{ev}) }
func (w upBeatWait) answered(p *Processor, ev Answered)     { p.stepUpper(w.u, upBeaten{ev}) }

// stepUpper steps u and draws the consequences: sessions end with the link.
func (p *Processor) stepUpper(u *upper, ev any) {
	was := u.link.State
	u.step(&p.desk, ev)
	now := u.link.State
	if was == now {
		return
	}
	ended := was == LinkOnline || was == LinkRegistering && now != LinkOnline
	switch {
	case now == LinkOnline && u.sub.on():
		p.pushTo(u)
	case now == LinkOnline:
		p.holdPush(u, pushStart)
	}
	if ended {
		p.dropSubscription(u)
		p.dropSenders(u, fmt.Errorf("%s: %w", u.cfg.Code, ErrPeerOffline))
		p.dropAsksOf(u)
		p.dropHand(u)
	}
	p.noteLink(&u.link, was)
}

// noteLink tells people what became of a link; the pause between two attempts is
// not worth a word.
func (p *Processor) noteLink(l *Link, was LinkState) {
	level, event := slog.LevelWarn, ""
	switch {
	case l.State == LinkOnline:
		level, event = slog.LevelInfo, "peer online"
	case l.State == LinkLeft:
		level, event = slog.LevelInfo, "peer left"
	case l.State == LinkRefused:
		event = "registration refused"
	case l.State == LinkOffline:
		event = "peer offline"
	case l.State == LinkRegistering && was == LinkOnline:
		event = "registration lost"
	default:
		return
	}
	p.desk.note(level, event, slog.String("peer", string(l.Peer)), slog.String("role", l.Role.String()),
		slog.String("reason", l.Reason))
}
