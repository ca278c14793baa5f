package relay

import (
	"encoding/binary"
	"fmt"
	"time"

	"districtgateway/media"
)

// flows sorts RTP packets to the flows of a stream and judges whether media is
// alive.
type flows struct {
	ssrc    uint32 // what the sender announced, or was adopted; 0: any
	adopted bool   // ssrc is not what was announced
	byPT    [128]int8
	count   int // elementary flows; 0: program stream

	begun  time.Time // first Receive
	last   time.Time // last packet that counted
	strays uint64    // packets of other SSRCs since the last one that counted
	first  uint32    // their SSRC
}

// strayPatience is how many packets of one unannounced SSRC, none of the
// announced one between them, make it the stream's: some platforms send another
// SSRC than their answer says (quirk 32).
const strayPatience = 32

func newFlows(remote Remote) *flows {
	f := &flows{ssrc: remote.SSRC, count: len(remote.Tracks)}
	for i := range f.byPT {
		f.byPT[i] = -1
	}
	for i, t := range remote.Tracks {
		f.byPT[t.PayloadType&0x7f] = int8(i)
	}
	return f
}

func (f *flows) elementary() bool { return f.count > 0 }

// push gives one packet to the stream if it belongs to it.
func (f *flows) push(s *media.Stream, g media.Range, now time.Time) {
	p := s.Ring().Bytes(g)
	if len(p) < 12 || p[0]>>6 != 2 {
		return // not RTP: strangers, STUN, keepalives of middleboxes
	}
	pt := p[1] & 0x7f
	if pt >= 72 && pt <= 76 {
		return // RTCP (RFC 5761 §4)
	}
	flow := 0
	if f.elementary() {
		if flow = int(f.byPT[pt]); flow < 0 {
			return
		}
	} else if pt != PayloadPS && pt < 96 {
		return // audio beside the program stream (quirk 49) is not carried
	}
	if !f.belongs(binary.BigEndian.Uint32(p[8:])) {
		return
	}
	f.last = now
	_ = s.PushRTP(flow, g, now) // malformed: dropped, and counted by the stream
}

// belongs decides by SSRC whether a packet is the stream's.
func (f *flows) belongs(ssrc uint32) bool {
	if f.ssrc == 0 || ssrc-f.ssrc < uint32(max(f.count, 1)) { // elementary: one SSRC a flow, in a row
		f.strays = 0
		return true
	}
	if ssrc != f.first {
		f.first, f.strays = ssrc, 0
	}
	if f.strays++; f.strays < strayPatience {
		return false
	}
	f.ssrc, f.adopted, f.strays = ssrc, true, 0
	return true
}

// alive returns an error once media has been away for too long.
func (f *flows) alive(now time.Time) error {
	switch {
	case f.begun.IsZero():
		f.begun = now
	case f.last.IsZero() && now.Sub(f.begun) > firstPacketWithin:
		return fmt.Errorf("%w within %s", ErrNoMedia, firstPacketWithin)
	case !f.last.IsZero() && now.Sub(f.last) > silenceLimit:
		return fmt.Errorf("%w for %s", ErrNoMedia, silenceLimit)
	}
	return nil
}
