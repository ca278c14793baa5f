package media

import (
	"errors"
	"sync"
	"sync/atomic"
)

// ErrLapped reports that bytes were overwritten before they were read.
var ErrLapped = errors.New("lapped: the ring was overwritten before it was read")

// A Range is a run of bytes in a [Ring], by absolute position: positions count
// every byte ever written and do not wrap.
type Range struct {
	Off uint64
	Len uint32
}

// End returns the position after the range's last byte.
func (g Range) End() uint64 { return g.Off + uint64(g.Len) }

// A Ring holds the most recent bytes of one stream. It has one writer, the
// stream's owner. Its memory is given: twice Size bytes whose second half is the
// same memory as the first (mapped twice in a row, see media/mirror), so that
// every range of at most Size bytes is contiguous; on ordinary memory (tests,
// systems without such mappings) the ring keeps the halves equal by copying.
//
// Memory that is mapped has to be unmapped, and no sooner than the last reader
// is done: see [Ring.Retain].
type Ring struct {
	mem      []byte
	size     uint64
	mirrored bool
	head     uint64        // bytes committed; owner only
	floor    uint64        // position before which it never held anything: see follow
	edge     atomic.Uint64 // bytes that may have been written; ≥ head
	users    atomic.Int64  // the owner and whoever retained the memory
	release  func() error  // nil: the garbage collector's business

	// heap keeps a copying reader and the writer apart on unmirrored memory.
	// Mirrored memory does without: there a reader copies what may be changing and
	// throws it away, which the memory model forbids for memory it knows about.
	heap sync.RWMutex
}

// NewRing makes a ring over mem, whose length must be twice a power of two.
// Mirrored says that mem's halves are the same memory. NewRing panics if mem has
// another length: that is a programming error, not an input.
func NewRing(mem []byte, mirrored bool) *Ring {
	size := uint64(len(mem) / 2)
	if size == 0 || size&(size-1) != 0 || len(mem)%2 != 0 {
		panic("media: ring memory must be twice a power of two")
	}
	r := &Ring{mem: mem, size: size, mirrored: mirrored}
	r.users.Store(1)
	return r
}

// Size returns how many bytes the ring holds.
func (r *Ring) Size() int { return int(r.size) }

// Head returns the position after the last committed byte. Owner only.
func (r *Ring) Head() uint64 { return r.head }

// Reserve returns n contiguous bytes after the head to receive into, n ≤ Size.
// What they held before is lost to every reader from this moment on.
func (r *Ring) Reserve(n int) []byte {
	if edge := r.head + uint64(n); edge > r.edge.Load() {
		r.raise(edge)
	}
	at := r.head & (r.size - 1)
	return r.mem[at : at+uint64(n) : at+uint64(n)]
}

// raise tells readers what is about to be overwritten, before it is.
func (r *Ring) raise(edge uint64) {
	if !r.mirrored {
		r.heap.Lock()
		defer r.heap.Unlock()
	}
	// Swap rather than Store: a full barrier, so that no later write can be seen
	// before the edge is on weakly ordered processors (ARM).
	r.edge.Swap(edge)
}

// Commit publishes the first n bytes of what Reserve returned and returns them
// as a range.
func (r *Ring) Commit(n int) Range {
	g := Range{Off: r.head, Len: uint32(n)}
	if !r.mirrored {
		r.copyToMirror(g)
	}
	r.head += uint64(n)
	return g
}

// copyToMirror makes both halves of unmirrored memory agree on g.
func (r *Ring) copyToMirror(g Range) {
	at, n := g.Off&(r.size-1), uint64(g.Len)
	inFirst := min(n, r.size-at)
	copy(r.mem[at+r.size:], r.mem[at:at+inFirst])
	if n > inFirst {
		copy(r.mem[:n-inFirst], r.mem[r.size:at+n])
	}
}

// Holds reports whether g is still intact. Owner only: the answer is stable
// until the next Reserve.
func (r *Ring) Holds(g Range) bool { return r.holdsFrom(g.Off) && g.End() <= r.head }

// holdsFrom reports whether everything committed from position at on is intact.
func (r *Ring) holdsFrom(at uint64) bool { return at >= r.floor && at+r.size >= r.edge.Load() }

// follow makes r, which is new and no smaller than old, go on where old stands:
// what old holds lies at the same positions in r, so that every range and cursor
// stays what it is. Old is not written any more. Owner only.
func (r *Ring) follow(old *Ring) {
	r.head = old.head
	r.edge.Store(old.head)
	r.floor = old.floor
	if edge := old.edge.Load(); edge > old.size {
		r.floor = max(r.floor, edge-old.size)
	}
	g := Range{Off: r.floor, Len: uint32(r.head - r.floor)}
	copy(r.Bytes(g), old.Bytes(g))
	if !r.mirrored {
		r.copyToMirror(g)
	}
}

// Bytes returns the memory of g, which Holds must have reported intact. The
// slice must not be written, nor kept beyond the next Reserve.
func (r *Ring) Bytes(g Range) []byte {
	at := g.Off & (r.size - 1)
	return r.mem[at : at+uint64(g.Len) : at+uint64(g.Len)]
}

// Rewrite puts b in the place of what lies from position at on, which Holds must have
// reported intact. It must be bytes that nobody is told of who reads the ring by
// itself: see [Ring.CopyOut]. Owner only.
func (r *Ring) Rewrite(at uint64, b []byte) {
	g := Range{Off: at, Len: uint32(len(b))}
	copy(r.Bytes(g), b)
	if !r.mirrored {
		r.copyToMirror(g)
	}
}

// CopyOut appends g's bytes to dst and returns it, or dst unchanged and
// [ErrLapped] if any of them may have been overwritten meanwhile. Any goroutine
// that retains the ring, for ranges it was given by the owner.
func (r *Ring) CopyOut(dst []byte, g Range) ([]byte, error) {
	out := dst
	if err := r.Read(g.Off, func() { out = append(dst, r.Bytes(g)...) }); err != nil {
		return dst, err
	}
	return out, nil
}

// Read calls read, which copies bytes from position oldest on, by [Ring.Bytes]. If any of
// them may have been overwritten meanwhile it returns [ErrLapped], and what was copied is
// rubbish. It looks twice how far the owner is, however much is copied: on another processor
// a look may cost more than the copy of a packet. Any goroutine that retains the ring, for
// ranges it was given by the owner.
func (r *Ring) Read(oldest uint64, read func()) error {
	if !r.mirrored {
		r.heap.RLock()
		defer r.heap.RUnlock()
	}
	if !r.holdsFrom(oldest) {
		return ErrLapped
	}
	read()
	// Add(0) rather than Load: a full barrier, so that the copy above cannot be
	// carried out after the check on weakly ordered processors (ARM).
	if oldest+r.size < r.edge.Add(0) {
		return ErrLapped
	}
	return nil
}

// Retain keeps the ring's memory readable for a goroutine other than the owner,
// until that goroutine calls [Ring.Release]. The owner calls it on that
// goroutine's behalf, within [Sink.Flush], before it hands over the first range.
func (r *Ring) Retain() { r.users.Add(1) }

// Release gives up what Retain (or, for the owner, NewRing) gave. The last
// release releases the memory; nothing may touch the ring afterwards. Any
// goroutine.
func (r *Ring) Release() error {
	switch n := r.users.Add(-1); {
	case n < 0:
		panic("media: ring released more often than retained")
	case n == 0 && r.release != nil:
		return r.release()
	}
	return nil
}
