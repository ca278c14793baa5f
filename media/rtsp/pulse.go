package rtsp

import (
	"fmt"
	"time"
)

// A pulse tells whether media still comes.
type pulse struct {
	packets uint64    // pushed so far
	seen    uint64    // packets at heard
	heard   time.Time // when packets was last seen to grow
}

// watch notes progress, and returns an error once there was none for too long.
func (p *pulse) watch(now time.Time) error {
	if p.packets != p.seen || p.heard.IsZero() {
		p.seen, p.heard = p.packets, now
	}
	if silent := now.Sub(p.heard); silent > silenceLimit {
		return fmt.Errorf("%w for %s", ErrSilent, silent.Round(time.Second))
	}
	return nil
}
