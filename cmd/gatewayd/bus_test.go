package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/hal/haltest"
	"districtgateway/hal/serial"
)

// busConfig is a bus at a port with a dome of each protocol.
const busConfig = `
[server]
id = "33010600002000000001"
[[bus]]
name = "yard"
port = "%s"
[[encoder]]
rtsp = "rtsp://10.0.0.1/"
dome = { bus = "yard", address = 1 }
[[encoder]]
rtsp = "rtsp://10.0.0.2/"
dome = { bus = "yard", protocol = "pelco-p", address = 2 }
[[encoder]]
rtsp = "rtsp://10.0.0.3/"
`

// A busRig is a bus that runs on the clock of a bubble, and the far end of its port.
type busRig struct {
	t     *testing.T
	file  config.File
	buses *buses
	pty   *haltest.PTY
	end   func()
}

// runBus starts the buses of busConfig inside of a bubble, and reads past the stops that
// a line begins with.
func runBus(t *testing.T, path string) *busRig {
	t.Helper()
	file, err := config.Parse(fmt.Appendf(nil, busConfig, path))
	if err != nil {
		t.Fatal(err)
	}
	r := &busRig{t: t, file: file, pty: haltest.Plug(t, path)}
	if r.buses, err = newBuses(file, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.buses.Run(ctx) }()
	r.end = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	r.pass(time.Second)
	r.expect("FF 01 00 00 00 00 01 A0 01 00 00 00 00 AF 0E FF 01 00 00 00 00 01 A0 01 00 00 00 00 AF 0E")
	return r
}

func (r *busRig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// dome returns that of encoder i.
func (r *busRig) dome(i int) *dome {
	r.t.Helper()
	d, ok := r.buses.dome(r.file.Encoders[i].Dome)
	if !ok {
		r.t.Fatalf("encoder %d has no dome", i)
	}
	return d
}

// expect reads what was sent, in hexadecimal, and that nothing else was.
func (r *busRig) expect(want string) {
	r.t.Helper()
	got := r.pty.Read(len(strings.Fields(want)))
	if d := cmp.Diff(want, strings.ToUpper(fmt.Sprintf("% x", got))); d != "" {
		r.t.Error(d)
	}
	r.pty.Silent()
}

func portFor(t *testing.T) string { return filepath.Join(t.TempDir(), "port") }

func TestDomeObeysOverTheBus(t *testing.T) {
	pan := func(dir domain.Dir, speed uint8) domain.PTZ {
		return domain.PTZ{Pan: domain.Axis{Dir: dir, Speed: speed}}
	}
	for name, tc := range map[string]struct {
		encoder int
		command domain.PTZ
		want    string
	}{
		"right":            {0, pan(domain.Right, 255), "FF 01 00 02 3F 00 42"},
		"left, half":       {0, pan(domain.Left, 128), "FF 01 00 04 20 00 25"},
		"slowest":          {0, pan(domain.Left, 0), "FF 01 00 04 01 00 06"},
		"slow":             {0, pan(domain.Left, 7), "FF 01 00 04 01 00 06"},
		"speed without":    {0, domain.PTZ{Pan: domain.Axis{Speed: 200}, Tilt: domain.Axis{Dir: domain.Up, Speed: 40}}, "FF 01 00 08 00 0A 13"},
		"down and tele":    {0, domain.PTZ{Tilt: domain.Axis{Dir: domain.Down, Speed: 8}, Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 15}}, "FF 01 00 30 00 02 33"},
		"wide":             {1, domain.PTZ{Zoom: domain.Axis{Dir: domain.ZoomOut}}, "A0 01 00 40 00 00 AF 4E"},
		"right, P":         {1, pan(domain.Right, 255), "A0 01 00 02 3F 00 AF 33"},
		"focus far":        {0, domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar, Speed: 9}}, "FF 01 00 80 00 00 81"},
		"focus near, P":    {1, domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusNear}}, "A0 01 02 00 00 00 AF 0C"},
		"iris open":        {0, domain.PTZ{Action: domain.PTZLens, Iris: domain.Axis{Dir: domain.IrisOpen}}, "FF 01 02 00 00 00 03"},
		"iris close":       {0, domain.PTZ{Action: domain.PTZLens, Iris: domain.Axis{Dir: domain.IrisClose}}, "FF 01 04 00 00 00 05"},
		"preset set":       {0, domain.PTZ{Action: domain.PresetSet, Number: 5}, "FF 01 00 03 00 05 09"},
		"preset call":      {1, domain.PTZ{Action: domain.PresetCall, Number: 255}, "A0 01 00 07 00 FF AF F6"},
		"preset delete":    {0, domain.PTZ{Action: domain.PresetDelete, Number: 5}, "FF 01 00 05 00 05 0B"},
		"wiper on":         {0, domain.PTZ{Action: domain.AuxOn, Number: 1}, "FF 01 00 09 00 01 0B"},
		"auxiliary 8 off":  {0, domain.PTZ{Action: domain.AuxOff, Number: 8}, "FF 01 00 0B 00 08 14"},
		"cruise":           {0, domain.PTZ{Action: domain.CruiseStart, Number: 2}, "FF 01 00 23 00 02 26"},
		"scan":             {0, domain.PTZ{Action: domain.ScanStart, Number: 1}, "FF 01 90 00 00 00 91"},
		"scan, P":          {1, domain.PTZ{Action: domain.ScanStart}, "A0 01 20 00 00 00 AF 2E"},
		"stop":             {0, domain.PTZ{}, "FF 01 00 00 00 00 01 FF 01 00 00 00 00 01"},
		"stop of the lens": {1, domain.PTZ{Action: domain.PTZLens}, "A0 01 00 00 00 00 AF 0E A0 01 00 00 00 00 AF 0E"},
	} {
		t.Run(name, func(t *testing.T) {
			path := portFor(t)
			synctest.Test(t, func(t *testing.T) {
				r := runBus(t, path)
				if err := r.dome(tc.encoder).move(t.Context(), tc.command, 10*time.Second); err != nil {
					t.Fatal(err)
				}
				r.pass(time.Second)
				r.expect(tc.want)
				r.end()
			})
		})
	}
}

func TestDomeRefusesWhatItCannot(t *testing.T) {
	path := portFor(t)
	synctest.Test(t, func(t *testing.T) {
		r := runBus(t, path)
		for command, want := range map[domain.PTZ]string{
			{Action: domain.AuxOn, Number: 9}:                 "camera cannot do that: auxiliary 9 on by pelco-d: number 9: want 1 to 8",
			{Action: domain.CruiseAdd, Number: 1, Preset: 1}:  "camera cannot do that: cruise 1 add preset 1 by pelco-d: cruises are recorded at the dome, as patterns",
			{Action: domain.CruiseSpeed, Number: 1, Value: 1}: "camera cannot do that: cruise 1 speed 1 by pelco-d: cruises are recorded at the dome, as patterns",
			{Action: domain.ScanLeft, Number: 1}:              "camera cannot do that: scan 1 left edge by pelco-d: protocol has no such command",
			{Action: domain.ScanSpeed, Number: 1}:             "camera cannot do that: scan 1 speed 0 by pelco-d: protocol has no such command",
			{Action: domain.ScanStart, Number: 2}:             "camera cannot do that: scan 2 start by pelco-d: a dome has one scan",
		} {
			err := r.dome(0).move(t.Context(), command, time.Second)
			if !errors.Is(err, domain.ErrUnable) || err.Error() != want {
				t.Errorf("%v: %v, want %s", command, err, want)
			}
		}
		var busy error
		for range 20 {
			busy = r.dome(0).move(t.Context(), domain.PTZ{Action: domain.PresetSet, Number: 1}, 0)
		}
		if !errors.Is(busy, domain.ErrBusy) || !strings.Contains(busy.Error(), "bus yard") {
			t.Errorf("20 at once: %v", busy)
		}
		r.end()
		if err := r.dome(1).move(t.Context(), domain.PTZ{}, 0); !errors.Is(err, domain.ErrOffline) || !strings.Contains(err.Error(), "bus yard") {
			t.Errorf("behind the end: %v", err)
		}
	})
}

func TestMovementAndLensAreOneFrame(t *testing.T) {
	const stop = "FF 01 00 00 00 00 01"
	left := domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 255}}
	far := domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar}}
	path := portFor(t)
	synctest.Test(t, func(t *testing.T) {
		r := runBus(t, path)
		move := func(p domain.PTZ, most time.Duration) {
			t.Helper()
			if err := r.dome(0).move(t.Context(), p, most); err != nil {
				t.Fatal(err)
			}
			r.pass(200 * time.Millisecond)
		}
		move(left, 2*time.Second)
		r.expect("FF 01 00 04 3F 00 44")
		move(far, 2*time.Second)
		r.expect("FF 01 00 84 3F 00 C4")
		move(domain.PTZ{Action: domain.PTZLens}, 0)
		r.expect("FF 01 00 04 3F 00 44") // the lens stands still, the camera turns on
		r.pass(1399 * time.Millisecond)
		r.pty.Silent()
		r.pass(201 * time.Millisecond)
		r.expect(stop + " " + stop) // 2 s after it was told to turn, not after the lens was

		move(left, 500*time.Millisecond)
		r.expect("FF 01 00 04 3F 00 44")
		move(far, 5*time.Second)
		r.expect("FF 01 00 84 3F 00 C4")
		r.pass(time.Second)
		r.expect(stop + " " + stop) // with the first that ends
		move(left, 5*time.Second)
		r.expect("FF 01 00 04 3F 00 44")
		move(far, 500*time.Millisecond)
		r.expect("FF 01 00 84 3F 00 C4")
		r.pass(time.Second)
		r.expect(stop + " " + stop)
		r.pass(5 * time.Second)
		move(far, 5*time.Second)
		r.expect("FF 01 00 80 00 00 81") // the turn is over and does not come back
		move(domain.PTZ{}, 0)
		r.expect(stop + " " + stop) // of the camera, and the lens with it
		move(left, 500*time.Millisecond)
		r.expect("FF 01 00 04 3F 00 44")
		r.pass(time.Second)
		r.expect(stop + " " + stop)

		move(domain.PTZ{Action: domain.PresetCall, Number: 1}, 0)
		r.expect("FF 01 00 07 00 01 09")
		move(domain.PTZ{Action: domain.PTZLens}, 0)
		r.pty.Silent() // or the dome would not arrive
		r.end()
	})
}

func TestBusesOfOtherEncoders(t *testing.T) {
	path := portFor(t)
	synctest.Test(t, func(t *testing.T) {
		r := runBus(t, path)
		if d, ok := r.buses.dome(r.file.Encoders[2].Dome); ok {
			t.Errorf("encoder without a dome has %+v", d)
		}
		if d, ok := r.buses.dome(&config.Dome{Bus: "yard", Address: 9}); ok {
			t.Errorf("unknown dome: %+v", d)
		}
		if s := r.buses.list()[0]; s.Name != "yard" || !s.Open || s.Sent != 4 {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestDomeIsMovedOverItsBus: what an encoder's settings say comes before ONVIF, and the
// catalogue tells that the camera moves.
func TestDomeIsMovedOverItsBus(t *testing.T) {
	path := portFor(t)
	synctest.Test(t, func(t *testing.T) {
		r := runBus(t, path)
		told := make(chan domain.Event, 1)
		cs := newCameras(&cameras{self: self, file: r.file, log: slog.New(slog.DiscardHandler), ways: ways{buses: r.buses},
			post: func(e domain.Event) bool { told <- e; return true }})
		for i, url := range []string{"rtsp://10.0.0.1/", "rtsp://10.0.0.3/"} {
			if _, err := cs.inv.add(camera{Code: channel(fmt.Sprintf("%02d", i+1)), RTSP: url, Address: "http://10.0.0.9/"}); err != nil {
				t.Fatal(err)
			}
		}
		cs.drives.Drive(domain.DrivePTZ{Tag: 7, Channel: channel("01"), Command: domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 255}}, For: time.Second})
		if got := <-told; got != (domain.Driven{Tag: 7}) {
			t.Errorf("told %+v", got)
		}
		r.expect("FF 01 00 02 3F 00 42")
		for i, it := range cs.appendItems(nil) {
			if want := []uint8{1, 3}[i]; it.PTZ != want {
				t.Errorf("the catalogue says %d of camera %d, want %d", it.PTZ, i, want)
			}
		}
		if m, err := cs.way(channel("02")); err != nil {
			t.Error(err)
		} else if _, bus := m.(*dome); bus {
			t.Error("a camera without a dome is moved over the bus")
		}
		cs.drives.cancel()
		r.end()
	})
}

// TestEveryBaudOfTheConfigurationIsKnown: the two lists are in packages that do not
// know each other.
func TestEveryBaudOfTheConfigurationIsKnown(t *testing.T) {
	for _, baud := range append(serial.Bauds(), 300, 230400) {
		text := strings.Replace(fmt.Sprintf(busConfig, "/dev/ttyS9"), "[[encoder]]", fmt.Sprintf("baud = %d\n[[encoder]]", baud), 1)
		file, err := config.Parse([]byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), fmt.Sprintf("bus[0].baud = \"%d\"", baud)) || baud != 300 && baud != 230400 {
				t.Error(err)
			}
			continue
		}
		if _, err := newBuses(file, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	}
}
