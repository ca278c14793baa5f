//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"districtgateway/cmd/internal/counter"
	"districtgateway/media"
	"districtgateway/media/ps"
	"districtgateway/media/relay"
)

// ssrc of the sessions here: real time, domain 06146, number 581 (GB/T 28181 Annex F).
const ssrc = 0x03A8F7D5

// A catcher receives one session of program stream by UDP and keeps its payload.
type catcher struct {
	conn *net.UDPConn
	wg   sync.WaitGroup
	mu   sync.Mutex
	file bytes.Buffer
	seqs []uint16
	bad  []error
}

// catch opens a port to receive on until the test ends.
func catch(t *testing.T) *catcher {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	c := &catcher{conn: conn}
	c.wg.Go(c.receive)
	t.Cleanup(func() {
		conn.Close()
		c.wg.Wait()
	})
	return c
}

func (c *catcher) receive() {
	b := make([]byte, 2048)
	for {
		n, err := c.conn.Read(b)
		if err != nil {
			return
		}
		c.take(b[:n])
	}
}

func (c *catcher) take(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil || p.PayloadType != relay.PayloadPS || p.SSRC != ssrc {
		c.bad = append(c.bad, errors.Join(err, errors.New(p.String())))
		return
	}
	c.seqs = append(c.seqs, p.SequenceNumber)
	c.file.Write(p.Payload)
}

func (c *catcher) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(c.conn.LocalAddr().(*net.UDPAddr).Port))
}

func (c *catcher) packets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seqs)
}

// result checks the packets and returns the program stream.
func (c *catcher) result(t *testing.T) []byte {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bad) > 0 {
		t.Fatalf("%d packets are not ours, the first: %v", len(c.bad), c.bad[0])
	}
	for i := 1; i < len(c.seqs); i++ {
		if c.seqs[i] != c.seqs[i-1]+1 {
			t.Errorf("packet %d follows %d", c.seqs[i], c.seqs[i-1])
		}
	}
	return bytes.Clone(c.file.Bytes())
}

// mediaPorts are the ports that relays here use.
func mediaPorts(t *testing.T) *relay.Ports {
	t.Helper()
	p, err := relay.NewPorts(netip.MustParseAddr("127.0.0.1"), 46000, 46998)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// send attaches a sender to a stream and lets it send for so long. It returns how
// many units and packets it sent.
func send(t *testing.T, s *media.Stream, to netip.AddrPort, span time.Duration) media.SinkStats {
	t.Helper()
	k, err := relay.OpenSender(relay.SenderConfig{Ports: mediaPorts(t), Transport: relay.UDP, Remote: to, SSRC: ssrc})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := k.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(k); err != nil {
		t.Fatal(err)
	}
	select { // how much is sent is a matter of time; what is sent is checked
	case <-time.After(span):
	case <-k.Ended():
		t.Fatalf("sender ended: %v", k.Cause())
	}
	s.Detach(k)
	return k.SinkStats()
}

// numbers returns the number that the encoder put into each picture.
func numbers(t *testing.T, data []byte, units []media.AccessUnit) []uint64 {
	t.Helper()
	var got []uint64
	for _, u := range units {
		for _, nal := range u.NALs {
			var b []byte
			for _, g := range nal.Body {
				b = append(b, data[g.Off:g.End()]...)
			}
			if n, _, ok := counter.Parse(slices.Concat(nal.Head[:nal.HeadLen], b), u.Codec == media.H265); ok {
				got = append(got, n)
			}
		}
	}
	return got
}

// inRow checks that numbers count up by one.
func inRow(t *testing.T, got []uint64) {
	t.Helper()
	for i := 1; i < len(got); i++ {
		if got[i] != got[i-1]+1 {
			t.Errorf("picture %d follows picture %d", got[i], got[i-1])
		}
	}
}

// pictures returns the pictures among access units.
func pictures(units []media.AccessUnit) []media.AccessUnit {
	return slices.DeleteFunc(slices.Clone(units), func(u media.AccessUnit) bool { return !u.Codec.Video() })
}

// TestFFmpegReadsTheProgramStreamOfTheRelay checks ISO/IEC 13818-1 and GB/T 28181
// Annex C as ffmpeg understands them.
func TestFFmpegReadsTheProgramStreamOfTheRelay(t *testing.T) {
	for name, tc := range map[string]struct {
		args  []string
		clip  *clip
		audio string
	}{
		"H.264 and G.711A":              {args: []string{"-audio", "pcma"}, audio: "pcm_alaw"},
		"H.264 and AAC":                 {args: []string{"-audio", "aac"}, audio: "aac"},
		"H.265 and G.711A":              {args: []string{"-codec", "h265", "-audio", "pcma"}, audio: "pcm_alaw"},
		"H.264 with B pictures and AAC": {clip: &clip{b: 3, audio: "aac", seconds: 20, format: "mp4"}, audio: "aac"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.clip != nil {
				tc.args = []string{"-file", tc.clip.make(t)}
			}
			sim := simulate(t, tc.args...)
			stream := pull(t, sim.source(false))
			ready(t, stream)
			c := catch(t)
			sent := send(t, stream, c.addr(), 4*time.Second)
			until(t, 5*time.Second, "every packet arrives", func() bool { return uint64(c.packets()) >= sent.Packets })
			data := c.result(t)
			file := filepath.Join(t.TempDir(), "relay.mpg")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			checkProgram(t, file, tc.audio)
		})
	}
}

// checkProgram compares what ffmpeg and what we see in a file of program stream.
func checkProgram(t *testing.T, file, audio string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	program := ps.Read(data)
	if program.Fault != nil {
		t.Error(program.Fault)
	}
	video := pictures(program.Units)
	marks := numbers(t, data, video)
	inRow(t, marks)
	decoded := progress(t, silent(t, "ffmpeg", "-v", "error", "-nostdin", "-c:a", opaque(audio), "-i", file, "-map", "0:v", "-progress", "-", "-f", "null", "-"))
	t.Logf("%d bytes: ffmpeg decoded %d pictures, we see %d, %d of them numbered in a row", len(data), decoded, len(video), len(marks))
	if len(video) < 90 || decoded != len(video) || len(marks) != len(video) {
		t.Errorf("pictures differ, or are fewer than 90")
	}
	// A muxer refuses time stamps that go back.
	silent(t, "ffmpeg", "-v", "warning", "-nostdin", "-c:a", opaque(audio), "-i", file, "-map", "0:v", "-c", "copy", "-f", "matroska", filepath.Join(t.TempDir(), "copy.mkv"))
	checkSound(t, file, program, audio)
}

// opaque returns what to tell ffmpeg that the sound is. It does not know GB/T 28181's
// stream_type 0x90 and takes G.711 for MPEG audio, which it then misses the headers
// of; DVD's samples it hands on as they are, without looking for anything in them.
func opaque(audio string) string {
	if audio == "pcm_alaw" {
		return "pcm_dvd"
	}
	return audio
}

// checkSound compares the sound ffmpeg finds in a program stream with what we find:
// G.711 byte by byte; AAC, which we hold without its ADTS headers, by decoding it.
func checkSound(t *testing.T, file string, program ps.Program, audio string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var frames int
	var ours []byte
	for _, u := range program.Units {
		if !u.Codec.Video() {
			frames++
			for _, g := range u.Payload {
				ours = append(ours, data[g.Off:g.End()]...)
			}
		}
	}
	raw := filepath.Join(t.TempDir(), "sound")
	if audio != "aac" {
		silent(t, "ffmpeg", "-v", "error", "-nostdin", "-c:a", opaque(audio), "-i", file, "-map", "0:a", "-c", "copy", "-f", "data", raw)
		theirs, err := os.ReadFile(raw)
		t.Logf("sound: ffmpeg has %d bytes, we have %d", len(theirs), len(ours))
		if err != nil || len(ours) < 3*8000 || !bytes.Equal(theirs, ours) {
			t.Errorf("sound differs, or is less than 3 s: %v", err)
		}
		return
	}
	for _, s := range count(t, file) {
		if s.Type == "audio" {
			t.Logf("sound: ffmpeg decoded %d frames, we see %d", s.frames(t), frames)
			if s.Codec != "aac" || s.frames(t) != frames {
				t.Errorf("ffprobe sees %+v", s)
			}
		}
	}
}

// TestProgramStreamOfFFmpegIsRead reads what ffmpeg's muxers write.
func TestProgramStreamOfFFmpegIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		clip   clip
		muxer  string
		tracks []media.Codec
	}{
		"H.264, MPEG-2":         {clip{seconds: 4}, "vob", []media.Codec{media.H264}},
		"H.264, MPEG-1":         {clip{seconds: 4}, "mpeg", []media.Codec{media.H264}},
		"H.264 with B pictures": {clip{b: 3, seconds: 4}, "vob", []media.Codec{media.H264}},
		"H.264 with B, MPEG-1":  {clip{b: 3, seconds: 4}, "mpeg", []media.Codec{media.H264}},
		"H.265, MPEG-2":         {clip{h265: true, seconds: 4}, "vob", []media.Codec{media.H265}},
		"H.265, MPEG-1":         {clip{h265: true, seconds: 4}, "mpeg", []media.Codec{media.H265}},
		"H.265 with B pictures": {clip{h265: true, b: 3, seconds: 4}, "vob", []media.Codec{media.H265}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "clip.mpg")
			// ffmpeg's model of a decoder's buffer is for DVDs; what it says of larger pictures is no fault.
			run(t, "ffmpeg", append(tc.clip.args(), "-f", tc.muxer, file)...)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			program := ps.Read(data)
			video := pictures(program.Units)
			t.Logf("%d bytes, %d pictures of %d", len(data), len(video), tc.clip.seconds*25)
			if program.Fault != nil || len(video) != tc.clip.seconds*25 {
				t.Errorf("%d pictures, want %d: %v", len(video), tc.clip.seconds*25, program.Fault)
			}
			var tracks []media.Codec
			for _, k := range program.Tracks {
				tracks = append(tracks, k.Codec)
			}
			if !slices.Equal(tracks, tc.tracks) {
				t.Errorf("tracks %v, want %v", tracks, tc.tracks)
			}
		})
	}
}
