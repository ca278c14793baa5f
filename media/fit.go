package media

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
)

const (
	growPause  = 10 * time.Second // between two tries to get memory
	leastIndex = 2048             // packets and units remembered of a stream whose ring grows
)

// fit keeps a stream's ring as large as it has to be.
type fit struct {
	gauge   gauge
	retired []retired
	tried   time.Time // when there was no memory; zero: there was
	short   bool      // it has to be larger than there was memory for
	grown   int
	refused int
}

// A retired ring was replaced by a larger one. Sinks may still be sending out of
// it, until the larger one no longer holds what it held.
type retired struct {
	ring *Ring
	end  uint64 // where it ended
}

// ringSize rounds n up to a size that a ring can have.
func ringSize(n int) int { return 1 << bits.Len(uint(min(max(n, minRingBytes), maxRingBytes)-1)) }

// Ring returns the ring to receive into; the next call of Flush may replace it, so
// that nobody keeps it. Owner only.
func (s *Stream) Ring() *Ring {
	if s.ring == nil && s.allocate() != nil { // only where a stream is driven by hand: Run asks first
		s.adopt(NewRing(make([]byte, 2*s.cfg.RingBytes), false))
	}
	return s.ring
}

// allocate gets the stream its first ring. Where memory cannot be mapped, the heap
// will do.
func (s *Stream) allocate() error {
	if s.ring != nil {
		return nil
	}
	r, err := s.newRing(s.cfg.RingBytes)
	switch {
	case errors.Is(err, ErrMemory):
		return fmt.Errorf("%s: %w", s.cfg.Name, err)
	case err != nil:
		s.cfg.Log.Warn("ring memory not mapped", "stream", s.cfg.Name, "err", err)
		if r, err = s.heapRing(s.cfg.RingBytes); err != nil {
			return fmt.Errorf("%s: %w", s.cfg.Name, err)
		}
	}
	s.adopt(r)
	return nil
}

// adopt makes r the ring, and the logs as long as goes with it.
func (s *Stream) adopt(r *Ring) {
	s.ring = r
	n := max(256, r.Size()/1024)
	if s.cfg.RingMax > 0 {
		n = max(n, leastIndex)
	}
	s.units.grow(n)
	for i := range s.flows[:cap(s.flows)] {
		f := &s.flows[:cap(s.flows)][i]
		f.packets.grow(s.indexSize(f.codec))
	}
}

// newRing makes a ring of memory that the stream is to take from.
func (s *Stream) newRing(size int) (*Ring, error) {
	if s.cfg.Memory == nil {
		return s.heapRing(size)
	}
	if err := s.cfg.Budget.Take(size, s.cfg.Purpose); err != nil {
		return nil, err
	}
	give := func() { s.cfg.Budget.Give(size, s.cfg.Purpose) }
	mem, mirrored, release, err := s.cfg.Memory(size)
	if err != nil {
		give()
		return nil, err
	}
	r := NewRing(mem, mirrored)
	r.release = func() error {
		defer give()
		if release == nil {
			return nil
		}
		return release()
	}
	return r, nil
}

// heapRing makes a ring on ordinary memory, of which it takes twice as much.
func (s *Stream) heapRing(size int) (*Ring, error) {
	if err := s.cfg.Budget.Take(2*size, s.cfg.Purpose); err != nil {
		return nil, err
	}
	r := NewRing(make([]byte, 2*size), false)
	r.release = func() error {
		s.cfg.Budget.Give(2*size, s.cfg.Purpose)
		return nil
	}
	return r, nil
}

// fitRing replaces the ring by a larger one if it holds too little, or if a picture
// that is arriving needs room. Nothing is being received meanwhile.
func (s *Stream) fitRing(now time.Time) {
	if s.ring == nil || int(s.ring.size) >= s.cfg.RingMax {
		return
	}
	want := s.fit.gauge.size(s.ring.size, s.ring.head)
	for i := range s.flows {
		if o := &s.flows[i].open; o.active && o.bytes > s.ring.size*3/8 {
			want = max(want, 2*s.ring.size) // one beyond half of the ring would be cut
		}
	}
	if !s.fit.tried.IsZero() && now.Sub(s.fit.tried) < growPause {
		return
	}
	s.fit.short = want > s.ring.size
	if !s.fit.short {
		return
	}
	err := s.growRing(ringSize(int(min(want, uint64(s.cfg.RingMax)))))
	switch {
	case err == nil:
		s.fit.tried, s.fit.short = time.Time{}, false
		return
	case s.fit.tried.IsZero():
		s.cfg.Log.Warn("ring not grown", "stream", s.cfg.Name, "bytes", s.ring.size, "wanted", want, "err", err)
	}
	s.fit.tried = now
	s.fit.refused++
}

// growRing makes the ring one of size bytes, or of as many as there is memory for.
func (s *Stream) growRing(size int) error {
	old := s.ring
	r, err := s.newRing(size)
	for ; err != nil && size/2 > int(old.size); r, err = s.newRing(size) {
		size /= 2
	}
	if err != nil {
		return err
	}
	r.follow(old)
	s.fit.retired = append(s.fit.retired, retired{old, old.head})
	s.fit.grown++
	s.adopt(r)
	g := &s.fit.gauge
	s.cfg.Log.Info("ring grown", "stream", s.cfg.Name, "from", old.size, "bytes", size, "to_hold", g.held().Duration(),
		"group", g.group.Duration(), "bit_s", g.rate(r.head))
	return nil
}

// past returns how many retired rings hold nothing that ring holds: sinks that have
// yet to notice do so when they are called next.
func (f *fit) past(ring *Ring) (n int) {
	for n < len(f.retired) && !ring.holdsFrom(f.retired[n].end) {
		n++
	}
	return n
}

// retire releases the first n retired rings.
func (s *Stream) retire(n int) {
	if n == 0 {
		return
	}
	for _, r := range s.fit.retired[:n] {
		s.release(r.ring)
	}
	s.fit.retired = append(s.fit.retired[:0], s.fit.retired[n:]...)
}

// freeRings releases every ring.
func (s *Stream) freeRings() {
	s.retire(len(s.fit.retired))
	if s.ring != nil {
		s.release(s.ring)
	}
}

func (s *Stream) release(r *Ring) {
	if err := r.Release(); err != nil {
		s.cfg.Log.Warn("ring not released", "stream", s.cfg.Name, "err", err)
	}
}

// ringState tells how much is held.
func (s *Stream) ringState() RingState {
	if s.ring == nil {
		return RingState{}
	}
	st := RingState{Size: s.ring.Size(), Grown: s.fit.grown, Refused: s.fit.refused, Short: s.fit.short}
	if oldest, next := s.Units(); oldest < next {
		st.Span = max(0, s.Unit(next-1).DTS-s.Unit(oldest).DTS).Duration()
	}
	return st
}
