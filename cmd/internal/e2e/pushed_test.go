//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
)

// TestWhatFFmpegPushesIsReceived: ffmpeg sends a stream by plain RTP and writes down what
// it sends; the gateway receives by that description, whole and in order.
func TestWhatFFmpegPushesIsReceived(t *testing.T) {
	for _, codec := range []string{"h264", "h265"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			file := filepath.Join(dir, "gate.sdp")
			sim := simulate(t, "-codec", codec, "-audio", "aac")
			c := gatewayOn(t, dir, fmt.Sprintf("[server]\nid = %q\nlisten = \"127.0.0.1:%d\"\nstate = %q\n[discovery]\nenabled = false\n"+
				"[[encoder]]\nsdp = %q\nfrom = \"127.0.0.1\"\n", ownerID, freeUDP(t), dir, file), "ports = \"21500-21599\"")
			start(t, tool(t, "ffmpeg"), "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", sim.url(),
				"-map", "0:v", "-c", "copy", "-f", "rtp", fmt.Sprintf("rtp://127.0.0.1:%d", freeUDP(t)),
				"-map", "0:a", "-c", "copy", "-f", "rtp", fmt.Sprintf("rtp://127.0.0.1:%d", freeUDP(t)), "-sdp_file", file)
			until(t, 20*time.Second, "ffmpeg describes what it sends", func() bool {
				text, err := os.ReadFile(file)
				return err == nil && len(text) > 0
			})
			d := districtRun{t: t, control: c}
			var channels []api.Channel
			until(t, 20*time.Second, "the channel is on", func() bool {
				d.ask(&channels, "channels")
				return channelOn(channels) != ""
			})
			live := filepath.Join(dir, "live.mp4")
			c.run("live", channelOn(channels), "-o", live, "--for", "3s")
			marks := marksOf(t, live)
			if inRow(t, marks); len(marks) < 70 {
				t.Errorf("%d pictures in 3 s", len(marks))
			}
			checkStreams(t, count(t, live), codec, "aac")
		})
	}
}

// freeUDP returns an even port that is free, as is the next.
func freeUDP(t *testing.T) int {
	t.Helper()
	for range 64 {
		a, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		a.Close()
		if b, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port+1)); port%2 == 0 && err == nil {
			b.Close()
			return port
		}
	}
	t.Fatal("no free pair of ports")
	return 0
}
