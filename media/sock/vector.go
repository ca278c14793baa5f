//go:build linux

package sock

import "golang.org/x/sys/unix"

// maxVectors is how many pieces of memory one system call takes (UIO_MAXIOV).
const maxVectors = 1024

// A Vector is scattered memory to be sent in order as one run of bytes. Its
// memory is reused after Reset. The zero value is empty.
type Vector struct {
	iov  []unix.Iovec
	from int // first iovec not yet written
	size int // bytes not yet written
}

// Reset empties v.
func (v *Vector) Reset() {
	clear(v.iov) // do not keep memory alive
	v.iov, v.from, v.size = v.iov[:0], 0, 0
}

// Add appends b, which its owner keeps, as it is, until it was sent. Pieces that
// happen to follow each other in memory become one.
func (v *Vector) Add(b []byte) {
	if len(b) == 0 {
		return
	}
	v.size += len(b)
	v.iov = addVector(v.iov, v.from, b)
}

// Len returns how many bytes are still to be sent.
func (v *Vector) Len() int { return v.size }

// advance takes n written bytes off the front.
func (v *Vector) advance(n int) {
	v.size -= n
	for n > 0 {
		head := &v.iov[v.from]
		if l := int(head.Len); n < l {
			head.Base = at(head.Base, n)
			head.SetLen(l - n)
			return
		}
		n -= int(head.Len)
		v.from++
	}
}

// Rest appends to dst a copy of the first n bytes not yet sent.
func (v *Vector) Rest(dst []byte, n int) []byte {
	for i := v.from; i < len(v.iov) && n > 0; i++ {
		b := bytesOf(v.iov[i])
		b = b[:min(n, len(b))]
		dst, n = append(dst, b...), n-len(b)
	}
	return dst
}

// A Batch is datagrams to be sent one after the other, each of scattered memory.
// Its memory is reused after Reset. The zero value is empty.
type Batch struct {
	iov   []unix.Iovec
	ends  []int // ends[i] is the index after datagram i's last iovec
	sizes []int
	begun int // iovecs that belong to finished datagrams
	size  int // bytes of the datagram being built
}

// Reset empties b.
func (b *Batch) Reset() {
	clear(b.iov)
	b.iov, b.ends, b.sizes = b.iov[:0], b.ends[:0], b.sizes[:0]
	b.begun, b.size = 0, 0
}

// Add appends memory to the datagram being built.
func (b *Batch) Add(p []byte) {
	if len(p) == 0 {
		return
	}
	b.size += len(p)
	b.iov = addVector(b.iov, b.begun, p)
}

// End finishes the datagram being built. An empty one is left out.
func (b *Batch) End() {
	if b.size == 0 {
		return
	}
	b.ends, b.sizes = append(b.ends, len(b.iov)), append(b.sizes, b.size)
	b.begun, b.size = len(b.iov), 0
}

// Len returns how many datagrams are finished.
func (b *Batch) Len() int { return len(b.ends) }

// Size returns the bytes of datagram i.
func (b *Batch) Size(i int) int { return b.sizes[i] }

// Append appends a copy of datagram i to dst.
func (b *Batch) Append(dst []byte, i int) []byte {
	for _, v := range b.iov[b.start(i):b.ends[i]] {
		dst = append(dst, bytesOf(v)...)
	}
	return dst
}

// start returns the index of datagram i's first iovec.
func (b *Batch) start(i int) int {
	if i == 0 {
		return 0
	}
	return b.ends[i-1]
}

// run returns the end of the longest run of datagrams from i on that one
// segmented send can carry (UDP_SEGMENT): equal sizes, the last may be shorter.
func (b *Batch) run(i int) int {
	seg, total, j := b.sizes[i], 0, i
	for j < len(b.sizes) && j-i < maxSegments {
		n := b.sizes[j]
		if n > seg || total+n > maxSegmented || b.ends[j]-b.start(i) > maxVectors {
			break
		}
		total += n
		j++
		if n < seg {
			break
		}
	}
	return max(j, i+1)
}
