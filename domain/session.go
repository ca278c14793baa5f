package domain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	localPatience = 20 * time.Second // of a local user
	upperPatience = 18 * time.Second // of an upper that does not say
	levelTime     = 2 * time.Second  // what each level keeps of the patience (LIVE-804)
	leastPatience = time.Second
	mostPatience  = time.Minute
	mostSessions  = 64
)

// A user is who watches what is received: a sender to an upper, or a local watch.
type user interface {
	ready(p *Processor, source LegID) // the stream can be read from leg source
	over(p *Processor, err error)     // it ended, or never came; nil: all was received
	holds() bool                      // it still needs the stream
}

// calls are the sessions under way: everything that holds a leg or a dialog.
type calls struct {
	receivers map[LegID]*receiver
	invited   map[Dialog]*receiver // by the dialog with the lower
	live      map[StreamID]*receiver
	senders   map[Dialog]*sender
	sending   map[LegID]*sender
	watches   map[Ticket]*watch
	ssrcs     ssrcPool
	most      int
}

func newCalls(cfg Config) calls {
	c := calls{
		receivers: make(map[LegID]*receiver), invited: make(map[Dialog]*receiver),
		live: make(map[StreamID]*receiver), senders: make(map[Dialog]*sender),
		sending: make(map[LegID]*sender), watches: make(map[Ticket]*watch),
		ssrcs: newSSRCPool(cfg.Self), most: cfg.MaxSessions,
	}
	if c.most == 0 {
		c.most = mostSessions
	}
	return c
}

// full reports whether there is no room for n more sessions.
func (c *calls) full(n int) bool { return len(c.receivers)+len(c.senders)+n > c.most }

// sorted returns the values of m in the order of their keys: what happens to several at
// once happens in the same order each time.
func sorted[K cmp.Ordered, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[k])
	}
	return values
}

// reach returns the entry of a channel that can be watched now, or says why not. A
// recording can be had of a channel whose camera is off.
func (p *Processor) reach(u *upper, channel Code, kind Kind) (*entry, error) {
	e, err := p.cat.channel(u, channel)
	switch {
	case err != nil:
		return nil, err
	case kind == Talk:
		return nil, ErrMedia
	}
	if e.owner != "" {
		if l := p.lowers[e.owner]; l == nil || l.link.State != LinkOnline {
			return nil, fmt.Errorf("%s: %w", e.owner, ErrPeerOffline)
		}
	}
	if kind == Live && e.item.Status == StatusOff {
		return nil, ErrOffline
	}
	return e, nil
}

// watchIn opens a stream for a local user.
func (p *Processor) watchIn(ev WatchIn) {
	if p.calls.watches[ev.Ticket] != nil {
		return // one answer for each ticket
	}
	e, err := p.reach(nil, ev.Channel, ev.Kind)
	if err == nil && p.phase != phaseRunning {
		err = ErrGone
	}
	if err != nil {
		p.desk.do(Denied{ev.Ticket, err})
		return
	}
	w := &watch{ticket: ev.Ticket, stream: streamOf(ev.Channel, ev.Profile, ev.Kind, ev.Range)}
	w.alarm.owner, w.at = w, p.desk.now.Add(localPatience)
	p.calls.watches[w.ticket] = w
	if e.owner == "" {
		p.stepWatch(w, watchReady{})
		return
	}
	if err = p.join(w, &w.from, e, request{w.stream, ev.Speed, w.at, p.ends(ev), true}); err != nil {
		p.stepWatch(w, watchOver{err})
		return
	}
	p.desk.set(&w.alarm, w.at)
}

// watchOut ends a watch, or a query for recordings; the ticket is not answered any more.
func (p *Processor) watchOut(ticket Ticket) {
	if w := p.calls.watches[ticket]; w != nil {
		p.stepWatch(w, watchOut{})
		return
	}
	for _, a := range p.asks.down {
		if a.upper == nil && a.ticket == ticket {
			p.forget(a)
		}
	}
	for tag, f := range p.asks.own {
		if f.upper == nil && f.ticket == ticket {
			delete(p.asks.own, tag)
		}
	}
	for _, u := range p.uppers {
		if u.leave.ticket == ticket {
			u.leave.ticket = 0
		}
	}
}

// ends names both parties for a local user. Where the monitor stands is known when
// media is opened for it.
func (p *Processor) ends(ev WatchIn) parties {
	return parties{p.cat.camera(ev.Channel), Party{ID: monitorOf(p.cfg.Self, ev.Ticket), Place: p.cfg.Name}}
}

func streamOf(channel Code, profile uint8, kind Kind, in Range) StreamID {
	if kind == Live {
		in = Range{}
	}
	return StreamID{channel, profile, kind, in}
}

// A request is what is asked of a lower, until when, and for whom.
type request struct {
	stream StreamID
	speed  int
	limit  time.Time
	parties
	local bool // the monitor is our own
}

// join makes u a user of the receiver for req, which is begun if there is none: one
// for each live channel and profile, however many watch; one for each request of
// history (LIVE-814).
func (p *Processor) join(u user, from **receiver, e *entry, req request) error {
	r := p.calls.live[req.stream]
	if r == nil || !r.joinable() {
		var err error
		if r, err = p.receive(e, req); err != nil {
			return err
		}
	}
	*from = r
	r.users = append(r.users, u)
	p.stepReceiver(r, rxJoined{})
	if r.state == rxReady {
		u.ready(p, r.leg)
	}
	return nil
}

// receive begins a receiver.
func (p *Processor) receive(e *entry, req request) (*receiver, error) {
	if p.calls.full(1) {
		return nil, ErrBusy
	}
	ssrc, ok := p.calls.ssrcs.take(p.desk.now, req.stream.Kind)
	if !ok {
		return nil, ErrBusy
	}
	l := p.lowers[e.owner]
	r := &receiver{leg: LegID(p.desk.number()), request: req, peer: l, below: Code(e.below), ssrc: ssrc,
		linger: p.cfg.Linger, since: p.desk.now, at: req.limit}
	r.alarm.owner = r
	p.calls.receivers[r.leg] = r
	if req.stream.Kind == Live {
		p.calls.live[req.stream] = r
	}
	p.desk.do(OpenReceiver{Leg: r.leg, Stream: r.stream, Peer: l.cfg.ref(), Transport: l.cfg.Media, SSRC: ssrc,
		Elementary: l.cfg.Elementary && l.link.Caps.Has(CapElementary)})
	p.desk.set(&r.alarm, r.at)
	return r, nil
}

// inviteIn begins a session that an upper asks for. It is answered when there is a
// picture to send, not before.
func (p *Processor) inviteIn(ev InviteIn) {
	if p.calls.senders[ev.Dialog] != nil {
		return
	}
	u, err := p.callingUpper(ev.Origin)
	var e *entry
	if err == nil {
		e, err = p.reach(u, ev.Channel, ev.Kind)
	}
	var older *sender
	if err == nil {
		older = p.replaced(u, ev)
		err = p.send(u, e, ev, older)
	}
	if err != nil {
		p.desk.do(RefuseInvite{ev.Dialog, err})
	}
	if older != nil {
		p.stepSender(older, txDrop{fmt.Errorf("replaced: %w", ErrGone)})
	}
}

// replaced returns the older session of the same peer and stream, which a new one
// replaces (GB/T 28181-2022 Annex K); another peer's never.
func (p *Processor) replaced(u *upper, ev InviteIn) *sender {
	if ev.Stream == "" {
		return nil
	}
	for _, s := range sorted(p.calls.senders) {
		if s.upper == u && s.asked.Stream == ev.Stream && s.stream.Channel == ev.Channel && s.stream.Kind == ev.Kind {
			return s
		}
	}
	return nil
}

// send begins a sender; the one it replaces does not count against the room.
func (p *Processor) send(u *upper, e *entry, ev InviteIn, older *sender) error {
	room := 1
	if older != nil {
		room = 0
	}
	if p.calls.full(room) {
		return ErrBusy
	}
	ssrc, ok := p.calls.ssrcs.take(p.desk.now, ev.Kind)
	if !ok {
		return ErrBusy
	}
	s := &sender{dialog: ev.Dialog, upper: u, asked: ev, ssrc: ssrc,
		stream: streamOf(ev.Channel, u.profile(e, ev), ev.Kind, ev.Range), since: p.desk.now,
		at: p.patience(ev.Deadline), parties: parties{p.cat.camera(ev.Channel), u.monitor(ev)}}
	s.alarm.owner = s
	p.calls.senders[s.dialog] = s
	p.desk.set(&s.alarm, s.at)
	if e.owner == "" {
		p.stepSender(s, txSource{})
		return nil
	}
	if err := p.join(s, &s.from, e, request{s.stream, ev.Speed, s.at, s.parties, s.monitor.Server() == p.cfg.Self}); err != nil {
		p.stepSender(s, txDrop{err})
	}
	return nil
}

// profile returns which stream an upper is sent: what it asks for, but that one behind a
// poor line gets another than the main one, where there is one.
func (u *upper) profile(e *entry, ev InviteIn) uint8 {
	if ev.Kind == Live && ev.Profile == 0 && u.cfg.Profile < e.item.Streams {
		return u.cfg.Profile
	}
	return ev.Profile
}

// patience returns until when we try for a caller that gives up at deadline: each level
// keeps 2 s for its own answer (LIVE-804).
func (p *Processor) patience(deadline time.Time) time.Time {
	now := p.desk.now
	if deadline.IsZero() {
		return now.Add(upperPatience)
	}
	return now.Add(min(max(deadline.Sub(now)-levelTime, leastPatience), mostPatience))
}

// stepReceiver steps r and tells its users what that means to them.
func (p *Processor) stepReceiver(r *receiver, ev any) {
	v, err := r.step(&p.desk, ev)
	if r.tag != 0 && r.open() {
		p.calls.invited[Dialog(r.tag)] = r
	}
	if !r.joinable() && p.calls.live[r.stream] == r {
		delete(p.calls.live, r.stream)
	}
	if !r.open() {
		delete(p.calls.receivers, r.leg)
		delete(p.calls.invited, Dialog(r.tag))
		p.calls.ssrcs.release(p.desk.now, r.ssrc)
	}
	switch v {
	case nowReady:
		for _, u := range slices.Clone(r.users) {
			u.ready(p, r.leg)
		}
	case nowOver:
		for _, u := range slices.Clone(r.users) {
			u.over(p, err)
		}
	}
	if v != noNews {
		p.thin(r)
	}
}

// thin lets go of users that need the stream no more, and of the stream with the last.
func (p *Processor) thin(r *receiver) {
	before := len(r.users)
	r.users = slices.DeleteFunc(r.users, func(u user) bool { return !u.holds() })
	if len(r.users) == 0 && before > 0 && r.open() {
		p.stepReceiver(r, rxAlone{})
	}
}

func (p *Processor) stepSender(s *sender, ev any) {
	if s.state == txGone {
		return
	}
	own := s.ssrc
	s.step(&p.desk, ev)
	if s.ssrc != own { // media chose another: ours is free again
		p.calls.ssrcs.release(p.desk.now, own)
	}
	if s.leg != 0 {
		p.calls.sending[s.leg] = s
	}
	if s.state != txGone {
		return
	}
	delete(p.calls.senders, s.dialog)
	maps.DeleteFunc(p.calls.sending, func(_ LegID, x *sender) bool { return x == s })
	p.calls.ssrcs.release(p.desk.now, s.ssrc)
	if s.from != nil {
		p.thin(s.from)
	}
}

func (p *Processor) stepWatch(w *watch, ev any) {
	if w.state == watchGone {
		return
	}
	w.step(&p.desk, ev)
	if w.state != watchGone {
		return
	}
	delete(p.calls.watches, w.ticket)
	if w.from != nil {
		p.thin(w.from)
	}
}

// byeIn ends the session of a dialog, whoever began it. A dialog that we ended
// ourselves, or that was never ours, is none.
func (p *Processor) byeIn(ev ByeIn) {
	if s := p.calls.senders[ev.Dialog]; s != nil {
		p.stepSender(s, txBye{})
	} else if r := p.calls.invited[ev.Dialog]; r != nil {
		p.stepReceiver(r, rxBye{ev.Reason})
	}
}

// mediaEnded tells the owner of a leg; a leg that we closed has none.
func (p *Processor) mediaEnded(ev MediaEnded) {
	if s := p.calls.sending[ev.Leg]; s != nil {
		delete(p.calls.sending, ev.Leg)
		p.stepSender(s, txEnded{ev.Err})
	} else if r := p.calls.receivers[ev.Leg]; r != nil {
		p.stepReceiver(r, rxEnded{ev.Err})
	}
}

// mediaStatusIn finds the session that has been sent completely: by its dialog, or, for
// those that send it outside, the only one of history with that channel.
func (p *Processor) mediaStatusIn(ev MediaStatusIn) {
	l := p.callingLower(ev.Origin)
	if l == nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	p.desk.do(Reply{Ref: ev.Ref})
	r := p.calls.invited[ev.Dialog]
	if r == nil && ev.Dialog == 0 {
		for _, other := range sorted(p.calls.receivers) {
			if other.stream.Kind == Live || other.peer.cfg.Code != l.cfg.Code || other.below != ev.Channel {
				continue
			}
			if r != nil {
				return // two: it may be either
			}
			r = other
		}
	}
	if r != nil && r.peer == l {
		p.stepReceiver(r, rxSentAll{})
	}
	p.stepLower(l, downHeard{})
}

// dropSenders ends every session with an upper.
func (p *Processor) dropSenders(u *upper, err error) {
	for _, s := range sorted(p.calls.senders) {
		if s.upper == u {
			p.stepSender(s, txDrop{err})
		}
	}
}

// dropReceivers ends every session with a lower.
func (p *Processor) dropReceivers(peer Code, err error) {
	for _, r := range sorted(p.calls.receivers) {
		if r.peer.cfg.Code == peer {
			p.stepReceiver(r, rxLost{err})
		}
	}
}

// dropChannels ends the sessions of our own channels that are gone.
func (p *Processor) dropChannels(removed []NodeID) {
	for _, s := range sorted(p.calls.senders) {
		if s.from == nil && slices.Contains(removed, NodeID(s.stream.Channel)) {
			p.stepSender(s, txDrop{ErrNoChannel})
		}
	}
	p.dropDomes(func(d *dome) bool { return d.lower == nil && slices.Contains(removed, NodeID(d.channel)) }, ErrNoChannel)
	for _, w := range sorted(p.calls.watches) {
		if w.from == nil && slices.Contains(removed, NodeID(w.stream.Channel)) {
			p.stepWatch(w, watchOver{ErrNoChannel})
		}
	}
}

// dropAll ends everything.
func (p *Processor) dropAll() {
	for _, s := range sorted(p.calls.senders) {
		p.stepSender(s, txDrop{ErrGone})
	}
	for _, w := range sorted(p.calls.watches) {
		p.stepWatch(w, watchOver{ErrGone})
	}
	for _, r := range sorted(p.calls.receivers) {
		p.stepReceiver(r, rxLost{ErrGone}) // lingering ones
	}
}
