package main

import (
	"context"
	"errors"
	"io"
	"runtime"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func versionVerb() *verb {
	return &verb{
		name: "version", summary: "tell the version of this program and of the daemon",
		about: `Shows the version of gatewayctl and, if it answers, of the daemon. A daemon
that does not run is no failure here.
`,
		example: "gatewayctl version\n",
		run: func(ctx context.Context, c *call) error {
			own := api.Version{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
			answer := struct {
				Program api.Version  `json:"program"`
				Daemon  *api.Version `json:"daemon"` // null: not running
			}{Program: own, Daemon: &api.Version{}}
			err := c.get(ctx, api.PathVersion, answer.Daemon)
			if errors.Is(err, api.ErrNotRunning) {
				answer.Daemon = nil
			} else if err != nil {
				return err
			}
			return c.show(answer, func(w io.Writer) error {
				t := &table.Table{}
				t.Add("gatewayctl", own.Version, own.Go, own.System)
				if d := answer.Daemon; d != nil {
					t.Add("gatewayd", d.Version, d.Go, d.System)
				} else {
					t.Add("gatewayd", "not running at "+c.socket)
				}
				return t.Write(w)
			})
		},
	}
}
