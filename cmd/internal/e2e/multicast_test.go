//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
)

// TestEncoderIsReceivedByMulticast: an encoder found by ONVIF sends to a group, and the
// gateway shows what it sends, picture by picture. In a namespace: nothing of it
// leaves this machine.
func TestEncoderIsReceivedByMulticast(t *testing.T) {
	if !namespaced(t) {
		return
	}
	silent(t, "ip", "link", "set", "dev", "lo", "multicast", "on")
	silent(t, "ip", "address", "add", "10.77.0.1/32", "dev", "lo", "scope", "global") // what is sent to a group comes from such a one
	dir := shortDir(t)
	sim := simulate(t, "-multicast", "239.64.7.0:5500", "-http", "10.77.0.1:0", "-rtsp", "10.77.0.1:0")
	c := gateway(t, dir, fmt.Sprintf("[server]\nid = %q\nlisten = \"127.0.0.1:5060\"\nstate = %q\n[discovery]\nenabled = false\n"+
		"[[encoder]]\nonvif = %q\nuser = \"admin\"\npassword = %q\ntransport = \"multicast\"\n", ownerID, dir, sim.onvif, password))
	d := districtRun{t: t, control: c}
	var channels []api.Channel
	until(t, 20*time.Second, "the channel is on", func() bool {
		d.ask(&channels, "channels")
		return len(channels) > 0 && channelOn(channels) != ""
	})
	file := filepath.Join(dir, "live.mp4")
	c.run("live", channelOn(channels), "-o", file, "--for", "3s")
	marks := marksOf(t, file)
	inRow(t, marks)
	if len(marks) < 70 {
		t.Errorf("%d pictures in 3 s", len(marks))
	}
	if got := sim.state(t).Sessions; len(got) != 1 || got[0].Transport != "UDP-multicast" {
		t.Errorf("the encoder has sessions %+v", got)
	}
	var encoders []api.Encoder
	if d.ask(&encoders, "encoders"); len(encoders) != 1 || encoders[0].Problem != "" {
		t.Errorf("%+v", encoders)
	}
}

// channelOn returns the first channel that is on.
func channelOn(all []api.Channel) string {
	for _, c := range all {
		if c.Kind == "channel" && c.Online {
			return c.ID
		}
	}
	return ""
}
