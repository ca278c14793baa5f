package main

import (
	"context"
	"fmt"
	"io"

	"districtgateway/cmd/internal/api"
)

func refreshVerb() *verb {
	return &verb{
		name: "refresh", args: "PEER", least: 1, most: 1, summary: "read the catalogue of a lower domain again",
		about: `Asks a lower domain for its whole catalogue again. It returns at once; gatewayctl
peers --json shows under "catalog" when the last one was complete.
`,
		example: "gatewayctl refresh 33010600002000000001\n",
		run: func(ctx context.Context, c *call) error {
			ctx, cancel := c.within(ctx)
			defer cancel()
			path := api.PathRefresh + c.args[0]
			if err := c.client.Post(ctx, path, nil, nil); err != nil {
				return err
			}
			return c.show(struct{}{}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "asked %s for its catalogue\n", c.args[0])
				return err
			})
		},
	}
}
