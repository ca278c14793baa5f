package storage

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// purgeBatch is how many files one request removes: little enough for a slow disk
// to do within the request's deadline.
const purgeBatch = 16

// channels returns every channel that has rows.
func (x *index) channels() []string {
	set := map[string]bool{}
	for _, m := range x.months {
		for _, db := range m.parts {
			_ = db.View(func(tx *bolt.Tx) error {
				return tx.Bucket(rowsBucket).ForEachBucket(func(k []byte) error { set[string(k)] = true; return nil })
			})
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// loadMarked finds the rows that were marked for deletion but not purged. They are
// the first of their channels, since the oldest go first.
func (x *index) loadMarked() error {
	x.marked = nil
	for _, ch := range x.channels() {
		for _, m := range x.months {
			if err := x.loadMarkedOf(ch, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadMarkedOf finds those of one channel and month.
func (x *index) loadMarkedOf(ch string, m *month) error {
	for _, db := range m.parts {
		err := eachRow(db, rowSpan{channel: ch, to: 1 << 62}, func(s Segment) bool {
			deleted := s.Flags&segmentDeleted != 0
			if deleted {
				x.marked = append(x.marked, s)
			}
			return deleted
		})
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
	}
	return nil
}

// mark marks segments for deletion and returns them: the files are still there, the
// queries no longer see them.
func (x *index) mark(e expiry) ([]Segment, error) {
	for _, name := range slices.Sorted(maps.Keys(x.months)) {
		old, err := x.oldest(name, int(min(e.limit, purgeBatch)))
		if err != nil {
			return nil, err
		}
		if chosen := choose(old, e); len(chosen) > 0 {
			for i := range chosen {
				chosen[i].Flags |= segmentDeleted
			}
			x.marked = append(x.marked, chosen...)
			return chosen, x.put(chosen)
		}
	}
	return nil, nil
}

// oldest returns the first n finished segments of each channel in a month, oldest
// first.
func (x *index) oldest(name string, n int) ([]Segment, error) {
	var out []Segment
	for _, ch := range x.channels() {
		for _, db := range x.months[name].parts {
			found := 0
			err := eachRow(db, rowSpan{channel: ch, to: 1 << 62}, func(s Segment) bool {
				if s.Flags&(SegmentOpen|segmentDeleted) == 0 {
					out = append(out, s)
					found++
				}
				return found < n
			})
			if err != nil {
				return nil, &monthError{name, err}
			}
		}
	}
	slices.SortFunc(out, func(a, b Segment) int { return cmp.Compare(a.Start, b.Start) })
	return out, nil
}

// choose returns those of old that must go.
func choose(old []Segment, e expiry) []Segment {
	var out []Segment
	bytes := e.bytes
	for _, s := range old {
		if len(out) == int(min(e.limit, purgeBatch)) {
			break
		}
		if s.End >= e.cutoffOf(s.Channel) && bytes <= 0 {
			continue
		}
		bytes -= s.Bytes
		out = append(out, s)
	}
	return out
}

// purge removes the files of segments that are marked, then their rows.
func (x *index) purge() (more bool, err error) {
	batch := x.marked[:min(len(x.marked), purgeBatch)]
	dirs := map[string]bool{}
	for i := range batch {
		name := filepath.Join(x.dir, batch[i].Path())
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("delete segment: %w", err)
		}
		dirs[filepath.Dir(name)] = true
	}
	for dir := range dirs {
		if os.Remove(dir) == nil { // only if it is empty
			dir = filepath.Dir(dir)
		}
		if err := syncDir(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
	}
	if err := x.remove(batch); err != nil {
		return false, err
	}
	x.marked = slices.Delete(x.marked, 0, len(batch))
	return len(x.marked) > 0, x.dropEmpty()
}

// dropEmpty removes the files of past months that have no row left.
func (x *index) dropEmpty() error {
	names := slices.Sorted(maps.Keys(x.months))
	for _, name := range names[:max(len(names)-1, 0)] {
		if _, n := x.months[name].totals(); n > 0 || !x.months[name].complete {
			continue
		}
		parts := len(x.months[name].parts)
		if err := x.months[name].close(); err != nil {
			return err
		}
		delete(x.months, name)
		for n := parts; n >= 1; n-- {
			os.Remove(x.path(partName(name, n)))
		}
	}
	return nil
}

// totals returns the bytes and number of a month's segments.
func (m *month) totals() (bytes, segments int64) {
	for _, db := range m.parts {
		_ = db.View(func(tx *bolt.Tx) error {
			return tx.Bucket(totalsBucket).ForEach(func(_, v []byte) error {
				t := readTotal(v)
				bytes += t.bytes
				segments += t.segments
				return nil
			})
		})
	}
	return bytes, segments
}

// indexStats are what the child knows of the volume.
type indexStats struct {
	bytes, segments int64
	free, space     int64 // of the file system
	oldest          int64 // start of the first segment; 0: none
	held            int64 // bytes of memory of the child's own: see heldMemory
	channels        []string
}

func (x *index) stats() (indexStats, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(x.dir, &fs); err != nil {
		return indexStats{}, fmt.Errorf("look at volume: %w", err)
	}
	s := indexStats{free: int64(fs.Bavail) * int64(fs.Bsize), space: int64(fs.Blocks) * int64(fs.Bsize), held: heldMemory(), channels: x.channels()}
	for _, name := range slices.Sorted(maps.Keys(x.months)) {
		b, n := x.months[name].totals()
		s.bytes += b
		s.segments += n
		if s.oldest == 0 && n > 0 {
			old, err := x.oldest(name, 1)
			if err != nil {
				return s, err
			}
			if len(old) > 0 {
				s.oldest = old[0].Start
			}
		}
	}
	return s, nil
}
