package main

import (
	"context"
	"fmt"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

// present waits until everything works and prints the table and what to try.
func (d *demo) present(ctx context.Context) error {
	found, err := d.settle(ctx)
	if err != nil {
		return err
	}
	var firsts []time.Duration
	for _, e := range found {
		took, err := d.site.levels[province].firstPicture(ctx, e.Code)
		if err != nil {
			return fmt.Errorf("live picture of %s at the province: %w", e.Name, err)
		}
		firsts = append(firsts, took)
	}
	if err := d.table(ctx, firsts); err != nil {
		return err
	}
	return d.suggest(found[0].Code)
}

// table prints the domains with their links and, with what firsts says of each,
// the encoders as they are now.
func (d *demo) table(ctx context.Context, firsts []time.Duration) error {
	found, err := d.site.encoders(ctx)
	if err != nil {
		return err
	}
	domains := table.Table{Head: []string{"DOMAIN", "CODE", "NAME", "UPPER", "LOWER", "CHANNELS"}}
	for _, l := range d.site.levels {
		st, err := get[api.Status](ctx, l, api.PathStatus)
		if err != nil {
			return err
		}
		domains.Add(l.english, l.code, l.name, links(st.Uppers), links(st.Lowers), fmt.Sprintf("%d of %d online", st.Channels.Online, st.Channels.Total))
	}
	encoders := table.Table{Head: []string{"ENCODER", "CODE", "VIDEO", "AUDIO", "RECORDED", "FIRST LIVE PICTURE AT THE PROVINCE"}}
	for i, e := range found {
		recorded := fmt.Sprintf("up to %.1f s ago", time.Since(e.LastByte).Seconds())
		encoders.Add(e.Name, e.Code, e.Video, e.Audio, recorded, fmt.Sprintf("after %d ms", firsts[i].Milliseconds()))
	}
	fmt.Fprintln(d.out)
	if err := domains.Write(d.out); err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	return encoders.Write(d.out)
}

func links(peers []api.Peer) string {
	if len(peers) == 0 {
		return "-"
	}
	return peers[0].Name + " " + peers[0].State
}

// suggest prints the commands to try.
func (d *demo) suggest(channel string) error {
	ctl := d.site.program("gatewayctl")
	socket := func(level int) string { return d.site.levels[level].socket() }
	_, err := fmt.Fprintf(d.out, `
Try in another terminal:
  export %[1]s=%[2]s     # the province
  %[3]s status
  %[3]s channels --tree
  %[3]s live %[4]s -o live.mp4 --for 10s
  %[3]s records %[4]s -10m now
  %[3]s play %[4]s -20s -10s -o play.mp4
  %[3]s snapshot %[4]s
  %[3]s ptz %[4]s left up --for 2s
  %[3]s user add me operator   # asks for a password; then, as me:
  ffplay rtsp://me@%[8]s:8554/%[4]s
  xdg-open http://%[8]s:8889/
  %[3]s --socket %[5]s peers
  %[3]s --socket %[6]s encoders
  %[3]s --socket %[6]s discover
Logs and configurations are in %[7]s. Ctrl-C ends everything.
`, "DISTRICTGATEWAY_SOCKET", socket(province), ctl, channel, socket(city), socket(district), d.site.dir, d.site.levels[province].listen.Addr())
	return err
}
