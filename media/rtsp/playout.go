package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"districtgateway/media"
	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

// Why a session that plays ends.
var (
	errChanged  = errors.New("stream is no longer what was described")
	errGone     = errors.New("viewer gives no sign of life")
	errTornDown = fmt.Errorf("%w: viewer ended the session", media.ErrDone)
)

const (
	// reportsEvery is how often sender reports go out; the first go before the first
	// picture, so that players put sound and pictures together from the start.
	reportsEvery = 5 * time.Second
	hearEvery    = time.Second
	graceTime    = 5 * time.Second // besides sessionTimeout
	maxAnswers   = 32              // that wait to be sent
	maxCarried   = 8               // tracks of a stream
)

// A playout is a session that plays: a sink of its stream, whose owner calls it. The
// connection is the owner's to write to and to close. The viewer's goroutine
// reads it, and hands its answers over by say.
type playout struct {
	name    string
	conn    *sock.TCP
	frames  rtp.Frames // the connection: answers, and media if interleaved
	lanes   []*lane
	byTrack [maxCarried]*lane
	agreed  []media.Track // what was described

	cursor  media.Cursor
	now     position
	hello   func(at media.Ticks) []byte // makes the answer to PLAY; nil once sent
	cname   uint64
	reports time.Time // when they went out last
	stats   media.SinkStats
	inbox   inbox
	ears    ears
}

// A position is what a playout sends.
type position struct {
	version uint32     // of the stream's tracks, which are as agreed
	since   uint64     // number of the first unit known to be of that version
	at      uint64     // number of the unit
	unit    media.Unit // that unit
	free    bool       // what is left to be sent needs the ring no more
}

// An inbox holds answers that wait for the owner.
type inbox struct {
	mu    sync.Mutex
	texts [][]byte
	last  bool // the viewer leaves after them
	wake  func()
}

// ears hear whether a viewer over UDP is still there.
type ears struct {
	heard  atomic.Int64 // last sign of life, Unix nanoseconds
	looked time.Time
	buf    [2048]byte
	out    sock.Batch
	report [rtp.GoodbyeSize]byte
}

func newPlayout(o *offer, conn *sock.TCP, name string) *playout {
	p := &playout{name: name, conn: conn, frames: rtp.NewFrames(conn, rtp.Interleaved), lanes: o.lanes,
		agreed: o.tracks, cname: rand.Uint64()}
	p.inbox.wake = o.stream.Wake
	for _, l := range o.lanes {
		if l.track < maxCarried {
			p.byTrack[l.track] = l
		}
	}
	p.touch(time.Now())
	return p
}

// touch notes a sign of life. Any goroutine.
func (p *playout) touch(now time.Time) { p.ears.heard.Store(now.UnixNano()) }

// say has text sent between two packets. Last: the session ends after it. The
// error says that too many wait. Any goroutine.
func (p *playout) say(text []byte, last bool) error {
	p.inbox.mu.Lock()
	if len(p.inbox.texts) >= maxAnswers {
		p.inbox.mu.Unlock()
		return errNotRead
	}
	p.inbox.texts = append(p.inbox.texts, text)
	p.inbox.last = last
	p.inbox.mu.Unlock()
	p.inbox.wake()
	return nil
}

// Flush sends what has arrived; see [media.Sink].
func (p *playout) Flush(st *media.Stream, now time.Time) (time.Time, error) {
	if err := p.check(st, now); err != nil {
		return time.Time{}, err
	}
	for {
		if p.pending() && !p.now.free && !st.Held(p.now.unit) {
			p.abandon()
		}
		if again, err := p.send(now); err != nil || p.pending() {
			return again, err
		}
		if said, err := p.answers(); said || err != nil {
			if err != nil {
				return time.Time{}, err
			}
			continue
		}
		n, ok := p.cursor.Next(st)
		if !ok {
			return time.Time{}, nil
		}
		p.begin(st, n, now)
	}
}

// check ends a session whose stream or whose viewer is not what it was.
func (p *playout) check(st *media.Stream, now time.Time) error {
	if v := st.TrackVersion(); v != p.now.version {
		if !p.same(st.Tracks()) {
			return errChanged
		}
		p.now.version = v
		_, p.now.since = st.Units()
	}
	if p.lanes[0].ports == nil || now.Sub(p.ears.looked) < hearEvery {
		return nil
	}
	p.ears.looked = now
	return p.hear(st, now)
}

// same reports whether a player that was told of the agreed tracks can play these.
func (p *playout) same(tracks []media.Track) bool {
	for _, l := range p.lanes {
		if l.track >= len(tracks) {
			return false
		}
		was, is := p.agreed[l.track], tracks[l.track]
		if was.Codec != is.Codec || was.ClockRate != is.ClockRate ||
			was.Codec == media.AAC && !slices.EqualFunc(was.Parameters, is.Parameters, slices.Equal) {
			return false
		}
	}
	return true
}

// hear takes the reports of a viewer over UDP, and what it asks for by them.
func (p *playout) hear(st *media.Stream, now time.Time) error {
	for _, l := range p.lanes {
		for range 8 {
			n, err := l.ports.rtcp.Receive(p.ears.buf[:], false, time.Time{})
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			p.touch(now)
			if rtp.WantsKey(p.ears.buf[:n]) {
				st.AskKey()
			}
		}
	}
	if silent := now.Sub(time.Unix(0, p.ears.heard.Load())); silent > sessionTimeout+graceTime {
		return fmt.Errorf("%w for %s", errGone, silent.Round(time.Second))
	}
	return nil
}

// pending reports whether something is not sent yet.
func (p *playout) pending() bool {
	for _, l := range p.lanes {
		if l.out != nil && l.out.Pending() {
			return true
		}
	}
	return p.frames.Pending()
}

// send goes on with what is not sent yet, and returns when to try again.
func (p *playout) send(now time.Time) (again time.Time, err error) {
	if again, err = p.frames.Flush(now); err != nil {
		return again, err
	}
	for _, l := range p.lanes {
		if l.out == nil {
			continue
		}
		next, err := l.out.Flush(now)
		if err != nil {
			return again, err
		}
		if again.IsZero() || !next.IsZero() && next.Before(again) {
			again = next
		}
	}
	return again, nil
}

// reset forgets what was sent.
func (p *playout) reset() {
	p.frames.Reset()
	for _, l := range p.lanes {
		if l.out != nil {
			l.out.Reset()
		}
	}
}

// answers puts the answers that wait before the next unit.
func (p *playout) answers() (said bool, err error) {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	if len(p.inbox.texts) == 0 {
		if p.inbox.last {
			return false, errTornDown
		}
		return false, nil
	}
	p.reset()
	p.now.free = true
	for _, text := range p.inbox.texts {
		p.frames.Text(text)
	}
	p.inbox.texts = nil
	return true, nil
}

// begin packs unit n.
func (p *playout) begin(st *media.Stream, n uint64, now time.Time) {
	p.reset()
	p.now.at, p.now.unit, p.now.free = n, st.Unit(n), false
	if p.hello != nil {
		for _, l := range p.lanes {
			if l.unison != nil {
				l.flow.Seq = l.unison.From(st, uint8(l.track), n)
			}
		}
		p.frames.Text(p.hello(p.now.unit.PTS))
		p.hello = nil
	}
	if now.Sub(p.reports) >= reportsEvery {
		p.reports = now
		p.report(now)
	}
	if p.now.unit.Key() {
		for _, l := range p.lanes {
			if l.out != nil {
				l.out.Pace.Measure(st, now)
			}
		}
	}
	p.pack(st, n)
	p.stats.Units++
}

// pack writes unit n: as it came where that is possible, else in packets of our own
// making.
func (p *playout) pack(st *media.Stream, n uint64) {
	u := p.now.unit
	if st.Carriage() == media.CarriageRTP {
		l := p.laneOf(u.Flow)
		if l == nil {
			return
		}
		if l.out == nil || fits(st, u) {
			before := l.flow
			p.retell(st, l, &media.AccessUnit{Flags: u.Flags, PTS: u.PTS})
			if !p.together(st, l, u) {
				l.flow.Forward(st, u, p.writer(l))
			}
			p.count(before, l.flow)
			return
		}
	}
	units, err := st.Unpack(n)
	if err != nil {
		return // nothing usable in it; the stream has counted the damage
	}
	for i := range units {
		l := p.laneOf(units[i].Track)
		if l == nil {
			continue
		}
		before := l.flow
		p.retell(st, l, &units[i])
		l.flow.Packetize(st.Ring(), &units[i], p.writer(l))
		p.count(before, l.flow)
	}
}

// together sends u as everybody gets it, if the viewer has missed nothing so far and
// was sent nothing of its own; else it leaves the unison.
func (p *playout) together(st *media.Stream, l *lane, u media.Unit) bool {
	if l.unison == nil {
		return false
	}
	r := l.unison.Passage(st, u)
	if r == nil || r.First != l.flow.Seq {
		l.unison = nil
		return false
	}
	if l.out != nil {
		l.out.Passage(st.Ring(), r)
	} else {
		p.frames.Passage(st.Ring(), r)
	}
	l.flow.Seq = r.Next
	l.flow.Packets += r.Packets
	l.flow.Octets += r.Octets
	return true
}

// retell sends a viewer the parameter sets of a, a key picture, if they are no longer
// those that he knows: an encoder that was opened anew may tell them nowhere but in
// its description. Where the picture brings them too, they come twice.
func (p *playout) retell(st *media.Stream, l *lane, a *media.AccessUnit) {
	tracks := st.Tracks()
	if a.Flags&media.UnitKey == 0 || l.track >= len(tracks) || slices.EqualFunc(l.told, tracks[l.track].Parameters, bytes.Equal) ||
		p.now.at < p.now.since && a.Flags&media.UnitDiscontinuity == 0 { // it may be from before the change
		return
	}
	l.told = tracks[l.track].Parameters
	l.flow.Parameters(l.told, a.PTS, p.writer(l))
}

// fits reports whether every packet of u fits a datagram.
func fits(st *media.Stream, u media.Unit) bool {
	for i := u.First; i < u.End; i++ {
		if st.Packet(u.Flow, i).Payload > rtp.MaxForward {
			return false
		}
	}
	return true
}

func (p *playout) count(before, after rtp.Flow) {
	p.stats.Packets += uint64(after.Packets - before.Packets)
	p.stats.Bytes += uint64(after.Octets - before.Octets)
}

// laneOf returns the lane of a track, or nil if the viewer does not want it.
func (p *playout) laneOf(track uint8) *lane {
	if track >= maxCarried {
		return nil
	}
	return p.byTrack[track]
}

// writer returns where the packets of a lane are written to.
func (p *playout) writer(l *lane) rtp.Writer {
	if l.out != nil {
		return l.out
	}
	p.frames.Channel = l.channels[0]
	return &p.frames
}

// instant is now by the stream's own time. That of the pictures' decoding goes on
// evenly, whatever their order is.
func (p *playout) instant(now time.Time) rtp.Instant {
	since := now.Sub(time.Unix(0, p.now.unit.Wall))
	return rtp.Instant{Wall: now, At: p.now.unit.DTS + media.TicksOf(since)}
}

// report writes a sender report for each track.
func (p *playout) report(now time.Time) {
	for _, l := range p.lanes {
		b := p.ears.report[:rtp.ReportSize]
		l.flow.Report(b, p.cname, p.instant(now))
		p.control(l, b)
	}
}

// control sends RTCP: over UDP at once, else in its place among the frames.
func (p *playout) control(l *lane, b []byte) {
	if l.ports == nil {
		p.frames.Channel = l.channels[1]
		copy(p.frames.Header(len(b)), b)
		p.frames.End()
		return
	}
	p.ears.out.Reset()
	p.ears.out.Add(b)
	p.ears.out.End()
	_, _ = l.ports.rtcp.Send(&p.ears.out, 0, 1) // a report lost is a report less
}

// abandon leaves the rest of a unit that the ring no longer holds, and goes on at
// a key picture.
func (p *playout) abandon() {
	p.frames.Abandon()
	for _, l := range p.lanes {
		if l.out != nil {
			l.out.Abandon()
		}
	}
	p.cursor.SkipToKey()
	p.now.free = true
	p.stats.Dropped++
	p.stats.Units--
}

// Position returns the unit reached; see [media.Progress]. While something is not
// sent that is where the session stands.
func (p *playout) Position() uint64 {
	if p.pending() {
		return p.now.at
	}
	return p.cursor.Position()
}

// SinkStats returns the session's counters; see [media.StatsSink].
func (p *playout) SinkStats() media.SinkStats {
	st := p.stats
	st.Kind, st.Name, st.Lapped, st.Copied = "rtsp tcp", p.name, p.cursor.Lapped(), p.frames.Copied()
	if p.lanes[0].ports != nil {
		st.Kind = "rtsp udp"
	}
	return st
}

// Close says goodbye, where that does not tear a packet, and closes the sockets and
// with them the connection; see [media.Sink].
func (p *playout) Close(cause error) {
	now := time.Now()
	if !p.pending() && p.now.unit.Wall != 0 && !errors.Is(cause, media.ErrDone) {
		p.reset()
		for _, l := range p.lanes {
			l.flow.Goodbye(p.ears.report[:], p.cname, p.instant(now))
			p.control(l, p.ears.report[:])
		}
		_, _ = p.frames.Flush(now) // it is a courtesy
	}
	for _, l := range p.lanes {
		l.close()
	}
	p.conn.Close()
}

// time returns the timestamp of an instant.
func (l *lane) time(at media.Ticks) uint32 { return rtp.Time(at, l.flow.Rate) }
