package traffic

import (
	"encoding/binary"
	"time"
)

// Totals is what readers have received. It adds up.
type Totals struct {
	Packets  uint64 // RTP
	Bytes    uint64 // of these, with their headers
	Lost     uint64 // packets, by their numbers
	Twice    uint64 // packets that came again or late
	Pictures uint64 // whole ones
	Missing  uint64 // pictures, by their marks
	Damaged  uint64 // pictures that are not as long as their mark says, or have none
}

// Whole tells whether nothing was lost, repeated or damaged.
func (t Totals) Whole() bool { return t.Lost == 0 && t.Twice == 0 && t.Missing == 0 && t.Damaged == 0 }

// Plus adds.
func (t Totals) Plus(o Totals) Totals {
	return Totals{t.Packets + o.Packets, t.Bytes + o.Bytes, t.Lost + o.Lost, t.Twice + o.Twice, t.Pictures + o.Pictures, t.Missing + o.Missing, t.Damaged + o.Damaged}
}

// Minus takes an earlier reading off.
func (t Totals) Minus(o Totals) Totals {
	return Totals{t.Packets - o.Packets, t.Bytes - o.Bytes, t.Lost - o.Lost, t.Twice - o.Twice, t.Pictures - o.Pictures, t.Missing - o.Missing, t.Damaged - o.Damaged}
}

// behindBy is the delay from which a reader counts as behind.
const behindBy = 500 * time.Millisecond

// A tally counts what one reader receives, and notes how late it is. The first
// picture may be a part: a reader may begin in its middle.
type tally struct {
	Totals
	began   time.Duration // when the reader asked
	key     time.Duration // when its first key picture was whole; 0 for not yet
	behind  time.Duration // when a picture last came that was behind; 0 for never
	delays  []time.Duration
	keep    bool // delays
	begun   bool // a packet has come
	seq     uint16
	marked  bool // a mark has come
	number  uint32
	size    int // bytes of the slice so far
	keySeen bool
}

// add counts one RTP packet that came at now.
func (t *tally) add(p []byte, now time.Duration) {
	body, ok := rtpBody(p)
	if !ok {
		t.Damaged++
		return
	}
	t.Packets++
	t.Bytes += uint64(len(p))
	t.sequence(binary.BigEndian.Uint16(p[2:]))
	t.slice(body)
	if p[1]&0x80 != 0 {
		t.picture(body, now)
	}
}

// rtpBody returns the payload of an RTP packet (RFC 3550 §5.1).
func rtpBody(p []byte) ([]byte, bool) {
	if len(p) < rtpHeader || p[0]>>6 != 2 {
		return nil, false
	}
	at := rtpHeader + 4*int(p[0]&15)
	if p[0]&0x10 != 0 && len(p) >= at+4 {
		at += 4 + 4*int(binary.BigEndian.Uint16(p[at+2:]))
	}
	end := len(p)
	if p[0]&0x20 != 0 {
		end -= int(p[len(p)-1])
	}
	if at >= end {
		return nil, false
	}
	return p[at:end], true
}

func (t *tally) sequence(seq uint16) {
	ahead := int16(seq - t.seq)
	switch {
	case !t.begun:
		t.begun = true
	case ahead < 0:
		t.Twice++
		return
	default:
		t.Lost += uint64(ahead)
	}
	t.seq = seq + 1
}

// slice counts the bytes of slices in a payload (RFC 6184 §5.6 to §5.8).
func (t *tally) slice(body []byte) {
	switch kind := body[0] & 31; {
	case kind == 1 || kind == 5:
		t.size, t.keySeen = t.size+len(body), kind == 5
	case kind == 28 && len(body) > 2:
		if body[1]&0x80 != 0 {
			t.size++ // the header that the fragments share
		}
		t.size, t.keySeen = t.size+len(body)-2, body[1]&31 == 5
	case kind == 24:
		for rest := body[1:]; len(rest) > 2; {
			n := int(binary.BigEndian.Uint16(rest))
			if rest = rest[2:]; n == 0 || n > len(rest) {
				return
			}
			t.slice(rest[:n])
			rest = rest[n:]
		}
	}
}

// picture ends one.
func (t *tally) picture(last []byte, now time.Duration) {
	size, first := t.size, !t.marked
	t.size = 0
	m, ok := readMark(last)
	if !ok {
		t.Damaged++
		return
	}
	if !first {
		t.Missing += uint64(m.number - t.number)
	}
	t.marked, t.number = true, m.number+1
	if size != int(m.size) {
		if !first {
			t.Damaged++
		}
		return
	}
	t.Pictures++
	if t.key == 0 && t.keySeen {
		t.key = now
	}
	delay := m.since(now)
	if delay > behindBy {
		t.behind = now
	}
	if t.keep {
		t.delays = append(t.delays, delay)
	}
}
