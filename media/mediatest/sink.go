package mediatest

import (
	"slices"
	"sync"
	"time"

	"districtgateway/media"
)

// A Sample is an access unit whose bytes were copied out of the ring.
type Sample struct {
	Track    uint8
	Codec    media.Codec
	Flags    media.UnitFlags
	PTS, DTS media.Ticks
	NALs     [][]byte // video
	Audio    []byte   // audio
}

// A Sink keeps what it was given. The zero value is ready to be attached; set the
// fields before. Its methods may be called on any goroutine; Flush and Close are
// the stream's.
type Sink struct {
	Oldest  bool         // start at the oldest key unit rather than at the last
	OnFlush func() error // called first in each Flush; an error ends the sink, a panic is the test's business

	mu      sync.Mutex
	cursor  media.Cursor
	begun   bool
	stalled bool
	numbers []uint64
	units   []media.Unit
	samples []Sample
	errs    []error
	flushes int
	closed  []error
}

// Stall makes the sink take nothing, as a consumer does whose buffers are full.
func (k *Sink) Stall(yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stalled = yes
}

// Flush takes every unit there is.
func (k *Sink) Flush(s *media.Stream, _ time.Time) (time.Time, error) {
	if k.OnFlush != nil {
		if err := k.OnFlush(); err != nil {
			return time.Time{}, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flushes++; k.Oldest {
		k.cursor.FromOldest()
	}
	if k.stalled && k.begun {
		return time.Time{}, nil
	}
	for {
		n, ok := k.cursor.Next(s)
		if !ok {
			return time.Time{}, nil
		}
		k.begun = true
		k.take(s, n)
		if k.stalled {
			return time.Time{}, nil
		}
	}
}

// take keeps unit n.
func (k *Sink) take(s *media.Stream, n uint64) {
	k.numbers = append(k.numbers, n)
	k.units = append(k.units, s.Unit(n))
	units, err := s.Unpack(n)
	if err != nil {
		k.errs = append(k.errs, err)
	}
	for i := range units {
		k.samples = append(k.samples, Copy(s, &units[i]))
	}
}

// Copy copies an access unit out of s's ring.
func Copy(s *media.Stream, a *media.AccessUnit) Sample {
	c := Sample{Track: a.Track, Codec: a.Codec, Flags: a.Flags, PTS: a.PTS, DTS: a.DTS}
	for i := range a.NALs {
		nal := slices.Clone(a.NALs[i].Head[:a.NALs[i].HeadLen])
		c.NALs = append(c.NALs, gather(s, nal, a.NALs[i].Body))
	}
	c.Audio = gather(s, nil, a.Payload)
	return c
}

// gather appends the bytes of ranges to b.
func gather(s *media.Stream, b []byte, ranges []media.Range) []byte {
	for _, g := range ranges {
		b = append(b, s.Ring().Bytes(g)...)
	}
	return b
}

// Position reports the sink's progress.
func (k *Sink) Position() uint64 { return k.cursor.Position() }

// Close keeps cause.
func (k *Sink) Close(cause error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = append(k.closed, cause)
}

// Units returns the units taken so far and their numbers.
func (k *Sink) Units() ([]uint64, []media.Unit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.numbers), slices.Clone(k.units)
}

// Samples returns the access units taken so far, and what could not be unpacked.
func (k *Sink) Samples() ([]Sample, []error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.samples), slices.Clone(k.errs)
}

// Closed returns the cause of each Close there was.
func (k *Sink) Closed() []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.closed)
}

// Flushes returns how often Flush was called.
func (k *Sink) Flushes() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.flushes
}

// Lapped returns how many units the sink lost to overwriting.
func (k *Sink) Lapped() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cursor.Lapped()
}
