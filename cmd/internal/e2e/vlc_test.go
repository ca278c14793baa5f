//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/rtsp"
)

// vlc starts VLC, playing a file over and over as an RTSP server, and returns
// where.
func vlc(t *testing.T, file string) rtsp.Config {
	t.Helper()
	addr := freeTCP(t)
	args := []string{tool(t, "vlc"), "-I", "dummy", "--loop", "--no-interact", file, "--sout", "#rtp{sdp=rtsp://" + addr + "/main}", "--sout-keep"}
	if os.Getuid() == 0 { // VLC refuses to run as root
		home := "HOME=" + os.TempDir()
		args = append([]string{tool(t, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "env", home}, args...)
	}
	p := start(t, args[0], args[1:]...)
	p.listens(addr)
	// It listens before it has found picture and sound in the file, and offers what it has found so far.
	until(t, 30*time.Second, "VLC offers picture and sound", func() bool { return offered(addr) == 2 })
	return rtsp.Config{URL: "rtsp://" + addr + "/main"}
}

// offered asks an RTSP server how many tracks it has.
func offered(addr string) (tracks int) {
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // fails only for a closed connection
	fmt.Fprintf(c, "DESCRIBE rtsp://%s/main RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n", addr)
	answer := textproto.NewReader(bufio.NewReader(c))
	if _, err := answer.ReadLine(); err != nil {
		return 0
	}
	head, err := answer.ReadMIMEHeader()
	if err != nil {
		return 0
	}
	length, _ := strconv.Atoi(head.Get("Content-Length"))
	body := make([]byte, min(length, 1<<16))
	if _, err := io.ReadFull(answer.R, body); err != nil {
		return 0
	}
	return bytes.Count(body, []byte("\nm="))
}

// freeTCP returns an address of loopback that nobody listens on.
func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestVLCIsReceivedWhole asks for UDP, and for TCP, which VLC refuses with 461: the
// client has to change over.
func TestVLCIsReceivedWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		clip clip
		want []media.Codec
	}{
		"H.264 with B pictures and AAC": {clip{b: 2, audio: "aac", seconds: 15, format: "mp4"}, []media.Codec{media.H264, media.AAC}},
		"H.265 and G.711A":              {clip{h265: true, audio: "pcm_alaw", seconds: 15, format: "mkv"}, []media.Codec{media.H265, media.G711A}},
	} {
		file := tc.clip.make(t)
		for _, udp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/udp=%t", name, udp), func(t *testing.T) {
				t.Parallel()
				cfg := vlc(t, file)
				cfg.Transport = over(udp)
				r := receive(t, cfg, 118)
				r.whole(t)
				r.parameters(t, [2]int{320, 180}, tc.want...)
				// VLC stamps the first pictures of a file with B pictures 0, +80, -40, 0 ms: they keep to no rule.
				if reordered := times(t, r.video[8:], 3600); (reordered > 0) != (tc.clip.b > 0) {
					t.Errorf("%d B pictures in a row, but %d pictures were reordered", tc.clip.b, reordered)
				}
				r.heard(t, tc.want[1])
			})
		}
	}
}
