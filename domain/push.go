package domain

import (
	"maps"
	"slices"
	"time"
)

const (
	pushBatch = 100             // changes in one message (GB/T 28181-2022 Annex N)
	pushRetry = 2 * time.Second // after one that was not answered
	pushStart = 4 * time.Second // for an upper to ask by itself, when it is online
)

// A push tells one upper what changed in the catalogue, without being asked
// (PUSH-702, PUSH-707), or in its subscription: one message at a time, so that they
// stay in order.
type push struct {
	pending map[NodeID]ItemEvent
	sent    map[NodeID]ItemEvent // not answered yet
	tag     Tag
}

// add merges changes; what was to be added is added as it is now.
func (q *push) add(events map[NodeID]ItemEvent) {
	if q.pending == nil || len(q.pending) > 2*maxItems { // an upper that is gone for long asks anew
		q.pending = make(map[NodeID]ItemEvent, len(events))
	}
	for id, what := range events {
		q.pending[id] = mergeEvents(q.pending, id, what)
	}
}

func mergeEvents(pending map[NodeID]ItemEvent, id NodeID, what ItemEvent) ItemEvent {
	before, waiting := pending[id]
	if waiting && what != ItemDeleted && (before == ItemAdded || before == ItemUpdated) {
		return before
	}
	return what
}

func (q *push) forget() { *q = push{} }

// next takes the changes of the next message, by id.
func (q *push) next() []NodeID {
	if q.tag != 0 || len(q.pending) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(q.pending))
	if len(ids) > pushBatch {
		ids = ids[:pushBatch]
	}
	q.sent = make(map[NodeID]ItemEvent, len(ids))
	for _, id := range ids {
		q.sent[id] = q.pending[id]
		delete(q.pending, id)
	}
	return ids
}

// done takes the answer to a message; one that was lost or refused for the moment
// is told again with what changed since.
func (q *push) done(ok bool) {
	if !ok {
		newer := q.pending
		q.pending = q.sent
		q.add(newer)
	}
	q.tag, q.sent = 0, nil
}

// spread hands the changes of this step to every upper that takes them. They are kept
// for one that is offline to us, or has not subscribed: it may have read our catalogue
// before, and not know that anything changed.
func (p *Processor) spread() {
	events := p.cat.changes()
	if len(events) == 0 {
		return
	}
	for _, u := range p.uppers {
		if u.link.State == LinkLeft {
			continue
		}
		u.push.add(events)
		p.pushTo(u)
	}
}

// told reports whether u is told of changes now: in its subscription, or unasked.
func (u *upper) told() bool {
	return u.link.State == LinkOnline && (u.sub.on() || u.link.Caps.Has(CapPush))
}

// pushTo sends the next message to u, of the changes that it may see.
func (p *Processor) pushTo(u *upper) {
	if u.push.tag != 0 || !u.told() {
		return
	}
	items, events := p.take(u)
	if len(items) == 0 && !u.sub.silent {
		return
	}
	target := NodeID(p.cfg.Self)
	if u.sub.on() {
		target, u.sub.silent = u.sub.target, false
	}
	u.push.tag = p.desk.ask(pushWait{u})
	p.desk.do(SendChanges{Tag: u.push.tag, Peer: u.cfg.ref(), Target: target, Items: items, Events: events,
		Dialog: u.sub.dialog, Left: u.sub.left(p.desk.now)})
}

// take takes the next changes that u may see and wants to know of.
func (p *Processor) take(u *upper) (items []Item, events []ItemEvent) {
	if len(u.push.pending) == 0 {
		return nil, nil
	}
	about := p.subscribed(u)
	for len(items) == 0 {
		ids := u.push.next()
		if ids == nil {
			return nil, nil
		}
		for _, id := range ids {
			what := u.push.sent[id]
			if it, ok := p.changed(u, id, what); ok && (about == nil || what == ItemDeleted || about[id]) {
				items, events = append(items, it), append(events, what)
			}
		}
		if len(items) == 0 {
			u.push.sent = nil
		}
	}
	return items, events
}

// changed returns an item as u is told of its change. A deletion names the id only;
// u is told even of one that it may not have seen, which it ignores, unless it is
// shown a choice of channels.
func (p *Processor) changed(u *upper, id NodeID, what ItemEvent) (Item, bool) {
	if what == ItemDeleted {
		return Item{ID: id}, u.share == nil || u.share[Code(id)]
	}
	if _, err := p.cat.find(u, id); err != nil {
		return Item{}, false
	}
	return p.cat.whole().items[id], true
}

type pushWait struct{ u *upper }

// answered goes on with the next message. A peer that refuses for good is left to
// ask by itself, or to subscribe again.
func (w pushWait) answered(p *Processor, ev Answered) {
	q := &w.u.push
	if ev.Tag != q.tag {
		return
	}
	switch {
	case ev.Status/100 == 2:
		q.done(true)
		p.pushTo(w.u)
	case ev.Status == 0 || ev.Status == 408 || ev.Status/100 == 5:
		q.done(false)
		p.holdPush(w.u, pushRetry)
	case w.u.sub.on() && (ev.Status == 400 || ev.Status == 413 || ev.Status == 415 || ev.Status == 488):
		q.done(true) // it cannot read this one: the next may be better
		p.pushTo(w.u)
	case w.u.sub.on():
		q.done(false)
		p.dropSubscription(w.u)
	default:
		q.forget()
	}
}

// holdPush lets nothing be sent for a while, as if a message were under way.
func (p *Processor) holdPush(u *upper, pause time.Duration) {
	if u.push.tag != 0 {
		return
	}
	u.push.tag = Tag(p.desk.number())
	p.desk.set(&alarm{owner: pushAgain{u, u.push.tag}}, p.desk.now.Add(pause))
}

// pushAgain ends a pause.
type pushAgain struct {
	u   *upper
	tag Tag
}

func (a pushAgain) expired(p *Processor) {
	if a.u.push.tag == a.tag {
		a.u.push.tag = 0
		p.pushTo(a.u)
	}
}
