package webrtc

import (
	"time"

	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

// fullPause is when a full queue is tried again.
const fullPause = 5 * time.Millisecond

// An outlet is the way of one unit's packets into a queue, paced: to begin with a
// whole group of pictures at once loses much of it on the way. It is a [rtp.Writer].
type outlet struct {
	queue *queue
	pace  rtp.Pacer
	batch sock.Batch
	heads rtp.Arena
	lanes []uint8 // of each packet
	sent  int
	lane  uint8 // of the packets to come
	unit  uint64
}

// reset forgets everything; begins a unit.
func (o *outlet) reset(unit uint64) {
	o.batch.Reset()
	o.heads.Reset()
	o.lanes, o.sent, o.unit = o.lanes[:0], 0, unit
}

// Header begins a packet; see [rtp.Writer].
func (o *outlet) Header(n int) []byte {
	h := o.heads.Take(n)
	o.batch.Add(h)
	return h
}

// Add appends to the packet; see [rtp.Writer].
func (o *outlet) Add(b []byte) { o.batch.Add(b) }

// End finishes the packet; see [rtp.Writer].
func (o *outlet) End() {
	o.batch.End()
	o.lanes = append(o.lanes, o.lane)
}

// pending reports whether something has no place in the queue yet.
func (o *outlet) pending() bool { return o.sent < o.batch.Len() }

// flush puts what may go by now, and returns when to go on.
func (o *outlet) flush(now time.Time) (again time.Time) {
	if !o.pending() {
		return time.Time{}
	}
	limit, wait := o.pace.Allow(now, &o.batch, o.sent)
	for ; o.sent < limit; o.sent++ {
		if !o.queue.put(&o.batch, o.sent, tag{lane: o.lanes[o.sent], unit: o.unit}) {
			return now.Add(fullPause)
		}
		o.pace.Spend(o.batch.Size(o.sent))
	}
	if !o.pending() {
		return time.Time{}
	}
	return now.Add(wait)
}

// abandon drops what has no place yet, and returns how many packets of each lane
// that were.
func (o *outlet) abandon() (left [maxLanes]uint16) {
	for _, lane := range o.lanes[o.sent:] {
		left[lane]++
	}
	o.reset(o.unit)
	return left
}
