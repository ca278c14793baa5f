package domain

import (
	"log/slog"
	"time"
)

const (
	subscribeFor    = 10 * time.Minute // asked for (GB/T 28181-2022: 600 s where nothing else is said)
	subscribeWait   = 70 * time.Second // for the transceiver to answer
	shortestRefresh = 5 * time.Second  // whatever a lower grants
	subscribeRetry  = 30 * time.Second // after a subscription that was lost; doubles up to longestRead
	readFollowed    = time.Hour        // catalogue of a lower that tells its changes: something may have got lost
	readUnfollowed  = 10 * time.Minute // of one that does not
)

type followState uint8

const (
	followNone    followState = iota
	followAsked               // SUBSCRIBE is not answered yet
	followOn                  // changes come
	followRenewed             // and its refresh is not answered yet
)

func (s followState) String() string { return [...]string{"none", "asked", "on", "renewed"}[s%4] }

// A following is our subscription to the catalogue of a standard lower, which tells
// no changes unasked (PUSH-702). It is tried whenever the catalogue was read;
// where it is refused, the catalogue is read again and again instead.
type following struct {
	of       *lower
	state    followState
	dialog   Dialog
	tag      Tag       // SUBSCRIBE not answered yet
	at       time.Time // of the refresh, or when a SUBSCRIBE counts as unanswered
	after    time.Time // no new one before
	failures int       // subscriptions in a row that were lost before their first refresh
}

// What happens to a following.
type (
	followWanted   struct{}                   // the catalogue was read
	followAnswered struct{ Answered }         // to SUBSCRIBE
	followOver     struct{ SubscriptionOver } // the lower ended it
	followDue      struct{}
	followLost     struct{} // the link is down, or the lower pushes unasked
)

// step moves f, and returns after which time the catalogue is to be read again;
// 0: there is nothing to say about that.
func (f *following) step(d *desk, ev any) (again time.Duration) {
	switch ev := ev.(type) {
	case followWanted:
		return f.wanted(d)
	case followAnswered:
		if f.tag != 0 && ev.Tag == f.tag {
			return f.answered(d, ev.Answered)
		}
	case followOver:
		if f.state != followNone && ev.Dialog == f.dialog {
			return f.fail(d, ev.RetryAfter)
		}
	case followDue:
		return f.due(d)
	case followLost:
		f.drop(d)
		f.after, f.failures = time.Time{}, 0
	}
	return 0
}

func (f *following) wanted(d *desk) time.Duration {
	switch {
	case f.state == followAsked:
		return 0
	case f.state != followNone:
		return readFollowed
	case f.after.After(d.now):
		return f.after.Sub(d.now)
	}
	f.state = followAsked
	f.ask(d)
	f.dialog = Dialog(f.tag)
	return 0
}

func (f *following) ask(d *desk) {
	f.tag, f.at = d.ask(followWait{f.of}), d.now.Add(subscribeWait)
	d.do(Subscribe{Tag: f.tag, Dialog: f.dialog, Peer: f.of.cfg.ref(), Target: NodeID(f.of.cfg.Code), Expires: subscribeFor})
}

func (f *following) due(d *desk) time.Duration {
	switch {
	case f.state == followNone || !d.past(f.at):
		return 0
	case f.state == followOn:
		f.state = followRenewed
		f.ask(d)
		return 0
	}
	return f.answered(d, Answered{Tag: f.tag}) // the transceiver never answered
}

// answered judges the answer to SUBSCRIBE. A refresh that was not accepted, for
// whatever reason, leaves it open whether anything still comes: another dialog then.
func (f *following) answered(d *desk, ev Answered) time.Duration {
	accepted := ev.Status/100 == 2 && ev.Expires > 0
	switch {
	case !accepted && f.state == followAsked:
		f.drop(d)
		return readUnfollowed
	case !accepted:
		return f.fail(d, ev.RetryAfter)
	case f.state == followRenewed:
		f.failures = 0
	}
	f.state, f.tag = followOn, 0
	f.at = d.now.Add(max(min(ev.Expires, longestSubscription)*8/10, shortestRefresh))
	return readFollowed
}

// fail forgets a subscription that was lost, and returns when to begin anew: with
// reading the catalogue, for nobody knows what was not told.
func (f *following) fail(d *desk, atLeast time.Duration) time.Duration {
	f.drop(d)
	pause := max(min(subscribeRetry<<min(f.failures, 10), longestRead), min(atLeast, readFollowed))
	pause += d.jitter(subscribeRetry / 4)
	f.failures++
	f.after = d.now.Add(pause)
	return pause
}

func (f *following) drop(d *desk) {
	if f.state != followNone {
		d.do(EndSubscription{Dialog: f.dialog})
	}
	delete(d.tags, f.tag)
	f.state, f.dialog, f.tag, f.at = followNone, 0, 0, time.Time{}
}

type followWait struct{ l *lower }

func (w followWait) answered(p *Processor, ev Answered) {
	began := w.l.following.state == followAsked
	p.follow(w.l, followAnswered{ev})
	if !began {
		return
	}
	event, level := "catalogue subscribed", slog.LevelInfo
	if w.l.following.state != followOn {
		event, level = "subscription refused", slog.LevelDebug // and again with every reading
	}
	p.desk.note(level, event, slog.String("peer", string(w.l.cfg.Code)), slog.String("role", "lower"),
		slog.Int("status", ev.Status), slog.String("reason", ev.Reason))
}

// follow steps the subscription at a lower and plans the next reading of its catalogue.
func (p *Processor) follow(l *lower, ev any) {
	if again := l.following.step(&p.desk, ev); again > 0 && l.link.State == LinkOnline {
		l.read.want(p.desk.now.Add(again))
	}
	l.arm(&p.desk)
}

// followNow subscribes at a standard lower whose catalogue was read.
func (p *Processor) followNow(l *lower) {
	if l.link.State == LinkOnline && !l.link.Caps.Has(CapPush) && p.phase == phaseRunning {
		p.follow(l, followWanted{})
	}
}

// followDue does what is due with the subscription at a lower.
func (p *Processor) followDue(l *lower) {
	switch {
	case l.link.State != LinkOnline || l.link.Caps.Has(CapPush):
		if l.following.state != followNone || l.following.failures > 0 {
			p.follow(l, followLost{})
		}
	case p.desk.past(l.following.at):
		p.follow(l, followDue{})
	}
}

func (p *Processor) subscriptionOver(ev SubscriptionOver) {
	if l := p.lowers[ev.Peer]; l != nil {
		p.follow(l, followOver{ev})
	}
}
