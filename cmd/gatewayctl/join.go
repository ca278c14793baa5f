package main

import (
	"context"
	"fmt"
	"io"

	"districtgateway/cmd/internal/api"
)

func joinVerb() *verb {
	return &verb{
		name: "join", args: "UPPER", least: 1, most: 1, summary: "register with an upper domain, left or not",
		about: `Registers with an upper domain that gatewayctl leave took leave of, or at once
with one whose registration fails and is waiting to be tried again. A refusal is
shown; the gateway goes on trying.
`,
		example: "gatewayctl join 33010000002000000001\n",
		run: func(ctx context.Context, c *call) error {
			c.timeout += registerTime
			ctx, cancel := c.within(ctx)
			defer cancel()
			stop := c.tick("registering with "+c.args[0], registerTime)
			var p api.Peer
			err := c.client.Post(ctx, api.PathJoin+c.args[0], nil, &p)
			stop()
			if err != nil {
				return err
			}
			return c.show(p, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "registered with %s\n", p.Code)
				return err
			})
		},
	}
}
