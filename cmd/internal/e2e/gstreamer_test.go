//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"testing"

	"districtgateway/media"
	"districtgateway/media/rtsp"
)

// gstreamer starts GStreamer's RTSP server, which grants one transport only, and
// returns what to tell the client.
func gstreamer(t *testing.T, video, audio string, udp bool) rtsp.Config {
	t.Helper()
	transport := map[bool]string{false: "TCP", true: "UDP"}[udp]
	// The system's own interpreter: another one in the path does not know Debian's modules.
	p := start(t, tool(t, "/usr/bin/python3"), "testdata/gstserver.py", "admin", "right", video, audio, transport)
	return rtsp.Config{URL: "rtsp://127.0.0.1:" + p.says("port ") + "/main", User: "admin", Password: "right", Transport: over(udp)}
}

func TestGStreamerIsReceivedWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		video, audio string
		want         []media.Codec
	}{
		"H.264 and G.711A":                 {"h264", "pcma", []media.Codec{media.H264, media.G711A}},
		"H.264 with B pictures and AAC":    {"h264b", "aac", []media.Codec{media.H264, media.AAC}},
		"H.265 and G.711A":                 {"h265", "pcma", []media.Codec{media.H265, media.G711A}},
		"H.265 and AAC":                    {"h265", "aac", []media.Codec{media.H265, media.AAC}},
		"H.264 with B pictures and G.711A": {"h264b", "pcma", []media.Codec{media.H264, media.G711A}},
	} {
		for _, udp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/udp=%t", name, udp), func(t *testing.T) {
				t.Parallel()
				cfg := gstreamer(t, tc.video, tc.audio, udp)
				r := receive(t, cfg, 110)
				r.whole(t)
				r.parameters(t, [2]int{320, 180}, tc.want...)
				reordered := times(t, r.video, 3600)
				if b := tc.video == "h264b"; b != (reordered > 0) {
					t.Errorf("B pictures %t, but %d pictures were reordered", b, reordered)
				}
				if len(tc.want) > 1 {
					r.heard(t, tc.want[1])
				}
			})
		}
	}
}

func TestGStreamerRefusesTheWrongPassword(t *testing.T) {
	t.Parallel()
	cfg := gstreamer(t, "h264", "none", false)
	cfg.Password = "wrong"
	if _, err := rtsp.Open(t.Context(), cfg); !errors.Is(err, rtsp.ErrUnauthorized) {
		t.Errorf("got %v, want %v", err, rtsp.ErrUnauthorized)
	}
}
