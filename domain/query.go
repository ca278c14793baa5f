package domain

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	recordWait = 10 * time.Second // from page to page: it slides
	mostAsks   = 256              // record queries under way
	mostRows   = 100_000          // recordings of one query
)

// An ask is a query for recordings that we sent down, for an upper or a local user
// (QUERY-901 to 906). It is found again by our serial number: the hop table.
type ask struct {
	sn      int
	peer    Code // the lower that was asked
	channel Code // our id
	name    string

	upper  *upper // nil: a local user
	theirs int    // the upper's serial number
	ticket Ticket

	paged bool
	sum   int // of the first page
	seen  map[recordKey]struct{}
	rows  []Recording // for a local user
	at    time.Time
	alarm alarm
}

// A recordKey tells recordings apart; pages come twice.
type recordKey struct {
	from, to int64
	path     string
}

func keyOf(r Recording) recordKey {
	return recordKey{r.Range.From.UnixNano(), r.Range.To.UnixNano(), r.Path}
}

// page takes one page and returns what is new in it, and whether it was the last.
func (a *ask) page(d *desk, ev RecordsIn) (fresh []Recording, last bool) {
	if !a.paged {
		a.paged, a.sum = true, max(ev.Sum, 0)
	}
	for _, row := range ev.Records {
		if _, known := a.seen[keyOf(row)]; known || len(a.seen) >= mostRows {
			continue
		}
		a.seen[keyOf(row)] = struct{}{}
		row.Channel = a.channel
		fresh = append(fresh, row)
	}
	a.at = d.now.Add(recordWait)
	return fresh, len(a.seen) >= min(a.sum, mostRows)
}

// A find is a question to our own archive.
type find struct {
	upper   *upper // nil: a local user
	sn      int
	channel Code
	name    string
	ticket  Ticket
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
	if e.owner == "" {
		p.find(find{upper: u, sn: ev.SN, channel: channel, name: e.item.Name}, ev.Range)
		return nil
	}
	p.forward(e, &ask{upper: u, theirs: ev.SN}, ev.Range)
	return nil
}

func (p *Processor) find(f find, in Range) {
	tag := Tag(p.desk.number())
	p.asks.own[tag] = f
	p.desk.do(FindRecords{tag, f.channel, in})
}

func (p *Processor) forward(e *entry, a *ask, in Range) {
	a.sn, a.peer, a.channel, a.name = p.desk.serial(), e.owner, Code(e.id), e.item.Name
	a.seen, a.at = make(map[recordKey]struct{}), p.desk.now.Add(recordWait)
	a.alarm.owner = a
	p.asks.down[a.sn] = a
	p.desk.do(Query{Tag: p.desk.ask(askWait{a}), Peer: p.lowers[e.owner].cfg.ref(), Kind: QueryRecords, SN: a.sn,
		Target: e.below, Range: in})
	p.desk.set(&a.alarm, a.at)
}

// recordsAsked asks for a local user.
func (p *Processor) recordsAsked(ev RecordsAsked) {
	e, err := p.recorder(nil, ev.Channel)
	if err == nil && p.phase != phaseRunning {
		err = ErrGone
	}
	switch {
	case err != nil:
		p.desk.do(Denied{ev.Ticket, err})
	case e.owner == "":
		p.find(find{channel: ev.Channel, name: e.item.Name, ticket: ev.Ticket}, ev.Range)
	default:
		p.forward(e, &ask{ticket: ev.Ticket}, ev.Range)
	}
}

// recordsRead passes on what our archive has.
func (p *Processor) recordsRead(ev RecordsRead) {
	f, ok := p.asks.own[ev.Tag]
	if !ok {
		return
	}
	delete(p.asks.own, ev.Tag)
	switch {
	case f.upper == nil && ev.Err != nil:
		p.desk.do(Denied{f.ticket, ev.Err})
	case f.upper == nil:
		p.desk.do(RecordsFound{Ticket: f.ticket, Records: ev.Records})
	case ev.Err != nil: // no answer is better than a wrong "none"
		p.desk.note(slog.LevelWarn, "archive query failed", slog.String("channel", string(f.channel)),
			slog.Any("err", ev.Err))
	default:
		p.desk.do(SendRecords{p.desk.ask(nobody{}), f.upper.cfg.ref(), f.sn, f.channel, f.name,
			len(ev.Records), ev.Records})
	}
}

// recordsIn takes a page from below, and passes it on at once.
func (p *Processor) recordsIn(ev RecordsIn) {
	l := p.callingLower(ev.Origin)
	if l == nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	p.desk.do(Reply{Ref: ev.Ref})
	p.stepLower(l, downHeard{})
	a := p.asks.down[ev.SN]
	if a == nil || a.peer != l.cfg.Code {
		return
	}
	first := !a.paged
	fresh, last := a.page(&p.desk, ev)
	if a.upper == nil {
		a.rows = append(a.rows, fresh...)
	} else if len(fresh) > 0 || first {
		p.desk.do(SendRecords{p.desk.ask(nobody{}), a.upper.cfg.ref(), a.theirs, a.channel, a.name, a.sum, fresh})
	}
	if last {
		p.endAsk(a, nil)
		return
	}
	p.desk.set(&a.alarm, a.at)
}

// endAsk ends a query. What came is worth telling even if it is not all; an upper
// finds out by itself, from the total.
func (p *Processor) endAsk(a *ask, err error) {
	if p.asks.down[a.sn] != a {
		return
	}
	delete(p.asks.down, a.sn)
	p.desk.set(&a.alarm)
	switch {
	case a.upper != nil && err != nil:
		p.desk.note(slog.LevelInfo, "record query ended early", slog.String("peer", string(a.peer)),
			slog.String("channel", string(a.channel)), slog.Any("err", err))
	case a.upper != nil:
	case a.paged:
		slices.SortStableFunc(a.rows, func(x, y Recording) int { return x.Range.From.Compare(y.Range.From) })
		p.desk.do(RecordsFound{Ticket: a.ticket, Records: a.rows, Partial: err != nil})
	default:
		p.desk.do(Denied{a.ticket, err})
	}
}

func (a *ask) expired(p *Processor) { p.endAsk(a, refusedBy(a.peer, Answered{})) }

type askWait struct{ a *ask }

// answered ends a query that was refused, or did not arrive: unless pages came.
func (w askWait) answered(p *Processor, ev Answered) {
	if ev.Status/100 != 2 && !w.a.paged {
		p.endAsk(w.a, refusedBy(w.a.peer, ev))
	}
}

// dropAsksTo ends what was asked of a lower.
func (p *Processor) dropAsksTo(peer Code) {
	for _, a := range sorted(p.asks.down) {
		if a.peer == peer {
			p.endAsk(a, fmt.Errorf("%s: %w", peer, ErrPeerOffline))
		}
	}
}

// dropAsksOf forgets what an upper asked.
func (p *Processor) dropAsksOf(u *upper) {
	for _, a := range sorted(p.asks.down) {
		if a.upper == u {
			p.endAsk(a, ErrGone)
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
