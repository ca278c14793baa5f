package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// preallocate is by how much a segment's space is reserved ahead of its end, so
// that files written side by side stay in few extents.
const preallocate = 8 << 20

// A segmentFile is a segment being written. Only the disk goroutine touches it.
type segmentFile struct {
	file      *os.File
	head      *header
	tally     tally   // what was written; after a sync, what is durable
	durable   Segment // as last published
	written   int64
	allocated int64
	gen       uint32
	seq       uint32
	dirty     bool // written since the last sync
	announced bool // the index knows of it
	closing   bool // the tail is written: the next sync ends it
}

// createSegment makes the file of the segment with header h below dir, durably
// named. With direct, it bypasses the page cache where the file system can.
func createSegment(dir string, h *header, direct bool) (*segmentFile, error) {
	name := filepath.Join(dir, segmentPath(h.channel, h.start))
	if err := makeDirs(dir, filepath.Dir(name)); err != nil {
		return nil, err
	}
	flags := os.O_RDWR | os.O_CREATE | os.O_EXCL
	file, err := os.OpenFile(name, flags|directFlag(direct), 0o640)
	if direct && errors.Is(err, unix.EINVAL) { // no direct I/O here; the file may exist by now
		os.Remove(name)
		file, err = os.OpenFile(name, flags, 0o640)
	}
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", full(err))
	}
	if err := syncDir(filepath.Dir(name)); err != nil {
		file.Close()
		os.Remove(name)
		return nil, err
	}
	return &segmentFile{file: file, head: h, tally: tally{table: make([]fragEntry, 0, 128)}}, nil
}

func directFlag(direct bool) int {
	if direct {
		return unix.O_DIRECT
	}
	return 0
}

// full adds ErrFull to the errors by which file systems say so.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return errors.Join(ErrFull, err)
	}
	return err
}

// append writes b, whole blocks, at the end.
func (s *segmentFile) append(b []byte) error {
	if end := s.written + int64(len(b)); end > s.allocated {
		s.allocated = end + preallocate
		// Advice only: where it cannot be had, the file grows as it is written.
		_ = unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, s.written, s.allocated-s.written)
	}
	if _, err := s.file.WriteAt(b, s.written); err != nil {
		return fmt.Errorf("write segment: %w", full(err))
	}
	s.written += int64(len(b))
	s.dirty = true
	return nil
}

// sync makes what was written durable. After an error nothing may be written to
// this file again: the kernel forgets what it could not write.
func (s *segmentFile) sync() error {
	if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
		return fmt.Errorf("sync segment: %w", full(err))
	}
	s.dirty = false
	return nil
}

// close gives reserved space back and closes the file.
func (s *segmentFile) close() error {
	return errors.Join(s.file.Truncate(s.written), s.file.Close())
}

// makeDirs makes path, below root, durably.
func makeDirs(root, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if path != root {
		if err := makeDirs(root, filepath.Dir(path)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make directory: %w", full(err))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in path durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", path, err)
	}
	return nil
}

// writeFile puts b under name at once and durably: temporary file, sync, rename,
// sync of the directory.
func writeFile(name string, b []byte) error {
	tmp := name + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(tmp)
		return full(err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}
