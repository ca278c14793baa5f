package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func streamsVerb() *verb {
	watch := false
	return &verb{
		name: "streams", args: "[CHANNEL] [--watch]", most: 1, summary: "list the running streams with their counters; all of one",
		about: `Lists the streams received now, from encoders and from other domains: how
many use each, and what was received, lost and damaged since it began; how
large the ring is that holds the latest of it, and how much of it that is.

With CHANNEL it looks twice, a second apart, and shows all of its streams: where
each comes from; its tracks with what the ring holds of them; what was lost on
the way here; and who gets it, at what rate. Read it so:

lost, damaged   the network from the encoder, or the encoder itself
BEHIND          how far a consumer is behind the newest picture; some 100 ms are
                nothing, seconds that grow are a consumer that cannot follow
LAPPED          units it lost because it was slower than the ring is long: it
                went on at a key picture. Of a recorder: holes it began, see
                gatewayctl records for their causes
DROPPED         units left out because it could not take them
COPIED          bytes of media that the gateway copied for it. A relay and a
                player by RTSP are sent what lies in the ring: a packet now and
                then that a full connection took in part. Recorder, browsers and
                MP4 copy
cut             consumers that were ended against their will, the last 16 with
                the reason: one that takes nothing for 10 s, or has gone

With --watch it looks every second until Ctrl-C, which is success: on a terminal
in place, otherwise as a line a stream, with --json as an object a line. A stream
that ends is said to be gone and shown again when it is back.
`,
		options: "--watch         look every second\n",
		example: "gatewayctl streams\ngatewayctl streams 33010600001320000001 --watch\n" +
			"gatewayctl streams 33010600001320000001 --json | jq '.[].consumers'\n",
		flags: func(f *flag.FlagSet) { f.BoolVar(&watch, "watch", watch, "") },
		run: func(ctx context.Context, c *call) error {
			switch {
			case len(c.args) == 0 && watch:
				return usagef("--watch: want CHANNEL")
			case len(c.args) == 0:
				return listVerb(api.PathStreams, streamTable)(ctx, c)
			case watch:
				return c.watchStreams(ctx)
			}
			return c.showStreams(ctx)
		},
	}
}

func streamTable(_ *call, all []api.Stream) *table.Table {
	t := &table.Table{
		Head: []string{"CHANNEL", "PROFILE", "STATE", "BY", "USERS", "PACKETS", "BYTES", "LOST", "DAMAGED", "UNITS", "RING", "HELD", "TRACKS", "PROBLEM"},
		None: "no streams",
	}
	for _, s := range all {
		t.Add(s.Channel, or(s.Profile), streamState(s), or(s.Transport), fmt.Sprint(s.Users), fmt.Sprint(s.Packets), size(int64(s.Bytes)), fmt.Sprint(s.Lost),
			fmt.Sprint(s.Damaged), fmt.Sprint(s.Units), size(s.Ring), fmt.Sprintf("%.1f s", s.Held), or(strings.Join(s.Tracks, ", ")), s.Problem)
	}
	return t
}

func streamState(s api.Stream) string {
	if s.Connected {
		return "running"
	}
	return "waiting"
}

// rate writes bits a second.
func rate(bits float64) string {
	switch {
	case bits <= 0:
		return "-"
	case bits < 999_500:
		return fmt.Sprintf("%.0f kbit/s", bits/1e3)
	}
	return fmt.Sprintf("%.1f Mbit/s", bits/1e6)
}

// writeStreams writes all that is known of streams.
func (c *call) writeStreams(w io.Writer, all []api.StreamDetail) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no stream of it runs")
		return err
	}
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := c.writeStream(w, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) writeStream(w io.Writer, s api.StreamDetail) error {
	fmt.Fprintf(w, "%s %s, %s for %s, from %s by %s\n", table.Clean(s.Channel), table.Clean(s.Profile), streamState(s.Stream), c.ago(s.Since),
		table.Clean(s.Source), or(s.Transport))
	t := &table.Table{}
	for _, m := range s.Media {
		t.Add("  track", trackText(m))
	}
	t.Add("  received", fmt.Sprintf("%d packets, %s, %s; %d units, %d of them key pictures", s.Packets, size(int64(s.Bytes)), rate(s.Rate), s.Units, s.Keys))
	l := s.Losses
	t.Add("  losses", fmt.Sprintf("%d lost, %d damaged; %d late, %d reordered, %d doubled, %d stray, %d malformed, %d jumps", s.Lost, s.Damaged,
		l.Late, l.Reordered, l.Doubled, l.Stray, l.Malformed, l.Jumps))
	t.Add("  ring", ringText(s.Memory))
	t.Add("  source", fmt.Sprintf("opened %d times", s.Opened))
	if s.Problem != "" {
		t.Add("  problem", s.Problem)
	}
	t.Add("  cut", fmt.Sprintf("%d consumers, %d of them for being too slow", s.Cut, s.Slow))
	if err := t.Write(w); err != nil {
		return err
	}
	return c.consumerTables(w, s)
}

// consumerTables writes who gets a stream, and who was cut.
func (c *call) consumerTables(w io.Writer, s api.StreamDetail) error {
	now := &table.Table{
		Head: []string{"  CONSUMER", "FAR END", "FOR", "UNITS", "PACKETS", "BYTES", "RATE", "BEHIND", "LAPPED", "DROPPED", "COPIED"},
		None: "  no consumers that count",
	}
	for _, k := range s.Consumers {
		now.Add("  "+or(k.Kind), or(k.Name), c.ago(k.Since), fmt.Sprint(k.Units), fmt.Sprint(k.Packets), size(int64(k.Bytes)), rate(k.Rate),
			fmt.Sprintf("%.0f ms", k.Behind), fmt.Sprint(k.Lapped), fmt.Sprint(k.Dropped), copied(k.Copied))
	}
	if err := now.Write(w); err != nil || len(s.LastCut) == 0 {
		return err
	}
	cut := &table.Table{Head: []string{"  CUT", "FAR END", "WHEN", "AFTER", "BYTES", "BEHIND", "LAPPED", "WHY"}}
	for _, k := range s.LastCut {
		cut.Add("  "+or(k.Kind), or(k.Name), c.stamp(k.At), span(k.At.Sub(k.Since)), size(int64(k.Bytes)), fmt.Sprintf("%.0f ms", k.Behind),
			fmt.Sprint(k.Lapped), firstLine(k.Why))
	}
	return cut.Write(w)
}

// firstLine leaves out the stack of a panic.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// copied writes how much was copied.
func copied(n uint64) string {
	if n == 0 {
		return "no"
	}
	return size(int64(n))
}

func trackText(m api.Track) string {
	text := fmt.Sprintf("%s, %s", m.Coding, rate(m.Bits))
	if m.FPS > 0 {
		text += fmt.Sprintf(", %.1f pictures/s", m.FPS)
	}
	if m.Interval > 0 {
		text += fmt.Sprintf(", a key picture every %.2f s (group of %d)", m.Interval, m.Group)
	}
	return text
}

func ringText(r api.Ring) string {
	if r.Bytes == 0 {
		return "none yet"
	}
	text := fmt.Sprintf("%s, holds %s: %.1f s", size(int64(r.Bytes)), size(r.Held), r.Seconds)
	if r.Copies {
		text += "; not mapped twice: what is received is copied once"
	}
	return text
}
