package webrtc

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"districtgateway/media"
	"districtgateway/media/mediatest/cost"
)

// bareOffer is an offer of one track of pictures, by nobody who would connect.
func bareOffer(ufrag, pwd string) string {
	return "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:0\r\na=ice-ufrag:" + ufrag + "\r\na=ice-pwd:" + pwd +
		"\r\na=fingerprint:sha-256 " + strings.Repeat("AB:", 31) + "AB\r\na=setup:actpass\r\na=recvonly\r\n" +
		"a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n"
}

// knock is a first message by TCP: a STUN request with a USERNAME, framed (RFC 4571).
func knock(username string) []byte {
	b := append(make([]byte, 2), 0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42)
	b = append(b, "twelve bytes"...)
	b = binary.BigEndian.AppendUint16(append(b, 0, stunUsername), uint16(len(username)))
	b = append(b, username...)
	b = append(b, make([]byte, -len(username)&3)...)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-2-stunHeader))
	return b
}

var passive = regexp.MustCompile(`a=candidate:.* (\d+\.\d+\.\d+\.\d+) (\d+) typ host tcptype passive`)

// byTCP has a session begun that nobody connects to, and returns its media port and
// our ICE ufrag in it.
func byTCP(t *testing.T) (port, ufrag string) {
	t.Helper()
	for {
		f := newFeed(media.H264)
		h := newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": f.src.Open})
		f.push(15)
		r := newCaller(t, "wang", "right").ask(http.MethodPost, h.base+"/cam1/whep", typeSDP, bareOffer("abcd", strings.Repeat("p", 22)))
		if r.StatusCode != http.StatusCreated {
			t.Fatal(r.Status, r.text)
		}
		// The port that was free for UDP may be somebody else's by TCP: then another server has to do.
		if at := passive.FindStringSubmatch(r.text); at != nil {
			_, rest, _ := strings.Cut(r.text, "a=ice-ufrag:")
			ufrag, _, _ := strings.Cut(rest, "\r\n")
			return net.JoinHostPort(at[1], at[2]), ufrag
		}
	}
}

// refused reports whether the far end closes the connection before the library would
// give up a name that it does not know.
func refused(t *testing.T, port string, first []byte) bool {
	t.Helper()
	c, err := net.Dial("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(first); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(bindWithin / 2))
	_, err = c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestStrangerAtTheTCPPortIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	port, ufrag := byTCP(t)
	for name, first := range map[string][]byte{
		"another name":     knock("somebody:abcd"),
		"empty name":       knock(":abcd"),
		"no colon":         knock("somebody"),
		"nameless":         append([]byte{0, stunHeader}, make([]byte, stunHeader)...),
		"too long":         {0xFF, 0xFF},
		"begun name":       knock(ufrag[:1] + ":abcd"),
		"longer than told": {0, 24, 0, 1, 0, 99, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 0},
	} {
		if !refused(t, port, first) {
			t.Errorf("%s is let in", name)
		}
	}
}

func TestWhoNamesASessionByTCPIsHeard(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := doorway{l, func(ufrag string) bool { return ufrag == "ours" }}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	want := append(knock("ours:abcd"), "and what follows"...)
	for _, part := range [][]byte{want[:1], want[1:9], want[9:]} {
		if _, err := c.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != string(want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestMediaPortThatFailedIsOpenedAnew(t *testing.T) {
	p := &ports{at: netip.MustParseAddrPort("127.0.0.1:0"), log: slog.New(slog.DiscardHandler)}
	defer p.close()
	local := netip.MustParseAddr("127.0.0.1")
	if _, err := p.berth(local); err != nil {
		t.Fatal(err)
	}
	failed, port := p.udp[local], p.port
	if err := failed.Close(); err != nil { // as the library does when a read fails
		t.Fatal(err)
	}
	if _, err := p.berth(local); err != nil {
		t.Fatal(err)
	}
	if m := p.udp[local]; m == failed || m.IsClosed() || p.port != port {
		t.Errorf("viewers are sent to a port that is closed, or to %d instead of %d", p.port, port)
	}
}

// FuzzKnock lets anything be the first message. Of what the library takes for a message,
// both read the same name.
func FuzzKnock(f *testing.F) {
	for _, name := range []string{"ours:theirs", "ours", ":", ""} {
		f.Add(knock(name)[2:])
	}
	f.Add([]byte{0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 9, 'a', ':', 'b', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var ufrag string
		var ok bool
		cost.Bound(t, func() { ufrag, ok = calledBy(b) })
		m := &stun.Message{Raw: slices.Clone(b)}
		if m.Decode() != nil {
			return
		}
		var name stun.Username
		if err := name.GetFrom(m); err != nil {
			return
		}
		if want, _, both := strings.Cut(name.String(), ":"); both != ok || both && want != ufrag {
			t.Errorf("%q, %t, of %q", ufrag, ok, name)
		}
	})
}
