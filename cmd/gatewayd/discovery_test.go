package main

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/onvif"
)

// TestEncoderThatDeliversIsNotAskedAgain: a round of discovery costs an encoder in
// service one answer, not a dozen.
func TestEncoderThatDeliversIsNotAskedAgain(t *testing.T) {
	const xaddr = "http://10.0.0.5/onvif/device_service"
	cs := newCameras(&cameras{self: self, log: slog.New(slog.DiscardHandler)})
	c, err := cs.inv.add(camera{Identity: "mac:00:11:22:33:44:55", Address: xaddr})
	if err != nil {
		t.Fatal(err)
	}
	src := mediatest.NewSource(media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 16}, src.Open)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	for deadline := time.Now().Add(10 * time.Second); !s.State().Connected; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the stream does not connect")
		}
	}
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
			cs := newCameras(&cameras{self: self, file: config.File{Encoders: []config.Encoder{{ID: string(channel("01")), UDP: tc.set}}}})
			if _, err := cs.inv.add(camera{Code: channel("01")}); err != nil {
				t.Fatal(err)
			}
			src := mediatest.NewSource(media.Opened{Ordered: tc.ordered, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
			s := media.NewStream(media.StreamConfig{RingBytes: 1 << 16}, src.Open)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = s.Run(ctx) })
			defer wg.Wait()
			defer cancel()
			await(t, "connected", func() bool { return s.State().Connected })
			cs.services[channel("01")] = &service{stream: s}
			if got := cs.list()[0].Problem; got != tc.problem {
				t.Errorf("problem %q, want %q", got, tc.problem)
			}
		})
	}
}
