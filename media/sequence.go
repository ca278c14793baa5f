package media

import "time"

// A verdict is what a sequencer says of a packet.
type verdict uint8

const (
	inOrder   verdict = iota // it is the next one: take it now
	kept                     // it is early: pop returns it in its turn
	duplicate                // it was there before
	tooLate                  // it, or a gap in its place, was popped already
	stray                    // unrelated to the flow, unless the next packet continues it
	tooFar                   // so early that everything before it must be popped or given up first
	restarted                // the flow begins anew: pop what is left of the old one, restart, push again
)

const (
	defaultReorder = 64
	maxReorderSize = 1024
	// A packet so much early is believed (RFC 3550 §A.1, MAX_DROPOUT); one so much
	// late is late (MAX_MISORDER). Anything else needs the next packet's support.
	maxDropout  = 3000
	maxMisorder = 128
	// Another SSRC is believed at once after such a silence (GB/T 28181: sources
	// are replaced without notice).
	ssrcSilence = time.Second
)

// arrival is a packet and what the sequencer needs to know of it.
type arrival struct {
	Packet
	ssrc uint32
}

// A sequencer puts the packets of one RTP flow in order and drops what comes
// twice or too late (RFC 3550 §A.1). Packets that arrive in order pass by
// without being stored.
type sequencer struct {
	window  int       // packets one may be early by; 0: the transport keeps the order
	slots   []arrival // 2×window of them, by sequence number; made when first needed
	full    []bool    // which of them are taken
	count   int       // how many are
	next    uint16    // sequence number expected
	top     uint16    // highest one kept; meaningful if count > 0
	gap     uint32    // packets given up before next
	seen    uint64    // bit i: next-1-i was received
	begun   bool
	ssrc    uint32
	at      time.Duration // when the last packet arrived
	waiting time.Duration // since when a gap is waited for; meaningful if count > 0
	probe   arrival       // the last stray
	probed  bool
}

// newSequencer makes a sequencer that tolerates packets early by reorder.
func newSequencer(reorder int) sequencer {
	window := 0
	for reorder > 0 && window < min(reorder, maxReorderSize) {
		window = max(1, 2*window)
	}
	return sequencer{window: window}
}

// push judges p, which arrived at now. After inOrder and kept, pop may have more.
func (q *sequencer) push(p arrival, now time.Duration) verdict {
	if !q.begun {
		q.start(p)
	}
	silent := now - q.at
	ahead := int(int16(p.Seq - q.next))
	if p.ssrc != q.ssrc || ahead > maxDropout || ahead < -maxMisorder {
		return q.strange(p, silent)
	}
	q.at, q.probed = now, false
	switch {
	case ahead == 0:
		q.advance(true)
		return inOrder
	case ahead < 0:
		return q.behind(-ahead)
	case q.window == 0:
		q.skipTo(p.Seq)
		q.advance(true)
		return inOrder
	case ahead >= 2*q.window:
		return tooFar
	}
	return q.keep(p, now)
}

// start begins a flow with p.
func (q *sequencer) start(p arrival) {
	q.begun, q.probed, q.ssrc, q.next, q.gap, q.seen = true, false, p.ssrc, p.Seq, 0, 0
}

// strange handles a packet that does not belong to the flow as known.
func (q *sequencer) strange(p arrival, silent time.Duration) verdict {
	if q.probed && q.probe.ssrc == p.ssrc && q.probe.Seq+1 == p.Seq {
		return restarted
	}
	if p.ssrc != q.ssrc && silent > ssrcSilence {
		q.probed = false
		return restarted
	}
	q.probe, q.probed = p, true
	return stray
}

// restart begins the flow anew with p, or with the stray before it, which is
// then returned and goes first. Nothing must be kept.
func (q *sequencer) restart(p arrival) (first arrival, had bool) {
	first, had = q.probe, q.probed
	if !had {
		first = p
	}
	q.start(first)
	return first, had
}

// behind tells a packet that came twice from one that came too late.
func (q *sequencer) behind(by int) verdict {
	if by <= 64 && q.seen>>(by-1)&1 == 1 {
		return duplicate
	}
	return tooLate
}

// keep stores p until what is missing before it has come or been given up.
func (q *sequencer) keep(p arrival, now time.Duration) verdict {
	if q.slots == nil {
		q.slots, q.full = make([]arrival, 2*q.window), make([]bool, 2*q.window)
	}
	i := int(p.Seq) % len(q.slots)
	if q.full[i] {
		return duplicate
	}
	if q.count == 0 {
		q.waiting = now
	}
	if q.count == 0 || int16(p.Seq-q.top) > 0 {
		q.top = p.Seq
	}
	q.slots[i], q.full[i] = p, true
	q.count++
	return kept
}

// pop returns the next packet in order. It gives up missing ones where the window
// is exceeded, or everywhere if giveUp is set.
func (q *sequencer) pop(giveUp bool, now time.Duration) (p arrival, ok bool) {
	for q.count > 0 {
		i := int(q.next) % len(q.slots)
		if q.full[i] {
			q.full[i] = false
			q.count--
			q.advance(true)
			q.waiting = now
			return q.slots[i], true
		}
		if !giveUp && int(q.top-q.next) <= q.window {
			break
		}
		q.advance(false)
		q.gap++
	}
	return arrival{}, false
}

// advance moves to the next sequence number, whose packet came or did not.
func (q *sequencer) advance(came bool) {
	q.next++
	q.seen <<= 1
	if came {
		q.seen |= 1
	}
}

// skipTo gives up everything before seq. Nothing must be kept.
func (q *sequencer) skipTo(seq uint16) {
	by := seq - q.next
	q.gap += uint32(by)
	q.next, q.seen = seq, q.seen<<min(by, 64)
}

// takeGap returns how many packets were given up before the one just taken.
func (q *sequencer) takeGap() uint32 {
	n := q.gap
	q.gap = 0
	return n
}
