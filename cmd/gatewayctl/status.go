package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func statusVerb() *verb {
	return &verb{
		name: "status", summary: "tell how this server is",
		about: `Shows who this server is and whether all is good, and if not, what is
wrong: links to other domains, encoders, channels, volumes, the servers for
viewers (rtsp for players, web for browsers), sessions, and what the process
costs. It answers while things are broken: exit status 0 says that the daemon
answered, not that all is good; HEALTH says that.
`,
		example: "gatewayctl status\ngatewayctl status --json | jq -r .health\n",
		run: func(ctx context.Context, c *call) error {
			var s api.Status
			if err := c.get(ctx, api.PathStatus, &s); err != nil {
				return err
			}
			return c.show(s, func(w io.Writer) error { return c.writeStatus(w, s) })
		},
	}
}

func (c *call) writeStatus(w io.Writer, s api.Status) error {
	recording := 0
	for _, e := range s.Encoders {
		if e.Recording {
			recording++
		}
	}
	t := &table.Table{}
	t.Add("server", s.Code+" "+s.Name)
	t.Add("health", s.Health)
	t.Add("running", fmt.Sprintf("%s, since %s, version %s", c.ago(s.Started), c.stamp(s.Started), s.Version))
	t.Add("uppers", links(s.Uppers))
	t.Add("lowers", links(s.Lowers))
	t.Add("channels", fmt.Sprintf("%d, %d online", s.Channels.Total, s.Channels.Online))
	t.Add("encoders", fmt.Sprintf("%d, %d recording", len(s.Encoders), recording))
	for _, v := range s.Volumes {
		t.Add("volume", c.volume(v))
	}
	for _, b := range s.Buses {
		t.Add("bus", bus(b))
	}
	for _, v := range s.Servers {
		t.Add(v.Kind, server(v))
	}
	t.Add("sessions", fmt.Sprint(s.Sessions))
	memory := fmt.Sprintf("%s of %s for streams", size(s.Streams.Used), size(s.Streams.Limit))
	if s.Streams.Refused > 0 {
		memory += fmt.Sprintf(", did not suffice %d times", s.Streams.Refused)
	}
	if s.Streams.Short > 0 {
		memory += fmt.Sprintf("; %d rings cannot grow", s.Streams.Short)
	}
	t.Add("memory", memory)
	p := s.Process
	t.Add("process", fmt.Sprintf("pid %d, memory %s, %d goroutines, %d media packets, %d objects allocated",
		p.PID, size(p.Memory), p.Goroutines, p.Packets, p.Mallocs))
	return t.Write(w)
}

// bus tells of an RS-485 line whether it is there and what is on it.
func bus(b api.Bus) string {
	text := fmt.Sprintf("%s at %s: ", b.Name, b.Port)
	switch {
	case !b.Open:
		return text + b.Problem
	case b.Problem != "":
		text += "open, but " + b.Problem
	default:
		text += "open"
	}
	text += fmt.Sprintf(", %d domes, %d move, %d frames sent", b.Domes, b.Moving, b.Sent)
	if b.Refused > 0 {
		text += fmt.Sprintf(", %d commands were too many", b.Refused)
	}
	return text
}

// server tells of a server for viewers where it is, and who is there or why nobody is.
func server(v api.Server) string {
	if v.State == api.ServerOff {
		return v.State
	}
	text, who := v.Listen, "connections"
	if v.Kind == api.ServerWeb {
		text, who = "http://"+v.Listen+", media udp/tcp "+v.Media, "browsers"
	}
	switch {
	case v.State == api.ServerNoUser:
		return text + ", no user yet: gatewayctl user add"
	case v.State == api.ServerOpen:
		text += fmt.Sprintf(", %d %s", v.Viewers, who)
	case v.Problem == "":
		return text + ", not open yet"
	default:
		text += ", not open"
	}
	if v.Declined > 0 {
		text += fmt.Sprintf(", %d were one too many", v.Declined)
	}
	if v.Problem != "" {
		text += ": " + v.Problem
	}
	return text
}

// links tells the state of the links to neighbours in a line.
func links(peers []api.Peer) string {
	if len(peers) == 0 {
		return "none"
	}
	texts := make([]string, len(peers))
	for i, p := range peers {
		texts[i] = strings.TrimSpace(p.Code+" "+p.Name) + ": " + p.State
		if p.Reason != "" && p.State != "online" {
			texts[i] += " (" + p.Reason + ")"
		}
	}
	return strings.Join(texts, ", ")
}

func (c *call) volume(v api.Volume) string {
	text := fmt.Sprintf("%s: %s, %s used, %s free, %d segments", v.Path, v.State, size(v.Used), size(v.Free), v.Segments)
	if !v.Oldest.IsZero() {
		text += ", oldest from " + c.stamp(v.Oldest)
	}
	if v.ID != "" {
		text += ", id " + v.ID
	}
	return text
}
