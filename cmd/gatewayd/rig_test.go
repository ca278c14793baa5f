package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
)

// TestMain is also the child process of a volume, as the daemon is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == volumeRole {
		os.Exit(volumeCommand())
	}
	os.Exit(m.Run())
}

// await polls until what other goroutines or processes bring about.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !done(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

const (
	cityCode     = "33010000002000000001"
	districtCode = "33010600002000000001"
)

// A running is a whole daemon in this process, on loopback.
type running struct {
	*gateway
	t      *testing.T
	client *api.Client
	sip    string // its address
	stop   func()
}

// launch starts one with a configuration and a state directory.
func launch(t *testing.T, dir, id, text string) *running {
	t.Helper()
	head := fmt.Sprintf("[server]\nid = %q\nstate = %q\nlisten = \"127.0.0.1:1\"\n[discovery]\nenabled = false\n", id, dir)
	file, err := config.Parse([]byte(head + text))
	if err != nil {
		t.Fatal(err)
	}
	file.Server.Listen = "127.0.0.1:0" // any: no file can say that
	g, err := wire(t.Context(), file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	r := &running{gateway: g, t: t, client: api.NewClient(file.Server.ControlSocket())}
	r.stop = func() {
		r.client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	at, err := g.sip.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.sip = at.String()
	await(t, "it answers", func() bool { return r.client.Get(t.Context(), api.PathVersion, nil, &api.Version{}) == nil })
	return r
}

// peer returns the first neighbour.
func (r *running) peer() api.Peer {
	r.t.Helper()
	var all []api.Peer
	if err := r.client.Get(r.t.Context(), api.PathPeers, nil, &all); err != nil || len(all) != 1 {
		r.t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

func (r *running) join() {
	r.t.Helper()
	var p api.Peer
	if err := r.client.Post(r.t.Context(), api.PathJoin+cityCode, nil, &p); err != nil || p.State != "online" {
		r.t.Fatalf("%+v, %v", p, err)
	}
}

// stateDir is short enough for a Unix socket in it.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
