package main

import (
	"context"
	"flag"
	"io"

	"districtgateway/cmd/internal/api"
)

func playVerb() *verb {
	file, speed := "", 0
	return &verb{
		name: "play", args: "CHANNEL FROM TO -o FILE [--speed N]", least: 3, most: 3, summary: "save a recording",
		about: `Fetches what is recorded of a channel in a range, from wherever it is, at 8
times real time unless --speed says otherwise or the way there carries less, and
saves it as a fragmented MP4. Holes in the recording are holes in the file's
time. Nothing recorded in the range is a failure. Ctrl-C ends it with status 1;
what came is kept.
` + stallNote,
		options: fileOptions + "--speed N       times real time, 1 to 32 (8)\n",
		example: `gatewayctl play 33010600001320000001 "2026-03-01 08:00" +5m -o gate.mp4
gatewayctl play 33010600001320000001 -1m now -o - | ffprobe -
`,
		flags: func(f *flag.FlagSet) {
			f.StringVar(&file, "o", "", "")
			f.IntVar(&speed, "speed", 0, "")
		},
		run: func(ctx context.Context, c *call) error {
			if speed < 0 || speed > 32 {
				return usagef("--speed %d: want 1 to 32", speed)
			}
			from, to, err := c.parseRange(c.args[1], c.args[2])
			if err != nil {
				return err
			}
			d, err := c.download(file)
			if err != nil {
				return err
			}
			return d.run(ctx, func(ctx context.Context, w io.Writer) error {
				return c.client.Play(ctx, api.PlayRequest{Channel: c.args[0], From: from, To: to, Speed: speed}, w)
			})
		},
	}
}
