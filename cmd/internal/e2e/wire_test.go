//go:build e2e

package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/ps"
	"districtgateway/media/relay"
)

// wirePorts is the first port of loopback that is captured; each session has a
// range of its own.
const (
	wirePorts  = 48000
	wireStride = 100
)

// relayed opens a receiver, connects a sender to it and attaches that to a stream.
func relayed(t *testing.T, from *media.Stream, transport relay.Transport, tracks []media.Track, ports *relay.Ports) (*relay.Sender, *media.Stream) {
	t.Helper()
	r, err := relay.OpenReceiver(relay.ReceiverConfig{Ports: ports, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s, err := relay.OpenSender(relay.SenderConfig{Ports: ports, Transport: transport, Remote: r.Local(), SSRC: ssrc, Tracks: tracks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(nil) })
	to := play(t, media.StreamConfig{Name: "relayed", Once: true}, r.Open)
	r.Connect(relay.Remote{Addr: s.Local(), SSRC: ssrc, Tracks: tracks})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := from.Attach(s); err != nil {
		t.Fatal(err)
	}
	return s, to
}

// TestWiresharkSeesDamage shows that the checks of captures can fail.
func TestWiresharkSeesDamage(t *testing.T) {
	if !namespaced(t) {
		return
	}
	c := capturing(t, fmt.Sprintf("udp port %d", wirePorts))
	cut := []byte{0x8F, relay.PayloadPS, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1} // RTP that claims 15 contributors and ends
	if _, err := c.marker.WriteTo(cut, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: wirePorts}); err != nil {
		t.Fatal(err)
	}
	c.end(t)
	bad := c.faults(t, decodeAs("udp", wirePorts, wirePorts, "rtp")...)
	t.Logf("%d malformed", len(bad))
	if len(bad) != 1 {
		t.Errorf("want 1")
	}
}

// TestRelayIsRTPToWireshark captures sessions and has Wireshark's dissectors read
// them: RTP by UDP and framed in TCP (RFC 4571), program stream and elementary.
func TestRelayIsRTPToWireshark(t *testing.T) {
	if !namespaced(t) {
		return
	}
	for name, tc := range map[string]struct {
		transport  relay.Transport
		elementary bool
		wire       string
		slot       int // which range of ports
	}{
		"program stream, UDP":         {relay.UDP, false, "udp", 1},
		"program stream, TCP passive": {relay.TCPPassive, false, "tcp", 2},
		"program stream, TCP active":  {relay.TCPActive, false, "tcp", 3},
		"elementary, UDP":             {relay.UDP, true, "udp", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := simulate(t, "-audio", "none")
			from := pull(t, sim.source(false))
			ready(t, from)
			var tracks []media.Track
			payload := relay.PayloadPS
			if tc.elementary {
				payload = 98
				tracks = []media.Track{{Codec: media.H264, ClockRate: 90000, PayloadType: 98}}
			}
			low := uint16(wirePorts + wireStride*tc.slot)
			ports, err := relay.NewPorts(netip.MustParseAddr("127.0.0.1"), low, low+wireStride-2)
			if err != nil {
				t.Fatal(err)
			}
			c := capturing(t, fmt.Sprintf("%s portrange %d-%d", tc.wire, low, low+wireStride-1))
			s, to := relayed(t, from, tc.transport, tracks, ports)
			sink := &mediatest.Sink{Oldest: true}
			if err := to.Attach(sink); err != nil {
				t.Fatal(err)
			}
			until(t, 20*time.Second, "pictures arrive", func() bool { return len(sorted(t, sink).video) >= 75 })
			from.Detach(s)
			decode := append(decodeAs(tc.wire, low, low+wireStride-1, "rtp"), "-d", "rtp.pt==98,h264")
			sent := int(s.SinkStats().Packets)
			c.end(t)
			c.sound(t, decode...)
			checkRTP(t, c.read(t, append(decode, "-Y", "rtp", "-T", "fields", "-E", "occurrence=a",
				"-e", "rtp.ssrc", "-e", "rtp.p_type", "-e", "rtp.seq", "-e", "rtp.payload")...), sent, payload)
		})
	}
}

// checkRTP checks RTP packets as tshark printed them: a line for each frame on the
// wire, with a column for each field and commas where a frame holds several packets.
func checkRTP(t *testing.T, frames []string, sent, payload int) {
	t.Helper()
	var seqs []int
	var data []byte
	for _, line := range frames {
		columns := strings.Split(line, "\t")
		for _, v := range strings.Split(columns[0], ",") {
			if v != fmt.Sprintf("0x%08x", ssrc) {
				t.Fatalf("SSRC %s", v)
			}
		}
		for _, v := range strings.Split(columns[1], ",") {
			if v != strconv.Itoa(payload) {
				t.Fatalf("payload type %s, want %d", v, payload)
			}
		}
		for _, v := range strings.Split(columns[2], ",") {
			n, err := strconv.Atoi(v)
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, n)
		}
		b, err := hex.DecodeString(strings.NewReplacer(":", "", ",", "").Replace(columns[3]))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, b...)
	}
	t.Logf("%d RTP packets sent, tshark sees %d in %d frames, %d bytes of payload", sent, len(seqs), len(frames), len(data))
	if len(seqs) != sent {
		t.Errorf("tshark sees %d packets, %d were sent", len(seqs), sent)
	}
	for i := 1; i < len(seqs); i++ {
		if seqs[i] != (seqs[i-1]+1)&0xFFFF {
			t.Errorf("packet %d follows %d", seqs[i], seqs[i-1])
		}
	}
	if payload == relay.PayloadPS {
		checkPayload(t, data)
	}
}

// checkPayload reads the program stream that tshark took out of the packets.
func checkPayload(t *testing.T, data []byte) {
	t.Helper()
	program := ps.Read(data)
	video := pictures(program.Units)
	marks := numbers(t, data, video)
	inRow(t, marks)
	t.Logf("%d pictures in the captured program stream", len(video))
	if program.Fault != nil || len(video) < 75 || len(marks) != len(video) || !slices.IsSorted(marks) {
		t.Errorf("%d pictures, %d numbered: %v", len(video), len(marks), program.Fault)
	}
}
