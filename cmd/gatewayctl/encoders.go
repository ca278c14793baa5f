package main

import (
	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func encodersVerb() *verb {
	return &verb{
		name: "encoders", summary: "list this gateway's own encoders",
		about: `Lists the inventory: the code each encoder was given, how it is known and
reached, whether it works and is recorded, what it sends, when its footage last
reached the disk, and what is wrong with it.
`,
		example: "gatewayctl encoders\ngatewayctl encoders --json | jq -r '.[] | [.code, .identity, .name] | @csv'\n",
		run:     listVerb(api.PathEncoders, encoderTable),
	}
}

func encoderTable(c *call, all []api.Encoder) *table.Table {
	t := &table.Table{
		Head: []string{"CODE", "STATUS", "FOR", "RECORDING", "VIDEO", "AUDIO", "IDENTITY", "ADDRESS", "NAME", "PROBLEM"},
		None: "no encoders: neither configured nor found",
	}
	for _, e := range all {
		on, recording := "offline", "no"
		if e.Online {
			on = "online"
		}
		if e.Recording {
			recording = "yes"
			if !e.LastByte.IsZero() {
				recording = c.ago(e.LastByte) + " ago"
			}
		}
		t.Add(e.Code, on, c.ago(e.Since), recording, or(e.Video), or(e.Audio), or(e.Identity), or(e.Address), or(e.Name), e.Problem)
	}
	return t
}
