package isolation

import (
	"context"
	"sync"
	"time"
)

// A pulse tells how late this process is when it wants to do something at an instant:
// what the machine, and not the gateway, delays.
type pulse struct {
	mu    sync.Mutex
	tally Tally
	stood time.Duration
}

// beat is how often it is looked.
const beat = 5 * time.Millisecond

// feel looks until ctx ends.
func (p *pulse) feel(ctx context.Context) {
	for {
		due := time.Now().Add(beat)
		select {
		case <-time.After(beat):
		case <-ctx.Done():
			return
		}
		late := time.Since(due)
		p.mu.Lock()
		p.tally.Delays = append(p.tally.Delays, late)
		p.stood = max(p.stood, late)
		p.mu.Unlock()
	}
}

// Pulse returns how late this process was since it was last asked, as the delays of a
// tally.
func (r *Rig) Pulse() Tally {
	r.pulse.mu.Lock()
	defer r.pulse.mu.Unlock()
	t := r.pulse.tally
	r.pulse.tally = Tally{}
	return t
}

// Stood returns for how long at most this process stood still so far. What comes by
// UDP in more than some 100 ms of that does not fit the socket of a witness, and is
// no loss of the gateway's.
func (r *Rig) Stood() time.Duration {
	r.pulse.mu.Lock()
	defer r.pulse.mu.Unlock()
	return r.pulse.stood
}
