package relay

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"districtgateway/media"
)

// flows sorts RTP packets to the flows of a stream and judges whether media is
// alive.
type flows struct {
	lanes []lane // plain RTP: one for each track; program stream: one
	byPT  [128]int8
	plain bool // plain RTP rather than program stream
	// strange is set while packets come from a host that the answer does not name.
	strange bool

	begun time.Time    // first Receive
	last  time.Time    // last packet that counted
	held  *atomic.Bool // the sender was paused; nil: it cannot be
	quiet bool         // it was when we last looked
}

// A lane is one flow and the SSRC it is known by.
type lane struct {
	ssrc   uint32 // what the sender announced, or was adopted; 0: the first to come
	strays uint64 // packets of other SSRCs since the last one that counted
	first  uint32 // their SSRC
}

// strayPatience is how many packets of one unannounced SSRC, none of the
// announced one between them, make it the stream's: some platforms send another
// SSRC than their answer says (quirk 32).
const strayPatience = 32

func newFlows(remote Remote) *flows {
	f := &flows{plain: len(remote.Tracks) > 0, lanes: make([]lane, max(len(remote.Tracks), 1))}
	for i := range f.byPT {
		f.byPT[i] = -1
	}
	for i, t := range remote.Tracks {
		f.byPT[t.PayloadType&0x7f] = int8(i)
	}
	for i := range f.lanes {
		if remote.SSRC != 0 {
			f.lanes[i].ssrc = remote.SSRC + uint32(i) // one SSRC a flow, in a row
		}
	}
	return f
}

// push gives one packet to the stream. It reports whether it was the stream's.
func (f *flows) push(s *media.Stream, g media.Range, now time.Time) bool {
	p := s.Ring().Bytes(g)
	if !isRTP(p) {
		return false // strangers, STUN, keepalives of middleboxes
	}
	pt := p[1] & 0x7f
	if pt >= 72 && pt <= 76 {
		return false // RTCP (RFC 5761 §4)
	}
	flow := 0
	if f.plain {
		if flow = int(f.byPT[pt]); flow < 0 {
			return false
		}
	} else if pt < PayloadPS {
		return false // audio beside the program stream (quirk 49) is not carried
	}
	if !f.lanes[flow].belongs(binary.BigEndian.Uint32(p[8:]), !f.strange) {
		s.CountStray()
		return false
	}
	f.last = now
	_ = s.PushRTP(flow, g, now) // malformed: dropped, and counted by the stream
	return true
}

// isRTP reports whether p can be an RTP packet (RFC 3550 §5.1).
func isRTP(p []byte) bool { return len(p) >= 12 && p[0]>>6 == 2 }

// belongs decides by SSRC whether a packet is the lane's. Another SSRC than the
// announced one is never adopted from strangers.
func (l *lane) belongs(ssrc uint32, adopt bool) bool {
	if l.ssrc == 0 {
		l.ssrc = ssrc
	}
	if ssrc == l.ssrc {
		l.strays = 0
		return true
	}
	if !adopt {
		return false
	}
	if ssrc != l.first {
		l.first, l.strays = ssrc, 0
	}
	if l.strays++; l.strays < strayPatience {
		return false
	}
	l.ssrc, l.strays = ssrc, 0
	return true
}

// pause leaves out of all silence a time in which nobody listened: the stream
// waited for its sinks.
func (f *flows) pause(d time.Duration) {
	if !f.begun.IsZero() {
		f.begun = f.begun.Add(d)
	}
	if !f.last.IsZero() {
		f.last = f.last.Add(d)
	}
}

// alive returns an error once media has been away for too long. A pause ends where it
// was, and the silence counts from then.
func (f *flows) alive(now time.Time) error {
	limit := silenceLimit
	switch held := f.held != nil && f.held.Load(); {
	case held:
		limit = pauseLimit
	case f.quiet && !f.last.IsZero():
		f.last = now
	}
	f.quiet = limit == pauseLimit
	switch {
	case f.begun.IsZero():
		f.begun = now
	case f.last.IsZero() && now.Sub(f.begun) > firstPacketWithin:
		return fmt.Errorf("%w within %s", ErrNoMedia, firstPacketWithin)
	case !f.last.IsZero() && now.Sub(f.last) > limit:
		return fmt.Errorf("%w for %s", ErrNoMedia, limit)
	}
	return nil
}
