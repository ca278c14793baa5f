//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/footage"
)

// TestDemonstrationWorks is `make demo`: every check it makes has to pass.
func TestDemonstrationWorks(t *testing.T) {
	t.Parallel()
	p := startDemo(t, "-once")
	until(t, 2*time.Minute, "the demonstration ends", p.done)
	all := lines(p.out.String())
	last := all[len(all)-1]
	if p.err != nil { // what went wrong follows the count
		last = all[max(0, len(all)-2)]
	}
	var passed, failed int
	if _, err := fmt.Sscanf(last, "%d passed, %d failed", &passed, &failed); err != nil || p.err != nil || failed != 0 || passed < 20 {
		t.Errorf("%q: %v", last, p.err)
	}
	for _, line := range all {
		if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "FAIL") {
			t.Log(line)
		}
	}
}

// startDemo starts the demonstration with the programs built for this test.
func startDemo(t *testing.T, args ...string) *process {
	t.Helper()
	for _, name := range []string{"gatewayd", "gatewayctl", "encodersim"} {
		program(t, name)
	}
	return start(t, program(t, "demo"), append([]string{"-bin", os.Getenv(binEnv)}, args...)...)
}

// The channels of the demonstration with what its encoders send.
func demoChannels() map[string][2]string {
	return map[string][2]string{
		"33010600001320000001": {"h264", "pcm_alaw"},
		"33010600001320000002": {"h265", "aac"},
	}
}

// TestThreeLevelsOnTheWire runs province, city and district, has the province's
// gatewayctl save live pictures and a recording from the district, and checks the
// files with ffprobe and everything that crossed the wire with Wireshark's dissectors.
func TestThreeLevelsOnTheWire(t *testing.T) {
	if !namespaced(t) {
		return
	}
	dir := shortDir(t)
	c := capturing(t, "udp or tcp portrange 20000-20199")
	p := startDemo(t, "-keep", filepath.Join(dir, "demo"))
	p.says("Ctrl-C ends everything")
	ctl := control{t, filepath.Join(dir, "demo", "province", "control.sock")}
	district := filepath.Join(dir, "demo", "district", "control.sock")
	for channel, coded := range demoChannels() {
		t.Run("live "+channel, func(t *testing.T) { control{t, ctl.socket}.checkLive(channel, coded) })
		t.Run("play "+channel, func(t *testing.T) { control{t, ctl.socket}.checkPlay(channel, coded) })
		t.Run("snapshot "+channel, func(t *testing.T) {
			control{t, ctl.socket}.checkSnapshot(channel, "mp4", "640,360")
			control{t, district}.checkSnapshot(channel, "mjpeg", "640,360")
			control{t, district}.checkSnapshot(channel, "mjpeg", "320,180", "--sub")
			control{t, district}.checkStream(channel)
		})
		t.Run("ptz "+channel, func(t *testing.T) {
			control{t, ctl.socket}.checkMoves(channel, control{t, district}, headOf(t, dir, channel))
		})
	}
	until(t, 20*time.Second, "the last session is closed", func() bool { return strings.TrimSpace(ctl.run("--json", "sessions")) == "[]" })
	p.stop(os.Interrupt)
	if p.err != nil {
		t.Errorf("the demonstration ended: %v", p.err)
	}
	c.end(t)
	ports := regexp.MustCompile(`SIP at [0-9.]+:([0-9]+)`).FindAllStringSubmatch(p.out.String(), -1)
	if len(ports) != 3 {
		t.Fatalf("%d levels tell their SIP port", len(ports))
	}
	decode := decodeAs("tcp", 20000, 20199, "rtp")
	for _, port := range ports {
		n, _ := strconv.ParseUint(port[1], 10, 16)
		decode = append(decode, decodeAs("udp", uint16(n), uint16(n), "sip")...)
	}
	c.checkProtocols(t, decode)
	checkDialogs(t, c.dialogs(t, decode))
}

// shortDir returns a directory whose path is short enough for Unix sockets in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A control is gatewayctl at one daemon.
type control struct {
	t      *testing.T
	socket string
}

// run runs gatewayctl and returns what it printed.
func (c control) run(args ...string) string {
	c.t.Helper()
	out, _ := run(c.t, program(c.t, "gatewayctl"), append([]string{"--socket", c.socket}, args...)...)
	return out
}

// checkLive saves a channel's live picture and checks the file.
func (c control) checkLive(channel string, coded [2]string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "live.mp4")
	c.run("live", channel, "-o", file, "--for", "6s")
	c.checkFile(file, coded, 6*time.Second)
}

// checkPlay saves a recording and checks the file.
func (c control) checkPlay(channel string, coded [2]string) {
	c.t.Helper()
	var from time.Time
	until(c.t, 30*time.Second, "the province finds ten seconds of recording", func() bool {
		var r api.Recordings
		if err := json.Unmarshal([]byte(c.run("--json", "records", channel, "-10m", "now")), &r); err != nil {
			c.t.Fatal(err)
		}
		i := slices.IndexFunc(r.Items, func(x api.Recording) bool { return x.Gap == "" && x.To.Sub(x.From) >= 10*time.Second })
		if i >= 0 {
			from = r.Items[i].From.Add(2 * time.Second)
		}
		return i >= 0
	})
	file := filepath.Join(c.t.TempDir(), "play.mp4")
	c.run("play", channel, from.Format(time.RFC3339Nano), from.Add(6*time.Second).Format(time.RFC3339Nano), "-o", file)
	c.checkFile(file, coded, 6*time.Second)
}

// checkSnapshot saves one picture, has ffmpeg decode it, and checks what it is and
// its size.
func (c control) checkSnapshot(channel, kind, size string, options ...string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "still.jpg")
	said := c.run(append([]string{"snapshot", channel, "-o", file}, options...)...)
	if kind == "mp4" {
		file = strings.TrimSuffix(file, "jpg") + "mp4"
	}
	if !strings.HasPrefix(said, file+": ") {
		c.t.Errorf("%q does not name %s", said, file)
	}
	still := filepath.Join(c.t.TempDir(), "still.png")
	silent(c.t, "ffmpeg", "-v", "error", "-xerror", "-i", file, still)
	got := strings.TrimSpace(silent(c.t, "ffprobe", "-v", "error", "-of", "csv=p=0", "-count_frames",
		"-show_entries", "stream=width,height,nb_read_frames", still))
	if got != size+",1" {
		c.t.Errorf("%s of %s shows %q, want %s", kind, channel, got, size)
	}
	codec := strings.TrimSpace(silent(c.t, "ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=codec_name", file))
	if (kind == "mjpeg") != (codec == "mjpeg") || strings.Contains(codec, "\n") {
		c.t.Errorf("%s holds %q", file, codec)
	}
}

// checkStream looks at a channel's stream, which is recorded.
func (c control) checkStream(channel string) {
	c.t.Helper()
	var all []api.StreamDetail
	if err := json.Unmarshal([]byte(c.run("streams", channel, "--json")), &all); err != nil || len(all) == 0 {
		c.t.Fatalf("%d streams, %v", len(all), err)
	}
	s := all[0]
	if len(s.Media) == 0 || s.Media[0].FPS < 24 || s.Media[0].FPS > 26 || s.Media[0].Group == 0 || s.Media[0].Interval <= 0 || s.Rate <= 0 || s.Memory.Seconds <= 0 {
		c.t.Errorf("%+v", s)
	}
	i := slices.IndexFunc(s.Consumers, func(k api.Consumer) bool { return k.Kind == "recorder" })
	if i < 0 || s.Consumers[i].Bytes == 0 || s.Memory.Copies {
		c.t.Errorf("consumers %+v", s.Consumers)
	}
}

// checkFile wants a file of footage that is whole, of about that length, and the same
// to ffprobe and to us. A key picture may be up to two seconds before the range.
func (c control) checkFile(file string, coded [2]string, length time.Duration) {
	c.t.Helper()
	streams := count(c.t, file)
	checkStreams(c.t, streams, coded[0], coded[1])
	var k footage.Tally
	own := tally(c.t, &k, file)
	out := silent(c.t, "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file)
	seconds, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	c.t.Logf("%s: %.2f s, ffprobe decodes %d pictures; we see %s", filepath.Base(file), seconds, streams[0].frames(c.t), &k)
	if err != nil || seconds < length.Seconds()-1.5 || seconds > length.Seconds()+2.5 {
		c.t.Errorf("%s long, want about %s: %v", out, length, err)
	}
	if shown := streams[0].frames(c.t); shown != own || !k.Whole() || float64(own) < (seconds-1)*25 {
		c.t.Errorf("ffprobe decodes %d pictures, we see %d: %s", shown, own, &k)
	}
}

// checkProtocols wants SIP, SDP and RTP, and nothing malformed in any of them.
func (c *capture) checkProtocols(t *testing.T, decode []string) {
	t.Helper()
	for _, protocol := range []string{"sip", "sdp", "rtp"} {
		n := len(c.read(t, append(decode, "-Y", protocol)...))
		bad := c.read(t, append(decode, "-Y", protocol+" && (_ws.malformed || _ws.expert.severity >= 0x800000)")...)
		t.Logf("%s: %d packets, %d malformed or in error", protocol, n, len(bad))
		if n == 0 {
			t.Errorf("no %s was captured", protocol)
		}
		for _, line := range bad[:min(len(bad), 5)] {
			t.Errorf("malformed: %s", line)
		}
	}
}

// A dialog is the messages of one Call-ID in order: "INVITE", "200 INVITE", …; a
// MESSAGE with what it asks, "MESSAGE Catalog".
type dialog struct {
	id       string
	messages []string
	trace    []string // the same with the time, from where and where to
}

// dialogs returns the SIP messages in a capture by Call-ID.
func (c *capture) dialogs(t *testing.T, decode []string) []dialog {
	t.Helper()
	var all []dialog
	for _, line := range c.read(t, append(decode, "-Y", "sip", "-T", "fields",
		"-e", "sip.Call-ID", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "sip.CSeq.method", "-e", "udp.payload",
		"-e", "frame.time_relative", "-e", "ip.src", "-e", "ip.dst")...) {
		f := strings.Split(line, "\t")
		message := f[1]
		if f[2] != "" {
			message = f[2] + " " + f[3]
		}
		if f[1] == "MESSAGE" && strings.Contains(f[4], fmt.Sprintf("%x", "<CmdType>Catalog</CmdType>")) {
			message += " Catalog"
		}
		i := slices.IndexFunc(all, func(d dialog) bool { return d.id == f[0] })
		if i < 0 {
			i, all = len(all), append(all, dialog{id: f[0]})
		}
		all[i].messages = append(all[i].messages, message)
		all[i].trace = append(all[i].trace, fmt.Sprintf("%s %s > %s %s", f[5], f[6], f[7], message))
	}
	return all
}

// inOrder reports whether d has the messages, in that order, others in between.
func (d dialog) inOrder(messages ...string) bool {
	at := 0
	for _, m := range d.messages {
		if at < len(messages) && m == messages[at] {
			at++
		}
	}
	return at == len(messages)
}

// checkDialogs wants the exchanges of GB/T 28181 that must have happened, on both
// hops each.
func checkDialogs(t *testing.T, all []dialog) {
	t.Helper()
	for name, tc := range map[string]struct {
		least    int
		messages []string
	}{
		"registration (clause 9.1)":         {2, []string{"REGISTER", "401 REGISTER", "REGISTER", "200 REGISTER"}},
		"catalogue (clause 9.5)":            {2, []string{"MESSAGE Catalog", "200 MESSAGE"}},
		"live and playback (9.2, 9.8)":      {8, []string{"INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"}},
		"heartbeat, answers (9.6, MESSAGE)": {4, []string{"MESSAGE", "200 MESSAGE"}},
	} {
		n := 0
		for _, d := range all {
			if d.inOrder(tc.messages...) {
				n++
			}
		}
		t.Logf("%s: %d times %s", name, n, strings.Join(tc.messages, ", "))
		if n < tc.least {
			t.Errorf("%s: want at least %d", name, tc.least)
		}
	}
	for _, d := range all {
		if d.messages[0] == "INVITE" && d.inOrder("200 INVITE") && !d.inOrder("200 INVITE", "ACK", "BYE", "200 BYE") {
			t.Errorf("a session was not ended by BYE and 200:\n%s", strings.Join(d.trace, "\n"))
		}
	}
}
