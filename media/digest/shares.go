package digest

import "sync"

// Shares bound how many are let in, and how many of them may be somebody's: a user's, or
// those of an [Origin]. They are made by [NewShares]. Any goroutine.
type Shares[K comparable] struct {
	room, share int

	mu       sync.Mutex
	taken    int
	of       map[K]int
	declined uint64
}

// NewShares makes shares of a room for so many, of which one may have one in parts, but at
// least one.
func NewShares[K comparable](room, parts int) *Shares[K] {
	return &Shares[K]{room: room, share: max(room/parts, 1), of: map[K]int{}}
}

// Enter lets one of somebody's in, who has to leave again; false if it is one too many.
func (s *Shares[K]) Enter(who K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.room || s.of[who] >= s.share {
		s.declined++
		return false
	}
	s.taken++
	s.of[who]++
	return true
}

// Leave gives back what Enter gave.
func (s *Shares[K]) Leave(who K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.of[who]--; s.of[who] <= 0 {
		delete(s.of, who)
	}
}

// Count returns how many are in, and how many were one too many.
func (s *Shares[K]) Count() (taken int, declined uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.declined
}
