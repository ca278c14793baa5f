package media

// What a ring has to hold: the group of pictures that is being sent and
// overGroup, and leastHeld at least, which a disk may hang without a loss.
const (
	leastHeld = 6 * TicksPerSecond
	overGroup = 2 * TicksPerSecond
)

// A gauge looks at a stream every markEvery, and remembers as much as mostHeld.
const (
	markEvery = TicksPerSecond / 4
	markCount = 256 // a power of two
	mostHeld  = (markCount - 1) * markEvery
)

// A gauge measures how many bytes of its stream a ring has to hold. It goes by
// decoding times and not by arrival: a group that comes at once, as the first one
// does from a sender of ours, is no bitrate.
type gauge struct {
	marks [markCount]mark
	next  uint64 // number of the next mark
	from  uint64 // marks before it are from before a jump in time
	key   Ticks  // of the newest key unit
	keyed bool   // there was one since the jump
	group Ticks  // the longest group of pictures so far
	need  uint64 // the most that had to be held so far
}

// A mark says where a stream was at an instant.
type mark struct {
	at  Ticks
	pos uint64 // in the ring
}

// take looks at u, a unit by which the stream's time is told, after which the ring
// stands at head.
func (g *gauge) take(u Unit, head uint64) {
	if g.next > g.from {
		if step := u.DTS - g.last().at; step < 0 || step > maxForward || u.Flags&UnitDiscontinuity != 0 {
			g.from, g.keyed = g.next, false
		}
	}
	if u.Key() {
		if g.keyed {
			g.group = max(g.group, u.DTS-g.key)
		}
		g.key, g.keyed = u.DTS, true
	}
	if g.next > g.from && u.DTS-g.last().at < markEvery {
		return
	}
	*g.mark(g.next) = mark{u.DTS, u.low}
	g.next++
	g.measure(head)
}

func (g *gauge) mark(n uint64) *mark { return &g.marks[n%markCount] }
func (g *gauge) last() *mark         { return g.mark(g.next - 1) }

// oldest returns the number of the oldest mark since the last jump.
func (g *gauge) oldest() uint64 {
	if g.next > markCount {
		return max(g.from, g.next-markCount)
	}
	return g.from
}

// held returns how much of the stream is to be held, at the newest mark.
func (g *gauge) held() Ticks {
	group := g.group
	if g.keyed {
		group = max(group, g.last().at-g.key)
	}
	return min(max(group+overGroup, leastHeld), mostHeld)
}

// measure counts the bytes of as much of the stream as is to be held, if so much
// has been seen.
func (g *gauge) measure(head uint64) {
	begin := g.last().at - g.held()
	for n := g.next; n > g.oldest(); n-- {
		if m := g.mark(n - 1); m.at <= begin {
			g.need = max(g.need, head-m.pos)
			return
		}
	}
}

// rate returns the bitrate of what was seen lately, in bit/s.
func (g *gauge) rate(head uint64) uint64 {
	if g.next == g.from {
		return 0
	}
	m := g.mark(g.oldest())
	return (head - m.pos) * 8 * TicksPerSecond / uint64(max(g.last().at-m.at, 1))
}

// size returns how many bytes a ring should have instead of size: at least that.
func (g *gauge) size(size, head uint64) uint64 {
	return max(size, g.need+g.need/8+headroom, g.foretold(size, head))
}

// foretold returns how many bytes a ring should have as long as less was seen than
// is to be held; 0 while that fits. Less than a second, most of it a key picture,
// foretells no more than that the ring is too small.
func (g *gauge) foretold(size, head uint64) uint64 {
	if g.next == g.from {
		return 0
	}
	m, held := g.mark(g.oldest()), g.held()
	seen, bytes := g.last().at-m.at, head-m.pos
	switch {
	case seen >= held || bytes <= size*3/4:
		return 0
	case seen < TicksPerSecond:
		return 2 * size
	}
	need := uint64(float64(bytes) * float64(held) / float64(seen))
	return need + need/8 + headroom
}

// headroom is what is left free beside, and an eighth besides: what a source
// reserves to receive into is lost before it is written.
const headroom = 128 << 10
