//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestSessionsOfPlayersAreSoundToWireshark captures what a player is served and has
// Wireshark's dissectors read it: RTSP, RTP as its description says, and RTCP.
func TestSessionsOfPlayersAreSoundToWireshark(t *testing.T) {
	if !namespaced(t) {
		return
	}
	s := pull(t, simulate(t, "-audio", "none").source(false)) // by TCP: what is UDP here is the player's
	ready(t, s)
	bare, url := serve(t, s)
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(bare, "rtsp://"), "/gate"))
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"tcp", "udp"} { // one after the other: each capture has all UDP
		t.Run(transport, func(t *testing.T) {
			c := capturing(t, "tcp port "+port+" or udp")
			silent(t, "ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", transport, "-i", url, "-t", "7", "-c", "copy", "-f", "null", "-")
			c.end(t)
			decode := []string{"-d", "tcp.port==" + port + ",rtsp", "-d", "rtp.pt==96,h264"}
			// Of parameter sets in a description the dissector keeps the bytes that prevent emulation of start codes,
			// and so reads nonsense from there on.
			for _, line := range c.read(t, append(decode, "-Y", "!sdp && (_ws.malformed || _ws.expert.severity >= 0x800000)")...) {
				t.Errorf("malformed: %s", line)
			}
			fields := func(filter string, names ...string) []string {
				args := append(decode, "-Y", filter, "-T", "fields", "-E", "occurrence=a")
				for _, n := range names {
					args = append(args, "-e", n)
				}
				return c.read(t, args...)
			}
			if methods := strings.Join(fields("rtsp.method", "rtsp.method"), ","); !strings.Contains(methods, "DESCRIBE") || !strings.Contains(methods, "SETUP") || !strings.HasSuffix(methods, "TEARDOWN") {
				t.Errorf("methods %s", methods)
			}
			// Players send packets of source 0 to open firewalls.
			source := checkFlow(t, fields("rtp && rtp.ssrc != 0", "rtp.ssrc", "rtp.seq"))
			if types := fields("rtp && h264.nal_unit_type", "h264.nal_unit_type"); len(types) < 100 {
				t.Errorf("tshark sees H.264 in %d frames", len(types))
			}
			checkReports(t, source, fields("rtcp.pt == 200", "rtcp.pt", "rtcp.senderssrc"), fields("rtcp.sdes.type == 1", "rtcp.sdes.text"))
		})
	}
}

// checkFlow wants all RTP packets to be of one source and numbered in a row, and
// returns the source.
func checkFlow(t *testing.T, frames []string) (source string) {
	t.Helper()
	last, n := -1, 0
	for _, line := range frames {
		sources, seqs, _ := strings.Cut(line, "\t")
		for v := range strings.SplitSeq(sources, ",") {
			if source == "" {
				source = v
			}
			if v != source {
				t.Fatalf("SSRC %s after %s", v, source)
			}
		}
		for v := range strings.SplitSeq(seqs, ",") {
			var seq int
			if _, err := fmt.Sscan(v, &seq); err != nil {
				t.Fatal(err)
			}
			if last >= 0 && seq != (last+1)&0xFFFF {
				t.Errorf("packet %d follows %d", seq, last)
			}
			last, n = seq, n+1
		}
	}
	if t.Logf("%d RTP packets of %s", n, source); n < 300 {
		t.Error("too few")
	}
	return source
}

// checkReports wants sender reports of a source, and its canonical name.
func checkReports(t *testing.T, source string, reports, names []string) {
	t.Helper()
	for _, line := range reports {
		if !strings.Contains(line, source) {
			t.Errorf("sender report %q, the source is %s", line, source)
		}
	}
	if t.Logf("%d sender reports, named %q", len(reports), names); len(reports) < 1 || len(names) < 1 {
		t.Error("too few")
	}
}
