package main

import (
	"context"
	"flag"
	"io"

	"districtgateway/cmd/internal/api"
)

func playVerb() *verb {
	file := ""
	return &verb{
		name: "play", args: "CHANNEL FROM TO -o FILE", least: 3, most: 3, summary: "save a recording",
		about: `Fetches what is recorded of a channel in a range, from wherever it is, as fast
as the way there carries it, and saves it as a fragmented MP4. Holes in the
recording are holes in the file's time. Nothing recorded in the range is a
failure. Ctrl-C ends it with status 1; what came is kept.
` + stallNote,
		options: fileOptions,
		example: `gatewayctl play 33010600001320000001 "2026-03-01 08:00" +5m -o gate.mp4
gatewayctl play 33010600001320000001 -1m now -o - | ffprobe -
`,
		flags: func(f *flag.FlagSet) { f.StringVar(&file, "o", "", "") },
		run: func(ctx context.Context, c *call) error {
			from, to, err := c.parseRange(c.args[1], c.args[2])
			if err != nil {
				return err
			}
			d, err := c.download(file)
			if err != nil {
				return err
			}
			return d.run(ctx, func(ctx context.Context, w io.Writer) error {
				return c.client.Play(ctx, api.PlayRequest{Channel: c.args[0], From: from, To: to}, w)
			})
		},
	}
}
