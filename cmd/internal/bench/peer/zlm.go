package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// zlm is https://github.com/ZLMediaKit/ZLMediaKit. Its HTTP port is open if it pulls,
// because streams to pull are named there. It sends a picture when the next one begins, which
// tells it that all packets are there; prompt has it send each packet when it comes.
// A stream that is pushed, while nothing but RTSP is on, it does not look into: it sends
// each packet by itself, when the next one comes.
type zlm struct{ prompt, pushed bool }

// Names of ZLMediaKit when it does not keep pictures, and when it does not pull.
const (
	ZLMPrompt = "ZLMediaKit-prompt"
	ZLMPushed = "ZLMediaKit-pushed"
)

// secret is of the HTTP interface, which nobody outside of this machine reaches.
const secret = "bench-only"

func (z zlm) Name() string {
	switch {
	case z.prompt:
		return ZLMPrompt
	case z.pushed:
		return ZLMPushed
	}
	return "ZLMediaKit"
}

func (z zlm) Can() Abilities { return Abilities{UDP: true, Record: true, Pushed: z.pushed} }

func (z zlm) Prepare(j Job) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "[api]\napiDebug=0\nsecret=%s\n[general]\nlisten_ip=%s\n[http]\nport=%d\nsslport=0\nrootPath=%s\n", secret, j.Host, digit(!z.pushed)*httpPort, j.Dir)
	fmt.Fprintf(&b, "[rtsp]\nport=%d\nsslport=0\nlowLatency=%d\n", rtspPort, digit(z.prompt))
	fmt.Fprintf(&b, "[protocol]\nenable_audio=0\nadd_mute_audio=0\nenable_rtsp=1\nenable_rtmp=0\nenable_hls=0\nenable_hls_fmp4=0\nenable_ts=0\nenable_fmp4=0\nenable_mp4=%d\nmp4_save_path=%s\n", digit(j.Record), j.Recordings())
	b.WriteString("[rtmp]\nport=0\nsslport=0\n[rtp_proxy]\nport=0\n[rtc]\nport=0\ntcpPort=0\nsignalingPort=0\nsignalingSslPort=0\nicePort=0\niceTcpPort=0\n[srt]\nport=0\n[shell]\nport=0\n[onvif]\nport=0\n[hook]\nenable=0\n")
	path, err := write(j, "zlm.ini", b.String())
	return []string{"-c", path, "-l", "3", "--log-dir", j.Dir + "/log/"}, err
}

func digit(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Begin names the streams to pull.
func (z zlm) Begin(ctx context.Context, j Job) error {
	if z.pushed {
		return nil
	}
	for n, source := range j.Sources {
		ask := url.Values{"secret": {secret}, "vhost": {"__defaultVhost__"}, "app": {"live"}, "stream": {stream(n)}, "url": {source}, "rtp_type": {"0"}, "force": {"1"},
			"enable_mp4": {fmt.Sprint(digit(j.Record))}}
		at := fmt.Sprintf("http://%s:%d/index/api/addStreamProxy?%s", j.Host, httpPort, ask.Encode())
		if err := call(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

func call(ctx context.Context, at string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Code    int    `json:"code"`
		Message string `json:"msg"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Code != 0 {
		return fmt.Errorf("answer %d: %s", answer.Code, answer.Message)
	}
	return nil
}

func (zlm) URL(j Job, n int) string { return "rtsp://" + j.RTSP() + "/live/" + stream(n) }
