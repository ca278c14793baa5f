package domain

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const keepaliveGrace = 15 * time.Second // heartbeats jitter on their way

type phase uint8

const (
	phaseFresh phase = iota
	phaseRunning
	phaseStopping
	phaseIdle
)

// A Processor decides everything that happens between this domain and its
// neighbours: links, catalogue, sessions and queries. It does no I/O, reads no clock
// and starts no goroutine: the same events at the same instants with the same seed
// give the same effects.
type Processor struct {
	cfg    Config
	phase  phase
	desk   desk
	uppers []*upper // by code
	byCode map[Code]*upper
	lowers map[Code]*lower
	cat    catalog
	calls  calls
	asks   asks
	keys   map[Code]*keyOrder // channels that were asked for a key frame
	domes  map[Code]*dome     // channels that are moved or held
}

// NewProcessor returns a processor that knows what state kept. Its lowers are
// offline until they speak. The error is that of [Config.Validate].
func NewProcessor(cfg Config, state State) (*Processor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Processor{
		cfg: cfg, desk: newDesk(cfg.Seed), byCode: make(map[Code]*upper), lowers: make(map[Code]*lower),
		cat: newCatalog(cfg), calls: newCalls(cfg),
		asks: asks{down: make(map[int]*ask), own: make(map[Tag]find)}, keys: make(map[Code]*keyOrder), domes: make(map[Code]*dome),
	}
	for _, pc := range cfg.Peers {
		if pc.Role == Upper {
			u := newUpper(pc)
			p.uppers = append(p.uppers, u)
			p.byCode[pc.Code] = u
		} else {
			p.lowers[pc.Code] = newLower(pc)
		}
	}
	slices.SortFunc(p.uppers, func(a, b *upper) int { return cmp.Compare(a.cfg.Code, b.cfg.Code) })
	p.restore(state)
	return p, nil
}

func (p *Processor) restore(state State) {
	for _, saved := range state.Links {
		if l := p.lowers[saved.Peer]; l != nil && saved.Role == Lower {
			l.restore(saved)
		}
	}
	for _, t := range state.Tombstones {
		p.bury(t)
	}
	for _, peer := range slices.Sorted(maps.Keys(state.Catalogs)) {
		if l := p.lowers[peer]; l != nil && l.link.State == LinkOffline {
			p.cat.learn(peer, state.Catalogs[peer], false)
			l.link.Channels = p.cat.channels(peer)
		}
	}
	clear(p.cat.touched)
	p.cat.notes = nil
}

// Step tells the processor what happened at the instant now and returns what is to
// be done, in order. The caller owns the effects. now must not go back.
func (p *Processor) Step(now time.Time, ev Event) []Effect {
	p.desk.now, p.desk.out = now, nil
	switch ev := ev.(type) {
	case Tick:
		for a := p.desk.due(); a != nil; a = p.desk.due() {
			a.owner.expired(p)
		}
	case Start:
		p.start()
	case Stop:
		p.stop()
	case RegisterIn:
		p.registerIn(ev)
	case KeepaliveIn:
		p.keepaliveIn(ev)
	case OptionsIn:
		p.heard(ev.Origin)
	case QueryIn:
		p.queryIn(ev)
	case CatalogIn:
		p.catalogIn(ev)
	case SubscribeIn:
		p.subscribeIn(ev)
	case SubscriptionOver:
		p.subscriptionOver(ev)
	case RecordsIn:
		p.recordsIn(ev)
	case DeviceInfoIn:
		p.infoIn(ev)
	case DeviceStatusIn:
		p.statusIn(ev)
	case InviteIn:
		p.inviteIn(ev)
	case AckIn:
		p.toSender(ev.Dialog, txAck{})
	case CancelIn:
		p.toSender(ev.Dialog, txCancel{})
	case ByeIn:
		p.byeIn(ev)
	case ControlIn:
		p.controlIn(ev)
	case KeyFrameIn:
		p.keyFrameIn(ev)
	case KeyFrameWanted:
		p.keyFrameWanted(ev)
	case PTZIn:
		p.ptzIn(ev)
	case PTZAsked:
		p.ptzAsked(ev)
	case Driven:
		p.driven(ev)
	case MediaStatusIn:
		p.mediaStatusIn(ev)
	case Answered:
		p.answered(ev)
	case DevicesChanged:
		p.cat.devices(ev.Items, ev.Removed)
		p.dropChannels(ev.Removed)
	case WatchIn:
		p.watchIn(ev)
	case WatchOut:
		p.watchOut(ev.Ticket)
	case LeaveAsked:
		p.leaveAsked(ev)
	case JoinAsked:
		p.joinAsked(ev)
	case RecordsAsked:
		p.recordsAsked(ev)
	case RecordsRead:
		p.recordsRead(ev)
	case RefreshAsked:
		p.refresh(ev.Peer)
	case ReceiverOpened:
		p.toReceiver(ev.Leg, rxOpened{ev.Offer})
	case ReceiverReady:
		p.toReceiver(ev.Leg, rxPicture{})
	case SenderOpened:
		if s := p.calls.sending[ev.Leg]; s != nil {
			p.stepSender(s, txOpened{ev.Answer})
		}
	case MediaEnded:
		p.mediaEnded(ev)
	}
	return p.finish()
}

// finish ends a step: what changed is told, and whether everything has ended.
func (p *Processor) finish() []Effect {
	p.cat.report(&p.desk)
	p.spread()
	if p.phase == phaseStopping && p.quiet() {
		p.phase = phaseIdle
		p.desk.do(Idle{})
	}
	out := p.desk.out
	p.desk.out = nil
	return out
}

// Due returns when the processor wants a Tick, if it does.
func (p *Processor) Due() (time.Time, bool) {
	if len(p.desk.alarms) == 0 {
		return time.Time{}, false
	}
	return p.desk.alarms[0].at, true
}

func (p *Processor) start() {
	if p.phase != phaseFresh {
		return
	}
	p.phase = phaseRunning
	for _, u := range p.uppers {
		p.stepUpper(u, upStart{})
	}
	for _, l := range sorted(p.lowers) {
		p.stepLower(l, downStart{})
	}
}

// stop ends every session and deregisters. Lowers find out by their heartbeats.
func (p *Processor) stop() {
	if p.phase == phaseStopping || p.phase == phaseIdle {
		return
	}
	p.phase = phaseStopping
	p.dropAll()
	p.dropAsks()
	p.stopDomes()
	for _, l := range sorted(p.lowers) {
		if !l.saveAt.IsZero() {
			l.saveAt = p.desk.now
			p.readDue(l)
		}
	}
	for _, u := range p.uppers {
		p.stepUpper(u, upStop{})
	}
}

// quiet reports whether nothing is left that must be waited for.
func (p *Processor) quiet() bool {
	for _, w := range p.desk.tags {
		switch w.(type) {
		case upRegisterWait, rxWait, orderWait, nobody:
			return false
		}
	}
	return true
}

// registerIn judges a registration. Whoever was not provisioned is refused (REG-402).
func (p *Processor) registerIn(ev RegisterIn) {
	l := p.lowers[ev.Origin.From]
	switch {
	case l == nil:
		p.desk.do(ReplyRegister{Ref: ev.Ref, Err: ErrDenied})
	case p.phase != phaseRunning:
		p.desk.do(ReplyRegister{Ref: ev.Ref, Err: ErrBusy, RetryAfter: leaveRetry})
	default:
		p.stepLower(l, downRegister{ev, p.busy(l)})
	}
}

// busy reports whether sessions or queries with l are under way (DEREG-603).
func (p *Processor) busy(l *lower) bool {
	if l.read.state == readAsked || l.read.state == readPaging {
		return true
	}
	for _, r := range p.calls.receivers {
		if r.peer == l {
			return true
		}
	}
	for _, a := range p.asks.down {
		if a.peer == l {
			return true
		}
	}
	return false
}

// keepaliveIn answers a heartbeat, of a lower or of an upper. Of one that is both to
// us, it is the lower's unless that is known and fine: 403 makes the lower register
// again and means nothing to an upper.
func (p *Processor) keepaliveIn(ev KeepaliveIn) {
	l, u := p.lowers[ev.Origin.From], p.upperFrom(ev.Origin)
	switch {
	case u != nil && u.link.State == LinkLeft:
		if l == nil { // a lower's heartbeat looks the same
			p.former(u)
		}
		u = nil
	case u != nil:
		p.stepUpper(u, upHeard{})
	}
	switch {
	case l != nil:
		p.stepLower(l, downBeat{ev})
	case u != nil:
		p.desk.do(Reply{Ref: ev.Ref})
	default:
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
	}
}

// heard counts a message as a sign of life.
func (p *Processor) heard(o Origin) {
	if u := p.upperFrom(o); u != nil {
		p.stepUpper(u, upHeard{})
	}
	if l := p.callingLower(o); l != nil {
		p.stepLower(l, downHeard{})
	}
}

func (p *Processor) statusIn(ev DeviceStatusIn) {
	l := p.callingLower(ev.Origin)
	if l == nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	p.desk.do(Reply{Ref: ev.Ref})
	p.stepLower(l, downHeard{})
}

// refresh has a lower's catalogue read again.
func (p *Processor) refresh(peer Code) {
	if l := p.lowers[peer]; l != nil && l.link.State == LinkOnline {
		l.read.want(p.desk.now)
		p.readDue(l)
	}
}

// upperFrom returns the upper that a message can be of: it comes from where it is
// configured, or the transceiver vouches for it.
func (p *Processor) upperFrom(o Origin) *upper {
	u := p.byCode[o.From]
	if u == nil || !o.Proved && restricted(u.cfg.Address, o.Address) {
		return nil
	}
	return u
}

// callingUpper returns the upper whose request we serve. One whose link is down is
// alive all the same: we register again at once.
func (p *Processor) callingUpper(o Origin) (*upper, error) {
	u := p.upperFrom(o)
	if u == nil {
		return nil, ErrDenied
	}
	p.stepUpper(u, upHeard{})
	if p.phase != phaseRunning || !u.usable() {
		return nil, ErrDenied
	}
	return u, nil
}

// callingLower returns the registered lower that a message is of, or nil.
func (p *Processor) callingLower(o Origin) *lower {
	l := p.lowers[o.From]
	if l == nil || l.link.State != LinkOnline || !l.from(o) {
		return nil
	}
	return l
}

func (p *Processor) toSender(dialog Dialog, ev any) {
	if s := p.calls.senders[dialog]; s != nil {
		p.stepSender(s, ev)
	}
}

func (p *Processor) toReceiver(leg LegID, ev any) {
	if r := p.calls.receivers[leg]; r != nil {
		p.stepReceiver(r, ev)
	}
}

// answered tells who waits for it the answer to a request, once.
func (p *Processor) answered(ev Answered) {
	if w := p.desk.tags[ev.Tag]; w != nil {
		delete(p.desk.tags, ev.Tag)
		w.answered(p, ev)
	}
}

// nobody waits for an answer; only that it came matters, before the end.
type nobody struct{}

func (nobody) answered(*Processor, Answered) {}
