package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/bench/peer"
)

// ours is the gateway itself at the peers' work: a district whose encoders are
// known by RTSP.
type ours struct {
	uppers string // tables of the configuration
}

func (ours) Name() string { return "gatewayd" }

func (ours) Can() peer.Abilities { return peer.Abilities{UDP: true, Record: true} }

// viewer is who watches by RTSP.
const viewer = "bench"

func (o ours) Prepare(j peer.Job) ([]string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "[server]\nid = %q\nname = \"bench\"\nlisten = \"%s:5060\"\nstate = %q\nlog_level = \"warn\"\n[rtsp]\nlisten = %q\n[webrtc]\nlisten = \"\"\n[discovery]\nenabled = false\n[record]\nenabled = %v\n",
		district, j.Host, j.Dir, j.RTSP(), j.Record)
	if j.Record {
		fmt.Fprintf(&b, "[[volume]]\npath = %q\ncreate = true\nfree = \"100MB\"\n", j.Recordings())
	}
	for n, source := range j.Sources {
		fmt.Fprintf(&b, "[[encoder]]\nid = %q\nname = \"encoder %d\"\nrtsp = %q\n", channelCode(n), n+1, source)
	}
	b.WriteString(o.uppers)
	file := filepath.Join(j.Dir, "gatewayd.toml")
	return []string{"--config", file}, os.WriteFile(file, b.Bytes(), 0o600)
}

// Begin gives the viewer an account.
func (ours) Begin(ctx context.Context, j peer.Job) error {
	client := api.NewClient(control(j))
	defer client.Close()
	return admit(ctx, client)
}

// admit gives the viewer an account.
func admit(ctx context.Context, client *api.Client) error {
	body, err := json.Marshal(api.NewUser{Role: "viewer", Password: password})
	if err != nil {
		return err
	}
	return client.Post(ctx, api.PathUsers+viewer, body, nil)
}

func control(j peer.Job) string { return filepath.Join(j.Dir, "control.sock") }

func (ours) URL(j peer.Job, n int) string {
	return fmt.Sprintf("rtsp://%s:%s@%s/%s", viewer, password, j.RTSP(), channelCode(n))
}
