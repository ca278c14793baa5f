package rtp

import (
	"time"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// A Pacer keeps a session from bursting: to begin with a whole group of pictures
// at once loses up to 78 % of it in socket buffers on the way. It is a bucket of
// bytes that fills at pacedSpeed times the stream's own rate.
type Pacer struct {
	rate   float64 // bytes a second
	tokens float64
	filled time.Time

	arrives float64   // bytes a second, by arrival
	marked  time.Time // when that was measured
	head    uint64    // of the ring, then
}

const (
	pacedSpeed = 8                    // times the stream's bitrate
	pacedBurst = 64 << 10             // bytes that may go at once: most pictures but key frames
	pacedLeast = 2 << 20              // bytes a second, for streams not measured yet or nearly silent
	pacedPause = 2 * time.Millisecond // half of it where that would hold the stream back
)

// Measure derives the rate from what the stream's ring holds and, since the times
// in it are those of the recording in playback, from what came in since the last
// measurement.
func (p *Pacer) Measure(st *media.Stream, now time.Time) {
	head := st.Ring().Head()
	if d := now.Sub(p.marked); p.marked.IsZero() {
		p.marked, p.head = now, head
	} else if d >= time.Second {
		p.arrives = float64(head-p.head) / d.Seconds()
		p.marked, p.head = now, head
	}
	if rate := max(heldRate(st), p.arrives); rate > 0 {
		p.rate = pacedSpeed * rate
	}
}

// heldRate returns the bytes a second of what the ring holds; 0 if that cannot be
// told.
func heldRate(st *media.Stream) float64 {
	oldest, next := st.Units()
	if next-oldest < 2 {
		return 0
	}
	a, b := st.Unit(oldest), st.Unit(next-1)
	from, to := st.Packet(a.Flow, a.First).Off, st.Packet(b.Flow, b.First).Off
	if a.Wall >= b.Wall || from >= to {
		return 0
	}
	return float64(to-from) / (float64(b.Wall-a.Wall) / float64(time.Second))
}

// Allow returns up to which datagram of b may be sent now, from number sent on,
// and how long to wait for the rest.
func (p *Pacer) Allow(now time.Time, b *sock.Batch, sent int) (limit int, wait time.Duration) {
	p.fill(now)
	limit = sent
	for left := p.tokens; limit < b.Len() && left > 0; limit++ {
		left -= float64(b.Size(limit))
	}
	if p.rate*pacedPause.Seconds() > pacedBurst {
		return limit, pacedPause / 2
	}
	return limit, pacedPause
}

// fill adds the tokens of the time that passed.
func (p *Pacer) fill(now time.Time) {
	passed := max(now.Sub(p.filled), 0).Seconds()
	p.tokens = min(p.tokens+max(p.rate, pacedLeast)*passed, pacedBurst)
	p.filled = now
}

// Spend takes the n bytes of a datagram that was sent.
func (p *Pacer) Spend(n int) { p.tokens -= float64(n) }
