package domain

import (
	"container/heap"
	"log/slog"
	"math/rand/v2"
	"time"
)

// A desk is where the machines work during one step: the instant, the effects so
// far, fresh numbers, dice, the alarms that are set and who waits for which answer.
type desk struct {
	now    time.Time
	out    []Effect
	last   uint64 // number given out last: tags, legs
	sn     int    // serial number given out last
	dice   *rand.Rand
	alarms alarms
	tags   map[Tag]waiter
}

// A waiter is told the answer to a request.
type waiter interface {
	answered(p *Processor, ev Answered)
}

func newDesk(seed uint64) desk {
	return desk{dice: rand.New(rand.NewPCG(seed, 0x67623238)), tags: make(map[Tag]waiter)}
}

func (d *desk) do(fx Effect) { d.out = append(d.out, fx) }

func (d *desk) note(level slog.Level, event string, attrs ...slog.Attr) {
	d.do(Note{level, event, attrs})
}

func (d *desk) number() uint64 {
	d.last++
	return d.last
}

// serial returns a number for SN, which is unique for a long time.
func (d *desk) serial() int {
	d.sn = d.sn%(1<<31-1) + 1
	return d.sn
}

// ask returns the tag of a request whose answer w is told.
func (d *desk) ask(w waiter) Tag {
	tag := Tag(d.number())
	d.tags[tag] = w
	return tag
}

// jitter returns a random span below most.
func (d *desk) jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(d.dice.Int64N(int64(most)))
}

// An alarm tells its owner that an instant has come. Its zero value is not set.
type alarm struct {
	at    time.Time
	place int // in the heap, from 1; 0: not set
	owner expirer
}

// An expirer is told that its alarm went off; the alarm is not set any more.
type expirer interface {
	expired(p *Processor)
}

// set sets a to the earliest of the instants that are not zero, or unsets it.
func (d *desk) set(a *alarm, instants ...time.Time) {
	var at time.Time
	for _, t := range instants {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	switch {
	case at.IsZero() && a.place > 0:
		heap.Remove(&d.alarms, a.place-1)
	case at.IsZero():
	case a.place == 0:
		a.at = at
		heap.Push(&d.alarms, a)
	case !a.at.Equal(at):
		a.at = at
		heap.Fix(&d.alarms, a.place-1)
	}
}

// alarms is a heap by instant; each alarm knows its place, so that moving one
// among 10^5 costs 17 steps.
type alarms []*alarm

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h *alarms) Push(x any) {
	a := x.(*alarm)
	*h = append(*h, a)
	a.place = len(*h)
}

func (h *alarms) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.place = 0
	return a
}

// due takes the first alarm that has gone off.
func (d *desk) due() *alarm {
	if len(d.alarms) == 0 || d.alarms[0].at.After(d.now) {
		return nil
	}
	return heap.Pop(&d.alarms).(*alarm)
}

// past reports whether at is set and has come.
func (d *desk) past(at time.Time) bool { return !at.IsZero() && !at.After(d.now) }
