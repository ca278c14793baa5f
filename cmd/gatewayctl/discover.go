package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/url"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func discoverVerb() *verb {
	wait := 5 * time.Second
	return &verb{
		name: "discover", args: "[--for D]", summary: "look for encoders on the network now",
		about: `Has the gateway do one round of ONVIF discovery and lists who answered, with
the code of those in service and, of the others, why they are not. Those that
may be adopted are, as in every round.
`,
		options: "--for D         listen that long for answers (5s)\n",
		example: "gatewayctl discover\ngatewayctl discover --for 15s --json | jq -r '.[] | select(.code == null) | .address'\n",
		flags:   func(f *flag.FlagSet) { f.DurationVar(&wait, "for", wait, "") },
		run: func(ctx context.Context, c *call) error {
			if wait <= 0 || wait > time.Minute {
				return usagef("--for %s: want up to 1m", wait)
			}
			c.timeout += wait
			stop := c.tick("listening for encoders", wait)
			var all []api.Found
			err := c.query(ctx, api.PathDiscover, url.Values{"for": {wait.String()}}, &all)
			stop()
			if err != nil {
				return err
			}
			return c.show(list(all), func(w io.Writer) error { return foundTable(all).Write(w) })
		},
	}
}

func foundTable(all []api.Found) *table.Table {
	t := &table.Table{Head: []string{"ADDRESS", "IDENTITY", "MODEL", "CODE", "NAME", "VERDICT"}, None: "no encoder answered"}
	for _, f := range all {
		t.Add(or(f.Address), or(f.Identity), or(f.Model), or(f.Code), or(f.Name), f.Verdict)
	}
	return t
}

// tick shows on a terminal how long something that takes about expected has
// gone on; stop wipes that away.
func (c *call) tick(what string, expected time.Duration) (stop func()) {
	return c.tickAsking(what, expected, func() string { return "" })
}

// tickAsking is tick that asks each second what else there is to say.
func (c *call) tickAsking(what string, expected time.Duration, ask func() string) (stop func()) {
	if !c.terminal {
		return func() {}
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		every := time.NewTicker(time.Second)
		defer every.Stop()
		for began, more := time.Now(), ""; ; {
			fmt.Fprintf(c.stderr, "\r%s: %s of %s%s\x1b[K", what, span(time.Since(began)), span(expected), more)
			select {
			case <-every.C:
				more = ask()
			case <-done:
				fmt.Fprint(c.stderr, "\r\x1b[K")
				return
			}
		}
	}()
	return func() {
		close(done)
		<-gone
	}
}
