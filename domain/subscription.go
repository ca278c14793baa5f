package domain

import (
	"log/slog"
	"time"
)

const longestSubscription = 24 * time.Hour // granted at most

// A subscription is an upper's wish to be told what changes in a branch of our
// catalogue, in a dialog that it began (GB/T 28181-2022 Annex N, PUSH-702). An upper
// has one; what is told in it is the upper's push.
type subscription struct {
	dialog Dialog // 0: there is none
	target NodeID // what it is about; our own id: everything
	until  time.Time
	silent bool // nothing was said in it yet: the first message is sent even if it tells nothing
	alarm  alarm
}

// What happens to a subscription.
type (
	subAsked struct{ SubscribeIn }
	subLost  struct{} // its link is down, or the upper will not hear of it any more
	subDue   struct{}
)

// step moves s, and reports whether it has begun: then all is told anew.
func (s *subscription) step(d *desk, ev any) (begun bool) {
	switch ev := ev.(type) {
	case subAsked:
		begun = s.asked(d, ev.SubscribeIn)
	case subLost:
		s.end(d, "")
	case subDue:
		if d.past(s.until) {
			s.end(d, "timeout")
		}
	}
	d.set(&s.alarm, s.until)
	return begun
}

// asked judges a SUBSCRIBE. A second one outside of the dialog replaces the first
// subscription, whose dialog the upper has forgotten: it is not told of its end.
func (s *subscription) asked(d *desk, ev SubscribeIn) (begun bool) {
	answer := ReplySubscribe{Ref: ev.Ref, Expires: min(max(ev.Expires, 0), longestSubscription)}
	switch known := s.dialog != 0 && ev.Dialog == s.dialog; {
	case ev.Again && !known:
		answer.Err, answer.Expires = ErrNoDialog, 0
		d.do(answer)
	case known && answer.Expires == 0:
		d.do(answer)
		s.end(d, "timeout") // RFC 6665 clause 4.4.1: the last message, though it was asked for
	case known:
		s.until = d.now.Add(answer.Expires)
		d.do(answer)
	default:
		d.do(answer)
		s.end(d, "")
		if begun = answer.Expires > 0; begun {
			s.dialog, s.target, s.silent, s.until = ev.Dialog, ev.Target, true, d.now.Add(answer.Expires)
		}
	}
	return begun
}

// end forgets the subscription; with a reason the upper is told so.
func (s *subscription) end(d *desk, reason string) {
	if s.dialog != 0 {
		d.do(EndSubscription{s.dialog, reason})
	}
	s.dialog, s.target, s.silent, s.until = 0, "", false, time.Time{}
	d.set(&s.alarm)
}

func (s *subscription) on() bool { return s.dialog != 0 }

// left is what remains of its time.
func (s *subscription) left(now time.Time) time.Duration {
	if !s.on() {
		return 0
	}
	return s.until.Sub(now)
}

// subscribeIn answers an upper that subscribes to our catalogue, and tells it first
// what is off: the rest it takes for on.
func (p *Processor) subscribeIn(ev SubscribeIn) {
	if ev.Target == "" {
		ev.Target = p.cat.self.ID
	}
	u, err := p.callingUpper(ev.Origin)
	if err == nil && !ev.Again && ev.Expires > 0 && len(p.cat.answer(u, ev.Target)) == 0 {
		err = ErrNoChannel
	}
	if err != nil {
		p.desk.do(ReplySubscribe{Ref: ev.Ref, Err: err})
		return
	}
	if !u.sub.step(&p.desk, subAsked{ev}) {
		return
	}
	p.desk.note(slog.LevelInfo, "catalogue subscribed", slog.String("peer", string(u.cfg.Code)),
		slog.String("role", "upper"), slog.String("target", string(ev.Target)))
	p.introduce(u)
}

// introduce begins to tell an upper: what was under way is told in the new dialog,
// and what changed since it last read the catalogue comes with what is off.
func (p *Processor) introduce(u *upper) {
	q := &u.push
	q.done(false)
	for _, it := range p.cat.answer(u, u.sub.target) {
		if _, waiting := q.pending[it.ID]; !waiting && it.Status == StatusOff && rank(it.ID) != 3 && rank(it.ID) != 4 {
			q.pending[it.ID] = ItemOff // groups and organisations have no status
		}
	}
	p.pushTo(u)
}

// subscribed returns which items u's subscription is about; nil: all.
func (p *Processor) subscribed(u *upper) map[NodeID]bool {
	if !u.sub.on() || u.sub.target == p.cat.self.ID {
		return nil
	}
	t := p.cat.whole()
	return t.branch(u.sub.target, p.cat.visible(u, t))
}

// dropSubscription ends what u was told, without a word.
func (p *Processor) dropSubscription(u *upper) { u.sub.step(&p.desk, subLost{}) }

// A subscriptionEnd goes off when a subscription's time is over.
type subscriptionEnd struct{ u *upper }

func (e subscriptionEnd) expired(p *Processor) { e.u.sub.step(&p.desk, subDue{}) }
