package webrtc

import (
	"encoding/binary"
	"sync"

	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

const (
	// maxPayload keeps a packet, with SRTP, UDP and IP headers, clear of what tunnels
	// and mobile networks carry.
	maxPayload = 1200
	slotSize   = rtp.HeaderSize + maxPayload
	slotCount  = 512 // a second of 4 Mbit/s: the largest pictures, and what may be asked for again
)

// SessionBytes is the memory that the queue of a session takes.
const SessionBytes = slotCount * slotSize

// A tag says what a packet is and where it belongs.
type tag struct {
	lane   uint8
	report bool   // RTCP rather than RTP
	unit   uint64 // that it is of
	size   int
}

// A queue holds packets between the owner of a stream, who never waits, and the
// goroutine that sends them. What was taken stays until its slot is needed. Its
// memory is allocated once.
type queue struct {
	more chan struct{} // there is something to take

	mu         sync.Mutex
	mem        []byte
	tags       []tag
	head, tail uint64 // packets put and taken
}

func newQueue() *queue {
	return &queue{more: make(chan struct{}, 1), mem: make([]byte, SessionBytes), tags: make([]tag, slotCount)}
}

// slot returns the memory of packet n, empty.
func (q *queue) slot(n uint64) []byte {
	at := int(n%slotCount) * slotSize
	return q.mem[at : at : at+slotSize]
}

// put copies datagram i of b; false: there is no room now. One that fits no slot is
// left out: there are none.
func (q *queue) put(b *sock.Batch, i int, t tag) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head-q.tail >= slotCount {
		return false
	}
	if b.Size(i) > slotSize {
		return true
	}
	t.size = len(b.Append(q.slot(q.head), i))
	q.add(t)
	return true
}

// report puts RTCP; a report that finds no room is a report less.
func (q *queue) report(p []byte, t tag) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head-q.tail >= slotCount || len(p) > slotSize {
		return
	}
	t.report, t.size = true, len(append(q.slot(q.head), p...))
	q.add(t)
}

// add makes what was written to the next slot visible.
func (q *queue) add(t tag) {
	q.tags[q.head%slotCount] = t
	q.head++
	select {
	case q.more <- struct{}{}:
	default: // it is known
	}
}

// take copies the next packet to p, of slotSize bytes; not ok if there is none.
func (q *queue) take(p []byte) (t tag, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tail == q.head {
		return tag{}, false
	}
	t = q.tags[q.tail%slotCount]
	copy(p, q.slot(q.tail)[:t.size])
	q.tail++
	return t, true
}

// find copies a packet that was taken to p, by the number that its header tells; not
// ok if it is not there any more.
func (q *queue) find(p []byte, lane uint8, seq uint16) (t tag, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := q.head - min(q.head, slotCount)
	for n := q.tail; n > oldest; n-- {
		t, b := q.tags[(n-1)%slotCount], q.slot(n-1)
		if t.lane == lane && !t.report && binary.BigEndian.Uint16(b[2:4]) == seq {
			copy(p, b[:t.size])
			return t, true
		}
	}
	return tag{}, false
}

// waiting returns the unit of the oldest packet that was not taken.
func (q *queue) waiting() (unit uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tail == q.head {
		return 0, false
	}
	return q.tags[q.tail%slotCount].unit, true
}
