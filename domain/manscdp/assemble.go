package manscdp

import (
	"strings"
	"time"
)

// An AssemblerConfig bounds how long and how much an answer in pages may be. Zero
// fields take the defaults, which are what slow platforms in the field need.
type AssemblerConfig struct {
	First time.Duration // until the first page; 0 means 120 s
	Idle  time.Duration // from one page to the next; 0 means 5 s
	Total time.Duration // for everything; 0 means 30 min
	Max   int           // items kept; 0 means 200 000
}

func (c AssemblerConfig) withDefaults() AssemblerConfig {
	if c.First <= 0 {
		c.First = 120 * time.Second
	}
	if c.Idle <= 0 {
		c.Idle = 5 * time.Second
	}
	if c.Total <= 0 {
		c.Total = 30 * time.Minute
	}
	if c.Max <= 0 {
		c.Max = 200000
	}
	return c
}

// An assembly collects the pages of one answer. The caller keeps one for each
// (peer, SN) and looks at Deadline itself: an assembly has no clock.
type assembly struct {
	config   AssemblerConfig
	seen     map[string]struct{} // what was delivered, once each
	want     int                 // largest SumNum claimed, −1 before the first page
	lost     int                 // items dropped from damaged pages
	full     bool                // Max reached
	latest   time.Time           // end of everything
	deadline time.Time
}

func newAssembly(cfg AssemblerConfig, now time.Time) assembly {
	cfg = cfg.withDefaults()
	return assembly{
		config: cfg, seen: map[string]struct{}{}, want: -1,
		latest: now.Add(cfg.Total), deadline: now.Add(min(cfg.First, cfg.Total)),
	}
}

// page notes that a page arrived. A page, even one seen before, shows that the
// sender is at work and moves the deadline.
func (a *assembly) page(now time.Time, sum int, d Damage) {
	a.want = max(a.want, sum)
	a.lost += d.Items
	a.deadline = now.Add(a.config.Idle)
	if a.deadline.After(a.latest) {
		a.deadline = a.latest
	}
}

// fresh reports whether key was not delivered before and may be kept.
func (a *assembly) fresh(key string) bool {
	if _, dup := a.seen[key]; dup {
		return false
	}
	if len(a.seen) >= a.config.Max {
		a.full = true
		return false
	}
	a.seen[key] = struct{}{}
	return true
}

// Want returns the number of items the peer claims to have, −1 before the first
// page. It is often wrong.
func (a *assembly) Want() int { return a.want }

// Complete reports whether as many different items arrived as were claimed.
func (a *assembly) Complete() bool { return a.want >= 0 && len(a.seen) >= a.want }

// Deadline returns when to stop waiting if no page arrives before. It slides with
// each page.
func (a *assembly) Deadline() time.Time { return a.deadline }

// Expired reports whether the deadline has passed.
func (a *assembly) Expired(now time.Time) bool { return !now.Before(a.deadline) }

// Partial reports whether what was collected may miss items: it is not complete,
// a damaged page lost some, or there were more than Max. A partial answer may add
// and update, never delete.
func (a *assembly) Partial() bool { return !a.Complete() || a.lost > 0 || a.full }

// A CatalogAssembler collects the pages of one answer to a CatalogQuery (2022
// Annex M). It is not safe for concurrent use: one goroutine owns it.
type CatalogAssembler struct {
	assembly
	items []Item
	index map[string]int // DeviceID to items
}

// NewCatalogAssembler returns an assembler for an answer asked for at now. Telling
// answers apart by peer and SN is the caller's part.
func NewCatalogAssembler(cfg AssemblerConfig, now time.Time) *CatalogAssembler {
	return &CatalogAssembler{assembly: newAssembly(cfg, now), index: map[string]int{}}
}

// Add takes a page that arrived at now and reports whether the answer is complete.
// A page sent twice counts once. A node listed twice with different parents becomes
// one with both, online if either is (2022 Annex H).
func (a *CatalogAssembler) Add(now time.Time, page *CatalogResponse) (complete bool) {
	a.page(now, page.SumNum, page.Damage)
	for i := range page.Items {
		item := &page.Items[i]
		if !a.fresh(item.DeviceID + "\x00" + item.ParentID) {
			continue
		}
		if at, known := a.index[item.DeviceID]; known {
			merge(&a.items[at], item)
			continue
		}
		a.index[item.DeviceID] = len(a.items)
		a.items = append(a.items, *item)
	}
	return a.Complete()
}

// maxParents bounds the ParentID list of a merged node, in bytes.
const maxParents = 1024

// merge adds another listing of the same node.
func merge(into, from *Item) {
	if from.Status == StatusOn {
		into.Status = StatusOn
	}
	have := "/" + into.ParentID + "/"
	for id := range strings.SplitSeq(from.ParentID, "/") {
		if id == "" || strings.Contains(have, "/"+id+"/") || len(into.ParentID)+len(id) > maxParents {
			continue
		}
		into.ParentID = strings.TrimPrefix(into.ParentID+"/"+id, "/")
	}
}

// Items returns the nodes collected so far, in order of arrival. The slice is the
// assembler's own until the last Add.
func (a *CatalogAssembler) Items() []Item { return a.items }

// A RecordAssembler collects the pages of one answer to a RecordInfoQuery (2022
// Annex M). It is not safe for concurrent use: one goroutine owns it.
type RecordAssembler struct {
	assembly
	records []Record
}

// NewRecordAssembler returns an assembler for an answer asked for at now. Telling
// answers apart by peer, DeviceID and SN is the caller's part.
func NewRecordAssembler(cfg AssemblerConfig, now time.Time) *RecordAssembler {
	return &RecordAssembler{assembly: newAssembly(cfg, now)}
}

// Add takes a page that arrived at now and reports whether the answer is complete.
// A record with the same start, end and file counts once.
func (a *RecordAssembler) Add(now time.Time, page *RecordInfoResponse) (complete bool) {
	a.page(now, page.SumNum, page.Damage)
	for i := range page.Records {
		r := &page.Records[i]
		if a.fresh(FormatTime(r.Start) + FormatTime(r.End) + r.FilePath) {
			a.records = append(a.records, *r)
		}
	}
	return a.Complete()
}

// Records returns the recordings collected so far, in order of arrival. The slice
// is the assembler's own until the last Add.
func (a *RecordAssembler) Records() []Record { return a.records }
