//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/counter"
	"districtgateway/cmd/internal/footage"
	"districtgateway/media"
)

// A trouble is an encoder that something happens to while it is recorded.
type trouble struct {
	name string
	args []string // of its simulator
	// happen causes the fault and returns when it is over, having seen that it was there.
	happen func(t *testing.T, d *districtRun, e *troubled)
	gap    bool // the footage has a hole
}

// A troubled is such an encoder with its channel.
type troubled struct {
	trouble
	address string
	mac     string
	sim     *simulator
	code    string
	before  api.Recordings // what was recorded when it happened
	at      time.Time      // when it happened
	over    time.Time      // when it was over
}

// troubles are the faults of an encoder that the recording has to survive.
func troubles() []trouble {
	return []trouble{
		{name: "silence", gap: true, happen: func(t *testing.T, d *districtRun, e *troubled) {
			e.sim.fault(t, "silence?for=14s")
			before, packets := e.sim.state(t).Pictures["main"], d.stream(e.code).Packets
			until(t, 20*time.Second, "it takes pictures and sends none", func() bool {
				s := d.stream(e.code)
				return e.sim.state(t).Pictures["main"] > before+100 && s.Packets < packets+50
			})
			until(t, 20*time.Second, "it sends again", func() bool { return d.stream(e.code).Packets > packets+200 })
		}},
		{name: "reboot", gap: true, happen: func(t *testing.T, _ *districtRun, e *troubled) {
			e.sim.fault(t, "reboot?for=4s")
			until(t, 5*time.Second, "it is off", func() bool { return !e.sim.state(t).Up })
			until(t, 10*time.Second, "it is on again", func() bool { return e.sim.state(t).Up })
		}},
		{name: "codec", happen: func(t *testing.T, d *districtRun, e *troubled) {
			e.sim.fault(t, "codec")
			until(t, 20*time.Second, "it sends H.265 and the gateway says so", func() bool {
				return e.sim.state(t).H265 && strings.HasPrefix(d.encoder(e.mac).Video, "H.265")
			})
		}},
		{name: "timestamp", happen: func(t *testing.T, _ *districtRun, e *troubled) {
			witness := pull(t, e.sim.source(false))
			ready(t, witness)
			before := witness.Stats().Discontinuities
			e.sim.fault(t, "timestamp?jump=1h")
			until(t, 5*time.Second, "time stamps jump", func() bool { return witness.Stats().Discontinuities > before })
		}},
		{name: "moved", gap: true, happen: func(t *testing.T, d *districtRun, e *troubled) {
			old := e.address
			e.sim.process.stop(os.Interrupt)
			e.address = d.address(50)
			e.start(d.t)
			until(t, 30*time.Second, "the gateway finds it at its new address", func() bool {
				return strings.Contains(d.encoder(e.mac).Address, e.address)
			})
			t.Logf("moved from %s to %s", old, e.address)
		}},
		{name: "password", gap: true, happen: func(t *testing.T, d *districtRun, e *troubled) {
			e.sim.fault(t, "password?to=another-Secret-8")
			e.sim.fault(t, "reboot?for=1s") // sessions that play go on with the old one
			until(t, 20*time.Second, "the gateway tells that it is refused", func() bool {
				x := d.encoder(e.mac)
				return !x.Online && strings.Contains(x.Problem, "password")
			})
			t.Logf("with another password the gateway says %q", d.encoder(e.mac).Problem)
			e.sim.fault(t, "password?to="+password)
		}},
	}
}

// start starts the encoder at its address, with the identity it keeps.
func (e *troubled) start(t *testing.T) {
	t.Helper()
	e.sim = simulate(t, append(e.args, "-name", e.name, "-mac", e.mac, "-serial", "E2E-"+e.name,
		"-http", e.address+":0", "-rtsp", e.address+":0", "-discovery", e.address+":3702")...)
}

// A districtRun is a running district gateway and what happens to its encoders.
type districtRun struct {
	t       *testing.T
	dir     string
	daemon  *process
	control control
}

// address returns one of the addresses at which the gateway looks for encoders.
func (d *districtRun) address(i int) string { return fmt.Sprintf("127.90.1.%d", i) }

// start starts a gateway that records every encoder at its addresses.
func (d *districtRun) start() {
	d.t.Helper()
	d.control = control{d.t, filepath.Join(d.dir, "control.sock")}
	config := fmt.Sprintf(`[server]
id = "33010600002000000001"
name = "district"
listen = "127.90.1.1:5060"
state = %q

[rtsp]
listen = ""

[discovery]
interfaces = []
addresses = ["127.90.1.0/26"]
every = "5s"
user = "admin"
password = %q

[[volume]]
path = %q
create = true
size = "1GB"
free = "1MB"
`, d.dir, password, filepath.Join(d.dir, "volume"))
	file := filepath.Join(d.dir, "gateway.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.daemon = start(d.t, program(d.t, "gatewayd"), "--config", file)
	until(d.t, 10*time.Second, "the daemon answers", func() bool {
		_, err := os.Stat(d.control.socket)
		return err == nil
	})
}

// ask has gatewayctl ask the daemon and reads the answer into v.
func (d *districtRun) ask(v any, args ...string) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.control.run(append([]string{"--json"}, args...)...)), v); err != nil {
		d.t.Fatal(err)
	}
}

// encoder returns what the gateway says of an encoder, zero if it does not know it.
func (d *districtRun) encoder(mac string) (e api.Encoder) {
	d.t.Helper()
	var all []api.Encoder
	d.ask(&all, "encoders")
	for _, x := range all {
		if strings.HasSuffix(strings.ToLower(x.Identity), mac) {
			return x
		}
	}
	return api.Encoder{}
}

// stream returns the counters of a channel's main stream.
func (d *districtRun) stream(code string) (s api.Stream) {
	d.t.Helper()
	var all []api.Stream
	d.ask(&all, "streams")
	for _, x := range all {
		if x.Channel == code && x.Profile == "main" {
			return x
		}
	}
	return api.Stream{}
}

// records returns what is recorded of a channel.
func (d *districtRun) records(code string) (r api.Recordings) {
	d.t.Helper()
	d.ask(&r, "records", code, "-10m", "now")
	return r
}

// TestRecordingSurvivesEncoderFaults has something happen to each of six encoders at
// once: recording goes on by itself, the hole has a cause, nothing that was recorded
// is lost, and no encoder suffers from another's fault.
func TestRecordingSurvivesEncoderFaults(t *testing.T) {
	if !namespaced(t) {
		return
	}
	d := &districtRun{t: t, dir: shortDir(t)}
	var all []*troubled
	for i, x := range troubles() {
		e := &troubled{trouble: x, address: d.address(11 + i), mac: fmt.Sprintf("02:0e:2e:00:00:%02x", i)}
		e.start(t)
		all = append(all, e)
	}
	d.start()
	for _, e := range all {
		until(t, 60*time.Second, e.name+" is recorded", func() bool {
			x := d.encoder(e.mac)
			e.code = x.Code
			return e.code != "" && x.Recording && !x.LastByte.IsZero() && length(d.records(x.Code)) > 6*time.Second
		})
	}
	t.Run("faults", func(t *testing.T) {
		for _, e := range all {
			t.Run(e.name, func(t *testing.T) { d.trouble(t, e) })
		}
	})
	d.daemon.stop(os.Interrupt)
	if d.daemon.err != nil {
		t.Errorf("the gateway ended: %v", d.daemon.err)
	}
	for _, e := range all {
		d.checkFootage(t, e)
	}
}

// length is how much is recorded.
func length(r api.Recordings) (sum time.Duration) {
	for _, x := range r.Items {
		if x.Gap == "" {
			sum += x.To.Sub(x.From)
		}
	}
	return sum
}

// trouble lets the fault happen and waits until recording goes on.
func (d *districtRun) trouble(t *testing.T, e *troubled) {
	t.Parallel()
	e.before, e.at = d.records(e.code), time.Now()
	e.happen(t, d, e)
	e.over = time.Now()
	until(t, 60*time.Second, "recording goes on", func() bool {
		x := d.encoder(e.mac)
		return x.Code == e.code && x.Online && x.LastByte.After(e.over.Add(3*time.Second))
	})
	t.Logf("the fault took %s; recording goes on %s after it", e.over.Sub(e.at).Round(time.Millisecond), time.Since(e.over).Round(time.Millisecond))
	r := d.records(e.code)
	if length(r) < length(e.before) || !r.Items[0].From.Equal(e.before.Items[0].From) {
		t.Errorf("there were %+v, there are %+v", e.before.Items, r.Items)
	}
	var holes []api.Recording
	if e.gap {
		defer func() {
			if t.Failed() {
				t.Logf("recorded: %+v", d.records(e.code).Items)
			}
		}()
		until(t, 20*time.Second, "the hole is listed", func() bool { holes = d.holes(e); return len(holes) > 0 })
	}
	for _, x := range d.holes(e) {
		t.Logf("a hole of %s, cause %s, listed %s after its end", x.To.Sub(x.From).Round(time.Millisecond), x.Gap, time.Since(x.To).Round(time.Millisecond))
		if x.Gap != "encoder" {
			t.Errorf("want a hole that the encoder caused")
		}
	}
}

// holes returns the holes since the fault.
func (d *districtRun) holes(e *troubled) []api.Recording {
	d.t.Helper()
	return slices.DeleteFunc(d.records(e.code).Items, func(x api.Recording) bool {
		return x.Gap == "" || x.To.Before(e.at.Add(-time.Second)) || x.To.After(time.Now().Add(-time.Second)) // one that lasts is none yet
	})
}

// checkFootage reads all files of a channel: ffprobe and we see the same pictures, and
// their numbers are in a row but for the fault.
func (d *districtRun) checkFootage(t *testing.T, e *troubled) {
	t.Helper()
	var marks []uint64
	sum := 0
	var files []string
	for _, f := range segments(t, filepath.Join(d.dir, "volume")) {
		if strings.Contains(f, e.code) {
			files = append(files, f)
			marks = append(marks, marksOf(t, f)...)
			sum += count(t, f)[0].frames(t)
		}
	}
	var breaks []string
	for i := 1; i < len(marks); i++ {
		if marks[i] != marks[i-1]+1 {
			breaks = append(breaks, fmt.Sprintf("%d after %d", marks[i], marks[i-1]))
		}
	}
	t.Logf("%s: %d files, %d pictures, ffprobe decodes %d; numbers jump: %v", e.name, len(files), len(marks), sum, breaks)
	if len(marks) != sum || len(breaks) > 1 || len(marks) < 200 {
		t.Errorf("%s: footage is missing", e.name)
	}
}

// marksOf returns the numbers of the pictures in a file of footage, in its order.
func marksOf(t *testing.T, file string) (marks []uint64) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := footage.NewReader(f)
	for s, err := r.Next(); err == nil; s, err = r.Next() {
		if !s.Track.Codec.Video() {
			continue
		}
		nals, err := s.NALs()
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, nal := range nals {
			if n, _, ok := counter.Parse(nal, s.Track.Codec == media.H265); ok {
				marks = append(marks, n)
			}
		}
	}
	return marks
}
