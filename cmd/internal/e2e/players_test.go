//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"districtgateway/cmd/internal/counter"
	"districtgateway/media"
	"districtgateway/media/relay"
	"districtgateway/media/rtsp"
)

// A viewer is the one user of a server.
type viewer struct{ name, password string }

// wang may watch.
var wang = viewer{"wang", "e2e-Secret-8"}

// HA1 is what the server is to know of the password.
func (v viewer) HA1(user, algorithm string) (string, bool) {
	a1 := []byte(v.name + ":District Gateway:" + v.password)
	if algorithm == "SHA-256" {
		sum := sha256.Sum256(a1)
		return hex.EncodeToString(sum[:]), user == v.name
	}
	sum := md5.Sum(a1)
	return hex.EncodeToString(sum[:]), user == v.name
}

// serve serves a stream to wang until the test ends and returns where, without and
// with user and password.
func serve(t *testing.T, s *media.Stream) (bare, full string) {
	t.Helper()
	srv, err := rtsp.NewServer(rtsp.ServerConfig{Listen: "127.0.0.1:0", Users: wang,
		Streams: func(_ context.Context, _, path string) (*media.Stream, func(), error) {
			if path != "gate" {
				return nil, nil, rtsp.ErrNotFound
			}
			return s, func() {}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	addr, err := srv.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bare = fmt.Sprintf("rtsp://%s/gate", addr)
	return bare, strings.Replace(bare, "rtsp://", "rtsp://"+wang.name+":"+wang.password+"@", 1)
}

// asProgram sends a stream to another domain as program stream, and returns what
// arrives there.
func asProgram(t *testing.T, s *media.Stream) *media.Stream {
	t.Helper()
	ports := mediaPorts(t)
	r, err := relay.OpenReceiver(relay.ReceiverConfig{Ports: ports, Transport: relay.TCPPassive})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	k, err := relay.OpenSender(relay.SenderConfig{Ports: ports, Transport: relay.TCPPassive, Remote: r.Local(), SSRC: ssrc})
	if err != nil {
		t.Fatal(err)
	}
	r.Connect(relay.Remote{SSRC: ssrc})
	far := play(t, media.StreamConfig{Name: "far", Once: true}, r.Open)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := k.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(k); err != nil {
		t.Fatal(err)
	}
	ready(t, far)
	return far
}

// served are the streams that players are tried with.
func served() map[string]struct {
	args         []string
	clip         *clip
	codec, audio string
} {
	return map[string]struct {
		args         []string
		clip         *clip
		codec, audio string
	}{
		"H.264 and G.711A":              {args: []string{"-audio", "pcma"}, codec: "h264", audio: "pcm_alaw"},
		"H.265 and AAC":                 {args: []string{"-codec", "h265", "-audio", "aac"}, codec: "h265", audio: "aac"},
		"H.264 with B pictures and AAC": {clip: &clip{b: 3, audio: "aac", seconds: 30, format: "mp4"}, codec: "h264", audio: "aac"},
	}
}

// TestFFmpegPlaysWhatIsServed has ffprobe and ffmpeg play streams as they came from an
// encoder, and as program stream of another domain.
func TestFFmpegPlaysWhatIsServed(t *testing.T) {
	for name, tc := range served() {
		for _, program := range []bool{false, true} {
			for _, transport := range []string{"tcp", "udp"} {
				t.Run(fmt.Sprintf("%s/ps=%t/%s", name, program, transport), func(t *testing.T) {
					t.Parallel()
					if tc.clip != nil {
						tc.args = []string{"-file", tc.clip.make(t)}
					}
					s := pull(t, simulate(t, tc.args...).source(false))
					ready(t, s)
					if program {
						s = asProgram(t, s)
					}
					_, url := serve(t, s)
					checkStreams(t, probe(t, "-rtsp_transport", transport, url), tc.codec, tc.audio)
					checkPlayed(t, url, transport, tc.codec)
				})
			}
		}
	}
}

// checkPlayed has ffmpeg decode a stream, and save another connection's pictures,
// which have to be numbered in a row.
func checkPlayed(t *testing.T, url, transport, codec string) {
	t.Helper()
	in := []string{"-v", "error", "-nostdin", "-rtsp_transport", transport, "-i", url, "-t", "4"}
	decoded := progress(t, silent(t, "ffmpeg", append(in, "-progress", "-", "-f", "null", "-")...))
	file := filepath.Join(t.TempDir(), "pictures")
	format := map[string]string{"h264": "h264", "h265": "hevc"}[codec]
	silent(t, "ffmpeg", append(in, "-map", "0:v", "-c", "copy", "-f", format, file)...)
	marks := marked(t, file, codec == "h265")
	inRow(t, marks)
	t.Logf("ffmpeg decoded %d pictures and saved %d, numbered in a row", decoded, len(marks))
	if decoded < 80 || len(marks) < 80 {
		t.Errorf("fewer than 80 pictures")
	}
}

// marked returns the numbers of the pictures in a file of NAL units.
func marked(t *testing.T, file string, h265 bool) (all []uint64) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for nal := range bytes.SplitSeq(data, []byte{0, 0, 1}) {
		if n, _, ok := counter.Parse(bytes.TrimRight(nal, "\x00"), h265); ok {
			all = append(all, n)
		}
	}
	return all
}

// TestGStreamerPlaysWhatIsServed has GStreamer save the pictures, decode the sound, and
// leave with a TEARDOWN.
func TestGStreamerPlaysWhatIsServed(t *testing.T) {
	for name, tc := range served() {
		for _, transport := range []string{"tcp", "udp"} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				if tc.clip != nil {
					tc.args = []string{"-file", tc.clip.make(t)}
				}
				s := pull(t, simulate(t, tc.args...).source(false))
				ready(t, s)
				bare, _ := serve(t, s)
				file := filepath.Join(t.TempDir(), "pictures")
				p := start(t, tool(t, "/usr/bin/python3"), "testdata/gstplayer.py", bare, wang.name, wang.password, transport, tc.codec, file)
				p.says("playing")
				until(t, 30*time.Second, "GStreamer saves pictures", func() bool {
					_, err := os.Stat(file)
					return p.done() || err == nil && len(marked(t, file, tc.codec == "h265")) >= 100
				})
				p.stop(os.Interrupt)
				if out := p.out.String(); out != "playing\nended\n" {
					t.Errorf("GStreamer complains:\n%s", out)
				}
				marks := marked(t, file, tc.codec == "h265")
				inRow(t, marks)
				decoded := progress(t, silent(t, "ffmpeg", "-v", "error", "-nostdin", "-i", file, "-progress", "-", "-f", "null", "-"))
				t.Logf("GStreamer saved %d pictures, numbered in a row, of which ffmpeg decodes %d", len(marks), decoded)
				if decoded != len(marks) {
					t.Error("some cannot be decoded")
				}
				until(t, 5*time.Second, "the session ends", func() bool { return len(s.Stats().Consumers.Now) == 0 })
			})
		}
	}
}

func TestPlayersWithTheWrongPasswordGetNothing(t *testing.T) {
	t.Parallel()
	s := pull(t, simulate(t).source(false))
	ready(t, s)
	_, url := serve(t, s)
	for _, wrong := range []string{strings.Replace(url, wang.password, "wrong", 1), strings.Replace(url, wang.name+":"+wang.password+"@", "", 1)} {
		p := start(t, tool(t, "ffprobe"), "-v", "error", "-rtsp_transport", "tcp", wrong)
		until(t, 20*time.Second, "ffprobe gives up", p.done)
		if out := p.out.String(); p.err == nil || !strings.Contains(out, "401") {
			t.Errorf("%v: %s", p.err, out)
		}
	}
	if n := len(s.Stats().Consumers.Now); n > 0 {
		t.Errorf("%d sessions play", n)
	}
}
