package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func recordsVerb() *verb {
	everywhere := false
	return &verb{
		name: "records", args: "CHANNEL FROM TO [--everywhere]", least: 3, most: 3, summary: "list the recordings of a channel",
		about: `Lists what is recorded of a channel in a range, wherever it is recorded, and
for channels of this gateway also the holes with their causes. RECORDED BY is
the server or the device that recorded it, if that is known.

Above the list the range is drawn as a line of 60 equal parts: = is recorded, A
has footage of an alarm, - is recorded in part, and . is not recorded.

If the owner announced more than it sent, what came is listed and the exit
status is 1.
`,
		options: "--everywhere    list what the servers on the way to the owner recorded, too\n",
		flags:   func(f *flag.FlagSet) { f.BoolVar(&everywhere, "everywhere", false, "") },
		example: `gatewayctl records 33010600001320000001 -24h now
gatewayctl records 33010600001320000001 "2026-03-01 08:00" +1h
`,
		run: func(ctx context.Context, c *call) error {
			from, to, err := c.parseRange(c.args[1], c.args[2])
			if err != nil {
				return err
			}
			var r api.Recordings
			q := api.Range(from, to)
			if everywhere {
				q.Set("everywhere", "1")
			}
			if err := c.query(ctx, api.PathRecords+c.args[0], q, &r); err != nil {
				return err
			}
			r.Items = list(r.Items)
			if err := c.show(r, func(w io.Writer) error { return c.drawRecords(w, r.Items, from, to) }); err != nil {
				return err
			}
			if r.Partial {
				return errors.New("incomplete: the owner sent fewer recordings than it announced")
			}
			return nil
		},
	}
}

// query reads the JSON answer to a path with a query into v within --timeout.
func (c *call) query(ctx context.Context, path string, q url.Values, v any) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	return c.client.Get(ctx, path, q, v)
}

// drawRecords writes the recordings of a range as a line and as a list.
func (c *call) drawRecords(w io.Writer, items []api.Recording, from, to time.Time) error {
	if len(items) > 0 {
		if _, err := fmt.Fprintf(w, "%s\n|%s|\n%*s\n\n", c.stamp(from), timeline(items, from, to), timelineCells+2, c.stamp(to)); err != nil {
			return err
		}
	}
	return c.recordTable(items).Write(w)
}

func (c *call) recordTable(items []api.Recording) *table.Table {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b api.Recording) int { return a.From.Compare(b.From) })
	t := &table.Table{Head: []string{"FROM", "TO", "LENGTH", "SIZE", "KIND", "RECORDED BY"}, None: "nothing is recorded in that range"}
	for _, r := range items {
		bytes, kind := size(r.Bytes), or(r.Kind)
		if r.Bytes == 0 {
			bytes = "-"
		}
		if r.Gap != "" {
			kind = "hole: " + r.Gap
		}
		t.Add(c.stamp(r.From), c.stamp(r.To), length(r.To.Sub(r.From)), bytes, kind, or(r.Recorder))
	}
	return t
}

// length writes the length of a recording, which may be less than a second.
func length(d time.Duration) string {
	if d > 0 && d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return span(d)
}
