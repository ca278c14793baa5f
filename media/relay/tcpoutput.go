package relay

import (
	"errors"
	"io"
	"time"

	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

// A tcpOutput writes RTP in frames of RFC 4571.
type tcpOutput struct {
	rtp.Frames
	sock *sock.TCP

	heard time.Time // when what the receiver sends was last thrown away
	deaf  bool      // it sends no more
	last  goodbye
	spare [2048]byte
}

// A goodbye is the end of a connection on which everything was written.
type goodbye struct {
	said   bool
	unsent int       // bytes that the receiver has not acknowledged
	since  time.Time // of that many
}

// How long the last bytes may take. A receiver of ours closes when it has passed on
// everything, however long that takes; others wait for a word by SIP, which is
// only said afterwards.
const (
	closeWithin = 10 * time.Second // from the last acknowledgement
	stuckLimit  = time.Hour        // without an acknowledgement
)

func newTCPOutput(t *sock.TCP) *tcpOutput {
	return &tcpOutput{sock: t, Frames: rtp.NewFrames(t, rtp.Lengths)}
}

func (o *tcpOutput) Flush(now time.Time) (time.Time, error) {
	if err := o.hear(now); err != nil {
		return time.Time{}, err
	}
	return o.Frames.Flush(now)
}

// hear throws away what the receiver sends, once a second: reports (RTCP) that
// would block it if nobody took them. A receiver that ends its own sending may
// still receive.
func (o *tcpOutput) hear(now time.Time) error {
	if o.deaf || now.Sub(o.heard) < time.Second {
		return nil
	}
	o.heard = now
	for range 8 {
		switch n, err := o.sock.Receive(o.spare[:], false, now); {
		case errors.Is(err, io.EOF):
			o.deaf = true
			return nil
		case err != nil || n == 0:
			return err
		}
	}
	return nil
}

// finish says that all was written, and reports whether the receiver has taken it.
func (o *tcpOutput) finish(now time.Time) bool {
	if o.Pending() {
		return false
	}
	g := &o.last
	if !g.said {
		g.said, g.since = true, now
		if o.sock.CloseWrite() != nil {
			return true
		}
	}
	o.heard = time.Time{}
	if o.hear(now) != nil {
		return true
	}
	n, err := o.sock.Unsent()
	if err != nil || n == 0 && o.deaf {
		return true
	}
	if n != g.unsent {
		g.unsent, g.since = n, now
	}
	limit := closeWithin
	if n > 0 {
		limit = stuckLimit
	}
	return now.Sub(g.since) >= limit
}
