package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// pictures is how many pictures the tests send; every tenth is a key picture.
const pictures = 100

func testPorts(t *testing.T, lo uint16) *Ports {
	t.Helper()
	p, err := NewPorts(netip.MustParseAddr("127.0.0.1"), lo, lo+199)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs a stream until the test ends.
func run(t *testing.T, cfg media.StreamConfig, open media.Opener) *media.Stream {
	t.Helper()
	s := media.NewStream(cfg, open)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return s
}

// encoder is a stream of H.264 as an encoder sends it.
func encoder(t *testing.T) (*media.Stream, *mediatest.Source) {
	t.Helper()
	src := mediatest.NewSource(media.Opened{Tracks: []media.Track{{
		Codec: media.H264, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H264),
	}}})
	return run(t, media.StreamConfig{}, src.Open), src
}

// picture returns the slice of picture i; its size varies with i.
func picture(i int) []byte {
	return mediatest.Slice(media.H264, i%10 == 0, 500+i*397%9000+30000*(1-min(i%10, 1)), byte(i))
}

// pour pushes the pictures, as fast as they are taken.
func pour(src *mediatest.Source) {
	p := mediatest.Packetizer{PayloadType: 98, SSRC: 7}
	for i := range pictures {
		nals := [][]byte{picture(i)}
		if i%10 == 0 {
			nals = append(mediatest.Parameters(media.H264), nals...)
		}
		src.Push(0, p.Video(media.H264, uint32(i)*3600, nals...)...)
	}
}

// session connects a sender and a receiver over loopback.
func session(t *testing.T, tr Transport, elementary bool) (*Sender, *media.Stream) {
	t.Helper()
	r, err := OpenReceiver(ReceiverConfig{Ports: testPorts(t, 41000), Transport: tr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cfg := SenderConfig{Ports: testPorts(t, 42000), Transport: tr, Remote: r.Local(), SSRC: 0x06146581, Oldest: true}
	remote := Remote{SSRC: cfg.SSRC}
	if elementary {
		cfg.Tracks = []media.Track{{Codec: media.H264, ClockRate: 90000, PayloadType: 98}}
		remote.Tracks = cfg.Tracks
	}
	s, err := OpenSender(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(nil) })
	remote.Addr = s.Local()
	received := run(t, media.StreamConfig{Once: true}, r.Open)
	r.Connect(remote)
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, received
}

// sinkStats returns the counters of a stream's one sink.
func sinkStats(s *media.Stream) media.SinkStats {
	if all := s.Stats().Sinks; len(all) > 0 {
		return all[0]
	}
	return media.SinkStats{}
}

// wait polls until done, or fails.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		<-time.After(time.Millisecond)
	}
}

// lastSlices returns the slice of each sample's picture.
func lastSlices(t *testing.T, k *mediatest.Sink) [][]byte {
	t.Helper()
	samples, errs := k.Samples()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	var out [][]byte
	for _, s := range samples {
		if s.Flags&media.UnitDamaged != 0 {
			t.Errorf("picture %d is damaged", len(out))
		}
		out = append(out, s.NALs[len(s.NALs)-1])
	}
	return out
}

func TestEveryPictureArrivesOnceAndInOrder(t *testing.T) {
	for _, tr := range []Transport{UDP, TCPPassive, TCPActive} {
		for _, elementary := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/elementary=%t", tr, elementary), func(t *testing.T) {
				from, src := encoder(t)
				sender, to := session(t, tr, elementary)
				sink := &mediatest.Sink{Oldest: true}
				if err := to.Attach(sink); err != nil {
					t.Fatal(err)
				}
				if err := from.Attach(sender); err != nil {
					t.Fatal(err)
				}
				pour(src)
				// The last picture is complete only when the next begins: it is not waited for.
				wait(t, "pictures did not arrive", func() bool {
					units, _ := sink.Units()
					return len(units) >= pictures-1
				})
				for i, got := range lastSlices(t, sink) {
					if !bytes.Equal(got, picture(i)) {
						t.Fatalf("picture %d: %d bytes, want %d", i, len(got), len(picture(i)))
					}
				}
				wait(t, "the sender did not count what it sent", func() bool {
					st := sinkStats(from)
					return st.Units >= pictures && st.Packets > st.Units && st.Dropped+st.Lapped == 0
				})
			})
		}
	}
}

// TestMiddleLevelPassesPicturesOn relays a received stream once more.
func TestMiddleLevelPassesPicturesOn(t *testing.T) {
	from, src := encoder(t)
	first, middle := session(t, TCPPassive, false)
	if err := from.Attach(first); err != nil {
		t.Fatal(err)
	}
	second, top := session(t, UDP, false)
	sink := &mediatest.Sink{Oldest: true}
	if err := errors.Join(top.Attach(sink), middle.Attach(second)); err != nil {
		t.Fatal(err)
	}
	pour(src)
	wait(t, "pictures did not arrive", func() bool {
		units, _ := sink.Units()
		return len(units) >= pictures-2
	})
	for i, got := range lastSlices(t, sink) {
		if !bytes.Equal(got, picture(i)) {
			t.Fatalf("picture %d differs", i)
		}
	}
}

func TestSlowTCPReceiverResumesAtAKeyPictureWithFramesWhole(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from, src := encoder(t)
	s, err := OpenSender(SenderConfig{Ports: testPorts(t, 42400), Transport: TCPPassive,
		Remote: netip.MustParseAddrPort(l.Addr().String()), SSRC: 1, Oldest: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := from.Attach(s); err != nil {
		t.Fatal(err)
	}
	for range 60 { // far more than ring and socket buffers hold
		pour(src)
	}
	wait(t, "the sender was never lapped", func() bool {
		st := sinkStats(from)
		return st.Dropped+st.Lapped > 0
	})
	frames := 0
	head := make([]byte, 3)
	for frames < 1000 {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := readFull(c, head); err != nil {
			t.Fatalf("after %d frames: %v", frames, err)
		}
		if head[2] != 2<<6 {
			t.Fatalf("frame %d begins with %x: framing was lost", frames, head)
		}
		if err := readFull(c, make([]byte, int(head[0])<<8+int(head[1])-1)); err != nil {
			t.Fatal(err)
		}
		frames++
	}
}

func readFull(c net.Conn, b []byte) error {
	for n := 0; n < len(b); {
		m, err := c.Read(b[n:])
		if err != nil {
			return err
		}
		n += m
	}
	return nil
}

func TestStrangersAreNotTakenForTheStream(t *testing.T) {
	packet := func(pt uint8, ssrc uint32) []byte {
		p := mediatest.Packetizer{PayloadType: pt, SSRC: ssrc}
		return p.Packet(0, true, []byte{0, 0, 1, 0xBA, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xF8})
	}
	for name, tc := range map[string]struct {
		packets [][]byte
		taken   uint64
	}{
		"announced":             {[][]byte{packet(96, 5)}, 1},
		"another SSRC":          {[][]byte{packet(96, 6)}, 0},
		"another SSRC for long": {repeat(packet(96, 6), strayPatience), 1},
		"audio beside":          {[][]byte{packet(8, 5)}, 0},
		"RTCP":                  {[][]byte{packet(72, 5)}, 0},
		"STUN":                  {[][]byte{bytes.Repeat([]byte{0}, 20)}, 0},
		"short":                 {[][]byte{{0x80}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			src := mediatest.NewSource(media.Opened{Carriage: media.CarriagePS})
			s := run(t, media.StreamConfig{}, src.Open)
			f := newFlows(Remote{SSRC: 5})
			done := make(chan struct{})
			src.Do(func(s *media.Stream) {
				defer close(done)
				for _, p := range tc.packets {
					f.push(s, mediatest.Put(s, p), time.Unix(0, 0))
				}
			})
			<-done
			if got := s.Stats().Packets; got != tc.taken {
				wait(t, fmt.Sprintf("%d packets taken, want %d", got, tc.taken), func() bool { return s.Stats().Packets == tc.taken })
			}
		})
	}
}

func repeat(b []byte, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

func TestSilenceEndsAStream(t *testing.T) {
	f, t0 := newFlows(Remote{}), time.Unix(1000, 0)
	for _, step := range []struct {
		at   time.Duration
		last time.Duration // packet seen at; 0: none
		dead bool
	}{
		{0, 0, false}, {9 * time.Second, 0, false}, {11 * time.Second, 0, true},
		{11 * time.Second, 11 * time.Second, false}, {25 * time.Second, 11 * time.Second, false}, {27 * time.Second, 11 * time.Second, true},
	} {
		if step.last > 0 {
			f.last = t0.Add(step.last)
		}
		if err := f.alive(t0.Add(step.at)); (err != nil) != step.dead || err != nil && !errors.Is(err, ErrNoMedia) {
			t.Errorf("at %s: %v", step.at, err)
		}
	}
}

func TestPortsRestBeforeTheyAreUsedAgain(t *testing.T) {
	p, err := NewPorts(netip.MustParseAddr("127.0.0.1"), 42600, 42603)
	if err != nil {
		t.Fatal(err)
	}
	open := func() (*Receiver, error) { return OpenReceiver(ReceiverConfig{Ports: p}) }
	a, err := open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if a.Local() == b.Local() || a.Local().Port()%2 != 0 {
		t.Errorf("ports %s and %s", a.Local(), b.Local())
	}
	a.Close()
	a.Close() // again: harmless
	if _, err := open(); !errors.Is(err, ErrNoPort) {
		t.Errorf("a port was used again at once: %v", err)
	}
	p.freed[a.Local().Port()] = time.Now()
	if c, err := open(); err != nil || c.Local() != a.Local() {
		t.Errorf("after its rest: %v", err)
	} else {
		c.Close()
	}
	b.Close()
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 13, 0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 9})
	f.Add([]byte{'$', 0, 0, 13, 0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 9})
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1<<20 {
			return
		}
		src := mediatest.NewSource(media.Opened{Carriage: media.CarriagePS})
		s := run(t, media.StreamConfig{}, src.Open)
		done := make(chan struct{})
		src.Do(func(s *media.Stream) {
			defer close(done)
			src := &tcpSource{flows: newFlows(Remote{}), begun: true, at: s.Ring().Head()}
			mediatest.Put(s, in)
			_ = src.frames(s, time.Unix(0, 0))
			if src.at > s.Ring().Head() {
				t.Error("read beyond what arrived")
			}
		})
		<-done
		if n := s.Stats().Panics; n > 0 {
			t.Errorf("%d panics", n)
		}
	})
}
