//go:build e2e

package storage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"districtgateway/media"
)

// A clip is encoded footage, as another program wrote it.
type clip struct {
	tracks []media.Track
	frames []clipFrame
}

type clipFrame struct {
	media.Frame
	data []byte
}

// encode has ffmpeg make a clip of video with B-frames, and sound.
func encode(t *testing.T, video, audio string) clip {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Fatal("ffmpeg is needed: .ci/packages e2e")
	}
	name := filepath.Join(t.TempDir(), "clip.mp4")
	args := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=6", "-f", "lavfi", "-i", "sine=d=6:r=8000",
		"-c:v", video, "-g", "25", "-bf", "2", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params", "log-level=error",
		"-c:a", "aac", "-ac", "1", "-movflags", "frag_keyframe+empty_moov+default_base_moof", name}
	if audio != "aac" {
		args = slices.Insert(args, len(args)-1, "-an")
	}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg cannot make %s: %s", video, out)
	}
	c := readClip(t, name)
	if audio != "aac" {
		c.addG711(t, audio)
	}
	slices.SortStableFunc(c.frames, func(a, b clipFrame) int { return cmp.Compare(a.DTS, b.DTS) })
	return c
}

// addG711 adds a tone in 40 ms frames.
func (c *clip) addG711(t *testing.T, coding string) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=6:r=8000", "-ac", "1", "-c:a", "pcm_"+coding, "-f", coding, "-")
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	codec := map[string]media.Codec{"alaw": media.G711A, "mulaw": media.G711U}[coding]
	c.tracks = append(c.tracks, media.Track{Codec: codec, ClockRate: 8000, Channels: 1})
	for i := 0; i+320 <= len(b); i += 320 {
		at := media.Ticks(i / 320 * 3600)
		c.frames = append(c.frames, clipFrame{media.Frame{Track: uint8(len(c.tracks) - 1), PTS: at, DTS: at}, b[i : i+320]})
	}
}

// readClip reads a fragmented MP4 with the MP4 library alone.
func readClip(t *testing.T, name string) clip {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	c := clip{}
	scales := map[int]int{}
	for _, x := range init.Tracks {
		scales[x.ID] = int(x.TimeScale)
		c.tracks = append(c.tracks, clipTrack(t, x))
	}
	for _, p := range parts {
		for _, pt := range p.Tracks {
			at := int64(pt.BaseTime)
			for _, s := range pt.Samples {
				f := media.Frame{Track: uint8(pt.ID - 1), DTS: fromScale(at, scales[pt.ID]), Key: keySample(c.tracks[pt.ID-1].Codec, s.Payload)}
				f.PTS = f.DTS + fromScale(int64(s.PTSOffset), scales[pt.ID])
				c.frames = append(c.frames, clipFrame{f, s.Payload})
				at += int64(s.Duration)
			}
		}
	}
	return c
}

// keySample looks for a NAL unit of a key picture: the MP4 library does not know
// first_sample_flags.
func keySample(c media.Codec, b []byte) bool {
	for c.Video() && len(b) > 4 {
		n := int(binary.BigEndian.Uint32(b))
		if media.KeyNAL(c, media.NALType(c, b[4])) {
			return true
		}
		b = b[4+n:]
	}
	return false
}

func clipTrack(t *testing.T, x *fmp4.InitTrack) media.Track {
	t.Helper()
	switch c := x.Codec.(type) {
	case *codecs.H264:
		return media.Track{Codec: media.H264, ClockRate: 90000, Parameters: [][]byte{c.SPS, c.PPS}}
	case *codecs.H265:
		return media.Track{Codec: media.H265, ClockRate: 90000, Parameters: [][]byte{c.VPS, c.SPS, c.PPS}}
	case *codecs.MPEG4Audio:
		asc, err := c.Config.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return media.Track{Codec: media.AAC, ClockRate: c.Config.SampleRate, Channels: 1, Parameters: [][]byte{asc}}
	}
	t.Fatalf("track of %T", x.Codec)
	return media.Track{}
}

// play feeds the clip n times over.
func (f *feeder) play(c clip, n int) {
	start, first := f.now, f.dts
	length := media.Ticks(6.2 * media.TicksPerSecond)
	for i := range n {
		for k, fr := range c.frames {
			at := first + media.Ticks(i)*length
			f.now = start.Add((at + fr.DTS - first).Duration())
			fr.Frame.PTS, fr.Frame.DTS, fr.Frame.Wall = fr.PTS+at, fr.DTS+at, f.now.UnixNano()
			f.push(fr.Frame, fr.data)
			if k%50 == 0 {
				f.drain()
			}
		}
	}
}

// TestPlayersOpenSegments has ffmpeg read the segments that are written: not a
// word of complaint, all pictures and all sound decoded.
func TestPlayersOpenSegments(t *testing.T) {
	for _, tc := range []struct{ video, audio, codec, sound string }{
		{"libx264", "aac", "h264", "aac"},
		{"libx264", "alaw", "h264", "pcm_alaw"},
		{"libx265", "mulaw", "hevc", "pcm_mulaw"},
		{"libx265", "aac", "hevc", "aac"},
	} {
		t.Run(tc.codec+" "+tc.sound, func(t *testing.T) {
			c := encode(t, tc.video, tc.audio)
			r := newRig(t)
			f := r.feed(RecorderConfig{Channel: "cam", Segment: 10 * time.Second}, noon(), c.tracks...)
			f.play(c, 3)
			f.end()
			r.settle()
			files, _ := filepath.Glob(filepath.Join(r.vol.cfg.Dir, recDir, "cam", "*", "*.mp4"))
			if len(files) < 2 {
				t.Fatalf("%d files: %+v %+v %+v", len(files), f.rec.SinkStats(), f.stream.Stats(), f.rec.tracks)
			}
			pictures := 0
			for _, name := range files {
				pictures += probeFile(t, name, tc.codec, tc.sound)
			}
			if want := 450; pictures != want {
				t.Errorf("%d pictures decoded, want %d", pictures, want)
			}
			if keep := os.Getenv("STORAGE_KEEP"); keep != "" {
				exec.Command("cp", "-r", r.vol.cfg.Dir, filepath.Join(keep, tc.codec+"-"+tc.sound)).Run()
			}
		})
	}
}

// probeFile decodes all of a file and returns how many pictures it has.
func probeFile(t *testing.T, name, video, sound string) int {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", name).CombinedOutput()
	if err != nil || string(out) != video+"\n"+sound+"\n" {
		t.Errorf("ffprobe %s: %v\n%s", filepath.Base(name), err, out)
	}
	out, err = exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", name, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("ffmpeg %s: %v\n%s", filepath.Base(name), err, out)
	}
	out, err = exec.Command("ffmpeg", "-v", "error", "-i", name, "-map", "0:v", "-f", "framecrc", "-fps_mode", "passthrough", "-").Output()
	if err != nil {
		t.Error(err)
	}
	n := 0
	for _, line := range strings.Split(string(out), "\n") {
		if strings.HasPrefix(line, "0,") {
			n++
		}
	}
	return n
}
