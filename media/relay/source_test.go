package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mediatest/cost"
	"districtgateway/media/ps"
	"districtgateway/media/sock"
)

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
			cost.Bound(t, func() { _ = src.frames(s, time.Unix(0, 0)) })
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

func TestFramingIsToldByTheFirstBytes(t *testing.T) {
	for name, tc := range map[string]struct {
		head string
		want int
	}{
		"RFC 4571":              {"\x00\x20\x80\x60\x00", 2},
		"interleaved":           {"$\x00\x00\x20\x80", 4},
		"RFC 4571 of 9 kB":      {"$\x10\x80\x60\x90", 2},
		"interleaved, 2 kB":     {"$\x00\x08\x00\x80", 4},
		"words":                 {"GET /", 0},
		"interleaved, no RTP":   {"$\x00\x00\x20\x00", 0},
		"the length of nothing": {"\x00\x00\x00\x00\x00", 0},
	} {
		if got := framing([]byte(tc.head)); got != tc.want {
			t.Errorf("%s: %d bytes of header, want %d", name, got, tc.want)
		}
	}
}

// frame2 is a frame of RFC 4571.
func frame2(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func TestConnectionsThatAreNoRTPEndAtOnce(t *testing.T) {
	rtp := (&mediatest.Packetizer{PayloadType: 96, SSRC: 5}).Packet(0, true, pack(100))
	for name, tc := range map[string]struct {
		in    []byte
		bad   bool
		taken uint64
	}{
		"words":                  {[]byte("GET / HTTP/1.1\r\n\r\n"), true, 0},
		"empty frames first":     {append([]byte{0, 0, 0, 0}, frame2(rtp)...), false, 1},
		"empty frames only":      {bytes.Repeat([]byte{0, 0}, 30000), false, 0},
		"some other frames":      {append(append(frame2(rtp), bytes.Repeat(frame2([]byte("keepalive")), 10)...), frame2(rtp)...), false, 1},
		"framing lost":           {append(frame2(rtp), bytes.Repeat(frame2(make([]byte, 100)), 200)...), true, 1},
		"interleaved, then lost": {append(append([]byte{'$', 0}, frame2(rtp)...), 'x', 0, 0, 0, 0), true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := media.NewStream(media.StreamConfig{}, nil)
			s.Adopt(media.Opened{Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()}, time.Unix(0, 0))
			src := &tcpSource{flows: newFlows(Remote{}), begun: true, at: s.Ring().Head()}
			mediatest.Put(s, tc.in)
			err := src.frames(s, time.Unix(0, 0))
			s.Flush(time.Unix(0, 0))
			if st := s.Stats(); (err != nil) != tc.bad || st.Packets+st.Duplicates < tc.taken || st.Packets == 0 != (tc.taken == 0) {
				t.Errorf("%v, %+v", err, st)
			}
		})
	}
}

func TestFrameThatTheRingCannotHoldIsRefused(t *testing.T) {
	s := media.NewStream(media.StreamConfig{RingBytes: 64 << 10}, nil)
	s.Adopt(media.Opened{Carriage: media.CarriagePS}, time.Unix(0, 0))
	src := &tcpSource{flows: newFlows(Remote{}), begun: true, at: s.Ring().Head()}
	mediatest.Put(s, []byte{0xFF, 0xFF, 0x80, 96, 0, 0})
	if err := src.frames(s, time.Unix(0, 0)); err == nil {
		t.Error("waits for a frame of 64 KiB in a ring of 64 KiB")
	}
}

func TestEachTrackMayHaveAnSSRCOfItsOwn(t *testing.T) {
	f := newFlows(Remote{SSRC: 5, Tracks: []media.Track{
		{Codec: media.H264, ClockRate: 90000, PayloadType: 98}, {Codec: media.G711A, ClockRate: 8000, PayloadType: 8}}})
	s := media.NewStream(media.StreamConfig{}, nil)
	s.Adopt(media.Opened{Tracks: []media.Track{
		{Codec: media.H264, ClockRate: 90000, PayloadType: 98}, {Codec: media.G711A, ClockRate: 8000, PayloadType: 8}}}, time.Unix(0, 0))
	video, audio := mediatest.Packetizer{PayloadType: 98, SSRC: 5}, mediatest.Packetizer{PayloadType: 8, SSRC: 777}
	taken := 0
	for range 2 * strayPatience {
		f.push(s, mediatest.Put(s, video.Packet(0, true, []byte{0x41, 1, 2})), time.Unix(0, 0))
		if f.push(s, mediatest.Put(s, audio.Packet(0, true, make([]byte, 160))), time.Unix(0, 0)) {
			taken++
		}
	}
	if taken == 0 {
		t.Error("the sound's SSRC was never believed, since pictures came in between")
	}
}

// udpRig is a source on a socket of its own, and two senders to it.
func udpRig(t *testing.T, cfg media.StreamConfig) (s *media.Stream, u *udpSource, a, b *sock.UDP) {
	t.Helper()
	open := func() *sock.UDP {
		u, err := sock.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Close() })
		return u
	}
	u = &udpSource{end: &Receiver{}, sock: open(), flows: newFlows(Remote{})}
	a, b = open(), open()
	for _, from := range []*sock.UDP{a, b} {
		if err := from.Connect(u.sock.Local()); err != nil {
			t.Fatal(err)
		}
	}
	s = media.NewStream(cfg, nil)
	s.Adopt(media.Opened{Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()}, time.Now())
	return s, u, a, b
}

func send(t *testing.T, u *sock.UDP, packets ...[]byte) {
	t.Helper()
	var b sock.Batch
	for _, p := range packets {
		b.Add(p)
		b.End()
	}
	if n, err := u.Send(&b, 0, b.Len()); n != b.Len() || err != nil {
		t.Fatal(n, err)
	}
}

func TestSenderOfTheLastSessionIsIgnored(t *testing.T) {
	s, u, a, b := udpRig(t, media.StreamConfig{})
	p := mediatest.Packetizer{PayloadType: 96, SSRC: 5}
	receive := func(want uint64) {
		t.Helper()
		if err := u.Receive(s, time.Now().Add(5*time.Second)); err != nil {
			t.Fatal(err)
		}
		s.Flush(time.Now())
		if got := s.Stats().Packets; got != want {
			t.Fatalf("%d packets taken, want %d", got, want)
		}
	}
	send(t, a, p.Packet(0, true, pack(100)))
	receive(1)
	send(t, b, p.Packet(0, true, pack(100))) // the same SSRC from elsewhere
	receive(1)
	send(t, a, p.Packet(0, true, pack(100)))
	receive(2)
	u.flows.last = u.flows.last.Add(-2 * fromSilence)
	send(t, b, p.Packet(0, true, pack(100)))
	receive(3)
}

func TestFloodDoesNotKeepTheOwnerFromItsSinks(t *testing.T) {
	s, u, a, _ := udpRig(t, media.StreamConfig{RingBytes: 256 << 10})
	p := mediatest.Packetizer{PayloadType: 96, SSRC: 5}
	for range 4 {
		var packets [][]byte
		for range 25 {
			packets = append(packets, p.Packet(0, true, make([]byte, 1388)))
		}
		send(t, a, packets...)
	}
	if err := u.Receive(s, time.Now().Add(5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if n := s.Ring().Head(); n == 0 || n > 256<<10/ringPart+2000 {
		t.Errorf("%d bytes were taken at once", n)
	}
}
