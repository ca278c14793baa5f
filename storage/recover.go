package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// stepTime is how long one step of recovery or check works before it answers, well
// below the request's deadline.
const stepTime = 300 * time.Millisecond

// A dayDir is one channel's footage of one day.
type dayDir struct{ channel, day string }

// A recovery brings the index in line with the segments: what a crash left open is
// finished, what the index does not know is added, what is gone is removed.
type recovery struct {
	x     *index
	days  []dayDir // still to do
	files []os.DirEntry
	rows  map[int64]Segment // of the day in hand, by start
	busy  bool              // a day is in hand
	buf   []byte
	put   []Segment
	found int // segments added or corrected
}

// newRecovery plans: every day of a month whose index is missing or incomplete,
// otherwise each channel's latest two days.
func newRecovery(x *index) (*recovery, error) {
	r := &recovery{x: x}
	channels, err := readNames(filepath.Join(x.dir, recDir))
	if err != nil {
		return nil, err
	}
	for _, ch := range channels {
		if checkChannel(ch) != nil {
			continue
		}
		days, err := readNames(filepath.Join(x.dir, recDir, ch))
		if err != nil {
			return nil, err
		}
		r.planChannel(ch, days)
	}
	return r, nil
}

func (r *recovery) planChannel(ch string, days []string) {
	latest := ""
	if s, err := r.x.before(ch, 1<<62); err == nil && s != nil {
		latest = dayOf(s.Start - int64(24*time.Hour))
	}
	for _, day := range days {
		if _, err := time.Parse(dayLayout, day); err != nil {
			continue
		}
		name := day[:len(monthLayout)]
		r.x.onDisk[name] = true
		if m := r.x.months[name]; m == nil || !m.complete || day >= latest {
			r.days = append(r.days, dayDir{ch, day})
		}
	}
}

// readNames lists a directory's names in order; none if it does not exist.
func readNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list footage: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// step works for a while. Done says that everything is in line.
func (r *recovery) step(until time.Time) (done bool, err error) {
	for time.Now().Before(until) {
		if len(r.files) > 0 {
			err = r.file(r.files[0])
			r.files = r.files[1:]
		} else if r.busy {
			err = r.endDay()
		} else if len(r.days) > 0 {
			err = r.beginDay()
		} else {
			return true, r.finish()
		}
		if err != nil {
			return false, errors.Join(err, r.flush())
		}
	}
	return false, r.flush()
}

func (r *recovery) flush() error {
	rows := r.put
	r.put = nil
	r.found += len(rows)
	return r.x.put(rows)
}

func (r *recovery) beginDay() error {
	d := r.days[0]
	entries, err := os.ReadDir(filepath.Join(r.x.dir, recDir, d.channel, d.day))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("list footage: %w", err)
	}
	from, err := time.Parse(dayLayout, d.day)
	if err != nil {
		return err
	}
	r.files, r.rows, r.busy = entries, map[int64]Segment{}, true
	return r.x.each(d.channel, from.UnixNano(), from.Add(24*time.Hour).UnixNano(), func(s Segment) bool {
		r.rows[s.Start] = s
		return true
	})
}

// endDay removes the rows whose files are gone.
func (r *recovery) endDay() error {
	var gone []Segment
	for _, s := range r.rows {
		if s.Flags&segmentDeleted == 0 && !s.Open() {
			gone = append(gone, s)
		}
	}
	r.days, r.busy = r.days[1:], false
	r.found += len(gone)
	return errors.Join(r.flush(), r.x.remove(gone))
}

// finish notes that the months are complete.
func (r *recovery) finish() error {
	if err := r.flush(); err != nil {
		return err
	}
	for _, m := range r.x.months {
		if err := m.markComplete(); err != nil {
			return err
		}
	}
	return nil
}

// file brings one file and its row in line.
func (r *recovery) file(e os.DirEntry) error {
	start, ok := parseSegmentName(e.Name())
	info, err := e.Info()
	if !ok || errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at segment: %w", err)
	}
	row, known := r.rows[start]
	if known && (row.Flags&segmentDeleted != 0 || !row.Open() && row.Bytes <= info.Size()) {
		delete(r.rows, start)
		return nil
	}
	d := r.days[0]
	name := filepath.Join(r.x.dir, recDir, d.channel, d.day, e.Name())
	s, err := r.inspect(name, info.Size())
	if err != nil {
		return err
	}
	switch {
	case s == nil:
		return nil
	case s.Channel != d.channel || s.Start != start:
		r.x.log.Warn("segment under a wrong name", "channel", d.channel, "file", e.Name())
		return nil
	case s.Bytes == 0: // nothing in it was durable
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("remove empty segment: %w", err)
		}
		return r.x.remove([]Segment{{Channel: d.channel, Start: start, Bytes: row.Bytes}})
	}
	delete(r.rows, start)
	if !known || row.Open() || row.CRC != s.CRC {
		r.put = append(r.put, *s)
	}
	return nil
}

// inspect returns the row that a file stands for, finishing a file that nobody
// writes any more. Nil: the file is not to be touched; Bytes 0: it holds nothing.
func (r *recovery) inspect(name string, size int64) (*Segment, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		f, err = os.Open(name)
	}
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	defer f.Close()
	c, err := scanSegment(f, size, &r.buf)
	if ioFailed(err) {
		return nil, err
	}
	if err != nil {
		return r.headless(f, name)
	}
	if c.header.volume != r.x.volume || c.header.session == r.x.session && !c.finished {
		return nil, nil // another volume's, or being written
	}
	if len(c.tally.table) == 0 {
		return &Segment{Channel: c.header.channel, Start: c.header.start}, nil
	}
	s := c.row()
	if !c.finished && !c.holed {
		s = sealed(f, c)
	}
	return &s, nil
}

// sealed finishes the file of a segment whose writer was interrupted: what is torn
// is cut off and the tail added, so that players read it without complaint and the
// next rebuild is quick. Blocks that were acknowledged are not touched. If the
// volume does not let us, the row alone says where footage ends.
func sealed(f *os.File, c *scanned) Segment {
	tail := appendTail(nil, c.header, c.tally)
	err := f.Truncate(c.tally.size)
	if err == nil {
		_, err = f.WriteAt(tail, c.tally.size)
	}
	if err = errors.Join(err, f.Sync()); err != nil {
		return c.row()
	}
	c.finished = true
	return c.row()
}

// headless judges a file without a readable header: if no fragment of ours is in it
// it was torn at birth and is removed; else it is left for a person to look at.
func (r *recovery) headless(f *os.File, name string) (*Segment, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at segment: %w", err)
	}
	if time.Since(info.ModTime()).Abs() < time.Minute { // may be being born
		return nil, nil
	}
	for off := int64(0); off+block <= info.Size(); off += block {
		b, err := readAt(f, &r.buf, off, fragHeadLen)
		if err != nil {
			return nil, fmt.Errorf("read segment: %w", err)
		}
		if h, err := parseFragHead(b); err == nil && h.volume == r.x.volume {
			r.x.log.Error("segment without a header", "file", name)
			return nil, nil
		}
	}
	start, _ := parseSegmentName(filepath.Base(name))
	return &Segment{Channel: r.days[0].channel, Start: start}, nil
}
