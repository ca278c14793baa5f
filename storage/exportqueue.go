package storage

import (
	"context"
	"fmt"
	"io"
	"sync"

	"districtgateway/media"
)

// exportBytes bounds what an export holds for its reader. An export of a recording
// takes nothing more from its stream beyond enoughBytes; beyond muchBytes, if that
// stream goes on all the same, as one that comes over UDP.
const (
	exportBytes = 32 << 20
	muchBytes   = 24 << 20
	enoughBytes = 4 << 20
	chargeStep  = 1 << 20 // memory is taken from the budget in such steps
)

// An exportQueue is the bytes of a file on their way from the stream's owner to
// the reader.
type exportQueue struct {
	mu    sync.Mutex
	ready sync.Cond
	bytes []byte // finished boxes
	cause error
	done  bool

	budget  *media.Budget
	charged int  // bytes taken of it
	tight   bool // it had no more
	whole   bool // nothing may be left out: who fills the queue waits while it is full
}

// charge takes the memory for n bytes that wait, and for as many that are being
// written out. The caller holds mu, or nobody else knows q.
func (q *exportQueue) charge(n int) error {
	need := 2*((n+chargeStep-1)/chargeStep*chargeStep) - q.charged
	if need <= 0 {
		return nil
	}
	if err := q.budget.Take(need, media.ForViewing); err != nil {
		q.tight = true
		return err
	}
	q.charged += need
	q.tight = false
	return nil
}

// head appends the file's first boxes.
func (q *exportQueue) head(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes = append(q.bytes, b...)
}

// full reports whether there are n bytes or more for the reader, or as many as there
// is memory for.
func (q *exportQueue) full(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.bytes) >= n || q.tight && len(q.bytes) >= q.charged/4
}

// fragment appends what write appends, some size bytes. It reports false if there
// is no room for it: then nothing was appended.
func (q *exportQueue) fragment(size int, write func([]byte) ([]byte, error)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.bytes)
	if before+size > exportBytes || q.charge(before+size) != nil && !q.whole {
		return false
	}
	b, err := write(q.bytes)
	if err != nil { // cannot happen on the owner's goroutine, which asked for what is held
		q.bytes = b[:before]
		return false
	}
	q.bytes = b
	q.ready.Signal()
	return true
}

// close ends the file.
func (q *exportQueue) close(cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.done {
		q.budget.Give(q.charged, media.ForViewing)
	}
	q.done, q.cause = true, cause
	q.ready.Broadcast()
}

// Copy writes the file to w as it grows, calling flush whenever w has all there
// is, until the export was closed or ctx ends. It returns nil if the recording, or
// the length asked for, came to its end, or it was detached; otherwise why it broke off.
func (e *Export) Copy(ctx context.Context, w io.Writer, flush func()) error {
	q := &e.out
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.ready.Broadcast()
	})
	defer stop()
	var spare []byte
	for {
		b, err := q.next(ctx, spare)
		if len(b) == 0 {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		flush()
		spare = b[:0]
	}
}

// next waits for bytes and takes them, leaving spare as the memory for more. No
// bytes: the file is complete, or broke off with the error.
func (q *exportQueue) next(ctx context.Context, spare []byte) ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.bytes) == 0 && !q.done && ctx.Err() == nil {
		q.ready.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(q.bytes) > 0:
		b := q.bytes
		q.bytes = spare
		return b, nil
	}
	return nil, q.cause
}
