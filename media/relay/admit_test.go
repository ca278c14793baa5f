package relay

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mediatest/cost"
)

// call connects to a port of this host from another of its addresses.
func call(t *testing.T, from string, to netip.AddrPort) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Strangers connect first, send garbage, another stream, or nothing, and are more
// than may wait at once. The sender gets through, from the host that was announced
// or from another by the agreed SSRC.
func TestSenderGetsPastStrangers(t *testing.T) {
	const agreed = 0x06146581
	other := mediatest.Packetizer{PayloadType: 96, SSRC: agreed + 1}
	words := [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n"), {}, frame2(other.Packet(0, true, pack(100))), {0, 0, 0, 0, 0, 90}, {0x80}}
	for name, tc := range map[string]struct {
		from, announced string
		split           int // the first packet comes in two parts
	}{
		"from the host announced":        {"127.0.0.1", "127.0.0.1", 0},
		"from behind a translator":       {"127.0.0.1", "10.9.9.9", 0},
		"from there, in small parts":     {"127.0.0.1", "10.9.9.9", 5},
		"from there, empty frames first": {"127.0.0.1", "10.9.9.9", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := mediatest.Packetizer{PayloadType: 96, SSRC: agreed}
			r, err := OpenReceiver(ReceiverConfig{Ports: testPorts(t), Transport: TCPPassive})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			var strangers []net.Conn
			for i := range maxStrangers + len(words) {
				c := call(t, "127.0.0.2", r.Local())
				if _, err := c.Write(words[i%len(words)]); err != nil {
					t.Fatal(err)
				}
				strangers = append(strangers, c)
			}
			s := run(t, media.StreamConfig{Once: true}, r.Open)
			r.Connect(Remote{Addr: netip.AddrPortFrom(netip.MustParseAddr(tc.announced), 30000), SSRC: agreed})
			c := call(t, tc.from, r.Local())
			first := frame2(ours.Packet(0, true, pack(100)))
			switch {
			case tc.split < 0:
				first = append([]byte{0, 0, 0, 0}, first...)
			case tc.split > 0:
				_, err = c.Write(first[:tc.split])
				<-time.After(50 * time.Millisecond)
				first = first[tc.split:]
			}
			if _, err2 := c.Write(first); err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			wait(t, "the sender's packet did not arrive", func() bool { return s.Stats().Packets == 1 })
			for range 9 {
				if _, err := c.Write(frame2(ours.Packet(3600, true, pack(100)))); err != nil {
					t.Fatal(err)
				}
			}
			wait(t, "what followed did not arrive", func() bool { return s.Stats().Packets == 10 })
			for i, c := range strangers {
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("stranger %d is not turned away: %v", i, err)
				}
			}
		})
	}
}

// A packet tells by its beginning whose it is.
func TestBeginningTellsTheStream(t *testing.T) {
	rtp := func(pt uint8, ssrc uint32) []byte {
		p := mediatest.Packetizer{PayloadType: pt, SSRC: ssrc}
		return frame2(p.Packet(0, true, pack(20)))
	}
	rtcp := frame2([]byte{0x80, 200, 0, 6, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0})
	two := make([]media.Track, 2)
	for name, tc := range map[string]struct {
		remote       Remote
		b            []byte
		ours, enough bool
	}{
		"agreed":               {Remote{SSRC: 5}, rtp(96, 5), true, true},
		"interleaved":          {Remote{SSRC: 5}, append([]byte{'$', 0}, rtp(96, 5)...), true, true},
		"another":              {Remote{SSRC: 5}, rtp(96, 6), false, true},
		"of the second track":  {Remote{SSRC: 5, Tracks: two}, rtp(97, 6), true, true},
		"of no track":          {Remote{SSRC: 5, Tracks: two}, rtp(97, 7), false, true},
		"none was agreed":      {Remote{}, rtp(96, 6), true, true},
		"a report":             {Remote{SSRC: 5}, rtcp, true, true},
		"a report of another":  {Remote{SSRC: 6}, rtcp, false, true},
		"no RTP":               {Remote{}, []byte("GET / HTTP/1.1"), false, true},
		"not enough":           {Remote{}, rtp(96, 5)[:13], false, false},
		"not enough to see":    {Remote{}, rtp(96, 5)[:4], false, false},
		"nothing but nothing":  {Remote{}, make([]byte, 8), false, false},
		"empty, then the rest": {Remote{SSRC: 5}, append([]byte{0, 0}, rtp(96, 5)...), true, true},
	} {
		if ours, enough := tc.remote.begins(tc.b); ours != tc.ours || enough != tc.enough {
			t.Errorf("%s: ours %t, enough %t", name, ours, enough)
		}
	}
}

func FuzzBeginning(f *testing.F) {
	f.Add([]byte{0, 13, 0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 9})
	f.Add([]byte{0, 0, '$', 0, 0, 13, 0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 9})
	f.Add([]byte{0, 14, 0x80, 200, 0, 6, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		cost.Bound(t, func() { Remote{SSRC: 5}.begins(b) })
		for n := range b { // what was told is not taken back when more comes
			ours, enough := Remote{SSRC: 5}.begins(b[:n])
			if again, still := (Remote{SSRC: 5}).begins(b); enough && (!still || again != ours) {
				t.Fatalf("%d bytes tell %t, all %t", n, ours, again)
			}
		}
	})
}

// Datagrams of strangers are counted and never become the stream, whoever comes
// first and however many they are.
func TestDatagramsOfStrangersAreNotTaken(t *testing.T) {
	const agreed = 5
	for name, tc := range map[string]struct {
		announced string
		ssrc      uint32 // of the sender, on 127.0.0.1
		taken     bool
	}{
		"the host announced, the SSRC too":  {"127.0.0.1", agreed, true},
		"the host announced, another SSRC":  {"127.0.0.1", agreed + 7, true}, // quirk 32
		"behind a translator, agreed SSRC":  {"10.9.9.9", agreed, true},
		"behind a translator, another SSRC": {"10.9.9.9", agreed + 7, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := OpenReceiver(ReceiverConfig{Ports: testPorts(t), Transport: UDP})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			r.Connect(Remote{Addr: netip.AddrPortFrom(netip.MustParseAddr(tc.announced), 30000), SSRC: agreed})
			s := run(t, media.StreamConfig{Once: true}, r.Open)
			send := func(from string, ssrc uint32, n int) {
				t.Helper()
				c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(r.Local()))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				p := mediatest.Packetizer{PayloadType: 96, SSRC: ssrc}
				for i := range n {
					if _, err := c.Write(p.Packet(uint32(i), true, pack(100))); err != nil {
						t.Fatal(err)
					}
				}
			}
			const many = 3 * strayPatience
			send("127.0.0.2", agreed+1, many)
			wait(t, "strangers were not counted", func() bool { return s.Stats().Stray >= many })
			if n := s.Stats().Packets; n != 0 {
				t.Errorf("%d packets of strangers taken", n)
			}
			send("127.0.0.1", tc.ssrc, many)
			wait(t, "nothing was counted", func() bool { st := s.Stats(); return st.Packets+st.Stray >= 2*many })
			if got := s.Stats().Packets > 0; got != tc.taken {
				t.Errorf("taken: %t, want %t", got, tc.taken)
			}
			before := s.Stats().Packets
			send("127.0.0.2", agreed+1, many)
			wait(t, "strangers were not counted", func() bool { return s.Stats().Stray+s.Stats().Packets >= 3*many })
			if n := s.Stats().Packets; n != before {
				t.Errorf("%d packets of strangers taken later", n-before)
			}
		})
	}
}
