package rtsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mirror"
	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

// A theatre is a stream of pictures and sound, and players on real connections that
// read little by little, stall, come and go.
type theatre struct {
	t       *testing.T
	rng     *rand.Rand
	s       *media.Stream
	now     time.Time
	sources [2]*mediatest.Packetizer
	framed  bool
	stamp   uint32
	known   uint64 // units that are in shown
	shown   [2][]*shownUnit
	all     unisons
	guests  []*guest
	copier  *copier
	did     feats
}

// feats count what happened, so that nothing is left untried.
type feats struct{ guests, complete, dropped, alone, together, told, replaced, reports, texts, grown, copied int }

// A shownUnit is what every player is to get of a unit.
type shownUnit struct {
	number   uint64
	time     uint32
	key      bool
	payloads [][]byte
	steps    []uint16 // numbers from the first packet to each of them
	markers  []bool
}

// A guest is a player that reads what comes, and checks it.
type guest struct {
	*playout
	offer    *offer
	far      *sock.TCP
	in       []byte
	slow     bool
	hello    bool
	texts    int
	promised map[int]uint16  // first number, of each track
	seats    map[byte]*place // by channel
}

// A place is where a guest is in a track.
type place struct {
	lane            *lane
	began           bool
	unit            int // index in shown
	packet          int // that came last
	next            uint16
	packets, octets uint32
}

func newTheatre(t *testing.T, seed uint64) *theatre {
	h := &theatre{t: t, rng: rand.New(rand.NewPCG(seed, 12)), now: time.Unix(1_700_000_000, 0)}
	cfg := media.StreamConfig{RingBytes: 256 << 10, SlowLimit: time.Hour}
	if seed%2 == 0 {
		cfg.Memory = mirror.New
	}
	if seed%3 == 0 {
		cfg.RingMax = 1 << 20
	}
	h.s = media.NewStream(cfg, nil)
	h.copier = newCopier()
	if err := h.s.Attach(h.copier); err != nil {
		t.Fatal(err)
	}
	h.replace()
	for range 3 {
		h.feed()
	}
	return h
}

func (h *theatre) odds(n int) bool { return h.rng.IntN(n) == 0 }

// replace opens another source of the same coding, perhaps with other parameter sets.
func (h *theatre) replace() {
	h.framed = !h.odds(4)
	video := mediatest.VideoTrack(media.H264)
	if video.Parameters = mediatest.Parameters(media.H264); h.odds(3) {
		video.Parameters = mediatest.OtherParameters(media.H264)
	}
	o := media.Opened{Ordered: true, Tracks: []media.Track{video, {Codec: media.G711A, ClockRate: 8000, Channels: 1, PayloadType: 8}}}
	if h.framed {
		o.Front = framed
	}
	h.s.Adopt(o, h.now)
	for i, pt := range []uint8{96, 8} {
		h.sources[i] = &mediatest.Packetizer{PayloadType: pt, SSRC: h.rng.Uint32(), Seq: uint16(h.rng.Uint32())}
	}
	h.did.replaced++
}

// feed has a picture and some sound arrive, of which a little is lost.
func (h *theatre) feed() {
	h.stamp += 3600
	h.now = h.now.Add(40 * time.Millisecond)
	slice := mediatest.Slice(media.H264, h.odds(8), 20+h.rng.IntN(12000), byte(h.rng.Uint32())) // parameter sets are in the description
	queues := [2][][]byte{h.sources[0].Video(media.H264, h.stamp, slice), nil}
	for i := range uint32(h.rng.IntN(4)) {
		sound := bytes.Repeat([]byte{byte(h.rng.Uint32())}, 1+h.rng.IntN(200))
		queues[1] = append(queues[1], h.sources[1].Packet(h.stamp*8/90+i*80, true, sound))
	}
	put := mediatest.Put
	if h.framed {
		put = mediatest.PutFramed
	}
	for len(queues[0])+len(queues[1]) > 0 {
		flow := h.rng.IntN(2)
		if len(queues[flow]) == 0 {
			continue
		}
		b := queues[flow][0]
		if queues[flow] = queues[flow][1:]; h.odds(100) {
			continue
		}
		if err := h.s.PushRTP(flow, put(h.s, b), h.now); err != nil {
			h.t.Fatal(err)
		}
	}
	h.s.CloseUnits()
	h.note()
	size := h.s.Ring().Size()
	h.s.Flush(h.now)
	if h.s.Ring().Size() > size {
		h.did.grown++
	}
}

// note keeps what the new units are, before anybody gets them.
func (h *theatre) note() {
	for _, next := h.s.Units(); h.known < next; h.known++ {
		u := h.s.Unit(h.known)
		rate := h.s.Tracks()[u.Flow].ClockRate
		unit := &shownUnit{number: h.known, time: rtp.Time(u.PTS, rate), key: u.Key()}
		first := h.s.Packet(u.Flow, u.First).Seq
		for i := u.First; i < u.End; i++ {
			p := h.s.Packet(u.Flow, i)
			unit.payloads = append(unit.payloads, bytes.Clone(h.s.Ring().Bytes(p.Body())))
			unit.steps = append(unit.steps, p.Seq-first)
			unit.markers = append(unit.markers, i == u.End-1 || u.Flow == 1)
		}
		h.shown[u.Flow] = append(h.shown[u.Flow], unit)
	}
}

// small returns the two ends of a connection whose near one holds little.
func small(t *testing.T) (near, far *sock.TCP) {
	t.Helper()
	var ends [2]*sock.TCP
	one, other := mediatest.Connected(t)
	for i, c := range []*net.TCPConn{one, other} {
		if err := c.SetWriteBuffer(16 << 10); err != nil {
			t.Fatal(err)
		}
		end, err := sock.NewTCP(c)
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = end
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

// come lets a player in, which sets up what it likes.
func (h *theatre) come() {
	conn, far := small(h.t)
	g := &guest{offer: newOffer("cam1", h.s, func() {}, &h.all), far: far, slow: h.odds(3), promised: map[int]uint16{}, seats: map[byte]*place{}}
	tracks := [][]int{{0, 1}, {0, 1}, {0, 1}, {0}, {1}, {1, 0}}[h.rng.IntN(6)]
	for _, track := range tracks {
		asked := headers.Transport{Protocol: headers.TransportProtocolTCP}
		if h.odds(3) {
			asked.InterleavedIDs = &[2]int{2 * track, 2*track + 1}
		} else if h.odds(8) {
			asked.InterleavedIDs = &[2]int{10 + 2*track, 11 + 2*track}
		}
		l, err := g.offer.prepare(track, asked, conn, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		l.url = fmt.Sprint(track)
		g.offer.lanes = append(g.offer.lanes, l)
		g.seats[l.channels[0]] = &place{lane: l}
	}
	g.playout = newPlayout(g.offer, conn, "guest")
	g.playout.hello = func(at media.Ticks) []byte { return []byte("hello " + g.offer.info(at) + "\n") }
	if err := h.s.Attach(g.playout); err != nil {
		h.t.Fatal(err)
	}
	h.guests = append(h.guests, g)
	h.did.guests++
}

// leave has a guest go.
func (h *theatre) leave(i int) {
	g := h.guests[i]
	h.guests = slices.Delete(h.guests, i, i+1)
	for _, l := range g.lanes {
		if l.unison != nil {
			h.did.together++
		} else {
			h.did.alone++
		}
	}
	if h.missed(g) {
		h.did.dropped++
	}
	g.far.Close()
	h.detach(g.playout)
	g.offer.release()
}

// detach waits for what the owner of the stream, which is the test, has to do itself.
func (h *theatre) detach(k media.Sink) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		h.s.Detach(k)
	}()
	for {
		h.s.Flush(h.now)
		select {
		case <-gone:
			return
		default:
		}
	}
}

// missed reports whether a guest did not get everything.
func (h *theatre) missed(g *guest) bool { return g.stats.Dropped > 0 || g.cursor.Lapped() > 0 }

// read has a guest take up to n bytes, if there are any, and check what is whole.
func (h *theatre) read(g *guest, n int) (some bool) {
	b := make([]byte, n)
	n, err := g.far.Receive(b, false, time.Time{})
	if err != nil {
		h.t.Fatal(err)
	}
	g.in = append(g.in, b[:n]...)
	for h.parse(g) {
	}
	return n > 0
}

// parse takes the next piece of what a guest has read.
func (h *theatre) parse(g *guest) bool {
	switch {
	case len(g.in) < 4:
		return false
	case g.in[0] != '$':
		line, rest, ok := bytes.Cut(g.in, []byte("\n"))
		if ok {
			h.line(g, string(line))
			g.in = rest
		}
		return ok
	}
	n := 4 + int(binary.BigEndian.Uint16(g.in[2:]))
	if len(g.in) < n {
		return false
	}
	channel, b := g.in[1], g.in[4:n]
	g.in = g.in[n:]
	if at := g.seats[channel]; at != nil {
		h.packet(g, at, b)
	} else if at = g.seats[channel-1]; at != nil {
		h.report(g, at, b)
	} else {
		h.t.Fatalf("channel %d", channel)
	}
	return true
}

// line takes text.
func (h *theatre) line(g *guest, text string) {
	if text == "text" && g.texts > 0 {
		g.texts--
		h.did.texts++
		return
	}
	info, ok := strings.CutPrefix(text, "hello ")
	if !ok || g.hello {
		h.t.Fatalf("text %q", text)
	}
	g.hello = true
	for part := range strings.SplitSeq(info, ",") {
		var track int
		var seq, ts uint32
		if _, err := fmt.Sscanf(part, "url=%d;seq=%d;rtptime=%d", &track, &seq, &ts); err != nil {
			h.t.Fatal(err)
		}
		g.promised[track] = uint16(seq)
	}
}

// report checks the counters of a sender report.
func (h *theatre) report(g *guest, at *place, b []byte) {
	packets, octets := binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint32(b[24:])
	if b[1] != 200 || binary.BigEndian.Uint32(b[4:]) != at.lane.flow.SSRC {
		h.t.Fatalf("report % X", b)
	}
	if !h.missed(g) && (packets != at.packets || octets != at.octets) {
		h.t.Fatalf("report of %d packets and %d octets after %d and %d", packets, octets, at.packets, at.octets)
	}
	h.did.reports++
}

// packet checks a packet: it is the next one of its unit, or the first of a later one.
func (h *theatre) packet(g *guest, at *place, b []byte) {
	flow, seq, ts, body := &at.lane.flow, binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), b[rtp.HeaderSize:]
	if b[0] != 2<<6 || b[1]&0x7F != flow.PayloadType || binary.BigEndian.Uint32(b[8:]) != flow.SSRC {
		h.t.Fatalf("header % X, want type %d and SSRC %X", b[:12], flow.PayloadType, flow.SSRC)
	}
	at.packets++
	at.octets += uint32(len(body))
	if !at.began {
		at.began, at.unit, at.next = true, -1, g.promised[at.lane.track]
	}
	index, packet := h.find(g, at, ts)
	u := h.shown[at.lane.track][index]
	if packet > 0 {
		at.next += u.steps[packet] - u.steps[packet-1] - 1
	}
	if seq != at.next && !(packet == 0 && h.missed(g) && int16(seq-at.next) > 0) {
		h.t.Fatalf("track %d: packet %d of unit %d has number %d, want %d", at.lane.track, packet, u.number, seq, at.next)
	}
	at.next = seq + 1
	if u.key && packet == 0 && parameters(body) {
		h.did.told++
		return
	}
	if !bytes.Equal(body, u.payloads[packet]) || b[1]>>7 == 1 != u.markers[packet] {
		h.t.Fatalf("track %d: packet %d of unit %d is another", at.lane.track, packet, u.number)
	}
	if index > at.unit+1 && at.unit >= 0 && flow.Codec.Video() && !u.key {
		h.t.Fatalf("goes on at unit %d, no key picture", u.number)
	}
	at.unit, at.packet = index, packet
}

// find returns which packet of which unit of its track one of an instant is.
func (h *theatre) find(g *guest, at *place, ts uint32) (index, packet int) {
	units := h.shown[at.lane.track]
	whole := at.unit < 0 || at.packet+1 == len(units[at.unit].payloads)
	if !whole && units[at.unit].time == ts {
		return at.unit, at.packet + 1
	}
	index = at.unit + 1
	for (at.unit < 0 || h.missed(g)) && index < len(units) && units[index].time != ts {
		index++
	}
	if index == len(units) || units[index].time != ts || !whole && !h.missed(g) {
		h.t.Fatalf("track %d: a packet of %d comes after packet %d of unit %d of %d", at.lane.track, ts, at.packet, at.unit, len(units))
	}
	return index, 0
}

// parameters reports whether a packet is one of parameter sets.
func parameters(body []byte) bool {
	typ := body[0] & 0x1F
	return typ == 7 || typ == 8 || typ == 24
}

// live lets something happen.
func (h *theatre) live() {
	switch {
	case h.odds(150):
		h.replace()
	case len(h.guests) < 3 && h.odds(2), len(h.guests) < 6 && h.odds(12):
		h.come()
	case len(h.guests) > 0 && h.odds(50):
		h.leave(h.rng.IntN(len(h.guests)))
	case len(h.guests) > 0 && h.odds(20):
		h.say(h.guests[h.rng.IntN(len(h.guests))])
	default:
		h.feed()
	}
	for _, g := range h.guests {
		if g.slow && !h.odds(20) {
			continue
		}
		for range 1 + h.rng.IntN(40) {
			if !h.read(g, 1+h.rng.IntN(3000)) {
				break
			}
			if h.odds(4) {
				h.s.Flush(h.now)
			}
		}
	}
}

// say has a guest told something.
func (h *theatre) say(g *guest) {
	if g.playout.say([]byte("text\n"), false) == nil {
		g.texts++
	}
}

// goOn has a guest read until something is so.
func (h *theatre) goOn(g *guest, done func() bool) {
	until(h.t, "a guest does not get on", func() bool {
		for h.read(g, 64<<10) {
		}
		h.now = h.now.Add(time.Millisecond)
		h.s.Flush(h.now)
		return done()
	})
}

// end has each guest read to the end.
func (h *theatre) end() {
	_, next := h.s.Units()
	for len(h.guests) > 0 {
		g := h.guests[0]
		h.goOn(g, func() bool { return !g.pending() && (g.Position() == next || g.Position() == media.Idle) })
		h.say(g)
		h.goOn(g, func() bool { return g.texts == 0 })
		for _, at := range g.seats {
			if !h.missed(g) && at.began && at.unit != len(h.shown[at.lane.track])-1 {
				h.t.Errorf("ends at unit %d of %d of track %d", at.unit, len(h.shown[at.lane.track]), at.lane.track)
			}
		}
		if !h.missed(g) {
			h.did.complete++
		}
		h.leave(0)
	}
	if len(h.all.all) != 0 {
		h.t.Errorf("%d streams have unisons that nobody has", len(h.all.all))
	}
	h.detach(h.copier)
	close(h.copier.jobs)
	<-h.copier.done
}

// A copier copies what everybody gets out of the ring, on a goroutine of its own, as
// recorders do.
type copier struct {
	cursor media.Cursor
	jobs   chan copyJob
	done   chan struct{}
	copied int // by the goroutine
	wrong  int
}

// A copyJob is a payload that is to be copied, and what it is.
type copyJob struct {
	ring *media.Ring
	at   media.Range
	want []byte
}

func newCopier() *copier {
	k := &copier{jobs: make(chan copyJob, 1024), done: make(chan struct{})}
	go func() {
		defer close(k.done)
		for job := range k.jobs {
			b, err := job.ring.CopyOut(nil, job.at)
			if err == nil && !bytes.Equal(b, job.want) {
				k.wrong++
			} else if err == nil {
				k.copied++
			}
			if job.ring.Release() != nil {
				k.wrong++
			}
		}
	}()
	return k
}

func (k *copier) Flush(s *media.Stream, _ time.Time) (time.Time, error) {
	for n, ok := k.cursor.Next(s); ok; n, ok = k.cursor.Next(s) {
		u := s.Unit(n)
		for i := u.First; i < u.End; i++ {
			g := s.Packet(u.Flow, i).Body()
			s.Ring().Retain()
			k.jobs <- copyJob{s.Ring(), g, bytes.Clone(s.Ring().Bytes(g))}
		}
	}
	return time.Time{}, nil
}

func (k *copier) Close(error) {}

func TestViewersGetWhatTheyWouldGetAlone(t *testing.T) {
	var all feats
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			h := newTheatre(t, seed)
			for range 400 {
				h.live()
			}
			h.end()
			if h.copier.wrong > 0 {
				t.Errorf("%d payloads that were copied are wrong", h.copier.wrong)
			}
			h.did.copied = h.copier.copied
			all.add(h.did)
		})
	}
	t.Logf("%+v", all)
	if slices.ContainsFunc(all.counts(), func(n *int) bool { return *n == 0 }) {
		t.Errorf("something did not happen: %+v", all)
	}
}

func (f *feats) counts() []*int {
	return []*int{&f.guests, &f.complete, &f.dropped, &f.alone, &f.together, &f.told, &f.replaced, &f.reports, &f.texts, &f.grown, &f.copied}
}

func (f *feats) add(o feats) {
	for i, n := range o.counts() {
		*f.counts()[i] += *n
	}
}
