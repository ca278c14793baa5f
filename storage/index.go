package storage

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// An index is all of a volume's index files. It lives in the volume's child
// process, on one goroutine.
type index struct {
	hello
	months map[string]*month
	marked []Segment       // marked for deletion, not yet purged
	onDisk map[string]bool // months that had footage when the index was opened
	log    *slog.Logger
}

const (
	queryPage = 2000            // rows in an answer
	lookback  = 5 * time.Minute // a segment is never longer, so those that reach into a range start at most so long before it
)

// openIndex opens every index file. Those that are damaged are set aside; recovery
// makes new ones.
func openIndex(h hello, log *slog.Logger) (*index, error) {
	x := &index{hello: h, months: map[string]*month{}, onDisk: map[string]bool{}, log: log}
	if err := makeDirs(h.dir, x.path("")); err != nil {
		return nil, err
	}
	parts, err := x.listParts()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if err := x.openMonth(name, parts[name]); errors.Is(err, ErrCorrupt) {
			x.log.Error("index set aside", "month", name, "err", err)
			err = x.setAside(name, parts[name])
			if err != nil {
				return nil, err
			}
		} else if err != nil {
			return nil, err
		}
	}
	return x, x.loadMarked()
}

func (x *index) path(file string) string { return filepath.Join(x.dir, indexDir, file) }

// listParts returns how many parts each month has.
func (x *index) listParts() (map[string]int, error) {
	entries, err := os.ReadDir(x.path(""))
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	parts := map[string]int{}
	for _, e := range entries {
		if m, n, ok := parsePart(e.Name()); ok {
			parts[m] = max(parts[m], n)
		}
	}
	return parts, nil
}

func (x *index) openMonth(name string, parts int) error {
	m := &month{name: name, complete: true}
	for n := 1; n <= parts; n++ {
		db, complete, err := openPart(x.path(partName(name, n)), name, x.volume)
		if err != nil {
			_ = m.close()
			return err
		}
		m.parts = append(m.parts, db)
		m.complete = m.complete && complete
	}
	x.months[name] = m
	return nil
}

// setAside renames a month's files, so that nobody opens them again but somebody
// may look at them. Only the latest of a month is kept.
func (x *index) setAside(name string, parts int) error {
	x.onDisk[name] = true
	if m := x.months[name]; m != nil {
		parts = len(m.parts)
		_ = m.close()
		delete(x.months, name)
	}
	for n := 1; n <= parts; n++ {
		file := x.path(partName(name, n))
		os.Remove(stateName(file))
		if err := os.Rename(file, file+".damaged"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set index aside: %w", err)
		}
	}
	return syncDir(x.path(""))
}

// part returns the database that the row of s belongs to: the one that has it, or
// the month's last, continued in a new file when it has grown to the limit.
func (x *index) part(s *Segment) (*bolt.DB, error) {
	name := monthOf(s.Start)
	m := x.months[name]
	if m == nil {
		if err := x.addPart(name, 1, !x.onDisk[name]); err != nil {
			return nil, err
		}
		m = x.months[name]
	}
	for _, db := range m.parts[:len(m.parts)-1] {
		if has(db, s) {
			return db, nil
		}
	}
	last := m.parts[len(m.parts)-1]
	if size(last) < x.indexBytes || has(last, s) {
		return last, nil
	}
	if err := x.addPart(name, len(m.parts)+1, m.complete); err != nil {
		return nil, err
	}
	return m.parts[len(m.parts)-1], nil
}

func (x *index) addPart(name string, n int, complete bool) error {
	file := x.path(partName(name, n))
	if err := createPart(file, name, x.volume, complete); err != nil {
		return err
	}
	db, _, err := openPart(file, name, x.volume)
	if err != nil {
		return err
	}
	m := x.months[name]
	if m == nil {
		m = &month{name: name, complete: complete}
		x.months[name] = m
	}
	m.parts = append(m.parts, db)
	return nil
}

func has(db *bolt.DB, s *Segment) (ok bool) {
	_ = db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(rowsBucket).Bucket([]byte(s.Channel))
		ok = b != nil && b.Get(rowKey(s.Start)) != nil
		return nil
	})
	return ok
}

func size(db *bolt.DB) (n int64) {
	_ = db.View(func(tx *bolt.Tx) error { n = tx.Size(); return nil })
	return n
}

// put stores rows, durably, one transaction a file.
func (x *index) put(rows []Segment) error { return x.update(rows, putRow) }

// remove removes rows.
func (x *index) remove(rows []Segment) error { return x.update(rows, deleteRow) }

func (x *index) update(rows []Segment, do func(*bolt.Tx, *Segment) error) error {
	byPart := map[*bolt.DB][]*Segment{}
	for i := range rows {
		db, err := x.part(&rows[i])
		if err != nil {
			return err
		}
		byPart[db] = append(byPart[db], &rows[i])
	}
	for db, list := range byPart {
		err := db.Update(func(tx *bolt.Tx) error {
			for _, s := range list {
				if err := do(tx, s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("update index: %w", full(err))
		}
	}
	return nil
}

// each calls f with the rows of channel that start in [from, to), month by month,
// in order of start within each file, until f returns false. Rows that fail their
// checksum make the month [ErrCorrupt].
func (x *index) each(channel string, from, to int64, f func(Segment) bool) error {
	first, last := monthOf(max(from, 0)), monthOf(max(to-1, 0))
	stopped := false
	visit := func(s Segment) bool {
		stopped = !f(s)
		return !stopped
	}
	for _, name := range slices.Sorted(maps.Keys(x.months)) {
		if name < first || name > last {
			continue
		}
		for _, db := range x.months[name].parts {
			if err := eachRow(db, rowSpan{channel, from, to}, visit); err != nil || stopped {
				return inMonth(name, err)
			}
		}
	}
	return nil
}

func inMonth(name string, err error) error {
	if err == nil {
		return nil
	}
	return &monthError{name, err}
}

// A monthError tells which month's files are damaged.
type monthError struct {
	month string
	err   error
}

func (e *monthError) Error() string { return "index of " + e.month + ": " + e.err.Error() }
func (e *monthError) Unwrap() error { return e.err }

// A rowSpan is the rows of a channel that start in [from, to).
type rowSpan struct {
	channel  string
	from, to int64
}

// eachRow calls f for the rows of in, in order, until it returns false.
func eachRow(db *bolt.DB, in rowSpan, f func(Segment) bool) error {
	return db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(rowsBucket).Bucket([]byte(in.channel))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek(rowKey(max(in.from, 0))); k != nil; k, v = c.Next() {
			s, err := parseRow(in.channel, k, v)
			if err != nil {
				return err
			}
			if s.Start >= in.to || !f(s) {
				return nil
			}
		}
		return nil
	})
}

// query answers q: at most a page; more says that there are further rows.
func (x *index) query(q query) (rows []Segment, more bool, err error) {
	low := q.from - int64(lookback)
	if q.after > 0 {
		low = q.after + 1
	}
	collect := func(s Segment) bool {
		if s.Flags&segmentDeleted == 0 && (s.End > q.from || s.Start >= q.from) {
			rows = append(rows, s)
		}
		return len(rows) <= queryPage*2
	}
	if err := x.each(q.channel, low, q.to, collect); err != nil {
		return nil, false, err
	}
	slices.SortFunc(rows, func(a, b Segment) int { return cmp.Compare(a.Start, b.Start) })
	if len(rows) > queryPage {
		return rows[:queryPage], true, nil
	}
	next, err := x.after(q.channel, q.to)
	if err != nil {
		return nil, false, err
	}
	rows = append(rows, next...)
	if q.after > 0 {
		return rows, false, nil
	}
	before, err := x.before(q.channel, q.from)
	if err != nil || before == nil || len(rows) > 0 && before.Start >= rows[0].Start {
		return rows, false, err
	}
	return slices.Insert(rows, 0, *before), false, nil
}

// after returns the first segment of channel that starts at at or later, if any.
func (x *index) after(channel string, at int64) (found []Segment, err error) {
	err = x.each(channel, at, 1<<62, func(s Segment) bool {
		if s.Flags&segmentDeleted == 0 {
			found = append(found, s)
		}
		return len(found) == 0
	})
	return found, err
}

// before returns the last segment of channel that ended by at, or nil.
func (x *index) before(channel string, at int64) (*Segment, error) {
	names := slices.Sorted(maps.Keys(x.months))
	for _, name := range slices.Backward(names) {
		if name > monthOf(max(at, 0)) {
			continue
		}
		var best *Segment
		for _, db := range x.months[name].parts {
			s, err := lastBefore(db, channel, at)
			if err != nil {
				return nil, &monthError{name, err}
			}
			if s != nil && (best == nil || s.Start > best.Start) {
				best = s
			}
		}
		if best != nil {
			return best, nil
		}
	}
	return nil, nil
}

func lastBefore(db *bolt.DB, channel string, at int64) (found *Segment, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(rowsBucket).Bucket([]byte(channel))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		k, v := c.Last()
		if next, _ := c.Seek(rowKey(max(at, 0))); next != nil {
			k, v = c.Prev()
		}
		for ; k != nil; k, v = c.Prev() {
			s, err := parseRow(channel, k, v)
			if err != nil {
				return err
			}
			if s.End <= at && s.Flags&segmentDeleted == 0 {
				found = &s
				return nil
			}
		}
		return nil
	})
	return found, err
}

// close closes everything in order.
func (x *index) close() error {
	var err error
	for _, m := range x.months {
		err = errors.Join(err, m.close())
	}
	return err
}
