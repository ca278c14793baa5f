package main

import (
	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func sessionsVerb() *verb {
	return &verb{
		name: "sessions", summary: "list the exchanges of media with other domains",
		about: `Lists the sessions agreed with neighbours: live, playback, download. A role of
lower means that the media comes from below, upper that it goes up. CAMERA AT is
the address of the encoder, as far as it is known. MONITOR is where the picture
is shown: the server that it is shown at and the number of the request there,
and the address its media arrives at. Viewers share a live stream; the monitor
of what comes from below is then that of the first.
`,
		example: "gatewayctl sessions\n",
		run:     listVerb(api.PathSessions, sessionTable),
	}
}

func sessionTable(c *call, all []api.Session) *table.Table {
	t := &table.Table{Head: []string{"CHANNEL", "KIND", "PEER", "ROLE", "STATE", "FOR", "CAMERA AT", "MONITOR"}, None: "no sessions"}
	for _, s := range all {
		t.Add(s.Channel, s.Kind, or(s.Peer), or(s.Role), s.State, c.ago(s.Since), or(s.Camera.Host), or(monitor(s.Monitor)))
	}
	return t
}

// monitor names a monitor and where it is.
func monitor(p api.Party) string {
	if p.Host == "" {
		return p.ID
	}
	return p.ID + " at " + p.Host
}
