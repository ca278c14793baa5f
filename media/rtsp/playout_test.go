package rtsp

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mirror"
	"districtgateway/media/ps"
	"districtgateway/media/sock"
)

// pair returns the two ends of a connection.
func pair(t *testing.T) (*sock.TCP, net.Conn) {
	t.Helper()
	near, far := mediatest.Connected(t)
	conn, err := sock.NewTCP(near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, far
}

// drain throws away what comes, until the connection ends.
func drain(t *testing.T, far net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<20)
		for {
			if _, err := far.Read(b); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		far.Close()
		<-done
	})
}

// renumber moves a packet's sequence number and timestamp.
func renumber(b []byte, seq uint16, ts uint32) {
	seq += uint16(b[2])<<8 | uint16(b[3])
	b[2], b[3] = byte(seq>>8), byte(seq)
	ts += uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])
	b[4], b[5], b[6], b[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
}

// TestNothingIsAllocatedForAPacket drives a stream by hand with one group of
// pictures over and over, up to the system call.
func TestNothingIsAllocatedForAPacket(t *testing.T) {
	for _, from := range []string{"frames", "datagrams", "ps"} {
		for _, udp := range []bool{false, true} {
			t.Run(fmt.Sprintf("from=%s/udp=%t", from, udp), func(t *testing.T) {
				s, now := media.NewStream(media.StreamConfig{RingBytes: 4 << 20}, nil), time.Unix(1_700_000_000, 0)
				program, put := from == "ps", mediatest.Put
				opened := media.Opened{Tracks: []media.Track{{Codec: media.H264, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H264)}}}
				switch from {
				case "frames":
					opened.Front, put = framed, mediatest.PutFramed
				case "ps":
					opened = media.Opened{Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()}
				}
				s.Adopt(opened, now)
				packets := groupOf(program)
				lap := 0
				var p *playout
				play := func() {
					for _, b := range packets {
						renumber(b, uint16(lap*len(packets)), uint32(lap*36000))
						if err := s.PushRTP(0, put(s, b), now); err != nil {
							t.Fatal(err)
						}
						if renumber(b, -uint16(lap*len(packets)), -uint32(lap*36000)); b[1]&0x80 != 0 {
							now = now.Add(40 * time.Millisecond)
							s.Flush(now)
						}
					}
					lap++
				}
				play()
				var far net.Conn
				p, far = started(t, s, udp)
				drain(t, far)
				play()
				play()
				before := p.stats
				allocs := testing.AllocsPerRun(20, play)
				sent := p.stats.Packets - before.Packets
				if allocs > 0 || sent < 20*uint64(len(packets))/2 {
					t.Errorf("%v allocations a group, %d packets sent", allocs, sent)
				}
				if st := s.Stats(); st.Damaged+st.Lost+st.Panics != 0 || p.stats.Dropped != 0 {
					t.Errorf("not a steady state: %+v, %+v", st, p.stats)
				}
				s.Flush(now)
				p.Close(nil)
			})
		}
	}
}

// groupOf is the packets of ten pictures.
func groupOf(asProgram bool) (packets [][]byte) {
	p := &mediatest.Packetizer{PayloadType: 98}
	for i := range 10 {
		ts, nals := uint32(3600*i), mediatest.Picture(media.H264, i == 0, 8000, byte(i))
		if asProgram {
			packets = append(packets, p.Cut(ts, program(media.H264, i == 0, ts, nals))...)
		} else {
			packets = append(packets, p.Video(media.H264, ts, nals...)...)
		}
	}
	return packets
}

// startedIn attaches a session that plays the first track of s, interleaved, like all others do.
func startedIn(t *testing.T, s *media.Stream, all *unisons) (*playout, net.Conn) {
	t.Helper()
	return begun(t, newOffer("cam1", s, func() {}, all), nil)
}

// started attaches a session that plays the first track of s.
func started(t *testing.T, s *media.Stream, udp bool) (*playout, net.Conn) {
	t.Helper()
	var sink *sock.UDP
	if udp {
		var err error
		if sink, err = sock.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sink.Close() })
	}
	return begun(t, newOffer("cam1", s, func() {}, new(unisons)), sink)
}

// begun attaches a session that plays the first track of an offer: to a sink, or
// interleaved if that is nil.
func begun(t *testing.T, o *offer, sink *sock.UDP) (*playout, net.Conn) {
	t.Helper()
	conn, far := pair(t)
	asked, ports := headers.Transport{Protocol: headers.TransportProtocolTCP}, newPairs([2]uint16{})
	if sink != nil {
		port := int(sink.Local().Port())
		asked = headers.Transport{Protocol: headers.TransportProtocolUDP, ClientPorts: &[2]int{port, port}}
	}
	l, err := o.prepare(0, asked, conn, &ports)
	if err != nil {
		t.Fatal(err)
	}
	o.lanes = append(o.lanes, l)
	p := newPlayout(o, conn, "test")
	p.hello = func(media.Ticks) []byte { return []byte("hello") }
	if err := o.stream.Attach(p); err != nil {
		t.Fatal(err)
	}
	return p, far
}

// TestStalledViewerResumesAtAKeyPictureWithFramesWhole has a viewer read nothing until
// the ring has overwritten what it is at, perhaps several times, and then everything.
func TestStalledViewerResumesAtAKeyPictureWithFramesWhole(t *testing.T) {
	for _, more := range []int{0, 100} {
		t.Run(fmt.Sprintf("%d pictures later", more), func(t *testing.T) { stall(t, media.StreamConfig{RingBytes: 1 << 20}, more) })
	}
}

// TestStalledViewerSurvivesARingThatGrows has the ring replaced while the rest of a
// unit waits in it, and the memory of the one before unmapped.
func TestStalledViewerSurvivesARingThatGrows(t *testing.T) {
	released := 0
	memory := func(size int) ([]byte, bool, func() error, error) {
		mem, mirrored, release, err := mirror.New(size)
		return mem, mirrored, func() error { released++; return release() }, err
	}
	for _, more := range []int{0, 100} {
		s := stall(t, media.StreamConfig{RingBytes: 256 << 10, RingMax: 2 << 20, Memory: memory}, more)
		if size := s.Ring().Size(); size != 2<<20 || released == 0 {
			t.Errorf("ring of %d bytes, %d released", size, released)
		}
	}
}

func stall(t *testing.T, cfg media.StreamConfig, more int) *media.Stream {
	t.Helper()
	s, now := media.NewStream(cfg, nil), time.Unix(1_700_000_000, 0)
	s.Adopt(media.Opened{Front: framed, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}}, now)
	source := &mediatest.Packetizer{PayloadType: 96}
	n := 0
	push := func() {
		for _, b := range source.Video(media.H264, uint32(3600*n), mediatest.Picture(media.H264, n%10 == 0, 20000, byte(n))...) {
			if err := s.PushRTP(0, mediatest.PutFramed(s, b), now); err != nil {
				t.Fatal(err)
			}
		}
		n++
		now = now.Add(time.Millisecond)
		s.Flush(now)
	}
	push()
	p, far := started(t, s, false)
	for p.stats.Dropped == 0 {
		push()
	}
	if err := p.say([]byte("RTSP/1.0 200 OK\r\n\r\n"), false); err != nil {
		t.Fatal(err)
	}
	for range more {
		push()
	}
	v := &player{t: t, conn: far, in: bufio.NewReader(far)}
	if _, err := v.in.Discard(len("hello")); err != nil {
		t.Fatal(err)
	}
	frames := make(chan []byte, 1)
	go func() {
		defer close(frames)
		for {
			frame, res, err := v.next()
			if err != nil {
				return
			}
			if res != nil {
				frame = []byte{255}
			}
			frames <- frame
		}
	}()
	checkResumed(t, frames, push, func() { now = now.Add(time.Millisecond); s.Flush(now) })
	far.Close()
	for range frames { // until the reader has noticed
	}
	return s
}

// checkFragment checks the bytes of a fragment: each has a bit set, see
// mediatest.Slice.
func checkFragment(t *testing.T, b []byte) {
	t.Helper()
	if b[0]&0x1F != 28 {
		return
	}
	for i, c := range b[4:] {
		if c&0x10 == 0 {
			t.Fatalf("byte %d of %d of a fragment is %#x", i, len(b), c)
		}
	}
}

// checkResumed reads frames until a picture that was pushed after the stall has come,
// and wants a key picture after each gap.
func checkResumed(t *testing.T, frames chan []byte, push, tick func()) {
	t.Helper()
	seq, gaps, answered, after := -1, 0, false, 0
	for after < 300 {
		var frame []byte
		select {
		case frame = <-frames:
		case <-time.After(5 * time.Millisecond):
			if answered {
				push()
			}
			tick()
			continue
		}
		switch {
		case frame[0] == 255:
			answered = true
			continue
		case frame[0] != 0:
			continue
		}
		got := int(frame[3])<<8 | int(frame[4])
		if typ := frame[13] & 0x1F; seq >= 0 && got != (seq+1)&0xFFFF {
			if gaps++; typ != 7 {
				t.Fatalf("after a gap comes NAL unit type %d", typ)
			}
		}
		if seq = got; answered {
			after++
		}
		checkFragment(t, frame[13:])
	}
	if gaps == 0 {
		t.Error("nothing was missing")
	}
}
