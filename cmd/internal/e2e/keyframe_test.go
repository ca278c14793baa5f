//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
)

// TestPictureIsThereSoonThoughKeyPicturesAreRare: an encoder makes a key picture a
// minute, and the rings hold few seconds. The encoder is asked for one, by the level
// beside it and by the one above, so that every viewer gets a picture at once.
func TestPictureIsThereSoonThoughKeyPicturesAreRare(t *testing.T) {
	t.Parallel() // it mostly waits
	const cityAt, districtAt, cameraAt, pass = "127.92.1.2:5060", "127.92.1.3:5060", "127.92.1.10", "e2e-Keys-3"
	dir := shortDir(t)
	film := clip{group: 1500, seconds: 60, format: "mp4"}.make(t)
	sim := simulate(t, "-file", film, "-bitrate", "4000000", "-http", cameraAt+":0", "-rtsp", cameraAt+":0", "-discovery", cameraAt+":3702")
	city := gatewayOn(t, filepath.Join(dir, "city"), fmt.Sprintf("[server]\nid = %q\nlisten = %q\nstate = %q\n[[lower]]\nid = %q\npassword = %q\n"+
		"[discovery]\nenabled = false\n", middleID, cityAt, filepath.Join(dir, "city"), ownerID, pass), "ports = \"21300-21399\"\nring = \"1MiB\"")
	gatewayOn(t, filepath.Join(dir, "district"), fmt.Sprintf("[server]\nid = %q\nlisten = %q\nstate = %q\n[[upper]]\nid = %q\naddress = %q\npassword = %q\n"+
		"[discovery]\nenabled = false\n[[encoder]]\nonvif = %q\nuser = \"admin\"\npassword = %q\n"+
		"[[volume]]\npath = %q\ncreate = true\nsize = \"1GB\"\nfree = \"1MB\"\n",
		ownerID, districtAt, filepath.Join(dir, "district"), middleID, cityAt, pass, sim.onvif, password, filepath.Join(dir, "volume")),
		"ports = \"21400-21499\"\nring = \"1MiB\"")
	d := districtRun{t: t, control: city}
	channel := ""
	until(t, 30*time.Second, "the city knows a channel that is on", func() bool {
		var all []api.Channel
		d.ask(&all, "channels")
		channel = channelOn(all)
		return channel != ""
	})
	<-time.After(4 * time.Second) // the district's ring has lost the key picture it began with
	asked := sim.state(t).Asked
	watchBriefly(t, city, channel)
	below := sim.state(t).Asked
	if below.RTCP == asked.RTCP || below.ONVIF == asked.ONVIF {
		t.Errorf("asked %+v before the first viewer, then %+v", asked, below)
	}
	start(t, program(t, "gatewayctl"), "--socket", city.socket, "live", channel, "-o", filepath.Join(dir, "long.mp4"))
	<-time.After(5 * time.Second) // and so has the city's
	before := sim.state(t).Asked
	watchBriefly(t, city, channel)
	if after := sim.state(t).Asked; after.RTCP == before.RTCP {
		t.Errorf("asked %+v before a viewer joined at the city, then %+v", before, after)
	}
}

// watchBriefly saves a second of live picture, which must come at once.
func watchBriefly(t *testing.T, c control, channel string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "live.mp4")
	began := time.Now()
	c.run("live", channel, "-o", file, "--for", "1s")
	took := time.Since(began)
	frames := count(t, file)[0].frames(t)
	t.Logf("%d pictures in %s", frames, took.Round(10*time.Millisecond))
	if took > 4*time.Second || frames < 20 {
		t.Errorf("%d pictures in %s, want a second of them within 4 s", frames, took)
	}
}
