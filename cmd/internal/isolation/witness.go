package isolation

import (
	"context"
	"slices"
	"sync"
	"time"

	"districtgateway/cmd/internal/counter"
	"districtgateway/media"
)

// A Witness is a consumer that must not notice what is done to another.
type Witness struct {
	Name string

	mu     sync.Mutex
	cursor media.Cursor
	begun  bool
	next   uint64 // number of the picture expected
	tally  Tally
	scrap  []byte
	ended  error
}

// A Tally is what came since the last one was taken.
type Tally struct {
	Pictures, Lost, Doubled, Reordered, Damaged int
	Torn                                        int             // times that what came after a loss was no key picture
	Delays                                      []time.Duration // from the push into the stream until the picture was here whole
}

// Flawless reports whether everything came once, in order and whole.
func (t Tally) Flawless() bool {
	return t.Pictures > 0 && t.Lost+t.Doubled+t.Reordered+t.Damaged == 0
}

// Delay returns the given percentile of the delays.
func (t Tally) Delay(percent int) time.Duration {
	if len(t.Delays) == 0 {
		return 0
	}
	all := slices.Sorted(slices.Values(t.Delays))
	return all[min(len(all)*percent/100, len(all)-1)]
}

// watch runs a witness of what open yields, until ctx ends.
func (r *Rig) watch(ctx context.Context, name string, open media.Opener) *Witness {
	w := &Witness{Name: name}
	s := media.NewStream(media.StreamConfig{Name: "witness by " + name, Once: true}, open)
	r.running.Go(func() {
		err := s.Run(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = err
	})
	_ = s.Attach(w) // fails only if the stream has ended: then no picture comes
	return w
}

// Take returns the tally since the last Take.
func (w *Witness) Take() Tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tally
	w.tally = Tally{}
	return t
}

// Tally returns the tally so far.
func (w *Witness) Tally() Tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tally
}

// Err returns why what it watched has ended.
func (w *Witness) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// Flush takes what has come; see [media.Sink].
func (w *Witness) Flush(s *media.Stream, now time.Time) (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		n, ok := w.cursor.Next(s)
		if !ok {
			return time.Time{}, nil
		}
		units, err := s.Unpack(n)
		if err != nil {
			w.tally.Damaged++
			continue
		}
		for i := range units {
			w.see(s, &units[i], now)
		}
	}
}

// see tallies one picture.
func (w *Witness) see(s *media.Stream, a *media.AccessUnit, now time.Time) {
	for i := range a.NALs {
		nal := &a.NALs[i]
		if nal.Type != 6 { // SEI (ITU-T H.264 table 7-1)
			continue
		}
		w.scrap = append(w.scrap[:0], nal.Head[:nal.HeadLen]...)
		for _, g := range nal.Body {
			w.scrap = append(w.scrap, s.Ring().Bytes(g)...)
		}
		if n, sent, ok := counter.Parse(w.scrap, false); ok {
			w.count(n, now.Sub(sent), a.Key())
		}
	}
	if a.Flags&media.UnitDamaged != 0 {
		w.tally.Damaged++
	}
}

// count compares a picture's number with the one expected.
func (w *Witness) count(n uint64, delay time.Duration, key bool) {
	switch {
	case !w.begun || n == w.next:
	case n > w.next:
		w.tally.Lost += int(n - w.next)
		if !key {
			w.tally.Torn++
		}
	case n == w.next-1:
		w.tally.Doubled++
		return
	default:
		w.tally.Reordered++
		return
	}
	w.begun, w.next = true, n+1
	w.tally.Pictures++
	w.tally.Delays = append(w.tally.Delays, delay)
}

// Close is that of [media.Sink].
func (w *Witness) Close(error) {}
