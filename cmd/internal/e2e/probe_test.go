//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

// A probedStream is what ffprobe says of one elementary stream.
type probedStream struct {
	Type     string `json:"codec_type"`
	Codec    string `json:"codec_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Rate     string `json:"avg_frame_rate"`
	Duration string `json:"duration"` // seconds
	Frames   string `json:"nb_read_frames"`
	Packets  string `json:"nb_read_packets"`
}

// rate returns the pictures a second.
func (s probedStream) rate(t *testing.T) float64 {
	t.Helper()
	var num, den float64
	if n, err := fmt.Sscanf(s.Rate, "%f/%f", &num, &den); n != 2 || den == 0 {
		t.Fatalf("rate %q: %v", s.Rate, err)
	}
	return num / den
}

// frames returns how many frames were decoded.
func (s probedStream) frames(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(s.Frames)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// probe has ffprobe look at a file or address, in silence.
func probe(t *testing.T, args ...string) []probedStream {
	t.Helper()
	out := silent(t, "ffprobe", append([]string{"-v", "error", "-of", "json", "-show_streams"}, args...)...)
	var all struct{ Streams []probedStream }
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	return all.Streams
}

// count has ffprobe decode a whole file, in silence.
func count(t *testing.T, file string) []probedStream {
	t.Helper()
	return probe(t, "-count_frames", "-count_packets", file)
}

// checkStreams wants one video stream and one sound.
func checkStreams(t *testing.T, streams []probedStream, codec, audio string) {
	t.Helper()
	want := map[string]string{"h264": "h264", "h265": "hevc"}[codec] + " " + audio
	got := ""
	for i, s := range streams {
		if i > 0 {
			got += " "
		}
		got += s.Codec
	}
	if got != want {
		t.Errorf("ffprobe sees %q, want %q", got, want)
	}
}
