package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The buckets of an index file: what it is, bytes and segments per channel, and
// below rows one bucket a channel.
var (
	metaBucket   = []byte("meta")
	totalsBucket = []byte("totals")
	rowsBucket   = []byte("rows")
	formatKey    = []byte("format")
	volumeKey    = []byte("volume")
	monthKey     = []byte("month")
	completeKey  = []byte("complete")
)

// A month is the index of the segments that start in one month (UTC): one file,
// and a further one each time the last has grown to its limit.
type month struct {
	name     string
	parts    []*bolt.DB
	complete bool // everything on disk of this month is in it
}

// partName names part n (from 1) of a month.
func partName(month string, n int) string {
	if n == 1 {
		return month + ".db"
	}
	return month + "-" + strconv.Itoa(n) + ".db"
}

// parsePart reads what partName writes.
func parsePart(file string) (month string, n int, ok bool) {
	stem, ok := strings.CutSuffix(file, ".db")
	if !ok || len(stem) < len(monthLayout) {
		return "", 0, false
	}
	month, rest := stem[:len(monthLayout)], stem[len(monthLayout):]
	if _, err := time.Parse(monthLayout, month); err != nil {
		return "", 0, false
	}
	if rest == "" {
		return month, 1, true
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
	return month, n, err == nil && n > 1 && rest == "-"+strconv.Itoa(n)
}

func boltOptions() *bolt.Options {
	return &bolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bolt.FreelistMapType}
}

// The state file beside an index file tells the next process how the last one left
// it: absent = closed; "open" = it ended while the file was open; "opening" = it
// ended while opening it, which damage can do: that file is not opened again.
func stateName(file string) string { return file + ".state" }

// openPart opens an index file and checks that it is what it should be. A file that
// is damaged, or that a process died of, is [ErrCorrupt].
func openPart(file, month string, volume VolumeID) (db *bolt.DB, complete bool, err error) {
	last, _ := os.ReadFile(stateName(file))
	if string(last) == "opening" {
		return nil, false, fmt.Errorf("opening %s ended the process: %w", filepath.Base(file), ErrCorrupt)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 { // bbolt would make it a new, empty one
		return nil, false, fmt.Errorf("%s is empty: %w", filepath.Base(file), ErrCorrupt)
	}
	if err := os.WriteFile(stateName(file), []byte("opening"), 0o640); err != nil {
		return nil, false, fmt.Errorf("open index: %w", full(err))
	}
	err = guard(func() error {
		if db, err = bolt.Open(file, 0o640, boltOptions()); err != nil {
			return err
		}
		return db.View(func(tx *bolt.Tx) error {
			complete, err = checkPart(tx, month, volume, len(last) > 0)
			return err
		})
	})
	if err != nil {
		if db != nil {
			_ = guard(db.Close)
		}
		return nil, false, openFailed(file, string(last), err)
	}
	return db, complete, os.WriteFile(stateName(file), []byte("open"), 0o640)
}

// openFailed tells damage from what may be different next time (another process
// still has the file, the disk does not answer); then the state goes back to last.
func openFailed(file, last string, err error) error {
	var errno syscall.Errno
	if !errors.Is(err, berrors.ErrTimeout) && !errors.As(err, &errno) {
		return fmt.Errorf("open index %s: %w", filepath.Base(file), errors.Join(ErrCorrupt, err))
	}
	if last == "" {
		os.Remove(stateName(file))
	} else if e := os.WriteFile(stateName(file), []byte(last), 0o640); e != nil {
		err = errors.Join(err, e)
	}
	return fmt.Errorf("open index %s: %w", filepath.Base(file), err)
}

func checkPart(tx *bolt.Tx, month string, volume VolumeID, thorough bool) (complete bool, err error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil || tx.Bucket(rowsBucket) == nil || tx.Bucket(totalsBucket) == nil {
		return false, &SyntaxError{0, "an index's buckets"}
	}
	if f := meta.Get(formatKey); len(f) != 1 || f[0] != formatVersion {
		return false, &SyntaxError{0, "index format 1"}
	}
	if string(meta.Get(volumeKey)) != string(volume[:]) || string(meta.Get(monthKey)) != month {
		return false, &SyntaxError{0, "the index of this volume and month"}
	}
	if thorough {
		for e := range tx.Check() {
			err = errors.Join(err, e)
		}
	}
	return len(meta.Get(completeKey)) > 0, err
}

// createPart makes an index file under a temporary name and moves it into place,
// so that it exists whole or not at all.
func createPart(file, month string, volume VolumeID, complete bool) error {
	tmp := file + ".tmp"
	os.Remove(tmp)
	db, err := bolt.Open(tmp, 0o640, boltOptions())
	if err != nil {
		return fmt.Errorf("create index: %w", full(err))
	}
	err = db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		_, err1 := tx.CreateBucket(rowsBucket)
		_, err2 := tx.CreateBucket(totalsBucket)
		if err = errors.Join(err, err1, err2); err != nil {
			return err
		}
		if complete {
			err = meta.Put(completeKey, []byte{1})
		}
		return errors.Join(err, meta.Put(formatKey, []byte{formatVersion}),
			meta.Put(volumeKey, volume[:]), meta.Put(monthKey, []byte(month)))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("create index: %w", full(err))
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("create index: %w", err)
	}
	return syncDir(filepath.Dir(file))
}

// close closes every part; the files are marked as left in order.
func (m *month) close() error {
	var err error
	for _, db := range m.parts {
		path := db.Path()
		if e := guard(db.Close); e != nil {
			err = errors.Join(err, e)
			continue
		}
		os.Remove(stateName(path))
	}
	m.parts = nil
	return err
}

// markComplete notes that the month needs no further recovery.
func (m *month) markComplete() error {
	if m.complete {
		return nil
	}
	for _, db := range m.parts {
		err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(completeKey, []byte{1}) })
		if err != nil {
			return fmt.Errorf("complete index: %w", full(err))
		}
	}
	m.complete = true
	return nil
}

// guard runs f and turns its panics, a memory fault included, into [ErrCorrupt].
// The goroutine must have called debug.SetPanicOnFault(true).
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v: %w", p, ErrCorrupt)
		}
	}()
	return f()
}

// total is the sum kept of one channel in one file.
type total struct {
	bytes    int64
	segments int64
}

func readTotal(b []byte) total {
	if len(b) != 16 {
		return total{}
	}
	return total{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}
}

// addTotal changes the sum of channel.
func addTotal(tx *bolt.Tx, channel string, bytes, segments int64) error {
	b := tx.Bucket(totalsBucket)
	t := readTotal(b.Get([]byte(channel)))
	v := binary.BigEndian.AppendUint64(nil, uint64(max(t.bytes+bytes, 0)))
	v = binary.BigEndian.AppendUint64(v, uint64(max(t.segments+segments, 0)))
	return b.Put([]byte(channel), v)
}

// putRow stores s. A row that is marked for deletion stays marked.
func putRow(tx *bolt.Tx, s *Segment) error {
	b, err := tx.Bucket(rowsBucket).CreateBucketIfNotExists([]byte(s.Channel))
	if err != nil {
		return err
	}
	b.FillPercent = 0.95 // keys only ever grow
	key := rowKey(s.Start)
	added, row := int64(1), *s
	if old := b.Get(key); old != nil {
		if prev, err := parseRow(s.Channel, key, old); err == nil {
			row.Flags |= prev.Flags & segmentDeleted
			return errors.Join(b.Put(key, appendRow(nil, &row)), addTotal(tx, s.Channel, s.Bytes-prev.Bytes, 0))
		}
	}
	return errors.Join(b.Put(key, appendRow(nil, &row)), addTotal(tx, s.Channel, s.Bytes, added))
}

// deleteRow removes the row of s.
func deleteRow(tx *bolt.Tx, s *Segment) error {
	b := tx.Bucket(rowsBucket).Bucket([]byte(s.Channel))
	if b == nil || b.Get(rowKey(s.Start)) == nil {
		return nil
	}
	return errors.Join(b.Delete(rowKey(s.Start)), addTotal(tx, s.Channel, -s.Bytes, -1))
}
