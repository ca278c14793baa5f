package storage

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// keepRecent is how much of the index the parent keeps in memory.
const keepRecent = 24 * time.Hour

// recent is the part of the index that the parent answers from itself: every
// segment that ended after since.
type recent struct {
	mu    sync.RWMutex
	since int64
	rows  map[string][]Segment // by channel, in order of start
}

func byStart(s Segment, start int64) int { return cmp.Compare(s.Start, start) }

// put adds s or replaces what was known of it.
func (r *recent) put(s Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.insert(s)
}

func (r *recent) insert(s Segment) {
	list := r.rows[s.Channel]
	i, found := slices.BinarySearchFunc(list, s.Start, byStart)
	if found {
		list[i] = s
		return
	}
	r.rows[s.Channel] = slices.Insert(list, i, s)
}

// remove forgets segments.
func (r *recent) remove(rows []Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range rows {
		list := r.rows[rows[i].Channel]
		if k, found := slices.BinarySearchFunc(list, rows[i].Start, byStart); found {
			r.rows[rows[i].Channel] = slices.Delete(list, k, k+1)
		}
	}
}

// trim forgets what ended before limit, but keeps one segment a channel before it.
func (r *recent) trim(limit int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limit <= r.since {
		return
	}
	r.since = limit
	for ch, list := range r.rows {
		n := 0
		for n+1 < len(list) && list[n+1].End < limit {
			n++
		}
		r.rows[ch] = slices.Delete(list, 0, n)
	}
}

// load replaces everything by rows, the index's answer for what ended after since,
// and by what the index does not have yet: fresh, and the segments still open.
func (r *recent) load(since int64, rows, fresh []Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.rows
	r.since, r.rows = since, map[string][]Segment{}
	for _, s := range rows {
		r.insert(s)
	}
	for _, s := range fresh {
		r.insert(s)
	}
	for _, list := range old {
		for _, s := range list {
			if s.Open() {
				r.keepOpen(s)
			}
		}
	}
}

// keepOpen keeps the state of an open segment unless the index knows its end.
func (r *recent) keepOpen(s Segment) {
	list := r.rows[s.Channel]
	if i, found := slices.BinarySearchFunc(list, s.Start, byStart); found && !list[i].Open() {
		return
	}
	r.insert(s)
}

// query returns copies of the segments of channel that reach into [from, to), the
// one before and the one after them. Complete says that there are no others.
func (r *recent) query(channel string, from, to int64) (rows []Segment, complete bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	before := -1
	for i, s := range r.rows[channel] {
		if s.Start >= to {
			rows = append(rows, s)
			break
		}
		if s.End <= from && s.Start < from {
			before = i
			continue
		}
		rows = append(rows, s)
	}
	if before >= 0 {
		rows = slices.Insert(rows, 0, r.rows[channel][before])
	}
	return rows, from >= r.since
}

// open returns the bytes and number of segments being written.
func (r *recent) open() (bytes int64, n int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, list := range r.rows {
		for i := max(len(list)-2, 0); i < len(list); i++ {
			if list[i].Open() {
				bytes += list[i].Bytes
				n++
			}
		}
	}
	return bytes, n
}

func (r *recent) channels() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.rows))
}

// last returns the wall clock at which a channel's footage ends; 0: there is none.
func (r *recent) last(channel string) int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if list := r.rows[channel]; len(list) > 0 {
		return list[len(list)-1].End
	}
	return 0
}
