package main

import (
	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func sessionsVerb() *verb {
	return &verb{
		name: "sessions", summary: "list the exchanges of media with other domains",
		about: `Lists the sessions agreed with neighbours: live, playback, download. A role of
lower means that the media comes from below, upper that it goes up.
`,
		example: "gatewayctl sessions\n",
		run:     listVerb(api.PathSessions, sessionTable),
	}
}

func sessionTable(c *call, all []api.Session) *table.Table {
	t := &table.Table{Head: []string{"CHANNEL", "KIND", "PEER", "ROLE", "STATE", "FOR"}, None: "no sessions"}
	for _, s := range all {
		t.Add(s.Channel, s.Kind, or(s.Peer), or(s.Role), s.State, c.ago(s.Since))
	}
	return t
}
