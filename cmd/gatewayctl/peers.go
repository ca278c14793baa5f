package main

import (
	"fmt"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func peersVerb() *verb {
	return &verb{
		name: "peers", summary: "list the neighbouring domains and their links",
		about: `Lists each upper and lower domain with the state of its link, since when it
is so, when it was last heard of, what it shows us or we show it, and the reason
of the last failure. States: online, registering, refused, offline, leaving,
left for an upper that gatewayctl leave took leave of, and idle for a lower that
has never called, or was deleted: then the reason says why.
`,
		example: "gatewayctl peers\ngatewayctl peers --json | jq -r '.[] | select(.state != \"online\") | .code'\n",
		run:     listVerb(api.PathPeers, peerTable),
	}
}

func peerTable(c *call, all []api.Peer) *table.Table {
	t := &table.Table{Head: []string{"CODE", "ROLE", "STATE", "FOR", "HEARD", "CHANNELS", "ADDRESS", "NAME", "REASON"}, None: "no neighbours are configured"}
	for _, p := range all {
		heard := c.ago(p.LastSeen)
		if heard != "-" {
			heard += " ago"
		}
		t.Add(p.Code, p.Role, p.State, c.ago(p.Since), heard, fmt.Sprint(p.Channels), or(p.Address), or(p.Name), p.Reason)
	}
	return t
}

// or shows - for nothing, so that columns can be cut.
func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
