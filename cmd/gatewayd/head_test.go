package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/encodersim/encodertest"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/domain/boltstore"
	"districtgateway/media/onvif"
)

// A stage is a simulated encoder, which really moves, and what has it move as the
// daemon does.
type stage struct {
	t       *testing.T
	sim     *encodertest.Encoder
	cameras *cameras
	heads   *heads
	told    chan domain.Driven
	tag     domain.Tag
}

func newStage(t *testing.T, change func(*encodertest.Config)) *stage {
	t.Helper()
	s := &stage{t: t, sim: encodertest.Start(t, change), told: make(chan domain.Driven, 16)}
	entry := config.Encoder{ID: string(camera1), ONVIF: s.sim.ONVIF(), User: encodertest.User, Password: encodertest.Password}
	store, err := boltstore.Open(boltstore.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	s.cameras = newCameras(&cameras{self: self, store: store, log: slog.New(slog.DiscardHandler), file: config.File{Encoders: []config.Encoder{entry}},
		post: func(e domain.Event) bool { s.told <- e.(domain.Driven); return true }})
	s.heads = s.cameras.ways.heads
	s.enter(camera{Code: camera1, Identity: "mac:" + s.sim.Identity().MAC, Address: s.sim.ONVIF()})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.cameras.drives.Run(ctx) })
	running.Go(func() { _ = store.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if len(s.heads.kept) > 0 {
			t.Errorf("%d conversations were not ended", len(s.heads.kept))
		}
	})
	return s
}

func (s *stage) enter(c camera) {
	s.t.Helper()
	if _, err := s.cameras.inv.add(c); err != nil {
		s.t.Fatal(err)
	}
}

// try gives a command to a channel and returns what came of it.
func (s *stage) try(code domain.Code, p domain.PTZ, d time.Duration) error {
	s.t.Helper()
	s.tag++
	s.cameras.drives.Drive(domain.DrivePTZ{Tag: s.tag, Channel: code, Command: p, For: d})
	select {
	case a := <-s.told:
		if a.Tag != s.tag {
			s.t.Fatalf("%+v answers command %d", a, s.tag)
		}
		return a.Err
	case <-time.After(20 * time.Second):
		s.t.Fatalf("%s: no answer", p)
		return nil
	}
}

// order gives a command that must be obeyed.
func (s *stage) order(p domain.PTZ, d time.Duration) {
	s.t.Helper()
	if err := s.try(camera1, p, d); err != nil {
		s.t.Fatalf("%s: %v", p, err)
	}
}

// rests waits until nothing moves.
func (s *stage) rests() {
	s.t.Helper()
	await(s.t, "it rests", func() bool { return !s.sim.State().PTZ.Moving })
}

// costs returns how many requests f costs the encoder.
func (s *stage) costs(f func()) int {
	before := s.sim.State().Requests
	f()
	return int(s.sim.State().Requests - before)
}

func preset(a domain.PTZAction, n uint8) domain.PTZ { return domain.PTZ{Action: a, Number: n} }

// TestCameraMovesAsItIsTold: the encoder ends each movement by itself, so that where it
// is then is its speed times the time.
func TestCameraMovesAsItIsTold(t *testing.T) {
	s := newStage(t, nil)
	if it := s.cameras.appendItems(nil); it[0].PTZ != 3 {
		t.Errorf("the catalogue says %d before anybody asked", it[0].PTZ)
	}
	defer func() { // it was not found by discovery
		if it := s.cameras.appendItems(nil); it[0].PTZ != 1 {
			t.Errorf("the catalogue says %d of a camera that moves", it[0].PTZ)
		}
	}()
	const d = 200 * time.Millisecond
	turn, zoom := 0.5*d.Seconds(), 0.2*d.Seconds() // by the fastest
	for _, step := range []struct {
		p               domain.PTZ
		pan, tilt, zoom float64 // by how far
	}{
		{domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 255}}, turn, 0, 0},
		{domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 51}, Tilt: domain.Axis{Dir: domain.Up, Speed: 204}}, -turn / 5, turn * 4 / 5, 0},
		{domain.PTZ{Tilt: domain.Axis{Dir: domain.Down, Speed: 255}, Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 15}}, 0, -turn, zoom},
		{domain.PTZ{Zoom: domain.Axis{Dir: domain.ZoomOut, Speed: 3}}, 0, 0, -zoom / 5},
		{domain.PTZ{Pan: domain.Axis{Dir: domain.Left}, Tilt: domain.Axis{Speed: 9}}, -turn * slowest, 0, 0},
		{domain.PTZ{Zoom: domain.Axis{Dir: domain.ZoomIn}}, 0, 0, zoom * slowest},
	} {
		before := s.sim.State().PTZ
		s.order(step.p, d)
		s.rests()
		now := s.sim.State().PTZ
		got := []float64{now.Pan - before.Pan, now.Tilt - before.Tilt, now.Zoom - before.Zoom}
		for i, want := range []float64{step.pan, step.tilt, step.zoom} {
			if math.Abs(got[i]-want) > 1e-9 {
				t.Errorf("%s: moved by %v, axis %d should by %g", step.p, got, i, want)
			}
		}
	}
}

func TestCameraStopsWhenItIsTold(t *testing.T) {
	s := newStage(t, nil)
	s.order(domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 9}, Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 1}}, time.Minute)
	await(t, "it moves", func() bool { at := s.sim.State().PTZ; return at.Pan < 0 && at.Zoom > 0 })
	s.order(domain.PTZ{Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 1}}, time.Minute)
	at := s.sim.State().PTZ
	await(t, "it zooms on", func() bool { return s.sim.State().PTZ.Zoom > at.Zoom })
	if now := s.sim.State().PTZ; now.Pan != at.Pan || !now.Moving {
		t.Errorf("panned on from %g: %+v", at.Pan, now)
	}
	s.order(domain.PTZ{}, 0)
	if now := s.sim.State().PTZ; now.Moving || now.Zoom > 0.9 {
		t.Errorf("stopped: %+v", now)
	}
}

func TestFocusMovesAndStops(t *testing.T) {
	s := newStage(t, nil)
	far := domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar}} // 40 s to its end
	near := domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusNear, Speed: 255}}
	for name, stop := range map[string]domain.PTZ{"lens stop": {Action: domain.PTZLens}, "stop of all": {}} {
		s.order(far, 0)
		await(t, "it moves", func() bool { return s.sim.State().PTZ.Focus > 0 })
		s.order(stop, 0)
		if now := s.sim.State().PTZ; now.Moving || now.Focus > 0.9 {
			t.Errorf("%s: %+v", name, now)
		}
		s.order(near, 0)
		await(t, "it is back", func() bool { return s.sim.State().PTZ.Focus == 0 })
	}
	s.order(domain.PTZ{}, 0)
	if n := s.costs(func() { s.order(domain.PTZ{}, 0) }); n != 1 {
		t.Errorf("a stop when the focus rests costs %d requests", n)
	}
}

// A focus that the encoder refused to move is not what a stop is about: encoders that
// have none refuse to stop it, too.
func TestFocusThatWasRefusedIsNotStopped(t *testing.T) {
	s := newStage(t, nil)
	s.order(domain.PTZ{}, 0)
	s.heads.kept[camera1].speeds = onvif.FocusSpeeds{Near: -1e6, Far: 1e6}
	if err := s.try(camera1, domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar, Speed: 255}}, 0); !errors.Is(err, domain.ErrUnable) {
		t.Fatal(err)
	}
	if n := s.costs(func() { s.order(domain.PTZ{}, 0) }); n != 1 {
		t.Errorf("a stop costs %d requests", n)
	}
}

// TestWrongPasswordIsNotTriedAgainAtOnce: encoders lock the account after a few times.
func TestWrongPasswordIsNotTriedAgainAtOnce(t *testing.T) {
	s := newStage(t, func(c *encodertest.Config) { c.Password = "another" })
	press := func() {
		t.Helper()
		if err := s.try(camera1, domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 9}}, time.Second); !errors.Is(err, domain.ErrUnable) || !errors.Is(err, onvif.ErrUnauthorized) {
			t.Fatal(err)
		}
	}
	if n := s.costs(press); n == 0 {
		t.Fatal("it was not asked")
	}
	for range 20 {
		if n := s.costs(press); n > 0 {
			t.Fatalf("%d requests more", n)
		}
	}
}

func TestFocusMovesInUnitsOfTheEncoder(t *testing.T) {
	of := onvif.FocusSpeeds{Near: -10, Far: 5}
	for _, tc := range []struct {
		domain.Axis
		want float64
	}{
		{domain.Axis{Dir: domain.FocusNear, Speed: 255}, -10}, {domain.Axis{Dir: domain.FocusFar, Speed: 255}, 5},
		{domain.Axis{Dir: domain.FocusNear, Speed: 51}, -2}, {domain.Axis{Dir: domain.FocusFar}, 0.5},
	} {
		if got := focusSpeed(tc.Axis, of); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%+v: %g, want %g", tc.Axis, got, tc.want)
		}
	}
}

func TestWiperIsSwitched(t *testing.T) {
	s := newStage(t, nil)
	for _, a := range []domain.PTZAction{domain.AuxOn, domain.AuxOff} {
		s.order(preset(a, wiper), 0)
		if got := s.sim.State().PTZ.Wiper; got != (a == domain.AuxOn) {
			t.Errorf("%s: wiping %t", preset(a, wiper), got)
		}
	}
}

// TestPresetsKeepTheirNumbers whatever tokens the encoder gives out.
func TestPresetsKeepTheirNumbers(t *testing.T) {
	s := newStage(t, nil)
	s.order(preset(domain.PresetSet, 5), 0) // gets the token 1
	s.order(domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 255}}, 100*time.Millisecond)
	s.rests()
	s.order(preset(domain.PresetSet, 1), 0)
	want := map[string]string{"1": "preset 5", "2": "preset 1"}
	if d := cmp.Diff(want, s.sim.State().PTZ.Presets); d != "" {
		t.Error(d)
	}
	away := s.sim.State().PTZ.Pan
	for n, at := range map[uint8]float64{5: 0, 1: away} {
		s.order(preset(domain.PresetCall, n), 0)
		s.rests()
		if got := s.sim.State().PTZ.Pan; got != at {
			t.Errorf("preset %d is at %g, want %g", n, got, at)
		}
	}
	s.order(preset(domain.PresetCall, 1), 0)
	s.rests()
	s.order(preset(domain.PresetSet, 5), 0) // again, elsewhere
	s.order(preset(domain.PresetCall, 5), 0)
	s.rests()
	if got := s.sim.State().PTZ.Pan; got != away || len(s.sim.State().PTZ.Presets) != 2 {
		t.Errorf("preset 5 is at %g of %v, want %g", got, s.sim.State().PTZ.Presets, away)
	}
	s.order(preset(domain.PresetDelete, 5), 0)
	for _, a := range []domain.PTZAction{domain.PresetCall, domain.PresetDelete} {
		if err := s.try(camera1, preset(a, 5), 0); !errors.Is(err, domain.ErrUnable) || !strings.Contains(err.Error(), "no preset 5") {
			t.Errorf("%s: %v", preset(a, 5), err)
		}
	}
	if d := cmp.Diff(map[string]string{"2": "preset 1"}, s.sim.State().PTZ.Presets); d != "" {
		t.Error(d)
	}
}

func TestPresetIsFoundByTokenThenByName(t *testing.T) {
	for name, tc := range map[string]struct {
		list  []onvif.Preset
		n     uint8
		token string
	}{
		"none":                   {nil, 1, ""},
		"token":                  {[]onvif.Preset{{Token: "2", Name: "gate"}, {Token: "1", Name: "yard"}}, 1, "1"},
		"token before name":      {[]onvif.Preset{{Token: "a", Name: "preset 1"}, {Token: "1", Name: "yard"}}, 1, "1"},
		"token and name":         {[]onvif.Preset{{Token: "a", Name: "1"}, {Token: "1", Name: "Preset 1"}}, 1, "1"},
		"bare number as name":    {[]onvif.Preset{{Token: "a", Name: "7"}}, 7, "a"},
		"name in any case":       {[]onvif.Preset{{Token: "a", Name: "PRESET 7"}}, 7, "a"},
		"tokens from 0":          {[]onvif.Preset{{Token: "0", Name: "Preset 1"}, {Token: "1", Name: "Preset 2"}}, 1, "0"},
		"another's token":        {[]onvif.Preset{{Token: "1", Name: "preset 5"}}, 1, ""},
		"part of a name":         {[]onvif.Preset{{Token: "a", Name: "preset 70"}, {Token: "b", Name: "my preset 7"}}, 7, ""},
		"number beyond a preset": {[]onvif.Preset{{Token: "9", Name: "2024"}}, 9, "9"},
	} {
		if token, found := presetToken(tc.list, tc.n); token != tc.token || found != (tc.token != "") {
			t.Errorf("%s: %q, %t, want %q", name, token, found, tc.token)
		}
	}
}

// TestCommandCostsOneRequest: who the encoder is, is asked once, and again when it was
// left alone for a while.
func TestCommandCostsOneRequest(t *testing.T) {
	s := newStage(t, nil)
	left := domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 9}}
	far := domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar, Speed: 9}}
	for _, step := range []struct {
		p    domain.PTZ
		want int
	}{
		{left, 7}, {left, 1}, {domain.PTZ{}, 1},
		{preset(domain.PresetSet, 3), 2}, {preset(domain.PresetSet, 3), 2}, {preset(domain.PresetCall, 3), 2}, {preset(domain.PresetDelete, 3), 2},
		{far, 2}, {far, 1}, {domain.PTZ{Action: domain.PTZLens}, 1}, {domain.PTZ{}, 1}, {preset(domain.AuxOn, wiper), 1},
	} {
		if got := s.costs(func() { s.order(step.p, time.Second) }); got != step.want {
			t.Errorf("%s costs %d requests, want %d", step.p, got, step.want)
		}
	}
	s.heads.kept[camera1].last = time.Now().Add(-headKept - time.Second)
	if got := s.costs(func() { s.order(left, time.Second) }); got != 7 {
		t.Errorf("after a while a command costs %d requests, want 7", got)
	}
	s.heads.kept["x"] = &head{client: s.heads.kept[camera1].client}
	s.order(domain.PTZ{}, 0)
	if len(s.heads.kept) != 1 {
		t.Errorf("%d conversations are kept", len(s.heads.kept))
	}
}

// TestConversationIsWithTheCameraAsItIs: a channel's encoder was replaced, or has other
// profiles than it had.
func TestConversationIsWithTheCameraAsItIs(t *testing.T) {
	s, other := newStage(t, nil), encodertest.Start(t, nil)
	s.cameras.file.Encoders[0].ONVIF = "" // it is the channel's, whatever encoder that has
	up := domain.PTZ{Tilt: domain.Axis{Dir: domain.Up, Speed: 9}}
	s.order(up, time.Minute)
	for what, change := range map[string]func(*head){
		"profile": func(h *head) { h.profile = "gone" }, "source": func(h *head) { h.source = "gone" },
	} {
		change(s.heads.kept[camera1])
		p := up
		if what == "source" {
			p = domain.PTZ{Action: domain.PTZLens}
		}
		if got := s.costs(func() { s.order(p, time.Minute) }); got != 8 {
			t.Errorf("%s of before: %d requests, want 1 and 7", what, got)
		}
	}
	s.cameras.inv.cameras[camera1].Identity = "mac:" + other.Identity().MAC
	if err := s.try(camera1, up, time.Minute); !errors.Is(err, domain.ErrOffline) {
		t.Errorf("told the former encoder: %v", err)
	}
	s.cameras.inv.cameras[camera1].Address, s.cameras.inv.cameras[camera1].Identity = s.sim.ONVIF(), ""
	s.order(domain.PTZ{}, 0)
	s.cameras.inv.cameras[camera1].Address = other.ONVIF()
	s.order(up, time.Minute)
	if s.sim.State().PTZ.Moving || !other.State().PTZ.Moving {
		t.Error("the encoder at the former address moves")
	}
}

// TestHeadWithoutZoomMoves: it refuses to be told of zoom, and is not told again.
func TestHeadWithoutZoomMoves(t *testing.T) {
	s := newStage(t, func(c *encodertest.Config) { c.NoZoom = true })
	up := domain.PTZ{Tilt: domain.Axis{Dir: domain.Up, Speed: 255}}
	for i, want := range []int{8, 1} {
		if got := s.costs(func() { s.order(up, 50*time.Millisecond) }); got != want {
			t.Errorf("command %d costs %d requests, want %d", i, got, want)
		}
		s.rests()
	}
	if at := s.sim.State().PTZ.Tilt; at == 0 {
		t.Error("it did not move")
	}
	for _, zoom := range []domain.PTZ{{Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 1}}, {Pan: up.Tilt, Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 1}}} {
		if err := s.try(camera1, zoom, time.Second); !errors.Is(err, domain.ErrUnable) || !strings.Contains(err.Error(), "Space not supported") {
			t.Errorf("%s: %v", zoom, err)
		}
	}
}

// TestRefusalsSayWhy: what the encoder says, and what it could not be asked.
func TestRefusalsSayWhy(t *testing.T) {
	s := newStage(t, nil)
	other := encodertest.Start(t, func(c *encodertest.Config) { c.Password = "another" })
	fixed := encodertest.Start(t, func(c *encodertest.Config) { c.PTZ = false })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody is there
	for _, c := range []camera{
		{Code: "rtsp", RTSP: "rtsp://127.0.0.1:9/x"}, {Code: "sdp", SDP: "x.sdp"}, {Code: "unseen", Identity: "mac:02:00:00:00:00:09"},
		{Code: "moved", Identity: "mac:02:00:00:00:00:09", Address: s.sim.ONVIF()}, {Code: "source", Identity: "mac:" + s.sim.Identity().MAC + "#2", Address: s.sim.ONVIF()},
		{Code: "off", Address: l.Addr().String()}, {Code: "locked", Address: other.ONVIF()}, {Code: "fixed", Address: fixed.ONVIF()},
	} {
		s.enter(c)
	}
	for _, code := range []string{"moved", "source", "locked", "fixed"} {
		s.cameras.file.Encoders = append(s.cameras.file.Encoders, config.Encoder{ID: code, User: encodertest.User, Password: encodertest.Password})
	}
	left := domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 9}}
	for _, tc := range []struct {
		code  domain.Code
		p     domain.PTZ
		d     time.Duration
		want  error
		words string
	}{
		{"nobody", left, time.Second, domain.ErrNoChannel, ""},
		{"rtsp", left, time.Second, domain.ErrUnable, "it is not moved from here"},
		{"sdp", domain.PTZ{}, 0, domain.ErrUnable, "it is not moved from here"},
		{"unseen", left, time.Second, domain.ErrOffline, "not found on the network yet"},
		{"moved", left, time.Second, domain.ErrOffline, "another encoder answers"},
		{"source", left, time.Second, domain.ErrUnable, "video source 2"},
		{"off", left, time.Second, domain.ErrOffline, "refused"},
		{"locked", left, time.Second, domain.ErrUnable, "not authorized"},
		{"fixed", left, time.Second, domain.ErrUnable, "it does not move"},
		{"fixed", domain.PTZ{}, 0, domain.ErrUnable, "it does not move"},
		{"fixed", domain.PTZ{Action: domain.PTZLens}, 0, domain.ErrUnable, "no such service"},
		{camera1, left, time.Hour, domain.ErrUnable, "Timeout out of range"},
		{camera1, domain.PTZ{Action: domain.PTZLens, Iris: domain.Axis{Dir: domain.IrisOpen, Speed: 1}}, 0, domain.ErrUnable, "iris open 1 by ONVIF"},
		{camera1, preset(domain.CruiseStart, 1), 0, domain.ErrUnable, "cruise 1 start by ONVIF"},
		{camera1, preset(domain.AuxOn, 2), 0, domain.ErrUnable, "auxiliary 2 on by ONVIF"},
	} {
		if err := s.try(tc.code, tc.p, tc.d); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.words) {
			t.Errorf("%s %s: %v, want %v with %q", tc.code, tc.p, err, tc.want, tc.words)
		}
	}
	if at := s.sim.State().PTZ; at.Moving || at.Pan != 0 {
		t.Errorf("it moved: %+v", at)
	}
	select {
	case <-s.cameras.kick:
	default:
		t.Error("encoders that are not there are not looked for")
	}
	s.order(left, time.Minute)
	if err := s.try(camera1, preset(domain.PresetSet, 1), 0); !errors.Is(err, domain.ErrUnable) || !strings.Contains(err.Error(), "while PTZ unit is moving") {
		t.Errorf("preset of what moves: %v", err)
	}
	if got := s.costs(func() { s.order(domain.PTZ{}, 0) }); got != 1 {
		t.Errorf("after a fault a command costs %d requests, want 1", got)
	}
}

// TestMovementEndsWithoutTheGateway: a whole daemon has a camera move, and goes.
func TestMovementEndsWithoutTheGateway(t *testing.T) {
	sim := encodertest.Start(t, nil)
	g := launch(t, stateDir(t), districtCode, fmt.Sprintf("[[encoder]]\nid = %q\nonvif = %q\nuser = %q\npassword = %q\n[record]\nenabled = false\n",
		camera1, sim.ONVIF(), encodertest.User, encodertest.Password))
	stop := sync.OnceFunc(g.stop)
	defer stop()
	const d = 2 * time.Second
	g.cameras.drives.Drive(domain.DrivePTZ{Channel: camera1, For: d, Command: domain.PTZ{Tilt: domain.Axis{Dir: domain.Up, Speed: 51}}})
	await(t, "it moves", func() bool { return sim.State().PTZ.Tilt > 0 })
	stop()
	asked := sim.State().Requests
	await(t, "it ends", func() bool { return !sim.State().PTZ.Moving })
	if got, want := sim.State().PTZ.Tilt, 0.5*d.Seconds()/5; math.Abs(got-want) > 1e-9 || sim.State().Requests != asked {
		t.Errorf("at %g, want %g; %d requests after the end", got, want, sim.State().Requests-asked)
	}
}
