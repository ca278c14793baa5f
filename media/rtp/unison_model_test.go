package rtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mirror"
)

// A world is a stream of pictures and sound whose source is at times replaced, and
// viewers who come, stall, miss something and go: each of them gets what it would get by
// headers of its own.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	s       *media.Stream
	now     time.Time
	sources []*mediatest.Packetizer // of each track
	framed  bool
	long    int // one of so many packets has a long header
	stamp   uint32
	sent    map[sentKey][]byte
	unisons []*Unison
	viewers []*watcher
	did     deeds
}

// deeds count what happened, so that nothing is left untried.
type deeds struct{ together, alone, left, lost, padded, sourced, empty, big, swapped, replaced, remade, grown, lapped, own, again int }

type sentKey struct {
	flow  uint8
	seq   uint16
	stamp uint32
}

// A watcher gets units as a connection does that is in unison as long as it can be.
type watcher struct {
	cursor media.Cursor
	began  bool
	parts  []part

	unit  media.Unit    // got last
	run   []media.Range // where its packets lay, if they were everybody's
	bytes []byte        // what they were
}

// A part is one track on its way to a watcher.
type part struct {
	unison *Unison // nil: there is none, or it was left
	flow   Flow    // as it goes
	model  Flow    // as it would go by itself
}

var worldTracks = []media.Track{mediatest.VideoTrack(media.H264), {Codec: media.G711A, ClockRate: 8000, PayloadType: 8}}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 16)), now: epoch, sent: map[sentKey][]byte{}}
	cfg := media.StreamConfig{RingBytes: 256 << 10}
	if seed%2 == 0 {
		cfg.Memory = mirror.New
	}
	if seed%3 != 0 {
		cfg.RingMax = 1 << 20
	}
	w.s = media.NewStream(cfg, nil)
	w.replace()
	w.did = deeds{}
	return w
}

// odds is true once in n times.
func (w *world) odds(n int) bool { return w.rng.IntN(n) == 0 }

// replace opens another source: by a connection or by UDP, perhaps with its tracks in
// another order.
func (w *world) replace() {
	if w.framed, w.long = !w.odds(3), 20; !w.framed {
		w.long = 1 + w.rng.IntN(2)
	}
	tracks := slices.Clone(worldTracks)
	switch w.rng.IntN(6) {
	case 0:
		slices.Reverse(tracks)
	case 1:
		tracks = tracks[w.rng.IntN(2):][:1]
	}
	if was := w.s.Tracks(); len(was) != len(tracks) || was[0].Codec != tracks[0].Codec {
		w.viewers = nil // they are not what was described
	}
	o := media.Opened{Tracks: tracks, Ordered: w.framed}
	if w.framed {
		o.Front = FrameSize
	}
	w.s.Adopt(o, w.now)
	w.sources = nil
	for _, t := range tracks {
		w.sources = append(w.sources, &mediatest.Packetizer{PayloadType: t.PayloadType, SSRC: w.rng.Uint32(), Seq: uint16(w.rng.Uint32())})
	}
	w.did.replaced++
}

// feed has a picture and some sound arrive.
func (w *world) feed() {
	w.stamp += 3600
	w.now = w.now.Add(40 * time.Millisecond)
	queues := make([][][]byte, 2)
	for flow, p := range w.sources {
		if w.odds(60) {
			p.SSRC, p.Seq = w.rng.Uint32(), uint16(w.rng.Uint32())
		}
		if w.s.Tracks()[flow].Codec == media.H264 {
			queues[flow] = w.picture(p)
			continue
		}
		for i := range uint32(w.rng.IntN(4)) {
			queues[flow] = append(queues[flow], w.mutate(p.Packet(w.stamp+i*160, true, w.noise(1+w.rng.IntN(300)))))
		}
	}
	w.arrive(queues)
	if w.odds(3) {
		w.s.CloseUnits()
	}
	size := w.s.Ring().Size()
	w.s.Flush(w.now)
	if w.s.Ring().Size() != size {
		w.did.grown++
	}
}

// picture returns the packets of one, of which some have gone missing.
func (w *world) picture(p *mediatest.Packetizer) (packets [][]byte) {
	size := 4 + w.rng.IntN(20000)
	p.MTU = 0
	if w.odds(40) {
		p.MTU, size = 65535-HeaderSize, 66000
		w.did.big++
	}
	for _, b := range p.Video(media.H264, w.stamp, mediatest.Picture(media.H264, w.odds(6), size, byte(w.rng.Uint32()))...) {
		if w.odds(50) {
			w.did.lost++
			continue
		}
		packets = append(packets, w.mutate(b))
		if w.odds(60) {
			packets = append(packets, padded(p.Packet(w.stamp, false, nil)))
			w.did.empty++
		}
	}
	return packets
}

func (w *world) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return b
}

// mutate gives a packet what few have.
func (w *world) mutate(b []byte) []byte {
	if len(b) > 60000 {
		return b
	}
	if w.odds(w.long) {
		b = extended(b)
		w.did.sourced++
	}
	if w.odds(20) {
		b = padded(b)
		w.did.padded++
	}
	return b
}

// arrive puts the packets of both tracks into the ring, mixed, and by UDP not all of
// them in order.
func (w *world) arrive(queues [][][]byte) {
	for len(queues[0])+len(queues[1]) > 0 {
		flow := w.rng.IntN(2)
		q := queues[flow]
		if len(q) == 0 {
			continue
		}
		if !w.framed && len(q) > 1 && w.odds(4) {
			q[0], q[1] = q[1], q[0]
			w.did.swapped++
		}
		b := q[0]
		queues[flow] = q[1:]
		h, err := media.ParseRTP(b)
		if err != nil {
			w.t.Fatal(err)
		}
		w.sent[sentKey{uint8(flow), h.Seq, h.Timestamp}] = b[h.Header : int(h.Header)+int(h.Payload)]
		put := mediatest.Put
		if w.framed {
			put = mediatest.PutFramed
		}
		if err := w.s.PushRTP(flow, put(w.s, b), w.now); err != nil {
			w.t.Fatal(err)
		}
		if w.framed && w.odds(30) { // a report
			mediatest.PutFramed(w.s, w.noise(28))
		}
	}
}

// come adds a watcher, who is in unison where the flow is the same.
func (w *world) come() {
	if len(w.viewers) == 0 && w.odds(2) {
		w.unisons = nil
		w.did.remade++
	}
	k := &watcher{}
	for i, t := range w.s.Tracks() {
		f := Flow{Codec: t.Codec, Rate: t.ClockRate, PayloadType: t.PayloadType, SSRC: w.rng.Uint32(), Seq: uint16(65000 + w.rng.IntN(1000))}
		if i >= len(w.unisons) {
			w.unisons = append(w.unisons, NewUnison(f, byte(2*i)))
		}
		p := part{flow: f}
		if n := w.unisons[i]; n.Flow().Codec == f.Codec && !w.odds(5) {
			p.unison, p.flow.SSRC = n, n.Flow().SSRC
		}
		k.parts = append(k.parts, p)
	}
	w.viewers = append(w.viewers, k)
}

// step gives a watcher its next unit, if there is one.
func (w *world) step(k *watcher) bool {
	w.unchanged(k)
	lapped := k.cursor.Lapped()
	n, ok := k.cursor.Next(w.s)
	if !ok {
		return false
	}
	if k.cursor.Lapped() > lapped {
		w.did.lapped++
	}
	if !k.began {
		k.began = true
		for i := range k.parts {
			p := &k.parts[i]
			if p.unison != nil {
				p.flow.Seq = p.unison.From(w.s, uint8(i), n)
			}
			p.model = p.flow
		}
	}
	w.give(k, n)
	return true
}

// give gives a watcher a unit.
func (w *world) give(k *watcher, n uint64) {
	u := w.s.Unit(n)
	w.checkPayload(u)
	p := &k.parts[u.Flow]
	if w.odds(200) {
		p.flow.Parameters(mediatest.Parameters(media.H264), u.PTS, &pile{})
		p.model.Parameters(mediatest.Parameters(media.H264), u.PTS, &pile{})
		w.did.own++
	}
	channel := byte(2 * u.Flow)
	want := alone(w.s, &p.model, channel, n)
	k.unit, k.run = u, nil
	if p.unison != nil && w.together(k, p, u, want) {
		return
	}
	if got := alone(w.s, &p.flow, channel, n); !bytes.Equal(got, want) || p.flow != p.model {
		w.t.Fatalf("unit %d of track %d alone: %+v, want %+v", n, u.Flow, p.flow, p.model)
	}
	w.did.alone++
}

// together gives a watcher what everybody gets of a unit. It has to be what he wants, if
// the numbers are.
func (w *world) together(k *watcher, p *part, u media.Unit, want []byte) bool {
	r := p.unison.Passage(w.s, u)
	if r == nil {
		p.unison = nil
		w.did.left++
		return false
	}
	var got []byte
	for _, g := range r.ranges {
		got = append(got, w.s.Ring().Bytes(g)...)
	}
	checkFrames(w.t, got, r.ends)
	if r.First != p.flow.Seq {
		p.unison = nil
		w.did.left++
		return false
	}
	k.run, k.bytes = slices.Clone(r.ranges), got
	p.flow.Seq, p.flow.Packets, p.flow.Octets = r.Next, p.flow.Packets+r.Packets, p.flow.Octets+r.Octets
	if !bytes.Equal(got, want) || p.flow != p.model {
		w.t.Fatalf("packets of track %d in unison: %d bytes and %+v, want %d and %+v", u.Flow, len(got), p.flow, len(want), p.model)
	}
	w.did.together++
	return true
}

// checkFrames checks that frames end where they are said to.
func checkFrames(t *testing.T, b []byte, ends []int) {
	t.Helper()
	at := 0
	for _, end := range ends {
		if at+room > len(b) || b[at] != '$' || at+4+int(binary.BigEndian.Uint16(b[at+2:])) != end {
			t.Fatalf("no frame from %d to %d of %d bytes", at, end, len(b))
		}
		at = end
	}
	if at != len(b) {
		t.Fatalf("frames end at %d of %d bytes", at, len(b))
	}
}

// unchanged checks that what a watcher may still be sending is what it was given.
func (w *world) unchanged(k *watcher) {
	if k.run == nil || !w.s.Held(k.unit) {
		return
	}
	var now []byte
	for _, g := range k.run {
		now = append(now, w.s.Ring().Bytes(g)...)
	}
	if !bytes.Equal(now, k.bytes) {
		w.t.Fatal("packets changed after they were given out")
	}
	w.did.again++
}

// checkPayload checks that what a unit consists of is what came in.
func (w *world) checkPayload(u media.Unit) {
	for i := u.First; i < u.End; i++ {
		p := w.s.Packet(u.Flow, i)
		if want, ok := w.sent[sentKey{u.Flow, p.Seq, p.Timestamp}]; !ok || !bytes.Equal(want, w.s.Ring().Bytes(p.Body())) {
			w.t.Fatalf("packet %d is not what came in", p.Seq)
		}
	}
}

// live lets something happen.
func (w *world) live() {
	switch {
	case w.odds(80):
		w.replace()
	case len(w.viewers) < 2 && w.odds(2), len(w.viewers) < 6 && w.odds(10):
		w.come()
	case len(w.viewers) > 0 && w.odds(25):
		i := w.rng.IntN(len(w.viewers))
		w.viewers = slices.Delete(w.viewers, i, i+1)
	case len(w.viewers) > 0 && w.odds(30):
		w.viewers[w.rng.IntN(len(w.viewers))].cursor.SkipToKey()
	default:
		w.feed()
	}
	for i, k := range w.viewers {
		if i%3 == 2 && !w.odds(60) { // one of three is slow
			continue
		}
		for limit := 1 + w.rng.IntN(20); limit > 0 && w.step(k); limit-- {
		}
	}
}

func TestUnisonIsWhatEachViewerWouldSend(t *testing.T) {
	var all deeds
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range 500 {
				w.live()
			}
			all.add(w.did)
		})
	}
	if all.missing() {
		t.Errorf("something did not happen: %+v", all)
	}
	t.Logf("%+v", all)
}

func (d *deeds) counts() []*int {
	return []*int{&d.together, &d.alone, &d.left, &d.lost, &d.padded, &d.sourced, &d.empty, &d.big, &d.swapped, &d.replaced, &d.remade, &d.grown,
		&d.lapped, &d.own, &d.again}
}

func (d *deeds) add(o deeds) {
	for i, n := range o.counts() {
		*d.counts()[i] += *n
	}
}

func (d *deeds) missing() bool {
	for _, n := range d.counts() {
		if *n == 0 {
			return true
		}
	}
	return false
}
