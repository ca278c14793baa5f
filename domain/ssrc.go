package domain

import (
	"strconv"
	"time"
)

const (
	maxSSRC        = 10_000           // of one kind and domain: four digits
	ssrcQuarantine = 15 * time.Second // a receiver may hold the number so long after the end
)

// An ssrcPool gives out the numbers of y= (GB/T 28181-2022 Annex G): a digit 0 for live
// or 1 for history, digits 4 to 8 of our id, and four digits that are free. A
// number rests before it is used again.
type ssrcPool struct {
	base  uint32 // digits 4 to 8, in their place
	next  uint32
	busy  map[uint32]bool
	rests map[uint32]bool
	order []resting // those of rests, in the order of their release
}

// A resting number is one that may be given out again at an instant.
type resting struct {
	n     uint32
	until time.Time
}

func newSSRCPool(self Code) ssrcPool {
	middle, _ := strconv.ParseUint(string(self[3:8]), 10, 32) // digits: a Code is valid
	return ssrcPool{base: uint32(middle) * maxSSRC, busy: make(map[uint32]bool), rests: make(map[uint32]bool)}
}

// take returns a free number, or false if all are busy or resting.
func (s *ssrcPool) take(now time.Time, kind Kind) (uint32, bool) {
	s.wake(now)
	base := s.base
	if kind != Live {
		base += 1_000_000_000
	}
	for range uint32(maxSSRC) {
		s.next = (s.next + 1) % maxSSRC
		n := base + s.next
		if n == 0 || s.busy[n] || s.rests[n] {
			continue
		}
		s.busy[n] = true
		return n, true
	}
	return 0, false
}

// release gives a number back.
func (s *ssrcPool) release(now time.Time, n uint32) {
	s.wake(now)
	if s.busy[n] {
		delete(s.busy, n)
		s.rests[n] = true
		s.order = append(s.order, resting{n, now.Add(ssrcQuarantine)})
	}
}

// wake ends the rest of those that have rested enough.
func (s *ssrcPool) wake(now time.Time) {
	for len(s.order) > 0 && !s.order[0].until.After(now) {
		delete(s.rests, s.order[0].n)
		s.order = s.order[1:]
	}
}
