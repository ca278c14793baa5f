package main

import (
	"fmt"
	"strings"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func streamsVerb() *verb {
	return &verb{
		name: "streams", summary: "list the running streams with their counters",
		about: `Lists the streams received now, from encoders and from other domains: how
many use each, and what was received, lost and damaged since it began; how
large the ring is that holds the latest of it, and how much of it that is.
`,
		example: "gatewayctl streams\nwatch gatewayctl streams\n",
		run:     listVerb(api.PathStreams, streamTable),
	}
}

func streamTable(_ *call, all []api.Stream) *table.Table {
	t := &table.Table{
		Head: []string{"CHANNEL", "PROFILE", "STATE", "BY", "USERS", "PACKETS", "BYTES", "LOST", "DAMAGED", "UNITS", "RING", "HELD", "TRACKS", "PROBLEM"},
		None: "no streams",
	}
	for _, s := range all {
		state := "waiting"
		if s.Connected {
			state = "running"
		}
		t.Add(s.Channel, or(s.Profile), state, or(s.Transport), fmt.Sprint(s.Users), fmt.Sprint(s.Packets), size(int64(s.Bytes)), fmt.Sprint(s.Lost),
			fmt.Sprint(s.Damaged), fmt.Sprint(s.Units), size(s.Ring), fmt.Sprintf("%.1f s", s.Held), or(strings.Join(s.Tracks, ", ")), s.Problem)
	}
	return t
}
