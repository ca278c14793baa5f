//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"districtgateway/media/digest"
	"districtgateway/media/rtsp"
)

// A simulator is a running encodersim with one encoder.
type simulator struct {
	process  *process
	rtsp     string // address of its main profile
	onvif    string
	serial   string
	mac      string
	control  string
	password string
}

// password of every simulated encoder.
const password = "e2e-Secret-7"

// simulate starts an encoder.
func simulate(t *testing.T, args ...string) *simulator {
	t.Helper()
	args = append([]string{"-ready-json", "-quiet", "-password", password, "-control", "127.0.0.1:0"}, args...)
	p := start(t, program(t, "encodersim"), args...)
	var ready struct {
		Control  string
		Encoders []struct {
			Serial, MAC, ONVIF string
			RTSP               map[string]string
		}
	}
	line := `{"encoders":` + p.says(`{"encoders":`)
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	e := ready.Encoders[0]
	return &simulator{process: p, rtsp: e.RTSP["main"], onvif: e.ONVIF, serial: e.Serial, mac: e.MAC, control: ready.Control, password: password}
}

// url is its address with user and password, as players take it.
func (s *simulator) url() string {
	return strings.Replace(s.rtsp, "rtsp://", "rtsp://admin:"+s.password+"@", 1)
}

// source is its address as the gateway takes it.
func (s *simulator) source(udp bool) rtsp.Config {
	return rtsp.Config{URL: s.rtsp, User: "admin", Password: digest.Secret(s.password), Transport: over(udp)}
}

// over names a transport of unicast.
func over(udp bool) rtsp.Transport {
	if udp {
		return rtsp.UDP
	}
	return rtsp.TCP
}

// fault injects a fault; that the encoder took it is checked, that it happened is
// the caller's to show.
func (s *simulator) fault(t *testing.T, fault string) {
	t.Helper()
	resp, err := http.Post(s.control+"/fault/"+fault, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("fault %s: %s %s", fault, resp.Status, body)
	}
}

// A simState is what the encoder says of itself.
type simState struct {
	Up       bool
	H265     bool
	Pictures map[string]uint64
	Sessions []struct{ Transport string }
	Asked    struct{ RTCP, ONVIF int } `json:"key_pictures_asked"`
}

// state asks the encoder.
func (s *simulator) state(t *testing.T) simState {
	t.Helper()
	resp, err := http.Get(s.control + "/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all struct{ Encoders []simState }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil || len(all.Encoders) != 1 {
		t.Fatalf("state: %+v, %v", all, err)
	}
	return all.Encoders[0]
}

// decode has ffmpeg receive and decode an encoder's stream for so many seconds and
// returns how many pictures it got. It must not say a word.
func decode(t *testing.T, s *simulator, transport string, seconds int) (pictures int) {
	t.Helper()
	out := silent(t, "ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", transport, "-i", s.url(),
		"-t", strconv.Itoa(seconds), "-progress", "-", "-f", "null", "-")
	return progress(t, out)
}

// progress returns the last number of pictures in what ffmpeg's -progress wrote.
func progress(t *testing.T, out string) (pictures int) {
	t.Helper()
	out = "\n" + out // it may be the first word
	at := strings.LastIndex(out, "\nframe=")
	if _, err := fmt.Sscanf(out[max(0, at):], "\nframe=%d", &pictures); err != nil {
		t.Errorf("no number of pictures in %q: %v", out, err)
	}
	return pictures
}

// transports are the ways of RTP that a player can ask for.
func transports() []string { return []string{"tcp", "udp"} }

func TestFFmpegReadsTheSimulatedEncoder(t *testing.T) {
	for _, codec := range []string{"h264", "h265"} {
		for _, audio := range []string{"pcma", "aac"} {
			for _, transport := range transports() {
				t.Run(codec+"/"+audio+"/"+transport, func(t *testing.T) {
					t.Parallel()
					s := simulate(t, "-codec", codec, "-audio", audio)
					pictures := decode(t, s, transport, 4)
					t.Logf("ffmpeg decoded %d pictures in 4 s", pictures)
					if pictures < 95 || pictures > 105 {
						t.Errorf("want 100, 5 more or less")
					}
					streams := probe(t, "-rtsp_transport", transport, s.url())
					checkStreams(t, streams, codec, map[string]string{"pcma": "pcm_alaw", "aac": "aac"}[audio])
				})
			}
		}
	}
}

// TestFFmpegReadsReorderedPicturesOfTheSimulatedEncoder plays a file with B pictures.
func TestFFmpegReadsReorderedPicturesOfTheSimulatedEncoder(t *testing.T) {
	for _, h265 := range []bool{false, true} {
		for _, transport := range transports() {
			t.Run(fmt.Sprintf("h265=%t/%s", h265, transport), func(t *testing.T) {
				t.Parallel()
				file := clip{h265: h265, b: 3, audio: "aac", seconds: 4, format: "mp4"}.make(t)
				pictures := decode(t, simulate(t, "-file", file), transport, 6) // longer than the clip: it begins anew in between
				t.Logf("ffmpeg decoded %d pictures in 6 s", pictures)
				if pictures < 140 || pictures > 160 {
					t.Errorf("want 150, 10 more or less")
				}
			})
		}
	}
}

// TestFFmpegReadsRealFootageFromTheSimulatedEncoder needs the folder FOOTAGE, by
// default ../shared/footage beside the repository. It is the one test that may be
// left out: the footage is not part of the project.
func TestFFmpegReadsRealFootageFromTheSimulatedEncoder(t *testing.T) {
	for name, rate := range realFootage(t) {
		for _, transport := range transports() {
			t.Run(filepath.Base(name)+"/"+transport, func(t *testing.T) {
				t.Parallel()
				pictures := decode(t, simulate(t, "-file", name), transport, 6)
				t.Logf("ffmpeg decoded %d pictures in 6 s", pictures)
				if want := 6 * rate; float64(pictures) < want-rate || float64(pictures) > want+rate {
					t.Errorf("want %.0f, %.0f more or less", want, rate)
				}
			})
		}
	}
}

// realFootage returns the files of real footage with their pictures a second.
func realFootage(t *testing.T) map[string]float64 {
	t.Helper()
	dir := os.Getenv("FOOTAGE")
	if dir == "" {
		dir = "../../../../shared/footage"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Logf("no footage in %s: this part is left out", dir)
	}
	rates := map[string]float64{}
	for _, f := range files {
		for _, s := range probe(t, f) {
			if s.Type == "video" {
				rates[f] = s.rate(t)
			}
		}
	}
	return rates
}
