package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"districtgateway/cmd/internal/api"
)

func importVerb() *verb {
	return &verb{
		name: "import", args: "FILE.csv", least: 1, most: 1, summary: "give encoders the codes of a list",
		about: `Reads a code list and gives each encoder in it its code and name. An encoder
that has another code moves to the new one, with what was recorded of it; one
that has not been seen yet is entered and waits to be found. FILE may be - for
standard input.

The list is CSV with a header line naming the columns code, name, identity
(hardware address or serial number) and address (ONVIF or rtsp://), in any
order. code is needed, and identity or address. If any line is wrong, all faults
are told with their lines and nothing is changed. A code that another encoder
holds is refused; the other lines count.
`,
		example: `printf 'code,identity,name\n33010600001320000001,02:00:00:00:00:01,北门\n' | gatewayctl import -
`,
		run: func(ctx context.Context, c *call) error {
			text, err := c.readFile(c.args[0])
			if err != nil {
				return err
			}
			ctx, cancel := c.within(ctx)
			defer cancel()
			var all []api.Encoder
			if err := c.client.Post(ctx, api.PathEncoders, text, &all); err != nil {
				return err
			}
			return c.show(list(all), func(w io.Writer) error { return encoderTable(c, all).Write(w) })
		},
	}
}

// maxFile bounds a file that is sent to the daemon.
const maxFile = 4 << 20

// readFile reads a small file; - is standard input.
func (c *call) readFile(path string) ([]byte, error) {
	in := c.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, bare(err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return text, nil
}
