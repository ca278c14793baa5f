//go:build e2e

package e2e

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/media/digest"
	"districtgateway/media/onvif"
)

// A head is the simulated encoder behind a channel, asked where it looks by ONVIF.
type head struct {
	t       *testing.T
	client  *onvif.Client
	profile string
}

// headOf finds the encoder of a channel of the demonstration in dir.
func headOf(t *testing.T, dir, channel string) head {
	t.Helper()
	district := filepath.Join(dir, "demo", "district")
	var encoders []api.Encoder
	if err := json.Unmarshal([]byte(control{t, filepath.Join(district, "control.sock")}.run("--json", "encoders")), &encoders); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(encoders, func(e api.Encoder) bool { return e.Code == channel })
	text, err := os.ReadFile(filepath.Join(district, "gateway.toml"))
	login := regexp.MustCompile(`user = "(.*)"\npassword = "(.*)"`).FindSubmatch(text)
	if i < 0 || err != nil || login == nil {
		t.Fatalf("encoder %d, configuration %v, login %d", i, err, len(login))
	}
	return headAt(t, encoders[i].Address, string(login[1]), string(login[2]))
}

// headAt asks the encoder at an address.
func headAt(t *testing.T, address, user, password string) head {
	t.Helper()
	client, err := onvif.New(onvif.Config{Address: address, User: user, Password: digest.Secret(password), Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	d, err := client.Identify(t.Context())
	if err != nil || len(d.Channels) == 0 {
		t.Fatalf("%d channels: %v", len(d.Channels), err)
	}
	return head{t, client, d.Channels[0].Main.Token}
}

// looks returns where the head looks, and whether it moves.
func (h head) looks() (onvif.Vector, bool) {
	h.t.Helper()
	s, err := h.client.Status(h.t.Context(), h.profile)
	if err != nil || s.Position == nil {
		h.t.Fatal(err)
	}
	return *s.Position, s.PanTilt == "MOVING" || s.Zoom == "MOVING"
}

// far is how far two directions are apart.
func far(a, b onvif.Vector) float64 { return math.Hypot(a.Pan-b.Pan, a.Tilt-b.Tilt) }

// checkMoves moves a camera of the district from the level that c is at.
func (c control) checkMoves(channel string, district control, h head) {
	c.t.Helper()
	c.run("ptz", channel, "preset", "set", "7")
	home, _ := h.looks()
	c.run("ptz", channel, "right", "up", "--for", "1s")
	at, moves := h.looks()
	if at.Pan < home.Pan+0.1 || at.Tilt < home.Tilt+0.1 || moves {
		c.t.Errorf("from %+v to %+v, it moves %t", home, at, moves)
	}
	c.run("ptz", channel, "preset", "7")
	until(c.t, 20*time.Second, "the camera is back at its preset", func() bool {
		at, moves := h.looks()
		return far(at, home) < 0.01 && !moves
	})
	c.checkVanishing(channel, h)
	district.run("ptz", channel, "hold", "1m", "--user", "guard")
	out, err := exec.CommandContext(c.t.Context(), program(c.t, "gatewayctl"), "--socket", c.socket, "ptz", channel, "left").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "33010600002000000001") || !strings.Contains(string(out), "another moves the camera") {
		c.t.Errorf("while the district holds it: %v, %s", err, out)
	}
	district.run("ptz", channel, "release", "--user", "guard")
	c.run("ptz", channel, "stop")
}

// checkVanishing kills who moves the camera.
func (c control) checkVanishing(channel string, h head) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), program(c.t, "gatewayctl"), "--socket", c.socket, "ptz", channel, "left", "--for", "30s", "--speed", "10")
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	until(c.t, 10*time.Second, "the camera moves", func() bool {
		_, moves := h.looks()
		return moves
	})
	if err := cmd.Process.Kill(); err != nil {
		c.t.Error(err)
	}
	killed := time.Now()
	_ = cmd.Wait() // it was killed
	until(c.t, 5*time.Second, "the camera stands", func() bool {
		_, moves := h.looks()
		return !moves
	})
	c.t.Logf("the camera stands %s after who moved it was killed", time.Since(killed).Round(time.Millisecond))
}
