package relay

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestPausedSenderMayBeSilentForTenMinutes: and no longer; when it goes on, its silence
// counts from then.
func TestPausedSenderMayBeSilentForTenMinutes(t *testing.T) {
	at := time.Unix(1000, 0)
	held := new(atomic.Bool)
	f := newFlows(Remote{})
	f.held, f.begun, f.last = held, at, at
	look := func(after time.Duration, want bool) {
		t.Helper()
		at = at.Add(after)
		if err := f.alive(at); (err == nil) != want || err != nil && !errors.Is(err, ErrNoMedia) {
			t.Errorf("%v later: %v", after, err)
		}
	}
	look(silenceLimit, true)
	held.Store(true)
	look(time.Second, true)
	look(8*time.Minute, true)
	held.Store(false)
	look(time.Second, true)
	look(silenceLimit, true)
	look(time.Second, false)

	f.last = at
	held.Store(true)
	look(pauseLimit, true)
	look(time.Second, false)
}
