package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"districtgateway/cmd/internal/footage"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/relay"
	"districtgateway/storage"
)

const camera1 = domain.Code("33010600001320000001")

// A studio is a source of own streams: one encoder that a test plays.
type studio struct {
	encoder  *mediatest.Source
	stream   *media.Stream
	rtp      mediatest.Packetizer
	shown    uint32 // pictures
	film     *film
	released chan struct{}
	err      error
	volume   *storage.Volume // nil: nothing was recorded
}

func (s *studio) live(domain.Code, uint8) (*media.Stream, func(), error) {
	if s.err != nil {
		return nil, nil, s.err
	}
	return s.stream, func() { close(s.released) }, nil
}

func (s *studio) askKey(channel domain.Code) {
	if channel == camera1 {
		s.stream.AskKey()
	}
}

func (s *studio) play(id domain.StreamID, speed int, opened func(*storage.Player)) (*media.Stream, error) {
	switch {
	case s.volume != nil:
		open := s.volume.Open(string(id.Channel), id.Range.From, id.Range.To, storage.PlayerConfig{Speed: float64(speed), OnOpen: opened})
		return media.NewStream(media.StreamConfig{Once: true, Patient: true}, open), nil
	case s.film == nil:
		return nil, domain.ErrNoRecording
	}
	open := func(context.Context) (media.Opened, error) {
		return media.Opened{Source: s.film, Carriage: media.CarriageFrames, Tracks: []media.Track{recordedTrack()}}, nil
	}
	return media.NewStream(media.StreamConfig{RingBytes: 1 << 20, Once: true, Patient: true}, open), nil
}

// A film is a recording that is there as fast as it is asked for.
type film struct{ n, pictures int }

func (f *film) Receive(s *media.Stream, _ time.Time) error {
	if f.n == f.pictures {
		return media.ErrEnded
	}
	b := mediatest.Lengths(mediatest.Picture(media.H264, f.n%10 == 0, 100_000, byte(f.n))...)
	at := media.Ticks(f.n * 3600)
	f.n++
	return s.PushFrame(media.Frame{Range: mediatest.Put(s, b), PTS: at, DTS: at, Key: f.n%10 == 1})
}
func (f *film) Wake()        {}
func (f *film) Close() error { return nil }

// A box is the media of one gateway, with what it told the domain.
type box struct {
	legs   *legs
	studio *studio
	events chan domain.Event
}

// freePorts returns a range of media ports that nobody uses now.
func freePorts(t *testing.T) *relay.Ports {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(l.Addr().String()).Port()
		l.Close()
		if port < 60000 {
			p, err := relay.NewPorts(netip.MustParseAddr("127.0.0.1"), port, port+99)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatal("no free ports")
	return nil
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{events: make(chan domain.Event, 16), studio: &studio{released: make(chan struct{})}}
	b.studio.encoder = mediatest.NewSource(media.Opened{Tracks: []media.Track{recordedTrack()}})
	b.studio.stream = media.NewStream(media.StreamConfig{}, b.studio.encoder.Open)
	b.legs = newLegs(&legs{
		ports: freePorts(t), host: func(domain.PeerRef) string { return "127.0.0.1" }, memory: &memory{ring: 1 << 20}, sources: b.studio,
		post: func(e domain.Event) bool { b.events <- e; return true }, log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.legs.Run(ctx) })
	wg.Go(func() { _ = b.studio.stream.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if n := len(b.legs.open); n > 0 {
			t.Errorf("%d legs were left open", n)
		}
	})
	return b
}

// next returns the next event, which must be an E. That somebody waits for a key frame
// may come at any time.
func next[E domain.Event](t *testing.T, b *box) E {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e := <-b.events:
			if got, ok := e.(E); ok {
				return got
			}
			if _, waits := e.(domain.KeyFrameWanted); !waits {
				t.Fatalf("got %#v", e)
			}
		case <-late:
			t.Fatal("nothing was told")
		}
	}
}

// quiet checks that nothing is told to the domain.
func quiet(t *testing.T, b *box) {
	t.Helper()
	select {
	case e := <-b.events:
		t.Errorf("told %#v", e)
	default:
	}
}

// pictures pushes a group of pictures.
func (s *studio) pictures() {
	s.rtp.PayloadType, s.rtp.SSRC = 96, 1
	for i := range 10 {
		nals := append(mediatest.Parameters(media.H264), mediatest.Slice(media.H264, i == 0, 2000, byte(i)))
		s.encoder.Push(0, s.rtp.Video(media.H264, s.shown*3600, nals...)...)
		s.shown++
	}
}

// connect opens a receiver on one box and a sender on the other, as their domains
// would agree on them.
func connect(t *testing.T, from, to *box, open domain.OpenReceiver) (answer domain.Endpoint) {
	t.Helper()
	open.Leg, open.Stream.Channel = 1, camera1
	to.legs.Do(open)
	offer := next[domain.ReceiverOpened](t, to).Offer
	from.legs.Do(domain.OpenSender{Leg: 2, Stream: domain.StreamID{Channel: camera1}, Offer: offer, SSRC: 77})
	from.studio.pictures()
	answer = next[domain.SenderOpened](t, from).Answer
	to.legs.Do(domain.ConnectReceiver{Leg: 1, Answer: answer})
	from.legs.Do(domain.StartSender{Leg: 2})
	next[domain.ReceiverReady](t, to)
	return answer
}

func TestMediaFlowsFromLegToLeg(t *testing.T) {
	for name, tc := range map[string]domain.OpenReceiver{
		"udp":         {Transport: domain.MediaUDP, SSRC: 5},
		"tcp passive": {Transport: domain.MediaTCPPassive},
		"tcp active":  {Transport: domain.MediaTCPActive},
		"elementary":  {Transport: domain.MediaTCPPassive, Elementary: true},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := newBox(t), newBox(t)
			answer := connect(t, from, to, tc)
			if answer.SSRC != 77 || answer.Elementary != tc.Elementary || answer.Host != "127.0.0.1" {
				t.Errorf("answer %+v", answer)
			}
			st := to.legs.stream(1).State()
			if len(st.Tracks) != 1 || st.Tracks[0].Codec != media.H264 {
				t.Errorf("tracks %+v", st.Tracks)
			}
			if list := to.legs.receiving(); len(list) != 1 || list[0].Channel != string(camera1) {
				t.Errorf("receiving %+v", list)
			}
			// The sender is closed by its domain: nothing is told there, the stream is
			// given back, and the receiver tells its end once media stays away.
			from.legs.Do(domain.CloseLeg{Leg: 2})
			<-from.studio.released
			to.legs.Do(domain.CloseLeg{Leg: 1})
			quiet(t, from)
		})
	}
}

func TestEndOfTheOtherSideIsToldOnce(t *testing.T) {
	from, to := newBox(t), newBox(t)
	connect(t, from, to, domain.OpenReceiver{Transport: domain.MediaTCPPassive})
	from.legs.Do(domain.CloseLeg{Leg: 2})
	if e := next[domain.MediaEnded](t, to); e.Leg != 1 || e.Err == nil {
		t.Errorf("told %+v", e)
	}
	to.legs.Do(domain.CloseLeg{Leg: 1}) // late: the leg has gone
	quiet(t, to)
}

func TestSecondLevelReadsFromTheReceivingLeg(t *testing.T) {
	from, middle, top := newBox(t), newBox(t), newBox(t)
	connect(t, from, middle, domain.OpenReceiver{Transport: domain.MediaTCPPassive})
	top.legs.Do(domain.OpenReceiver{Leg: 9, Transport: domain.MediaUDP, Stream: domain.StreamID{Channel: camera1}})
	offer := next[domain.ReceiverOpened](t, top).Offer
	middle.legs.Do(domain.OpenSender{Leg: 3, Source: 1, Stream: domain.StreamID{Channel: camera1}, Offer: offer, SSRC: 78})
	top.legs.Do(domain.ConnectReceiver{Leg: 9, Answer: next[domain.SenderOpened](t, middle).Answer})
	middle.legs.Do(domain.StartSender{Leg: 3})
	next[domain.ReceiverReady](t, top)
}

// What was received of a recording is read to its end, though the exchange is over:
// its reader may be slow.
func TestRecordingIsReadAfterItsLegWasClosed(t *testing.T) {
	from, to := newBox(t), newBox(t)
	connect(t, from, to, domain.OpenReceiver{Transport: domain.MediaTCPPassive, Stream: domain.StreamID{Kind: domain.Download}})
	s := to.legs.stream(1)
	k := &mediatest.Sink{Oldest: true}
	if err := s.Attach(k); err != nil {
		t.Fatal(err)
	}
	to.legs.Do(domain.CloseLeg{Leg: 1})
	for range 3 {
		before, _ := k.Units()
		from.studio.pictures()
		await(t, "pictures after the leg was closed", func() bool { now, _ := k.Units(); return len(now) > len(before) })
	}
	s.Detach(k)
	await(t, "the leg ends with its last reader", func() bool { return to.legs.stream(1) == nil })
	quiet(t, to)
}

// A recording of 30 MB goes from box to box to somebody who reads slowly. It comes
// whole, and the box that has it tells its end no sooner than he has everything.
func TestDownloadIsAsSlowAsItsReader(t *testing.T) {
	const pictures = 300
	from, middle, top := newBox(t), newBox(t), newBox(t)
	from.studio.film = &film{pictures: pictures}
	id := domain.StreamID{Channel: camera1, Kind: domain.Download}
	hop := func(low, high *box, source, leg domain.LegID) {
		high.legs.Do(domain.OpenReceiver{Leg: leg, Transport: domain.MediaTCPPassive, Stream: id})
		offer := next[domain.ReceiverOpened](t, high).Offer
		low.legs.Do(domain.OpenSender{Leg: leg, Source: source, Stream: id, Offer: offer, SSRC: 78})
		high.legs.Do(domain.ConnectReceiver{Leg: leg, Answer: next[domain.SenderOpened](t, low).Answer})
		low.legs.Do(domain.StartSender{Leg: leg})
		next[domain.ReceiverReady](t, high)
	}
	hop(from, middle, 0, 5)
	hop(middle, top, 5, 6)
	export, err := storage.NewExport(storage.ExportConfig{FromStart: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := top.legs.stream(6).Attach(export); err != nil {
		t.Fatal(err)
	}
	w := &slowReader{pause: func() {
		<-time.After(300 * time.Millisecond)
		quiet(t, from)
		quiet(t, middle)
	}}
	if err := export.Copy(t.Context(), w, func() {}); err != nil {
		t.Errorf("broke off: %v", err)
	}
	for _, b := range []*box{from, middle, middle, top} {
		if e := next[domain.MediaEnded](t, b); e.Err != nil {
			t.Errorf("leg %d ended with %v", e.Leg, e.Err)
		}
	}
	got := 0
	for r := footage.NewReader(bytes.NewReader(w.Bytes())); ; got++ {
		if _, err := r.Next(); err != nil {
			break
		}
	}
	if got != pictures {
		t.Errorf("%d pictures of %d", got, pictures)
	}
}

// A slowReader pauses before the first bytes that it takes.
type slowReader struct {
	bytes.Buffer
	pause func()
}

func (w *slowReader) Write(b []byte) (int, error) {
	if w.Len() == 0 {
		w.pause()
	}
	return w.Buffer.Write(b)
}

func TestLegThatCannotOpenTellsWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		effect domain.Effect
		want   error
	}{
		"own channel":   {domain.OpenSender{Leg: 1, Stream: domain.StreamID{Channel: camera1}}, domain.ErrNoChannel},
		"recording":     {domain.OpenSender{Leg: 1, Stream: domain.StreamID{Channel: camera1, Kind: domain.Playback}}, domain.ErrNoRecording},
		"receiver gone": {domain.OpenSender{Leg: 1, Source: 99}, domain.ErrGone},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.studio.err = domain.ErrNoChannel
			b.legs.Do(tc.effect)
			if e := next[domain.MediaEnded](t, b); !errors.Is(e.Err, tc.want) {
				t.Errorf("told %v, want %v", e.Err, tc.want)
			}
		})
	}
}

func TestBadAnswerEndsTheReceiver(t *testing.T) {
	b := newBox(t)
	b.legs.Do(domain.OpenReceiver{Leg: 1, Transport: domain.MediaUDP})
	next[domain.ReceiverOpened](t, b)
	b.legs.Do(domain.ConnectReceiver{Leg: 1, Answer: domain.Endpoint{Host: "gateway.example"}})
	if e := next[domain.MediaEnded](t, b); !errors.Is(e.Err, domain.ErrMedia) {
		t.Errorf("told %v", e.Err)
	}
}

func TestPanicOfALegEndsThatLegOnly(t *testing.T) {
	b := newBox(t)
	b.legs.begin(4, func(context.Context, *leg) error { panic("poison") })
	var p *panicError
	if e := next[domain.MediaEnded](t, b); e.Leg != 4 || !errors.As(e.Err, &p) {
		t.Errorf("told %+v", e)
	}
	b.legs.Do(domain.OpenReceiver{Leg: 1, Transport: domain.MediaUDP})
	next[domain.ReceiverOpened](t, b)
}

// TestKeyFrameIsAskedForFromLegToLeg: who reads from a receiving leg and waits for a key
// frame has the domain asked; the domain's word reaches the encoder.
func TestKeyFrameIsAskedForFromLegToLeg(t *testing.T) {
	b := newBox(t)
	b.legs.Do(domain.OpenReceiver{Leg: 1, Stream: domain.StreamID{Channel: camera1}, Transport: domain.MediaUDP, SSRC: 7})
	offer := next[domain.ReceiverOpened](t, b).Offer
	b.legs.Do(domain.ConnectReceiver{Leg: 1, Answer: domain.Endpoint{Host: "127.0.0.1", Port: offer.Port}})
	if e := next[domain.KeyFrameWanted](t, b); e.Leg != 1 { // no picture has come
		t.Errorf("%+v", e)
	}
	await(t, "the encoder is open", func() bool { return b.studio.stream.State().Connected })
	b.legs.Do(domain.WantKeyFrame{Channel: "33010600001320000099"})
	b.legs.Do(domain.WantKeyFrame{Channel: camera1})
	await(t, "the encoder is asked", func() bool { _, _, asked := b.studio.encoder.Counts(); return asked == 1 })
	b.legs.Do(domain.CloseLeg{Leg: 1})
}

func TestEveryEndOfMediaHasWordsOfTheDomain(t *testing.T) {
	for err, want := range map[error]error{
		nil: nil, media.ErrEnded: nil, relay.ErrNoMedia: domain.ErrTimeout, relay.ErrNoPort: domain.ErrBusy,
		domain.ErrOffline: domain.ErrOffline, io.EOF: domain.ErrBroken, syscall.ECONNRESET: domain.ErrBroken,
	} {
		if got := mediaError(err); !errors.Is(got, want) || want == domain.ErrOffline && errors.Is(got, domain.ErrBroken) {
			t.Errorf("%v becomes %v, want %v", err, got, want)
		}
	}
}
