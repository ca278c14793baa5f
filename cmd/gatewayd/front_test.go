package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/cmd/internal/whep"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/rtsp"
)

// anyPorts has the servers for viewers listen where there is room.
func anyPorts(f *config.File) {
	f.RTSP.Listen, f.WebRTC.Listen, f.WebRTC.Media = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
}

const wangs = "correct horse"

// admit makes an account for wang.
func (r *running) admit() {
	r.t.Helper()
	if err := r.client.Post(r.t.Context(), api.PathUsers+"wang", []byte(`{"role":"viewer","password":"`+wangs+`"}`), &[]api.User{}); err != nil {
		r.t.Fatal(err)
	}
}

// player returns what opens a channel's main stream as a player does.
func (r *running) player(id domain.Code) media.Opener {
	r.t.Helper()
	at, err := r.rtsp.server.Addr(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return func(ctx context.Context) (media.Opened, error) {
		return rtsp.Open(ctx, rtsp.Config{URL: fmt.Sprintf("rtsp://%s/%s", at, id), User: "wang", Password: wangs})
	}
}

// browse watches a channel's main stream as a browser does.
func (r *running) browse(id domain.Code) (*whep.Viewer, error) {
	r.t.Helper()
	at, err := r.webrtc.server.Addr(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return whep.Watch(r.t.Context(), whep.Config{URL: fmt.Sprintf("http://%s/%s/whep", at, id), User: "wang", Password: wangs})
}

// status asks how the daemon is.
func (r *running) status() (s api.Status) {
	r.t.Helper()
	if err := r.client.Get(r.t.Context(), api.PathStatus, nil, &s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// A server for viewers is open once there is a user, and who watches is counted there
// and named among the consumers of the stream.
func TestViewersAreCountedAndNamed(t *testing.T) {
	g := filming(t, anyPorts)
	for _, v := range g.status().Servers {
		if v.State != api.ServerNoUser {
			t.Errorf("before there is a user: %+v", v)
		}
	}
	g.admit()
	b, err := g.browse(camera1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s := media.NewStream(media.StreamConfig{Name: "player", Once: true}, g.player(camera1))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	defer func() { cancel(); <-over }()
	kinds := map[string]bool{}
	await(t, "both are seen", func() bool {
		var all []api.StreamDetail
		if err := g.client.Get(t.Context(), api.PathStreams+"/"+string(camera1), nil, &all); err != nil {
			t.Fatal(err)
		}
		clear(kinds)
		for _, k := range all[0].Consumers {
			if strings.HasPrefix(k.Name, "wang 127.0.0.1:") && k.Units > 0 && !k.Since.IsZero() {
				kinds[k.Kind] = true
			}
		}
		return len(kinds) == 2
	})
	if !kinds["rtsp tcp"] || !kinds["webrtc udp"] {
		t.Errorf("%v", kinds)
	}
	for _, v := range g.status().Servers {
		if v.State != api.ServerOpen || v.Viewers != 1 { // the port of media that is free for UDP may be somebody else's by TCP
			t.Errorf("%+v", v)
		}
	}
}

// takePort takes a port by UDP and TCP until it is released. It is none that the system
// gives to whoever wants any.
func takePort(t *testing.T) (at string, release func()) {
	t.Helper()
	for range 100 {
		at = fmt.Sprintf("127.0.0.1:%d", 31000+rand.N(1700))
		u, err := net.ListenPacket("udp", at)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", at)
		if err == nil {
			return at, func() { u.Close(); l.Close() }
		}
		u.Close()
	}
	t.Fatal("no port is free")
	return "", nil
}

// A server for viewers whose port is somebody else's says so, and is open once that is
// free.
func TestServerForViewersSaysWhyItIsNotOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	media, release := takePort(t)
	defer release()
	g := filming(t, anyPorts, func(f *config.File) {
		f.RTSP.Listen, f.WebRTC.Media = taken.Addr().String(), media
	})
	g.admit()
	var s api.Status
	await(t, "both say so", func() bool {
		s = g.status()
		return s.Servers[0].Problem != "" && s.Servers[1].Problem != ""
	})
	players, web := s.Servers[0], s.Servers[1]
	if players.Kind != api.ServerRTSP || players.State != api.ServerClosed || !strings.Contains(players.Problem, "address already in use") {
		t.Errorf("%+v", players)
	}
	if web.Kind != api.ServerWeb || web.State != api.ServerOpen || !strings.Contains(web.Problem, "media port: listen udp "+web.Media) {
		t.Errorf("%+v", web)
	}
	if !strings.Contains(s.Health, "rtsp for viewers: ") || !strings.Contains(s.Health, "web for viewers: ") {
		t.Errorf("health: %s", s.Health)
	}
	taken.Close()
	release()
	await(t, "they are open", func() bool {
		s = g.status()
		return s.Servers[0].State == api.ServerOpen && s.Servers[1].Problem == ""
	})
	if p := s.Servers[0].Problem; p != "" || strings.Contains(s.Health, "viewers") {
		t.Errorf("open, and %s; health %s", p, s.Health)
	}
}

// Who guessed at one of the servers for viewers is not listened to by the other.
func TestGuessingIsBoundedOverBothServers(t *testing.T) {
	g := filming(t, anyPorts)
	g.admit()
	at, err := g.rtsp.server.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 11 {
		if _, err := rtsp.Open(t.Context(), rtsp.Config{URL: fmt.Sprintf("rtsp://%s/%s", at, camera1), User: "wang", Password: "a guess"}); err == nil {
			t.Fatal("admitted")
		}
	}
	_, err = g.browse(camera1)
	if r := (*whep.Refused)(nil); !errors.As(err, &r) || r.Status != http.StatusForbidden {
		t.Errorf("by WHEP: %v", err)
	}
}
