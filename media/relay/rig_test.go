package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/sock"
)

// pictures is how many pictures the tests send; every tenth is a key picture.
const pictures = 100

// testPorts is a range that begins at a port that is free: those of it that
// somebody else has are passed over.
func testPorts(t *testing.T) *Ports {
	t.Helper()
	u, err := sock.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	lo := min(u.Local().Port(), 65000)
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

// inFlight is how many pictures may be on their way: what socket buffers hold even
// if nobody reads for long. More of them are lost by UDP, as they should be.
const inFlight = 4

// pour pushes the pictures as sink gets them.
func pour(t *testing.T, src *mediatest.Source, sink *mediatest.Sink) {
	t.Helper()
	p := mediatest.Packetizer{PayloadType: 98, SSRC: 7}
	for i := range pictures {
		nals := [][]byte{picture(i)}
		if i%10 == 0 {
			nals = append(mediatest.Parameters(media.H264), nals...)
		}
		src.Push(0, p.Video(media.H264, uint32(i)*3600, nals...)...)
		wait(t, fmt.Sprintf("picture %d did not arrive", i-inFlight), func() bool {
			units, _ := sink.Units()
			return len(units) > i-inFlight
		})
	}
}

// session connects a sender and a receiver over loopback.
func session(t *testing.T, tr Transport, elementary bool) (*Sender, *media.Stream) {
	t.Helper()
	r, err := OpenReceiver(ReceiverConfig{Ports: testPorts(t), Transport: tr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cfg := SenderConfig{Ports: testPorts(t), Transport: tr, Remote: r.Local(), SSRC: 0x06146581, Oldest: true}
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
	if all := s.Stats().Consumers.Now; len(all) > 0 {
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

// A hand is a stream of H.264 that the test drives by hand, with a clock of its
// own, to a sender whose receiver is the test.
type hand struct {
	t      *testing.T
	s      *media.Stream
	sender *Sender
	far    *net.TCPConn // TCP: the receiver's end
	rtp    mediatest.Packetizer
	now    time.Time
	n      int
}

// h264 is what an encoder says of itself.
func h264() media.Opened {
	return media.Opened{Tracks: []media.Track{{
		Codec: media.H264, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H264),
	}}}
}

// drive attaches a TCP sender to a stream with a ring of 256 KiB.
func drive(t *testing.T, o media.Opened, tracks ...media.Track) *hand {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := &hand{t: t, now: time.Unix(1000, 0), rtp: mediatest.Packetizer{PayloadType: 98, SSRC: 7}}
	h.sender, err = OpenSender(SenderConfig{Ports: testPorts(t), Transport: TCPPassive,
		Remote: netip.MustParseAddrPort(l.Addr().String()), SSRC: 1, Tracks: tracks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.sender.Close(nil) })
	if err := h.sender.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	h.far = c.(*net.TCPConn)
	h.s = media.NewStream(media.StreamConfig{RingBytes: 256 << 10}, nil)
	h.s.Adopt(o, h.now)
	if err := h.s.Attach(h.sender); err != nil {
		t.Fatal(err)
	}
	return h
}

// picture pushes one picture of some size, a key picture every tenth, and lets
// the sender send.
func (h *hand) picture(size int) {
	nals := [][]byte{mediatest.Slice(media.H264, h.n%10 == 0, size, byte(h.n))}
	if h.n%10 == 0 {
		nals = append(mediatest.Parameters(media.H264), nals...)
	}
	h.push(h.rtp.Video(media.H264, uint32(h.n)*3600, nals...)...)
	h.n++
	h.tick(40 * time.Millisecond)
}

func (h *hand) push(packets ...[]byte) {
	for _, p := range packets {
		if err := h.s.PushRTP(0, mediatest.Put(h.s, p), h.now); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *hand) tick(d time.Duration) {
	h.now = h.now.Add(d)
	h.s.Flush(h.now)
}

// ended reports whether the sender was closed.
func (h *hand) ended() bool {
	select {
	case <-h.sender.Ended():
		return true
	default:
		return false
	}
}

// read returns the next RTP packet that came through the connection.
func (h *hand) read() []byte {
	h.t.Helper()
	if err := h.far.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(h.far, head); err != nil {
		h.t.Fatal(err)
	}
	p := make([]byte, binary.BigEndian.Uint16(head))
	if _, err := io.ReadFull(h.far, p); err != nil {
		h.t.Fatal(err)
	}
	if !isRTP(p) {
		h.t.Fatalf("frame begins with % x: framing was lost", p[:min(len(p), 12)])
	}
	return p
}

func seqOf(p []byte) uint16  { return binary.BigEndian.Uint16(p[2:]) }
func timeOf(p []byte) uint32 { return binary.BigEndian.Uint32(p[4:]) }
