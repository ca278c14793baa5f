package media

import "time"

// maxClockRate is the largest clock rate, in units a second, that is believed.
const maxClockRate = 1 << 30

const (
	// A step of the timestamp beyond these is no step of time: forward, unless as
	// much time went by; backward, always (pictures are not reordered that far).
	maxForward  = 10 * TicksPerSecond
	maxBackward = 2 * TicksPerSecond
	// A clock is judged absurd after so much steady running at less than 1/slowest
	// of real time or, of what is live, at more than fastest times that: a sender that
	// counts microseconds. What waited somewhere for 30 s and comes at once is not
	// so fast; a download, which is not live, runs as fast as it can.
	clockTrial = 5 * TicksPerSecond
	slowest    = 20
	fastest    = 8
	// What counts as steady: no pause so long between two units.
	steady = TicksPerSecond
	// resync is a correction by SetClock that consumers have to be told of.
	resync = TicksPerSecond / 2
)

// An rtpClock turns the RTP timestamps of one flow into stream time.
type rtpClock struct {
	rate    int64  // timestamp units per second
	set     bool   // base is known
	ran     bool   // a unit was timed
	last    uint32 // timestamp last seen
	ext     int64  // the same, unwrapped
	baseExt int64  // unwrapped timestamp that
	baseAt  Ticks  // is this instant
	pts     Ticks  // last result
	arrived Ticks  // when that unit arrived
	told    Ticks  // time by timestamps, of steady running
	passed  Ticks  // time by arrival, of the same
	broken  bool   // the timestamps mean nothing: time is told by arrival
	slow    bool   // media may come at any pace: nothing is judged by arrival
	live    bool   // media comes at the pace of its time
	jumped  bool   // the next result follows a jump
}

// newRTPClock makes a clock of rate units a second.
func newRTPClock(rate int) rtpClock {
	if rate <= 0 || rate > maxClockRate {
		rate = TicksPerSecond
	}
	return rtpClock{rate: int64(rate)}
}

// ticks converts timestamp units, rounding down.
func (c *rtpClock) ticks(units int64) Ticks {
	if c.rate == TicksPerSecond {
		return Ticks(units)
	}
	q, r := units/c.rate, units%c.rate
	if r < 0 {
		q, r = q-1, r+c.rate
	}
	return Ticks(q*TicksPerSecond + r*TicksPerSecond/c.rate)
}

// at returns the instant of timestamp ts on a unit that arrived at arrived, and
// whether time jumped before it. Start is the answer if nothing is known yet.
func (c *rtpClock) at(ts uint32, arrived, start Ticks) (pts Ticks, jumped bool) {
	c.anchor(ts, start)
	step, passed := c.ticks(int64(int32(ts-c.last))), max(0, arrived-c.arrived)
	c.ext, c.last = c.ext+int64(int32(ts-c.last)), ts
	if c.ran {
		c.judge(step, passed)
	}
	pts = c.baseAt + c.ticks(c.ext-c.baseExt)
	if c.broken {
		pts = c.pts + max(passed, 1)
	}
	jumped, c.jumped = c.jumped, false
	c.pts, c.arrived, c.ran = pts, arrived, true
	return pts, jumped
}

// anchor makes ts the instant at if nothing is known yet.
func (c *rtpClock) anchor(ts uint32, at Ticks) {
	if !c.set {
		c.set, c.last, c.baseAt, c.baseExt = true, ts, at, c.ext
	}
}

// judge compares a step of the timestamp with the time that passed.
func (c *rtpClock) judge(step, passed Ticks) {
	forward := step > maxForward && step-passed > maxForward
	if forward || step < -maxBackward {
		c.rebase(c.pts + max(passed, 1))
		return
	}
	if passed > steady || c.slow {
		return
	}
	c.told, c.passed = c.told+step, c.passed+passed
	if c.passed < clockTrial {
		return
	}
	if absurd := c.told*slowest < c.passed || c.live && c.told > c.passed*fastest; absurd != c.broken {
		c.broken = absurd
		c.rebase(c.pts + max(passed, 1))
	}
	c.told, c.passed = 0, 0
}

// rebase makes the timestamp last seen the instant at.
func (c *rtpClock) rebase(at Ticks) {
	c.baseExt, c.baseAt, c.jumped = c.ext, at, true
}

// align makes timestamp ts the instant at.
func (c *rtpClock) align(ts uint32, at Ticks) {
	c.anchor(ts, at)
	ext := c.ext + int64(int32(ts-c.last))
	was := c.baseAt + c.ticks(ext-c.baseExt)
	c.baseExt, c.baseAt = ext, at
	if off := at - was; off > resync || off < -resync {
		c.jumped = c.ran
	}
}

// A streamClock tells stream time at any moment by the unit that came last.
type streamClock struct {
	epoch  time.Time // of arrivals
	now    time.Time // latest moment the owner knows of
	anchor Ticks     // presentation time of the last unit
	came   Ticks     // when it arrived, since epoch
	newest Ticks     // largest presentation time so far
	ran    bool      // there was a unit
}

// arrived returns now as Ticks since the epoch, which is the first now.
func (c *streamClock) arrived(now time.Time) Ticks {
	if c.epoch.IsZero() {
		c.epoch = now
	}
	c.now = now
	return TicksOf(now.Sub(c.epoch))
}

// at returns the stream time of something that arrives at arrived.
func (c *streamClock) at(arrived Ticks) Ticks {
	if !c.ran {
		return 0
	}
	return c.anchor + max(0, arrived-c.came)
}

// unit notes a unit that arrived at arrived.
func (c *streamClock) unit(pts, arrived Ticks) {
	c.anchor, c.came, c.ran = pts, arrived, true
	c.newest = max(c.newest, pts)
}

// resume makes time go on from now, after everything that was.
func (c *streamClock) resume(now time.Time) {
	arrived := c.arrived(now)
	if c.ran {
		c.anchor, c.came = max(c.at(arrived), c.newest+1), arrived
	}
}
