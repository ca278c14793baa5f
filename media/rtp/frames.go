package rtp

import (
	"encoding/binary"
	"time"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// A Framing is what stands before each packet on a connection.
type Framing uint8

// The framings.
const (
	Lengths     Framing = iota // its length in 2 bytes (RFC 4571 §2)
	Interleaved                // a dollar sign, a channel, and the length (RFC 2326 §10.12)
)

// FrameSize is the size in bytes of what stands before each packet where interleaved.
const FrameSize = 4

// prefix is the size in bytes of what stands before each packet.
func (f Framing) prefix() int { return [...]int{2, FrameSize}[f] }

// Frames is the [Output] to a connection.
type Frames struct {
	Channel byte // of the packets to come, where interleaved

	sock   *sock.TCP
	kind   Framing
	vector sock.Vector
	heads  Arena
	ends   []int  // positions after each packet, from the beginning of the unit
	shared []int  // those of a passage that were not copied into ends yet, from its beginning
	base   int    // of the passage: bytes of the unit before it
	total  int    // bytes of the unit so far
	frame  []byte // length field of the packet being built
	size   int    // its bytes so far, prefix left out
	tail   []byte // what is left of the packet that was cut in the middle
	copied uint64 // bytes of such packets
}

// NewFrames returns an output to t, which stays its caller's to close.
func NewFrames(t *sock.TCP, kind Framing) Frames { return Frames{sock: t, kind: kind} }

// Reset forgets everything; see [Output].
func (o *Frames) Reset() {
	o.vector.Reset()
	o.heads.Reset()
	o.ends, o.shared, o.total, o.size, o.tail = o.ends[:0], nil, 0, 0, o.tail[:0]
}

// Header begins a packet; see [Writer].
func (o *Frames) Header(n int) []byte {
	prefix := o.kind.prefix()
	h := o.heads.Take(prefix + n)
	if o.kind == Interleaved {
		h[0], h[1] = '$', o.Channel
	}
	o.frame = h[prefix-2 : prefix]
	o.vector.Add(h)
	o.size = n
	return h[prefix:]
}

// Add appends to the packet; see [Writer].
func (o *Frames) Add(b []byte) {
	o.vector.Add(b)
	o.size += len(b)
}

// End finishes the packet; see [Writer].
func (o *Frames) End() {
	binary.BigEndian.PutUint16(o.frame, uint16(o.size))
	o.total += o.kind.prefix() + o.size
	o.ends = append(o.ends, o.total)
}

// Passage adds packets that are made already, frames and all, as the last of a unit. P is
// needed until Flush was called.
func (o *Frames) Passage(ring *media.Ring, p *Passage) {
	for _, g := range p.ranges {
		o.vector.Add(ring.Bytes(g))
	}
	o.base, o.shared = o.total, p.ends
	o.total += p.ends[len(p.ends)-1]
}

// Text adds text between packets; b is copied.
func (o *Frames) Text(b []byte) {
	h := o.heads.Take(len(b))
	copy(h, b)
	o.vector.Add(h)
	o.total += len(b)
	o.ends = append(o.ends, o.total)
}

// Pending reports whether something is not sent yet.
func (o *Frames) Pending() bool { return o.vector.Len() > 0 }

// Flush sends what the connection takes; see [Output].
func (o *Frames) Flush(now time.Time) (time.Time, error) {
	if !o.Pending() {
		return time.Time{}, nil
	}
	err := o.sock.Send(&o.vector)
	if o.settle(); err != nil || !o.Pending() {
		return time.Time{}, err
	}
	_, cut := o.progress()
	o.tail = o.vector.Rest(o.tail[:0], cut)
	o.copied += uint64(len(o.tail))
	return now.Add(retry), nil
}

// settle lets go of a passage's memory: where its packets end is needed only if some of
// it was not sent.
func (o *Frames) settle() {
	if o.Pending() {
		for _, end := range o.shared {
			o.ends = append(o.ends, o.base+end)
		}
	}
	o.shared = nil
}

// Copied returns how many bytes were copied so far: only the rest of a packet that
// the connection took in part, which may have to outlive the ring.
func (o *Frames) Copied() uint64 { return o.copied }

// Whole reports whether the connection stands between two packets, so that
// something else may follow.
func (o *Frames) Whole() bool {
	_, cut := o.progress()
	return cut == 0
}

// progress returns how many packets were begun, and how many bytes are left of the
// last of them, if the connection took it in part.
func (o *Frames) progress() (begun, cut int) {
	sent := o.total - o.vector.Len()
	for begin := 0; begun < len(o.ends) && begin < sent; begun++ {
		begin = o.ends[begun]
		cut = max(begin-sent, 0)
	}
	return begun, cut
}

// Abandon leaves only the rest of a packet already begun, which is in memory of
// its own from now on: the far end must find the next frame where it ends.
func (o *Frames) Abandon() (dropped, size, sent int) {
	o.settle()
	sent, _ = o.progress()
	dropped = len(o.ends) - sent
	if dropped > 0 {
		begin := 0
		if sent > 0 {
			begin = o.ends[sent-1]
		}
		size = o.total - begin - dropped*(o.kind.prefix()+HeaderSize)
	}
	tail := o.tail
	o.Reset()
	if len(tail) > 0 {
		h := o.heads.Take(len(tail))
		copy(h, tail)
		o.vector.Add(h)
		o.total = len(tail)
		o.ends = append(o.ends, o.total)
	}
	return dropped, size, sent
}
