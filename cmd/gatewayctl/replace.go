package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"districtgateway/cmd/internal/api"
)

func replaceVerb() *verb {
	force := false
	return &verb{
		name: "replace", args: "CODE IDENTITY [--force]", least: 2, most: 2, summary: "put another encoder behind a channel",
		about: `After an encoder was exchanged: the channel keeps its code, its name and its
footage, and is served by the encoder with the given hardware address or serial
number from now on. If that encoder had been given a code of its own meanwhile,
this code is given up, and what was recorded under it is the channel's, too.
A serial number has to be one that discovery has seen, or --force it.
`,
		options: "--force         take any text: a serial number that was not seen yet\n",
		example: "gatewayctl replace 33010600001320000001 02:00:00:00:00:07\n",
		flags:   func(f *flag.FlagSet) { f.BoolVar(&force, "force", force, "") },
		run: func(ctx context.Context, c *call) error {
			body, err := json.Marshal(api.Replace{Code: c.args[0], Identity: c.args[1], Force: force})
			if err != nil {
				return err
			}
			ctx, cancel := c.within(ctx)
			defer cancel()
			var all []api.Encoder
			if err := c.client.Put(ctx, api.PathEncoders, body, &all); err != nil {
				return err
			}
			return c.show(list(all), func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is now served by %s\n", c.args[0], c.args[1])
				return err
			})
		},
	}
}
