package peer

import (
	"context"
	"fmt"
	"strings"
)

// mediamtx is https://github.com/bluenviron/mediamtx.
type mediamtx struct{}

func (mediamtx) Name() string { return "mediamtx" }

func (mediamtx) Can() Abilities { return Abilities{UDP: true, Record: true} }

func (mediamtx) Prepare(j Job) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "logLevel: warn\nrtspTransports: [udp, tcp]\nrtspAddress: %s\nrtpAddress: %s:%d\nrtcpAddress: %s:%d\n", j.RTSP(), j.Host, rtpPort, j.Host, rtpPort+1)
	for _, other := range []string{"api", "metrics", "pprof", "playback", "rtmp", "hls", "webrtc", "srt", "moq"} {
		fmt.Fprintf(&b, "%s: no\n", other)
	}
	b.WriteString("paths:\n")
	for n, source := range j.Sources {
		fmt.Fprintf(&b, "  %s:\n    source: %s\n    rtspTransport: tcp\n    sourceOnDemand: no\n", stream(n), source)
		if j.Record {
			fmt.Fprintf(&b, "    record: yes\n    recordFormat: fmp4\n    recordPath: %s/%%path/%%Y-%%m-%%d_%%H-%%M-%%S-%%f\n", j.Recordings())
		}
	}
	path, err := write(j, "mediamtx.yml", b.String())
	return []string{path}, err
}

func (mediamtx) Begin(context.Context, Job) error { return nil }

func (mediamtx) URL(j Job, n int) string { return "rtsp://" + j.RTSP() + "/" + stream(n) }
