package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/onvif"
)

// connected returns the stream of an encoder that delivers, by TCP if it is ordered.
func connected(t *testing.T, ordered bool) *media.Stream {
	t.Helper()
	src := mediatest.NewSource(media.Opened{Ordered: ordered, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 16}, src.Open)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	await(t, "connected", func() bool { return s.State().Connected })
	return s
}

// TestEncoderThatDeliversIsNotAskedAgain: a round of discovery costs an encoder in
// service one answer, not a dozen.
func TestEncoderThatDeliversIsNotAskedAgain(t *testing.T) {
	const xaddr = "http://10.0.0.5/onvif/device_service"
	cs := newCameras(&cameras{self: self, log: slog.New(slog.DiscardHandler)})
	c, err := cs.inv.add(camera{Identity: "mac:00:11:22:33:44:55", Address: xaddr})
	if err != nil {
		t.Fatal(err)
	}
	s := connected(t, false)
	cs.services[c.Code] = &service{stream: s}
	answer := onvif.Found{Endpoint: "e", XAddrs: []string{xaddr}}
	cs.remember([]found{{Found: answer, device: onvif.Device{XAddr: xaddr}, codes: []domain.Code{c.Code}, verdict: "in service"}})
	if old, ok := cs.stillKnown(answer); !ok || old.verdict != "in service" {
		t.Errorf("asked again: %+v", old)
	}
	for name, change := range map[string]func(){
		"another address":   func() { answer.XAddrs = []string{"http://10.0.0.6/x"} },
		"another encoder":   func() { answer = onvif.Found{Endpoint: "f", XAddrs: []string{xaddr}} },
		"code given away":   func() { delete(cs.inv.cameras, c.Code) },
		"not in service":    func() { delete(cs.services, c.Code) },
		"replaced by other": func() { c.Address = "" },
	} {
		keep, services, cameras, address := answer, cs.services[c.Code], cs.inv.cameras[c.Code], c.Address
		change()
		if _, ok := cs.stillKnown(answer); ok {
			t.Errorf("%s: not asked", name)
		}
		answer, cs.services[c.Code], cs.inv.cameras[c.Code], c.Address = keep, services, cameras, address
	}
}

// An operator who set udp = true sees when TCP runs instead.
func TestEncoderTellsThatItCameByTCP(t *testing.T) {
	for name, tc := range map[string]struct {
		set, ordered bool
		problem      string
	}{
		"by UDP as set":       {true, false, ""},
		"by TCP all the same": {true, true, byTCP},
		"by TCP as always":    {false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cs := newCameras(&cameras{self: self, file: config.File{Encoders: []config.Encoder{{ID: string(channel("01")), Transport: map[bool]string{true: "multicast"}[tc.set]}}}})
			if _, err := cs.inv.add(camera{Code: channel("01")}); err != nil {
				t.Fatal(err)
			}
			cs.services[channel("01")] = &service{stream: connected(t, tc.ordered)}
			if got := cs.list()[0].Problem; got != tc.problem {
				t.Errorf("problem %q, want %q", got, tc.problem)
			}
		})
	}
}

// A channel does not wait for an encoder that nobody ever saw, unless it has to.
func TestReplacementIsSomethingThatCouldBeThere(t *testing.T) {
	g := launch(t, stateDir(t), districtCode, fmt.Sprintf("[[encoder]]\nid = %q\nrtsp = \"rtsp://127.0.0.1:9/x\"\n[record]\nenabled = false\n", camera1))
	defer g.stop()
	g.cameras.remember([]found{{Found: onvif.Found{Endpoint: "e"}, device: onvif.Device{Manufacturer: "Acme", Serial: "S-77-1"}}})
	for _, step := range []struct {
		api.Replace
		status int
	}{
		{api.Replace{}, http.StatusBadRequest},
		{api.Replace{Identity: " ", Force: true}, http.StatusBadRequest},
		{api.Replace{Identity: "zz"}, http.StatusBadRequest},
		{api.Replace{Identity: "02:00:00:00:00"}, http.StatusBadRequest},
		{api.Replace{Identity: "02-00-00-00-00-07"}, 0},
		{api.Replace{Identity: "mac:02:00:00:00:00:07#2"}, 0},
		{api.Replace{Identity: "s-77-1"}, 0},
		{api.Replace{Identity: "zz", Force: true}, 0},
		{api.Replace{Identity: "zz"}, 0}, // it is there already
	} {
		step.Code = string(camera1)
		body, err := json.Marshal(step.Replace)
		if err != nil {
			t.Fatal(err)
		}
		var all []api.Encoder
		err = g.client.Put(t.Context(), api.PathEncoders, body, &all)
		var refused *api.Error
		switch {
		case step.status == 0 && (err != nil || len(all) != 1 || all[0].Identity != step.Identity):
			t.Errorf("%+v: %+v, %v", step.Replace, all, err)
		case step.status != 0 && (!errors.As(err, &refused) || refused.Status != step.status):
			t.Errorf("%+v: %v, want status %d", step.Replace, err, step.status)
		}
	}
}
