package storage

import (
	"errors"
	"fmt"
	"io"
)

// A scanned is what a segment's file says of itself.
type scanned struct {
	header   *header
	tally    *tally
	finished bool // a good tail was found: nobody writes this file any more
	holed    bool // fragments in the middle are damaged
}

// row returns the index's row; bytes is the length of the file.
func (c *scanned) row() Segment {
	if c.finished {
		tail := appendTail(nil, c.header, c.tally)
		return c.tally.row(c.header, c.tally.size+int64(len(tail)))
	}
	return c.tally.row(c.header, c.tally.size)
}

// scanSegment reads what a segment of size bytes says of itself: by its tail if it
// has one, else fragment by fragment. An error means that there is no usable
// header; what follows the last whole fragment is no error. Buf is scratch.
func scanSegment(r io.ReaderAt, size int64, buf *[]byte) (*scanned, error) {
	h, err := readHeader(r, size, buf)
	if err != nil {
		return nil, err
	}
	if t, err := readTail(r, size, h); err == nil {
		return &scanned{header: h, tally: t, finished: true}, nil
	}
	return scanFragments(r, size, h, buf)
}

// readAt reads n bytes at off into *buf, growing it.
func readAt(r io.ReaderAt, buf *[]byte, off int64, n int) ([]byte, error) {
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	if m, err := r.ReadAt(b, off); m < n {
		return b[:m], err
	}
	return b, nil
}

func readHeader(r io.ReaderAt, size int64, buf *[]byte) (*header, error) {
	b, err := readAt(r, buf, 0, int(min(size, maxHeader)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read header: %w", err)
	}
	return parseHeader(b)
}

// readTail reads the tail of a segment, if there is one.
func readTail(r io.ReaderAt, size int64, h *header) (*tally, error) {
	if size < int64(h.size)+block || size%block != 0 {
		return nil, &SyntaxError{size, "a tail"}
	}
	b := make([]byte, block)
	if _, err := r.ReadAt(b, size-block); err != nil {
		return nil, fmt.Errorf("read tail: %w", err)
	}
	n, ok := tailLength(b)
	if !ok || int64(n) > size-int64(h.size) {
		return nil, &SyntaxError{size, "a tail"}
	}
	if n > len(b) {
		b = make([]byte, n)
		if _, err := r.ReadAt(b, size-int64(n)); err != nil {
			return nil, fmt.Errorf("read tail: %w", err)
		}
	}
	return parseTail(b[len(b)-n:], h)
}

// scanFragments walks the fragments. A damaged one in the middle is stepped over;
// the last whole one ends the segment.
func scanFragments(r io.ReaderAt, size int64, h *header, buf *[]byte) (*scanned, error) {
	c := &scanned{header: h, tally: &tally{size: int64(h.size), cause: CauseUnclean}}
	next := uint32(0)
	skipped := false
	for off := int64(h.size); off+block <= size; {
		f, err := readFragment(r, off, h, buf)
		if ioFailed(err) {
			return nil, err
		}
		if err != nil || f.seq < next || off+int64(f.total) > size {
			skipped = true
			off += block
			continue
		}
		c.tally.add(&f, off)
		c.holed = c.holed || skipped
		next, skipped = f.seq+1, false
		off += int64(f.total)
	}
	c.tally.damaged = c.tally.damaged || c.holed
	return c, nil
}

// ioFailed reports whether err is the disk's and not the data's.
func ioFailed(err error) bool {
	return err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// readFragment reads the fragment at off into *buf and verifies it: its checksum
// and that it belongs to the segment with header h.
func readFragment(r io.ReaderAt, off int64, h *header, buf *[]byte) (fragHead, error) {
	b, err := readAt(r, buf, off, fragHeadLen)
	if err != nil {
		return fragHead{}, err
	}
	f, err := parseFragHead(b)
	if err != nil {
		return f, err
	}
	if f.volume != h.volume || f.session != h.session {
		return f, &SyntaxError{off, "a fragment of this segment"}
	}
	if b, err = readAt(r, buf, off, fragHeadLen+int(f.body)); err != nil {
		return f, err
	}
	return f, checkFragment(b, &f)
}
