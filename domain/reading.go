package domain

import (
	"log/slog"
	"maps"
	"slices"
	"time"
)

const (
	firstPage   = 120 * time.Second // a slow lower may take so long to begin
	nextPage    = 5 * time.Second   // between two pages
	saveDelay   = 5 * time.Second   // changes of a catalogue are made durable together
	maxItems    = 100_000           // of one lower
	maxLater    = 10_000            // changes told while its catalogue is read
	longestRead = 10 * time.Minute  // pause between two attempts, at most
)

type readState uint8

const (
	readIdle   readState = iota
	readWanted           // at the instant in at
	readAsked            // no page yet
	readPaging           // some pages are in
)

// A reading is a lower's catalogue coming in, page by page. Pages come twice, out
// of order, or not at all, and the total may be wrong: it is complete when as many
// different items as announced are in, and what is not complete only ever adds.
type reading struct {
	state    readState
	at       time.Time // when to ask, or to give up waiting
	asked    time.Time // last
	run      string    // of the lower; see RegisterIn
	sn       int
	sum      int
	set      map[NodeID]Item
	later    []CatalogIn // changes that came meanwhile: they are newer than the pages
	failures int
}

// want asks for the catalogue at an instant, unless that is under way.
func (r *reading) want(at time.Time) {
	if r.state == readIdle || r.state == readWanted && at.Before(r.at) {
		r.state, r.at = readWanted, at
	}
}

// anew asks for the catalogue at an instant, whatever is under way: it was asked of
// a run of the lower that has ended.
func (r *reading) anew(at time.Time) {
	*r = reading{state: readWanted, at: at, asked: r.asked, run: r.run}
}

// begin waits for the pages of a query with serial number sn.
func (r *reading) begin(d *desk, sn int) {
	*r = reading{state: readAsked, sn: sn, asked: d.now, run: r.run, at: d.now.Add(firstPage),
		set: make(map[NodeID]Item), failures: r.failures}
}

// page adds a page and reports whether the catalogue is complete.
func (r *reading) page(d *desk, ev CatalogIn) bool {
	if r.state != readAsked && r.state != readPaging || ev.SN != r.sn {
		return false
	}
	if r.state == readAsked {
		r.sum = ev.Sum
	}
	r.state, r.at = readPaging, d.now.Add(nextPage)
	for _, it := range ev.Items {
		if _, known := r.set[it.ID]; known || len(r.set) < maxItems {
			it.Below = ""
			r.set[it.ID] = it
		}
	}
	counted := r.sum > 0 || len(r.set) == 0 // a total of 0 beside items is no total
	return counted && len(r.set) >= min(r.sum, maxItems)
}

// late reports whether ev belongs to the last catalogue, which was complete: some
// lowers tell the number of pages for the total.
func (r *reading) late(ev CatalogIn) bool {
	return r.sn != 0 && ev.SN == r.sn && (r.state == readIdle || r.state == readWanted)
}

// end returns what came, in order, and rests.
func (r *reading) end(complete bool, d *desk) ([]Item, []CatalogIn) {
	items := make([]Item, 0, len(r.set))
	for _, id := range slices.Sorted(maps.Keys(r.set)) {
		items = append(items, r.set[id])
	}
	later := r.later
	if *r = (reading{asked: r.asked, run: r.run, sn: r.sn, failures: r.failures + 1}); complete {
		r.failures = 0
		return items, later
	}
	r.want(d.now.Add(min(30*time.Second<<min(r.failures-1, 10), longestRead) + d.jitter(firstPage/8)))
	return items, later
}

func (r *reading) stop(*desk) { *r = reading{asked: r.asked} }

// readDue does what is due with a lower's catalogue.
func (p *Processor) readDue(l *lower) {
	d := &p.desk
	if d.past(l.saveAt) {
		l.saveAt = time.Time{}
		d.do(SaveCatalog{l.cfg.Code, p.cat.saved(l.cfg.Code)})
	}
	if d.past(l.read.at) {
		switch l.read.state {
		case readWanted:
			l.read.begin(d, d.serial())
			d.do(Query{Tag: d.ask(readWait{l, l.read.sn}), Peer: l.cfg.ref(), Kind: QueryCatalog,
				SN: l.read.sn, Target: NodeID(l.cfg.Code)})
		case readAsked, readPaging:
			p.commit(l, false)
		}
	}
	l.arm(d)
}

// commit takes over the catalogue that was read.
func (p *Processor) commit(l *lower, complete bool) {
	items, later := l.read.end(complete, &p.desk)
	if complete {
		l.link.Catalog = p.desk.now
	}
	p.cat.learn(l.cfg.Code, items, complete)
	for _, ev := range later {
		p.cat.change(l.cfg.Code, ev)
	}
	p.learned(l)
	p.desk.note(slog.LevelInfo, "catalogue read", slog.String("peer", string(l.cfg.Code)),
		slog.Int("items", len(items)), slog.Bool("complete", complete))
	if complete || len(items) > 0 {
		p.followNow(l)
	}
}

// learned follows up on changes of what a lower has.
func (p *Processor) learned(l *lower) {
	l.link.Channels = p.cat.channels(l.cfg.Code)
	if l.saveAt.IsZero() {
		l.saveAt = p.desk.now.Add(saveDelay)
	}
	p.cat.report(&p.desk)
	l.arm(&p.desk)
}

// catalogIn takes a page or changes of a lower's catalogue. Every page of a
// known lower is answered 200, even when we never asked: else it stops.
func (p *Processor) catalogIn(ev CatalogIn) {
	l := p.callingLower(ev.Origin)
	if l == nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	p.desk.do(Reply{Ref: ev.Ref})
	switch {
	case ev.Notify:
		if l.read.state == readAsked || l.read.state == readPaging {
			l.read.later = append(l.read.later, ev)[:min(len(l.read.later)+1, maxLater)]
		}
		p.cat.change(l.cfg.Code, ev)
		p.learned(l)
	case l.read.page(&p.desk, ev):
		p.commit(l, true)
	case l.read.late(ev) && len(ev.Items) > 0:
		p.cat.learn(l.cfg.Code, ev.Items, false)
		p.learned(l)
	}
	p.stepLower(l, downHeard{})
}

// readWait hears the answer to the query with its serial number. Silence counts
// only if no page came either.
type readWait struct {
	l  *lower
	sn int
}

func (w readWait) answered(p *Processor, ev Answered) {
	if r := &w.l.read; ev.Status/100 != 2 && r.state == readAsked && r.sn == w.sn {
		p.commit(w.l, false)
	}
}

// askInfo asks a lower that came online what it is.
func (p *Processor) askInfo(l *lower) {
	p.desk.do(Query{Tag: p.desk.ask(nobody{}), Peer: l.cfg.ref(), Kind: QueryDeviceInfo,
		SN: p.desk.serial(), Target: NodeID(l.cfg.Code)})
}

func (p *Processor) infoIn(ev DeviceInfoIn) {
	l := p.callingLower(ev.Origin)
	if l == nil {
		p.desk.do(Reply{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	p.desk.do(Reply{Ref: ev.Ref})
	if ev.Info.ID == "" || ev.Info.ID == NodeID(l.cfg.Code) {
		l.info = ev.Info
		if l.link.Name == "" {
			l.link.Name = ev.Info.Name
		}
	}
	p.stepLower(l, downHeard{})
}
