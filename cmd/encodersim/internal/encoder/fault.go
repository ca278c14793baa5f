package encoder

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtp"

	"districtgateway/cmd/encodersim/internal/clip"
)

// ErrNoOther reports a codec or a size that the encoder has no pictures for.
var ErrNoOther = errors.New("nothing else to show")

// loss is a share of packets that are lost for a while.
type loss struct {
	percent float64
	until   time.Time
}

// drop decides over one packet.
func (e *Encoder) drop() bool {
	l := e.loss.Load()
	return l != nil && rand.Float64()*100 < l.percent && time.Now().Before(l.until)
}

// Lose loses a percentage of media packets, as a bad network would, for d.
func (e *Encoder) Lose(percent float64, d time.Duration) {
	e.loss.Store(&loss{percent, time.Now().Add(d)})
}

// Silence sends no media for d; sessions stay open and requests are answered.
func (e *Encoder) Silence(d time.Duration) { e.player.Silence(d) }

// Reboot closes every socket and session for d, then comes back at the same
// addresses. A reboot asked for while another is waiting is that one.
func (e *Encoder) Reboot(d time.Duration) {
	select {
	case e.reboots <- d:
	default:
	}
}

// SetPassword changes the password. Sessions that are playing go on.
func (e *Encoder) SetPassword(password string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.password = password
}

// Skew makes the encoder's clock wrong by d: the time it tells, the times that
// UsernameTokens must have, and the NTP time of its sender reports.
func (e *Encoder) Skew(d time.Duration) { e.skew.Store(int64(d)) }

// Jump adds d to every RTP timestamp from now on.
func (e *Encoder) Jump(d time.Duration) { e.player.Jump(d) }

// SwitchCodec changes from H.264 to H.265 or back. As in a real encoder whose
// codec is changed on its web page, the description no longer holds: sessions
// are closed and readers must describe anew. ErrNoOther without such pictures.
func (e *Encoder) SwitchCodec() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	videos := e.shown(!e.state.h265, e.state.swapped)
	if videos[0] == nil || videos[1] == nil {
		return ErrNoOther
	}
	for i, v := range videos {
		if err := e.streams[i].Describe(v); err != nil {
			return err
		}
		e.player.Show(i, v)
	}
	e.state.h265 = !e.state.h265
	return nil
}

// SwitchSize makes main and sub show each other's pictures from a key picture
// on: new parameter sets in the middle of a stream. Sessions stay open.
// ErrNoOther if both profiles show the same.
func (e *Encoder) SwitchSize() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	videos := e.shown(e.state.h265, !e.state.swapped)
	if videos[0] == videos[1] {
		return ErrNoOther
	}
	for i, v := range videos {
		e.streams[i].Refresh(v)
		e.player.Show(i, v)
	}
	e.state.swapped = !e.state.swapped
	return nil
}

// shown returns what the profiles show in a codec.
func (e *Encoder) shown(h265, swapped bool) [2]*clip.Video {
	v := e.cfg.Library.Videos(h265)
	if swapped {
		v[0], v[1] = v[1], v[0]
	}
	return v
}

// Mend ends silence, loss and a wrong clock.
func (e *Encoder) Mend() {
	e.player.Silence(0)
	e.loss.Store(nil)
	e.skew.Store(0)
}

// talk counts and records the audio back-channel.
type talk struct {
	mu    sync.Mutex
	out   io.Writer // nil for none
	heard Talk
	next  uint16
}

// A Talk is what was heard on the audio back-channel.
type Talk struct {
	Packets uint64    `json:"packets"`
	Bytes   uint64    `json:"bytes"` // of G.711
	Lost    uint64    `json:"lost"`  // gaps in the sequence numbers
	Last    time.Time `json:"last,omitzero"`
	Err     string    `json:"err,omitempty"` // of writing to the file
}

// hear takes one packet.
func (t *talk) hear(p *rtp.Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const reordered = 1 << 15 // a step back, not a gap
	if gap := p.SequenceNumber - t.next; t.heard.Packets > 0 && gap < reordered {
		t.heard.Lost += uint64(gap)
	}
	t.next = p.SequenceNumber + 1
	t.heard.Packets++
	t.heard.Bytes += uint64(len(p.Payload))
	t.heard.Last = time.Now()
	if t.out == nil || t.heard.Err != "" {
		return
	}
	if _, err := t.out.Write(p.Payload); err != nil {
		t.heard.Err = err.Error()
	}
}

func (t *talk) report() Talk {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard
}
