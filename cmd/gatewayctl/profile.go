package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"districtgateway/cmd/internal/api"
)

func profileVerb() *verb {
	file, length := "", time.Duration(0)
	return &verb{
		name: "profile", args: "KIND -o FILE [--for D]", least: 1, most: 1, summary: "what the daemon itself is doing",
		about: `Saves a profile of the running daemon, for whoever looks for a fault or mends one:

cpu          where processor time goes, for 10 s or as --for says, 1m at most
heap         what memory is held for. Garbage is collected first, and what was
             free is given back to the system: the daemon's memory afterwards is
             what it needs
goroutines   where each part of it stands, as text

"go tool pprof gatewayd FILE" reads all of them. The daemon goes on working; a
profile of the processor costs it a few percent.
`,
		options: "-o FILE         where to write; - is standard output\n--for D         how long to look at the processor, such as 30s\n",
		example: "gatewayctl profile goroutines -o -\ngatewayctl profile cpu -o cpu.pprof --for 30s\n",
		flags: func(f *flag.FlagSet) {
			f.StringVar(&file, "o", "", "")
			f.DurationVar(&length, "for", 0, "")
		},
		run: func(ctx context.Context, c *call) error {
			switch {
			case file == "":
				return usagef("want -o FILE, or -o - for standard output")
			case length < 0:
				return usagef("--for %s: want more than 0", length)
			case length > 0 && c.args[0] != api.ProfileProcessor:
				return usagef("--for is of %s", api.ProfileProcessor)
			}
			return c.profile(ctx, length, file)
		},
	}
}

func (c *call) profile(ctx context.Context, length time.Duration, file string) error {
	c.timeout += length
	ctx, cancel := c.within(ctx)
	defer cancel()
	data, err := c.client.Profile(ctx, c.args[0], length)
	if err != nil {
		return err
	}
	if file == "-" {
		_, err := c.stdout.Write(data)
		return err
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		return named(file, err)
	}
	_, err = fmt.Fprintf(c.stdout, "%s: %d bytes\n", file, len(data))
	return err
}
