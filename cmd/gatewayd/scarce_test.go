package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/whep"
	"districtgateway/domain"
	"districtgateway/domain/sip"
	"districtgateway/media"
)

// Where memory is used up whoever asks for one stream more is told so, in the words
// of his protocol, and health says it.
func TestWithoutMemoryEverybodyIsToldSo(t *testing.T) {
	up := newProduct(t, sip.Config{Self: cityCode, Peers: []sip.Peer{{Code: districtCode, Role: domain.Lower, Password: "hidden-1"}}})
	l, err := net.Listen("tcp", "127.0.0.1:0") // the encoder answers, which is all that is asked of it
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := launch(t, stateDir(t), districtCode, fmt.Sprintf("[[upper]]\nid = %q\naddress = %q\npassword = \"hidden-1\"\n"+
		"[[encoder]]\nid = %q\nrtsp = \"rtsp://%s/x\"\n[record]\nenabled = false\n", cityCode, up.at, camera1, l.Addr()), anyPorts)
	defer g.stop()
	hear(up, func(domain.RegisterIn) bool { return true })
	g.admit()
	await(t, "it is online", func() bool { return g.channel(camera1).Online })
	if h := g.status().Health; strings.Contains(h, "memory") {
		t.Errorf("health before: %s", h)
	}
	st := g.memory.budget.State()
	all := int(st.Limit - st.Used)
	if err := g.memory.budget.Take(all, media.ForRecording); err != nil {
		t.Fatal(err)
	}
	defer g.memory.budget.Give(all, media.ForRecording)

	a := up.tryAsk(func(tag domain.Tag) domain.Effect {
		return domain.Invite{Tag: tag, Peer: domain.PeerRef{Code: districtCode, Role: domain.Lower}, Channel: camera1, Kind: domain.Live,
			Stream: string(camera1) + ":1", Deadline: time.Now().Add(10 * time.Second), Offer: domain.Endpoint{Host: "127.0.0.1", Port: 29000, SSRC: 1}}
	})
	if a.Status != 486 || a.Reason != "No Memory" {
		t.Errorf("by SIP: %+v", a)
	}
	if _, err := g.player(camera1)(t.Context()); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), media.ErrMemory.Error()) {
		t.Errorf("by RTSP: %v", err)
	}
	_, err = g.browse(camera1)
	if r := (*whep.Refused)(nil); !errors.As(err, &r) || r.Status != http.StatusServiceUnavailable || !strings.Contains(r.Text, media.ErrMemory.Error()) {
		t.Errorf("by WHEP: %v", err)
	}
	_, _, err = g.client.Snapshot(t.Context(), api.SnapshotRequest{Channel: string(camera1)})
	if statusOf(err) != http.StatusServiceUnavailable {
		t.Errorf("to gatewayctl: %v", err)
	}
	s := g.status()
	if !strings.Contains(s.Health, "memory: did not suffice") || s.Streams.Refused == 0 || s.Streams.Last.IsZero() {
		t.Errorf("health: %s, %+v", s.Health, s.Streams)
	}
}
