package peer

import (
	"context"
	"fmt"
	"strings"
)

// go2rtc is https://github.com/AlexxIT/go2rtc. It gives streams over TCP only, and
// does not record.
type go2rtc struct{}

func (go2rtc) Name() string { return "go2rtc" }

func (go2rtc) Can() Abilities { return Abilities{} }

func (go2rtc) Prepare(j Job) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "app:\n  modules: [rtsp]\nlog:\n  level: warn\nrtsp:\n  listen: \"%s\"\nstreams:\n", j.RTSP())
	for n, source := range j.Sources {
		fmt.Fprintf(&b, "  %s: \"%s\"\n", stream(n), source)
	}
	path, err := write(j, "go2rtc.yaml", b.String())
	return []string{"-config", path}, err
}

func (go2rtc) Begin(context.Context, Job) error { return nil }

// URL asks for the picture alone: there is no sound.
func (go2rtc) URL(j Job, n int) string { return "rtsp://" + j.RTSP() + "/" + stream(n) + "?video" }
