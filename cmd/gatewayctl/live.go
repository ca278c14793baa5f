package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"districtgateway/cmd/internal/api"
)

const fileOptions = `-o FILE         where to write; - is standard output. Footage goes to a file
                beside it first, which gets the name FILE when it is complete;
                if it breaks off and some came, that file is kept and named.
                It stays and plays, too, if gatewayctl is killed by force.
`

const stallNote = `
For media --timeout is how long to wait for the next byte.
`

func liveVerb() *verb {
	file, wanted, limited, sub := "", time.Duration(0), false, false
	return &verb{
		name: "live", args: "CHANNEL -o FILE [--for D] [--sub]", least: 1, most: 1, summary: "save what a channel shows now",
		about: `Asks for the live picture of a channel, from wherever it is, and saves it as a
fragmented MP4 that any player opens, without recoding. It ends after --for, or
at Ctrl-C (SIGINT, SIGTERM, the end of its terminal); both are success. If the
picture ends by itself before that, the exit status is 1.
` + stallNote,
		options: fileOptions + "--for D         how much to save, such as 10s; without it until Ctrl-C\n" +
			"--sub           the sub stream: a smaller picture at a lower rate, for a poor line\n",
		example: `gatewayctl live 33010600001320000001 -o gate.mp4 --for 10s
gatewayctl live 33010600001320000001 -o - | ffplay -
`,
		flags: func(f *flag.FlagSet) {
			f.StringVar(&file, "o", "", "")
			f.Func("for", "", func(text string) (err error) {
				limited = true // 0s is not "until Ctrl-C"
				wanted, err = time.ParseDuration(text)
				return err
			})
			f.BoolVar(&sub, "sub", false, "")
		},
		run: func(ctx context.Context, c *call) error {
			if limited && wanted <= 0 {
				return usagef("--for %s: want more than 0", wanted)
			}
			d, err := c.download(file)
			if err != nil {
				return err
			}
			return d.run(ctx, func(watch context.Context, w io.Writer) error {
				if err := c.client.Live(watch, api.LiveRequest{Channel: c.args[0], For: wanted, Sub: sub}, w); err != nil {
					return err
				}
				if watch.Err() != nil {
					d.cut = ctx.Err() != nil
					return nil
				}
				return early(d.meter.Length(), wanted)
			})
		},
	}
}

// early judges a live picture that ended by itself. Fragments are of a second at
// most, so that much less is no loss.
func early(got, wanted time.Duration) error {
	if wanted > 0 && got >= wanted-2*time.Second {
		return nil
	}
	if wanted > 0 {
		return fmt.Errorf("ended after %s of %s", length(got), length(wanted))
	}
	return fmt.Errorf("ended by itself after %s", length(got))
}
