package webrtc

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"districtgateway/media"
	"districtgateway/media/rtp"
)

// errChanged is why a session ends whose stream is coded in another way now.
var errChanged = errors.New("stream is no longer what was agreed")

const (
	maxLanes     = 2
	maxCarried   = 8 // tracks of a stream
	reportsEvery = 5 * time.Second
	maxLag       = 2 * media.TicksPerSecond // behind the newest unit: then a newer key picture is better
	recentKey    = media.TicksPerSecond     // a key picture no older than this is sent again
	keyEvery     = time.Second              // a browser is given a key picture no sooner again
	hurry        = media.TicksPerSecond / 1000
	maxReversals = 3 // pictures before the one sent before them, since the last key picture
)

// A playout is a sink of a stream: its owner calls it, and it fills the queue of a
// session. What it sends is shown at once: the pictures from the last key picture to
// now, which are there when it begins, are stamped a millisecond apart and rush by,
// since a browser that got their true times would stay as late as the oldest of them.
type playout struct {
	far     far
	stream  *media.Stream
	lanes   []*lane
	byTrack [maxCarried]*lane
	out     outlet
	wish    wish
	ending

	cursor media.Cursor
	order  order
	unit   media.Unit
	au     media.AccessUnit // one of its, stamped anew

	cname   uint64
	version uint32    // of the tracks that were looked at
	reports time.Time // when they went out last
	stats   media.SinkStats
}

// A far end is what a stream shows of its consumer.
type far struct{ kind, name string }

// An ending is how a playout and its session tell each other that it is over.
type ending struct {
	over   chan error            // gets the cause, once
	closed chan struct{}         // by then the stream has let go of it
	reason atomic.Pointer[error] // of the session's, to end
}

// A wish is the browser's for a key picture.
type wish struct {
	open atomic.Bool
	met  time.Time // when the last one was
}

// An order is where in time a playout is.
type order struct {
	begun     bool
	live      uint64      // of units before this one there is no sound: it was sent, or is older than now
	stamp     media.Ticks // of the last picture
	last      media.Ticks // when that is shown, by the stream
	reversals int
}

func newPlayout(f far, s *media.Stream, lanes []*lane) *playout {
	p := &playout{far: f, stream: s, lanes: lanes, cname: rand.Uint64(), out: outlet{queue: newQueue()},
		ending: ending{over: make(chan error, 1), closed: make(chan struct{})}}
	for _, l := range lanes {
		if l.track < maxCarried {
			p.byTrack[l.track] = l
		}
	}
	return p
}

// wantKey has the browser given a key picture soon. Any goroutine.
func (p *playout) wantKey() {
	if !p.wish.open.Swap(true) {
		p.stream.Wake()
	}
}

// cut ends the playout for a cause of the session's, unless it has ended: the stream
// counts it with what it cuts itself. Any goroutine but the owner of the stream.
func (p *playout) cut(cause error) {
	p.reason.Store(&cause)
	p.stream.Wake()
	<-p.closed
}

// Flush puts what has arrived into the queue; see [media.Sink].
func (p *playout) Flush(st *media.Stream, now time.Time) (time.Time, error) {
	if why := p.reason.Load(); why != nil {
		return time.Time{}, *why
	}
	if v := st.TrackVersion(); v != p.version {
		if !p.same(st.Tracks()) {
			return time.Time{}, errChanged
		}
		p.version = v
	}
	for {
		if p.out.pending() && !st.Held(p.unit) {
			p.abandon()
		}
		if again := p.out.flush(now); p.out.pending() {
			return again, nil
		}
		look := p.refresh(st, now)
		n, ok := p.cursor.Next(st)
		if !ok {
			return look, nil
		}
		if p.late(st, n) {
			p.cursor.SkipToKey()
			p.stats.Dropped++
			continue
		}
		if err := p.begin(st, n, now); err != nil {
			return time.Time{}, err
		}
	}
}

// same reports whether the tracks are coded as was agreed.
func (p *playout) same(tracks []media.Track) bool {
	for _, l := range p.lanes {
		if l.track >= len(tracks) || tracks[l.track].Codec != l.flow.Codec || tracks[l.track].ClockRate != l.flow.Rate {
			return false
		}
		l.parameters = tracks[l.track].Parameters
	}
	return true
}

// refresh meets the browser's wish for a key picture: by the last one, if that is
// recent, else by the next, which the source is asked for if it can be. It returns
// when to look again.
func (p *playout) refresh(st *media.Stream, now time.Time) (again time.Time) {
	if !p.wish.open.Load() || !p.order.begun {
		return time.Time{}
	}
	if due := p.wish.met.Add(keyEvery); due.After(now) {
		return due
	}
	p.wish.open.Store(false)
	p.wish.met = now
	_, next := st.Units()
	if key, ok := st.LastKey(); ok && st.Unit(next-1).PTS-st.Unit(key).PTS <= recentKey {
		p.stats.Lapped += p.cursor.Lapped()
		p.cursor = media.Cursor{}
		p.order.begun = false
		return time.Time{}
	}
	p.cursor.SkipToKey()
	return time.Time{}
}

// late reports whether unit n is so old that a newer key picture is better.
func (p *playout) late(st *media.Stream, n uint64) bool {
	_, next := st.Units()
	if st.Unit(next-1).PTS-st.Unit(n).PTS <= maxLag {
		return false
	}
	key, ok := st.LastKey()
	return ok && key > n
}

// begin packs unit n.
func (p *playout) begin(st *media.Stream, n uint64, now time.Time) error {
	p.out.reset(n)
	p.unit = st.Unit(n)
	if !p.order.begun {
		p.start(st, n)
	}
	if now.Sub(p.reports) >= reportsEvery {
		p.reports = now
		p.report(now)
	}
	if p.unit.Key() {
		p.out.pace.Measure(st, now)
	}
	units, err := st.Unpack(n)
	if err != nil {
		return nil // nothing usable in it; the stream has counted the damage
	}
	for i := range units {
		if l := p.laneOf(units[i].Track); l != nil {
			p.au = units[i]
			if err := p.pack(st, n, l); err != nil {
				return err
			}
		}
	}
	p.order.live = max(p.order.live, n+1)
	p.stats.Units++
	return nil
}

// start makes unit n the first one: what is there after it is older than now.
func (p *playout) start(st *media.Stream, n uint64) {
	_, next := st.Units()
	rush := st.Unit(next-1).PTS - media.Ticks(next-n)*hurry
	p.order = order{begun: true, live: max(p.order.live, next-1), stamp: max(p.order.stamp, rush)}
}

// pack writes the access unit at hand.
func (p *playout) pack(st *media.Stream, n uint64, l *lane) error {
	before := l.flow
	p.out.lane = l.number
	if l.flow.Codec.Video() {
		if p.reversed() {
			return errReordered
		}
		p.order.stamp = max(p.au.PTS, p.order.stamp+hurry)
		p.au.PTS = p.order.stamp
		if p.au.Key() && !brings(&p.au) {
			l.flow.Parameters(l.parameters, p.au.PTS, &p.out)
		}
	} else if n < p.order.live && st.Pictures() {
		return nil // who sees pictures rush by need not hear them
	}
	l.flow.Packetize(st.Ring(), &p.au, &p.out)
	p.stats.Packets += uint64(l.flow.Packets - before.Packets)
	p.stats.Bytes += uint64(l.flow.Octets - before.Octets)
	return nil
}

// reversed reports whether pictures keep coming that are shown before the one that
// came before them.
func (p *playout) reversed() bool {
	if p.au.Key() || p.au.Flags&media.UnitDiscontinuity != 0 {
		p.order.reversals = 0
	} else if p.au.PTS < p.order.last {
		p.order.reversals++
	}
	p.order.last = p.au.PTS
	return p.order.reversals >= maxReversals
}

// brings reports whether a picture comes with parameter sets.
func brings(a *media.AccessUnit) bool {
	for i := range a.NALs {
		if media.ParameterNAL(a.Codec, a.NALs[i].Type) {
			return true
		}
	}
	return false
}

// laneOf returns the lane of a track, or nil if it is left out.
func (p *playout) laneOf(track uint8) *lane {
	if track >= maxCarried {
		return nil
	}
	return p.byTrack[track]
}

// report puts a sender report for each lane.
func (p *playout) report(now time.Time) {
	var b [rtp.ReportSize]byte
	at := rtp.Instant{Wall: now, At: p.unit.DTS + media.TicksOf(now.Sub(time.Unix(0, p.unit.Wall)))}
	for _, l := range p.lanes {
		l.flow.Report(b[:], p.cname, at)
		p.out.queue.report(b[:], tag{lane: l.number, unit: p.out.unit})
	}
}

// abandon leaves the rest of a unit that the ring no longer holds, and goes on at a
// key picture. Numbers that were not sent are used again: nothing is missing there.
func (p *playout) abandon() {
	for lane, n := range p.out.abandon() {
		if lane < len(p.lanes) {
			p.lanes[lane].flow.Seq -= n
		}
	}
	p.cursor.SkipToKey()
	p.stats.Dropped++
}

// Position returns the unit reached; see [media.Progress]: that of the oldest packet
// which is not sent.
func (p *playout) Position() uint64 {
	if n, ok := p.out.queue.waiting(); ok {
		return n
	}
	if p.out.pending() {
		return p.out.unit
	}
	return p.cursor.Position()
}

// SinkStats returns the session's counters; see [media.StatsSink].
func (p *playout) SinkStats() media.SinkStats {
	st := p.stats
	st.Kind, st.Name, st.Copied = p.far.kind, p.far.name, st.Bytes
	st.Lapped += p.cursor.Lapped()
	return st
}

// Close tells the session why; see [media.Sink].
func (p *playout) Close(cause error) {
	p.over <- cause
	close(p.closed)
}
