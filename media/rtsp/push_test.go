//go:build linux

package rtsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mediatest/cost"
	"districtgateway/media/sock"
)

// A caster sends pictures to a port, from an address of ours, when it is told to.
type caster struct {
	t  *testing.T
	c  net.PacketConn
	to []netip.AddrPort
	p  *mediatest.Packetizer
	n  int
}

func newCaster(t *testing.T, from string, ssrc uint32, to ...netip.AddrPort) *caster {
	t.Helper()
	c, err := net.ListenPacket("udp4", from+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &caster{t: t, c: c, to: to, p: &mediatest.Packetizer{PayloadType: 96, SSRC: ssrc}}
}

// pictures sends n, the first a key picture.
func (k *caster) pictures(n int) {
	k.t.Helper()
	for i := range n {
		for _, b := range k.p.Video(media.H264, uint32(k.n)*3600, mediatest.Picture(media.H264, i == 0, 3000, byte(k.n))...) {
			k.send(b)
		}
		k.n++
	}
}

func (k *caster) send(b []byte) {
	k.t.Helper()
	for _, to := range k.to {
		if _, err := k.c.WriteTo(b, net.UDPAddrFromAddrPort(to)); err != nil {
			k.t.Fatal(err)
		}
	}
}

// pushedTo runs what is received by a description until the test ends.
func pushedTo(t *testing.T, cfg PushConfig) (*media.Stream, *mediatest.Sink) {
	t.Helper()
	s := media.NewStream(media.StreamConfig{MaxBackoff: time.Second}, func(ctx context.Context) (media.Opened, error) { return Push(ctx, cfg) })
	sink := &mediatest.Sink{}
	if err := s.Attach(sink); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return s, sink
}

// freePair returns an even port that is free, with the next.
func freePair(t *testing.T) netip.AddrPort {
	t.Helper()
	p, err := openPorts(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	return p.rtp.Local()
}

func pushSDP(at netip.AddrPort, more string) []byte {
	return fmt.Appendf(nil, "%sc=IN IP4 %s\r\nm=video %d RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n%s", sdpHead, at.Addr(), at.Port(), more)
}

// sendUntil waits until done, sending meanwhile: the port may not be open yet.
func sendUntil(t *testing.T, what string, send func(), done func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !done(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
		send()
	}
}

// TestPushedStreamIsReceived: pictures and sound, on ports of their own, on one, and by
// a description that names an address that is not ours.
func TestPushedStreamIsReceived(t *testing.T) {
	for name, tc := range map[string]struct {
		shared bool
		addr   string
	}{
		"a port each": {false, "127.0.0.1"}, "one port": {true, "127.0.0.1"}, "another's address": {false, "192.0.2.44"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			video, audio := freePair(t), freePair(t)
			if tc.shared {
				audio = video
			}
			sdp := pushSDP(netip.AddrPortFrom(netip.MustParseAddr(tc.addr), video.Port()), fmt.Sprintf("m=audio %d RTP/AVP 8\r\n", audio.Port()))
			s, sink := pushedTo(t, PushConfig{SDP: sdp})
			k, sound := newCaster(t, "127.0.0.1", 1, video), newCaster(t, "127.0.0.1", 2, audio)
			sound.p.PayloadType = 8
			pictures, sounds := 0, 0
			sendUntil(t, "pictures and sound", func() {
				k.pictures(5)
				for range 5 {
					sound.send(sound.p.Packet(uint32(sound.n)*320, true, make([]byte, 320)))
					sound.n++
				}
			}, func() bool {
				pictures, sounds = count(t, sink)
				return pictures > 20 && sounds > 20
			})
			if st := s.Stats(); st.Malformed+st.Stray != 0 || s.State().Ordered || !s.State().Connected {
				t.Errorf("%+v %+v", st, s.State())
			}
		})
	}
}

// TestPushedGroupIsReceived and left.
func TestPushedGroupIsReceived(t *testing.T) {
	g := testGroup(t, 21)
	cfg := PushConfig{SDP: pushSDP(g, "a=source-filter: incl IN IP4 * 127.0.0.1\r\n"), From: netip.MustParseAddr("127.0.0.1")}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	encoder, stranger := &herald{to: g, ssrc: 1}, &herald{to: g, ssrc: 2}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { stranger.run(ctx, t, "127.0.0.78") })
	wg.Go(func() { encoder.run(ctx, t, "127.0.0.1") })
	o, err := Push(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if host := o.Source.(*pushed).host; host != cfg.From || !joined(t, g.Addr()) {
		t.Errorf("believes %s", host)
	}
	if err := o.Source.Close(); err != nil || joined(t, g.Addr()) {
		t.Errorf("left: %v", err)
	}
}

// TestFirstSenderIsBelievedUntilItIsSilent: another host's packets are not taken while the
// one that came first sends; after its silence the next is taken.
func TestFirstSenderIsBelievedUntilItIsSilent(t *testing.T) {
	t.Parallel()
	at := freePair(t)
	s, _ := pushedTo(t, PushConfig{SDP: pushSDP(at, "")})
	first, second := newCaster(t, "127.0.0.1", 1, at), newCaster(t, "127.0.0.9", 2, at)
	sendUntil(t, "the first is received", func() { first.pictures(5) }, func() bool { return s.Stats().KeyUnits > 0 })
	sendUntil(t, "the second is refused", func() { first.pictures(1); second.pictures(1) }, func() bool { return s.Stats().Stray > 3 })
	if st := s.Stats(); st.Opened != 1 {
		t.Errorf("%+v", st)
	}
	keys := s.Stats().KeyUnits
	sendUntil(t, "the first is given up", func() { second.pictures(1) }, func() bool { return !s.State().Connected || s.Stats().Opened > 1 })
	if err := s.State().Err; err != nil && !errors.Is(err, ErrSilent) {
		t.Error(err)
	}
	sendUntil(t, "the second is received", func() { second.pictures(5) }, func() bool { return s.Stats().KeyUnits > keys+2 && s.State().Connected })
}

// TestSenderThatStartsAnewIsBelievedAgain: from another port of its host, after a second.
func TestSenderThatStartsAnewIsBelievedAgain(t *testing.T) {
	t.Parallel()
	at := freePair(t)
	s, _ := pushedTo(t, PushConfig{SDP: pushSDP(at, ""), From: netip.MustParseAddr("127.0.0.1")})
	stranger := newCaster(t, "127.0.0.9", 3, at)
	old := newCaster(t, "127.0.0.1", 1, at)
	sendUntil(t, "it is received", func() { stranger.pictures(2); old.pictures(5) }, func() bool { return s.Stats().KeyUnits > 0 })
	again, keys := newCaster(t, "127.0.0.1", 2, at), s.Stats().KeyUnits
	again.n = 100000
	sendUntil(t, "it is received again", func() { stranger.pictures(2); again.pictures(5) }, func() bool { return s.Stats().KeyUnits > keys+2 })
	if st := s.Stats(); st.Opened != 1 || st.Stray == 0 {
		t.Errorf("opened %d times, %d strays", st.Opened, st.Stray)
	}
}

// TestEmptyDatagramKeepsNobodyOut: one that came first, from a stranger.
func TestEmptyDatagramKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	at := freePair(t)
	s, _ := pushedTo(t, PushConfig{SDP: pushSDP(at, ""), From: netip.MustParseAddr("127.0.0.1")})
	stranger, encoder := newCaster(t, "127.0.0.9", 2, at), newCaster(t, "127.0.0.1", 1, at)
	sendUntil(t, "it is received", func() { stranger.send(nil); encoder.pictures(5) }, func() bool { return s.Stats().KeyUnits > 2 })
	if st := s.Stats(); st.Opened != 1 || st.Malformed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestDescriptionsThatCannotBeReceived(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	busy, err := sock.ListenUDP(netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for name, tc := range map[string]struct {
		sdp  string
		want error
		text string
	}{
		"none":                     {"", media.ErrNoTracks, ""},
		"no port":                  {string(pushSDP(netip.MustParseAddrPort("127.0.0.1:0"), "")), errNowhere, ""},
		"no coding":                {sdpHead + "m=video 5004 RTP/AVP 26\r\n", media.ErrNoTracks, ""},
		"program without a reader": {sdpHead + "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 MP2P/90000\r\n", media.ErrNoTracks, ""},
		"port in use":              {string(pushSDP(netip.AddrPortFrom(netip.MustParseAddr("0.0.0.0"), busy.Local().Port()), "")), nil, "address already in use"},
	} {
		o, err := Push(ctx, PushConfig{SDP: []byte(tc.sdp)})
		if err == nil {
			o.Source.Close()
			t.Errorf("%s: received", name)
			continue
		}
		if tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cancel()
	if _, err := Push(ctx, PushConfig{SDP: pushSDP(freePair(t), "")}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// FuzzPushed reads any description: nothing panics, and what is described has a place.
func FuzzPushed(f *testing.F) {
	at := netip.MustParseAddrPort("239.1.2.3:5004")
	f.Add(string(pushSDP(at, "a=rtcp-mux\r\nm=audio 5006 RTP/AVP 8\r\na=rtcp:5009\r\n")))
	f.Add(sdpHead + "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 MP2P/90000\r\n")
	f.Add(sdpHead + "m=video 5004 RTP/AVP 300\r\na=rtpmap:300 PS/90000\r\n")
	for _, tc := range descriptions {
		f.Add(tc.sdp)
	}
	f.Fuzz(func(t *testing.T, sdp string) {
		var lanes []offered
		var opened media.Opened
		var err error
		cost.Bound(t, func() {
			lanes, opened, err = described(PushConfig{SDP: []byte(sdp), Unpacker: func() media.Unpacker { return nil }})
		})
		if err != nil {
			return
		}
		if len(lanes) == 0 || len(lanes) > 2 || opened.Carriage == media.CarriageRTP && len(opened.Tracks) != len(lanes) {
			t.Errorf("%d lanes, %d tracks", len(lanes), len(opened.Tracks))
		}
		for _, l := range lanes {
			if l.group.port == 0 || l.track.ClockRate <= 0 || l.track.PayloadType > 127 {
				t.Errorf("%+v", l)
			}
		}
	})
}

// TestNothingIsAllocatedForAPushedPacket, but for what the wait for it takes.
func TestNothingIsAllocatedForAPushedPacket(t *testing.T) {
	at := freePair(t)
	k := newCaster(t, "127.0.0.1", 1, at)
	p, opened, err := newPushed(PushConfig{SDP: pushSDP(at, "")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s := media.NewStream(media.StreamConfig{}, nil)
	opened.Source = p
	s.Adopt(opened, time.Now())
	c, err := net.Dial("udp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var packets [][]byte
	for i := range 400 {
		packets = append(packets, k.p.Video(media.H264, uint32(i)*3600, mediatest.Picture(media.H264, i%10 == 0, 9000, byte(i))...)...)
	}
	next, each := 0, 50
	round := func() {
		for range each {
			c.Write(packets[next])
			next++
		}
		if err := p.Receive(s, time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		s.Flush(time.Now())
	}
	round()
	allocs := testing.AllocsPerRun(20, round)
	if st := s.Stats(); allocs > 2 || p.packets < 1000 || st.Malformed > 0 {
		t.Errorf("%.1f allocations for %d packets, %d received, %+v", allocs, each, p.packets, st)
	}
}
