//go:build linux

package rtsp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A herald sends a stream of H.264 to a group on the loopback interface.
type herald struct {
	to   netip.AddrPort
	ssrc uint32
	sent atomic.Uint32 // pictures
}

// run sends from an address of ours until ctx ends.
func (h *herald) run(ctx context.Context, t *testing.T, from string) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			if err := syscall.SetsockoptInet4Addr(int(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1}); err != nil {
				t.Error(err)
			}
		})
	}}
	c, err := lc.ListenPacket(ctx, "udp4", from+":0")
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	p := &mediatest.Packetizer{PayloadType: 96, SSRC: h.ssrc}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		for _, b := range p.Video(media.H264, uint32(i)*3600, mediatest.Picture(media.H264, i%10 == 0, 3000, byte(i))...) {
			if _, err := c.WriteTo(b, net.UDPAddrFromAddrPort(h.to)); err != nil {
				t.Error(err)
			}
		}
		h.sent.Add(1)
		<-tick.C
	}
}

// testGroup returns a group of its own with two ports that are free now.
func testGroup(t *testing.T, last byte) netip.AddrPort {
	t.Helper()
	p, err := openPorts(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 77, 4, last}), p.rtp.Local().Port())
}

// joined reports whether this machine is a member of a group, as the kernel says.
func joined(t *testing.T, g netip.Addr) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/net/igmp")
	if err != nil {
		t.Fatal(err)
	}
	a := g.As4()
	return strings.Contains(string(b), fmt.Sprintf("%08X", binary.NativeEndian.Uint32(a[:])))
}

// TestGroupOfAnEncoderIsReceived: where the answer to SETUP names the group, and where
// only the description does. What others send to it is not taken, and it is left at the end.
func TestGroupOfAnEncoderIsReceived(t *testing.T) {
	for name, tc := range map[string]struct {
		last    byte
		sdp     string // of the session, with the group's address and ports in it
		answers string
	}{
		"by the answer":      {1, "c=IN IP4 0.0.0.0\r\n", ";destination=%s;port=%d-%d;ttl=1"},
		"by the description": {2, "c=IN IP4 %s/16\r\n", ""},
		"of one source":      {3, "c=IN IP4 %[1]s/16\r\na=source-filter: incl IN IP4 %[1]s 192.0.2.9 127.0.0.1\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := testGroup(t, tc.last)
			head := tc.sdp
			if strings.Contains(head, "%") {
				head = fmt.Sprintf(head, g.Addr())
			}
			sdp := sdpHead + head + fmt.Sprintf("m=video %d RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n", g.Port())
			f := newFake(t, func(_ *fake, req *base.Request) (string, bool) {
				switch req.Method {
				case base.Describe:
					return answer + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(sdp), sdp), true
				case base.Setup:
					told := tc.answers
					if told != "" {
						told = fmt.Sprintf(told, g.Addr(), g.Port(), g.Port()+1)
					}
					return answer + "Session: 1\r\nTransport: RTP/AVP;multicast" + told + "\r\n\r\n", true
				}
				return "", false
			})
			cfg := config(f.url)
			cfg.Transport = Multicast
			s := media.NewStream(media.StreamConfig{Once: true}, func(ctx context.Context) (media.Opened, error) { return Open(ctx, cfg) })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			var wg sync.WaitGroup
			encoder, stranger := &herald{to: g, ssrc: 1}, &herald{to: g, ssrc: 2}
			sink := &mediatest.Sink{}
			wg.Go(func() { encoder.run(ctx, t, "127.0.0.1") })
			wg.Go(func() { stranger.run(ctx, t, "127.0.0.77") })
			wg.Go(func() { _ = s.Run(ctx) })
			err := s.WaitReady(ctx)
			if err == nil {
				err = s.Attach(sink)
			}
			for video := 0; video < 50 && err == nil; video, _ = count(t, sink) {
				<-time.After(5 * time.Millisecond)
				err = ctx.Err()
			}
			if err != nil || stranger.sent.Load() < 20 {
				t.Errorf("%v, %v, the stranger sent %d", err, s.State().Err, stranger.sent.Load())
			}
			if st := s.Stats(); st.Lost+st.Malformed+st.Damaged+st.Stray != 0 || s.State().Ordered || !joined(t, g.Addr()) {
				t.Errorf("%+v, ordered %v", st, s.State().Ordered)
			}
			cancel()
			wg.Wait()
			if joined(t, g.Addr()) {
				t.Error("the group was not left")
			}
		})
	}
}

// TestGroupThatCannotBeHadIsExchangedForTCP: an encoder that knows no multicast, or says
// not where, or from which nothing comes.
func TestGroupThatCannotBeHadIsExchangedForTCP(t *testing.T) {
	for name, tc := range map[string]struct{ setup, transport string }{
		"refused":       {"RTSP/1.0 461 Unsupported Transport\r\nCSeq: {seq}\r\n", ""},
		"unicast":       {answer, "RTP/AVP;unicast;client_port=5000-5001;server_port=5000-5001"},
		"interleaved":   {answer, "RTP/AVP/TCP;unicast;interleaved=0-1"},
		"no group":      {answer, "RTP/AVP;multicast;port=5000-5001"},
		"group is host": {answer, "RTP/AVP;multicast;destination=127.0.0.1;port=5000-5001"},
		"IPv6":          {answer, "RTP/AVP;multicast;destination=ff0e::1;port=5000-5001"},
		"silent":        {answer, "RTP/AVP;multicast;destination=239.77.4.9;port=47000-47001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(f *fake, req *base.Request) (string, bool) {
				asked := strings.Join(req.Header["Transport"], "")
				if req.Method == base.Setup && strings.Contains(asked, "multicast") {
					if strings.Contains(asked, "unicast;") || strings.Contains(asked, "client_port") {
						f.t.Errorf("asked for %q", asked)
					}
					return tc.setup + "Session: 1\r\nTransport: " + tc.transport + "\r\n\r\n", true
				}
				if req.Method == base.Play && f.seen[base.Setup] > 1 && name != "silent" || req.Method == base.Play && f.seen[base.Play] == 1 {
					return usual(req) + keyPicture(0, 9000) + keyPicture(0, 18000), true
				}
				return "", false
			})
			cfg := config(f.url)
			cfg.Transport = Multicast
			s := media.NewStream(media.StreamConfig{Once: true}, func(ctx context.Context) (media.Opened, error) { return Open(ctx, cfg) })
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			if err := s.WaitReady(ctx); err != nil || !s.State().Ordered {
				t.Errorf("%v, ordered %v", err, s.State().Ordered)
			}
			cancel()
			<-done
		})
	}
}

func TestGroupIsReadFromTheDescription(t *testing.T) {
	for name, tc := range map[string]struct {
		sdp  string
		want group
	}{
		"of the session": {"c=IN IP4 239.1.2.3/127\r\nm=video 5004 RTP/AVP 96\r\n", group{netip.MustParseAddr("239.1.2.3"), 5004, 5005, false}},
		"of the medium":  {"c=IN IP4 239.1.2.3/127\r\nm=video 5004 RTP/AVP 96\r\nc=IN IP4 239.1.2.4/1/2\r\n", group{netip.MustParseAddr("239.1.2.4"), 5004, 5005, false}},
		"of one source": {"c=IN IP4 239.1.2.3/127\r\na=source-filter: incl IN IP4 * 10.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
			group{netip.MustParseAddr("239.1.2.3"), 5004, 5005, true}},
		"of another source": {"c=IN IP4 239.1.2.3/127\r\na=source-filter: incl IN IP4 * 10.0.0.2\r\nm=video 5004 RTP/AVP 96\r\n",
			group{netip.MustParseAddr("239.1.2.3"), 5004, 5005, false}},
		"one left out": {"c=IN IP4 239.1.2.3/127\r\na=source-filter: excl IN IP4 * 10.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
			group{netip.MustParseAddr("239.1.2.3"), 5004, 5005, false}},
		"none":            {"c=IN IP4 10.0.0.1\r\nm=video 0 RTP/AVP 96\r\n", group{addr: netip.MustParseAddr("10.0.0.1")}},
		"of one port":     {"c=IN IP4 239.1.2.3/127\r\nm=video 5004 RTP/AVP 96\r\na=rtcp-mux\r\n", group{netip.MustParseAddr("239.1.2.3"), 5004, 0, false}},
		"of another port": {"c=IN IP4 239.1.2.3/127\r\nm=video 5004 RTP/AVP 96\r\na=rtcp:53020 IN IP4 239.1.2.3\r\n", group{netip.MustParseAddr("239.1.2.3"), 5004, 53020, false}},
		"of nonsense":     {"m=video 5004 RTP/AVP 96\r\na=rtcp:x\r\na=source-filter: incl\r\n", group{port: 5004, rtcp: 5005}},
	} {
		t.Run(name, func(t *testing.T) {
			ssd, err := sdpunmarshaler.Unmarshal([]byte(sdpHead + tc.sdp))
			if err != nil {
				t.Fatal(err)
			}
			got := groupFrom(ssd, ssd.MediaDescriptions[0], "10.0.0.1")
			if d := cmp.Diff(tc.want, got, cmp.AllowUnexported(group{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Error(d)
			}
		})
	}
}
