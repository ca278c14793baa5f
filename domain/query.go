package domain

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	recordWait = 10 * time.Second // from page to page: it slides
	mostAsks   = 256              // record queries under way
	mostRows   = 100_000          // recordings of one query
)

// A question is what somebody wants to know of recordings, and how he is answered.
type question struct {
	upper   *upper // nil: a local user
	theirs  int    // the upper's serial number
	ticket  Ticket // of a local user
	asker   string // who asked first, here or above
	channel Code   // our id
	name    string
	in      Range
	filter  RecordFilter
}

// An ask is a question that we sent down (QUERY-901 to 906). It is found again by our
// serial number: the hop table.
type ask struct {
	question
	sn   int
	peer *lower // that was asked

	paged bool
	sum   int // of the first page
	seen  map[recordKey]struct{}
	owner Code        // who answered, as the pages say
	rows  []Recording // for a local user, or to be merged
	mine  archived
	at    time.Time
	alarm alarm
}

// archived is what our own archive has to add to an answer from below (QUERY-903).
type archived struct {
	state mineState
	rows  []Recording
}

type mineState uint8

const (
	mineNone    mineState = iota // not asked: pages from below are passed on as they come
	mineAwaited                  //
	mineIn
	mineFailed
)

// page takes one page and returns what is new in it, and whether it was the last.
func (a *ask) page(d *desk, ev RecordsIn) (fresh []Recording, last bool) {
	if !a.paged {
		a.paged, a.sum, a.owner = true, max(ev.Sum, 0), a.peer.cfg.Code
	}
	if ev.Owner != "" && a.peer.link.Caps.Has(CapParties) {
		a.owner = ev.Owner
	}
	for _, row := range ev.Records {
		if _, known := a.seen[keyOf(row)]; known || len(a.seen) >= mostRows {
			continue
		}
		a.seen[keyOf(row)] = struct{}{}
		row.Channel = a.channel
		if row.Location == "" && a.filter.Indistinct { // then it has to be told
			row.Location = string(a.peer.cfg.Code)
		}
		fresh = append(fresh, row)
	}
	a.at = d.now.Add(recordWait)
	return fresh, a.whole()
}

// whole reports whether everything that was announced is in.
func (a *ask) whole() bool { return a.paged && len(a.seen) >= min(a.sum, mostRows) }

// A find is a question to our own archive.
type find struct {
	question
	into *ask // whose answer it is a part of; nil: it is the answer
}

// asks are the queries under way.
type asks struct {
	down map[int]*ask
	own  map[Tag]find
}

func (q *asks) full() bool { return len(q.down)+len(q.own) >= mostAsks }

// queryIn answers a query of an upper: 200 or a refusal at once, the business answer
// after it.
func (p *Processor) queryIn(ev QueryIn) {
	u, err := p.callingUpper(ev.Origin)
	if err == nil && p.phase != phaseRunning {
		err = ErrBusy
	}
	if err != nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: err})
		return
	}
	switch ev.Kind {
	case QueryCatalog:
		p.desk.do(Reply{Ref: ev.Ref})
		if ev.Target == "" || ev.Target == p.cat.self.ID {
			clear(u.push.pending) // it is all in the answer
		}
		p.desk.do(SendCatalog{Tag: p.desk.ask(nobody{}), Peer: u.cfg.ref(), SN: ev.SN, Target: ev.Target,
			Items: p.cat.answer(u, ev.Target)})
	case QueryDeviceInfo, QueryDeviceStatus:
		p.answerState(u, ev)
	case QueryRecords:
		p.desk.do(Reply{Ref: ev.Ref, Err: p.answerRecords(u, ev)})
	default:
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
	}
}

// node returns an item that u may ask about: our own platform, a lower, a device or a channel.
func (p *Processor) node(u *upper, id NodeID) (Item, error) {
	if id == "" || id == p.cat.self.ID {
		return p.cat.whole().items[p.cat.self.ID], nil
	}
	t := p.cat.whole()
	if it, ok := t.items[id]; ok && !id.region() && p.cat.visible(u, t)[id] {
		return it, nil
	}
	return Item{}, ErrNoChannel
}

// answerState answers DeviceInfo and DeviceStatus from what is known here.
func (p *Processor) answerState(u *upper, ev QueryIn) {
	it, err := p.node(u, ev.Target)
	p.desk.do(Reply{Ref: ev.Ref, Err: err})
	if err != nil {
		return
	}
	tag := p.desk.ask(nobody{})
	if ev.Kind == QueryDeviceStatus {
		on := it.Status == StatusOn
		p.desk.do(SendState{tag, u.cfg.ref(), ev.SN, DeviceState{ID: it.ID, OK: true, Online: on, Healthy: on,
			Clock: p.desk.now}})
		return
	}
	info := DeviceInfo{ID: it.ID, Name: it.Name, Maker: it.Maker, Model: it.Model, OK: true,
		Channels: p.cat.below(u, it.ID)}
	if it.ID == p.cat.self.ID {
		info.Firmware = p.cfg.Firmware
	} else if l := p.lowers[Code(it.ID)]; l != nil && l.info.OK {
		info.Name, info.Maker, info.Model, info.Firmware = l.info.Name, l.info.Maker, l.info.Model, l.info.Firmware
	}
	p.desk.do(SendInfo{tag, u.cfg.ref(), ev.SN, info})
}

// below counts the channels at or below a node that u may see.
func (c *catalog) below(u *upper, id NodeID) int {
	n := 0
	for _, it := range c.answer(u, id) {
		if it.Channel() {
			n++
		}
	}
	return n
}

// recorder returns whose recordings are asked for: a channel's owner, or a platform
// itself. Our own id stands for all that is recorded here.
func (p *Processor) recorder(u *upper, id Code) (*entry, error) {
	if p.asks.full() {
		return nil, ErrBusy
	}
	if NodeID(id) == p.cat.self.ID {
		return &entry{id: p.cat.self.ID, below: p.cat.self.ID, item: p.cat.self}, nil
	}
	e, err := p.cat.find(u, NodeID(id))
	if err != nil {
		return nil, err
	}
	if l := p.lowers[e.owner]; e.owner != "" && (l == nil || l.link.State != LinkOnline) {
		return nil, fmt.Errorf("%s: %w", e.owner, ErrPeerOffline)
	}
	return e, nil
}

// answerRecords looks in our archive, or forwards to the owner with our own serial number.
func (p *Processor) answerRecords(u *upper, ev QueryIn) error {
	channel, ok := ev.Target.code()
	if !ok {
		return ErrNoChannel
	}
	e, err := p.recorder(u, channel)
	if err != nil {
		return err
	}
	q := question{upper: u, theirs: ev.SN, asker: string(u.cfg.Code), channel: channel, in: ev.Range, filter: ev.Filter}
	if u.link.Caps.Has(CapParties) && ev.Asker != "" {
		q.asker = ev.Asker
	}
	p.inquire(e, q)
	return nil
}

// recordsAsked asks for a local user.
func (p *Processor) recordsAsked(ev RecordsAsked) {
	e, err := p.recorder(nil, ev.Channel)
	if err == nil && p.phase != phaseRunning {
		err = ErrGone
	}
	if err != nil {
		p.desk.do(Denied{ev.Ticket, err})
		return
	}
	p.inquire(e, question{ticket: ev.Ticket, asker: monitorOf(p.cfg.Self, ev.Ticket), channel: ev.Channel, in: ev.Range,
		filter: ev.Filter})
}

// inquire asks who has the recordings of a channel: its owner, and for an indistinct
// query our own archive, too. Where we are the owner that is one and the same.
func (p *Processor) inquire(e *entry, q question) {
	q.name = e.item.Name
	if e.owner == "" {
		p.find(find{question: q})
		return
	}
	a := p.forward(e, q)
	if q.filter.Indistinct {
		a.mine.state = mineAwaited
		p.find(find{q, a})
	}
}

func (p *Processor) find(f find) {
	tag := Tag(p.desk.number())
	p.asks.own[tag] = f
	p.desk.do(FindRecords{tag, f.channel, f.in})
}

func (p *Processor) forward(e *entry, q question) *ask {
	l := p.lowers[e.owner]
	a := &ask{question: q, sn: p.desk.serial(), peer: l, seen: make(map[recordKey]struct{}), at: p.desk.now.Add(recordWait)}
	a.alarm.owner = a
	p.asks.down[a.sn] = a
	fx := Query{Tag: p.desk.ask(askWait{a}), Peer: l.cfg.ref(), Kind: QueryRecords, SN: a.sn, Target: e.below,
		Range: q.in, Filter: q.filter}
	if l.link.Caps.Has(CapParties) {
		fx.Asker = q.asker
	}
	p.desk.do(fx)
	p.desk.set(&a.alarm, a.at)
	return a
}

// recordsRead passes on what our archive has.
func (p *Processor) recordsRead(ev RecordsRead) {
	f, ok := p.asks.own[ev.Tag]
	if !ok {
		return
	}
	delete(p.asks.own, ev.Tag)
	rows := f.filter.own(p.cfg.Self, ev.Records)
	if ev.Err != nil {
		p.desk.note(slog.LevelWarn, "archive query failed", slog.String("channel", string(f.channel)),
			slog.Any("err", ev.Err))
	}
	switch {
	case f.into != nil:
		if f.into.mine = (archived{mineIn, rows}); ev.Err != nil {
			f.into.mine = archived{state: mineFailed}
		}
		p.settle(f.into)
	case ev.Err != nil && len(rows) > 0: // of a volume that answers; that more is there, the total tells
		p.tell(f.question, p.cfg.Self, rows, len(rows)+1)
	case f.upper == nil && ev.Err != nil:
		p.desk.do(Denied{f.ticket, ev.Err})
	case ev.Err == nil: // no answer is better than a wrong "none"
		p.tell(f.question, p.cfg.Self, rows, len(rows))
	}
}

// tell answers a question with rows out of a total; owner is whose data manager they are of.
func (p *Processor) tell(q question, owner Code, rows []Recording, sum int) {
	if q.upper == nil {
		p.desk.do(RecordsFound{Ticket: q.ticket, Records: rows, Partial: len(rows) < sum, Owner: owner})
		return
	}
	fx := SendRecords{Tag: p.desk.ask(nobody{}), Peer: q.upper.cfg.ref(), SN: q.theirs, Channel: q.channel, Name: q.name,
		Sum: sum, Records: rows}
	if q.upper.link.Caps.Has(CapParties) {
		fx.Asker, fx.Owner = q.asker, owner
	}
	p.desk.do(fx)
}

// recordsIn takes a page from below, and passes it on at once unless more is to be
// merged with it.
func (p *Processor) recordsIn(ev RecordsIn) {
	l := p.callingLower(ev.Origin)
	if l == nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	p.desk.do(Reply{Ref: ev.Ref})
	p.stepLower(l, downHeard{})
	a := p.asks.down[ev.SN]
	if a == nil || a.peer != l || ev.Asker != "" && l.link.Caps.Has(CapParties) && ev.Asker != a.asker {
		return // QUERY-906: it is the answer to somebody else's
	}
	first := !a.paged
	fresh, last := a.page(&p.desk, ev)
	if a.upper == nil || a.mine.state != mineNone {
		a.rows = append(a.rows, fresh...)
	} else if len(fresh) > 0 || first {
		p.tell(a.question, a.owner, fresh, a.sum)
	}
	p.desk.set(&a.alarm, a.at)
	if last {
		p.settle(a)
	}
}

// settle ends a query once everything is in: all pages, and what our archive adds.
func (p *Processor) settle(a *ask) {
	if p.asks.down[a.sn] == a && a.whole() && a.mine.state != mineAwaited {
		p.endAsk(a, nil)
	}
}

// endAsk ends a query. What came is worth telling even if it is not all: an upper
// finds out by itself, from the total.
func (p *Processor) endAsk(a *ask, err error) {
	if p.asks.down[a.sn] != a {
		return
	}
	p.forget(a)
	if a.upper != nil && err != nil {
		p.desk.note(slog.LevelInfo, "record query ended early", slog.String("peer", string(a.peer.cfg.Code)),
			slog.String("channel", string(a.channel)), slog.Any("err", err))
	}
	switch {
	case !a.paged && a.upper == nil:
		p.desk.do(Denied{a.ticket, err})
	case !a.paged, a.upper != nil && a.mine.state == mineNone: // nothing, or passed on already
	default:
		p.answerAsk(a, err)
	}
}

// answerAsk answers with all that came. The total counts each recording once, and what
// was announced and did not come; if our own archive failed, nobody knows how many.
func (p *Processor) answerAsk(a *ask, err error) {
	rows := merged(a.mine.rows, a.rows)
	sum := len(rows) + max(a.sum-len(a.seen), 0)
	if sum == len(rows) && (err != nil || a.mine.state == mineFailed || a.mine.state == mineAwaited) {
		sum++
	}
	owner := a.owner
	if a.mine.state != mineNone {
		owner = p.cfg.Self
	}
	p.tell(a.question, owner, rows, sum)
}

// forget takes a query out of the hop table, with its part in our archive.
func (p *Processor) forget(a *ask) {
	delete(p.asks.down, a.sn)
	p.desk.set(&a.alarm)
	for tag, f := range p.asks.own {
		if f.into == a {
			delete(p.asks.own, tag)
		}
	}
}

func (a *ask) expired(p *Processor) { p.endAsk(a, refusedBy(a.peer.cfg.Code, Answered{})) }

type askWait struct{ a *ask }

// answered ends a query that was refused, or did not arrive: unless pages came.
func (w askWait) answered(p *Processor, ev Answered) {
	if ev.Status/100 != 2 && !w.a.paged {
		p.endAsk(w.a, refusedBy(w.a.peer.cfg.Code, ev))
	}
}

// dropAsksTo ends what was asked of a lower.
func (p *Processor) dropAsksTo(peer Code) {
	for _, a := range sorted(p.asks.down) {
		if a.peer.cfg.Code == peer {
			p.endAsk(a, fmt.Errorf("%s: %w", peer, ErrPeerOffline))
		}
	}
}

// dropAsksOf forgets what an upper asked.
func (p *Processor) dropAsksOf(u *upper) {
	for _, a := range sorted(p.asks.down) {
		if a.upper == u {
			p.forget(a)
		}
	}
	for tag, f := range p.asks.own {
		if f.upper == u {
			delete(p.asks.own, tag)
		}
	}
}

// dropAsks ends every query.
func (p *Processor) dropAsks() {
	for _, a := range sorted(p.asks.down) {
		p.endAsk(a, ErrGone)
	}
	for _, f := range sorted(p.asks.own) {
		if f.upper == nil {
			p.desk.do(Denied{f.ticket, ErrGone})
		}
	}
	clear(p.asks.own)
}
