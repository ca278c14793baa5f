package media

import "time"

// A flow is the packets of one RTP flow, or the samples of one track, on their
// way to becoming units.
type flow struct {
	index       uint8
	track       int   // index of its track; 0 in CarriagePS
	codec       Codec // CodecUnknown in CarriagePS
	programs    bool  // CarriagePS
	payloadType uint8 // what is taken
	anyType     bool  // payloadType is not known: take what comes
	seq         sequencer
	packets     packetLog
	clock       rtpClock
	decode      decodeClock
	marks       markerTrust
	open        openUnit
	sniffer     programSniffer // of the open unit, in CarriagePS
	jump        bool           // the next unit follows a discontinuity
	after       Ticks          // a clock that starts does so no earlier
}

// An openUnit is a unit whose end has not been seen; once closed, the last one.
type openUnit struct {
	Unit
	active  bool
	why     ending // if not active
	timed   Ticks  // when its first packet arrived
	last    Ticks  // when its last packet arrived
	stamp   uint32 // RTP timestamp of its packets
	packets uint32
	bytes   uint64
	marker  bool    // its last packet has the marker
	early   bool    // one before the last had it
	broken  bool    // packets are missing before its first one
	rest    bool    // the unit before it has the same timestamp
	skipped bool    // of a flow without units yet: packets of stamp were
	hint    nalHint // what its packets tell; whether it begins, and with what, the first one
	aac     aacRun
}

// A packetLog remembers the most recent packets of a flow, by number. It holds
// no pointers, so that the garbage collector need not look at it.
type packetLog struct {
	entries []Packet // a power of two of them
	next    uint64   // number of the next packet
	first   uint64   // packets before it were forgotten when the log grew
}

// add appends p.
func (l *packetLog) add(p *Packet) {
	l.entries[l.next&uint64(len(l.entries)-1)] = *p
	l.next++
}

// at returns packet n, which must be held.
func (l *packetLog) at(n uint64) *Packet { return &l.entries[n&uint64(len(l.entries)-1)] }

// holds reports whether packet n and all after it are still there.
func (l *packetLog) holds(n uint64) bool {
	return n >= l.first && n < l.next && l.next-n <= uint64(len(l.entries))
}

// grow makes the log remember n packets, a power of two, if that is more.
func (l *packetLog) grow(n int) {
	if len(l.entries) > 0 && n > len(l.entries) {
		l.entries, l.first = regrown(l.entries, n, l.next, l.first)
	}
}

// regrown returns a log of size n that has what old remembers of the numbers
// before next, and the first of them.
func regrown[T any](old []T, n int, next, first uint64) ([]T, uint64) {
	entries, was := make([]T, n), uint64(len(old))
	if next > was {
		first = max(first, next-was)
	}
	for i := first; i < next; i++ {
		entries[i&uint64(n-1)] = old[i&(was-1)]
	}
	return entries, first
}

// A unitLog remembers the most recent units of a stream, by number.
type unitLog struct {
	entries []Unit // a power of two of them
	next    uint64 // number of the next unit
	first   uint64 // units before it were forgotten when the log grew
	oldest  uint64 // a unit before which none is held
	key     uint64 // number after that of the newest key unit; 0: none yet
	clean   uint64 // the same, of key units that are not damaged
}

// add appends u and returns its number.
func (l *unitLog) add(u Unit) uint64 {
	n := l.next
	l.entries[n&uint64(len(l.entries)-1)] = u
	l.next++
	if u.Key() {
		l.key = l.next
		if u.Flags&UnitDamaged == 0 {
			l.clean = l.next
		}
	}
	return n
}

// at returns unit n, or nil if it is not remembered.
func (l *unitLog) at(n uint64) *Unit {
	if n < l.first || n >= l.next || l.next-n > uint64(len(l.entries)) {
		return nil
	}
	return &l.entries[n&uint64(len(l.entries)-1)]
}

// grow makes the log remember n units, a power of two, if that is more.
func (l *unitLog) grow(n int) {
	if n > len(l.entries) {
		l.entries, l.first = regrown(l.entries, n, l.next, l.first)
		l.oldest = max(l.oldest, l.first)
	}
}

// A markerTrust learns whether the marker bit of a flow ends a picture. Some
// senders set it on every packet, some never (GB/T 28181 devices): closing on it
// would cut pictures in pieces, waiting for the next timestamp costs a picture
// of delay. So markers are followed after a few pictures that they ended, until
// one turns out to be wrong.
type markerTrust struct {
	good     int // pictures in a row that ended with the one marker they had
	need     int // how many are convincing
	trusted  bool
	absent   bool // a picture ended without one
	constant bool // the timestamp never changes: only markers and pack headers are left

	keys uint8 // type of the NAL unit that whole key pictures of the flow begin with; 0: none came
}

const (
	markerProof    = 2
	markerProofMax = 512
)

// ended learns from a picture that a new timestamp ended.
func (m *markerTrust) ended(marker, early bool) {
	switch {
	case early:
		m.betrayed()
	case !marker:
		m.good, m.absent = 0, true
	default:
		m.good++
		m.trusted = m.good >= max(m.need, markerProof)
	}
}

// betrayed notes that a picture went on after its marker.
func (m *markerTrust) betrayed() {
	m.good, m.trusted = 0, false
	m.need = min(4*max(m.need, markerProof), markerProofMax)
}

// reset makes f begin anew, as after a change of the source. What was indexed
// stays.
func (f *flow) reset(reorder, rate int) {
	if f.clock.ran {
		f.after = f.clock.pts + 1
	}
	f.seq, f.clock, f.marks = newSequencer(reorder), newRTPClock(rate), markerTrust{}
	f.decode.restart()
	f.open = openUnit{}
	f.anyType = f.anyType || f.programs
}

// audio reports whether f carries sound alone.
func (f *flow) audio() bool { return !f.programs && !f.codec.Video() }

// patience returns how long f's open unit is waited for: not long where nothing
// but the next timestamp would end it, longer where a marker is going to come, for
// all that is known of the sender.
func (f *flow) patience() time.Duration {
	if f.marks.trusted || !f.marks.absent && !f.open.marker {
		return time.Second
	}
	return unitWait
}

// unitWait bounds the wait for more packets of a unit, and for packets that are
// missing from a flow.
const unitWait = 100 * time.Millisecond
