package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

const (
	leavePatience = 5 * time.Minute
	mostPatience  = 24 * time.Hour // as the daemon has it
	registerTime  = time.Minute    // a registration that nobody answers
)

func leaveVerb() *verb {
	patience, force := leavePatience, false
	return &verb{
		name: "leave", args: "UPPER [--force] [--for D]", least: 1, most: 1, summary: "leave an upper domain for good",
		about: `Deregisters from an upper domain for good. An upper of our own kind refuses while
it still receives something from here; then it is asked again, when it says,
until --for has passed. Until it agrees the link stays as it is. Ctrl-C ends the
waiting, not the leaving; gatewayctl join ends that.

The upper's table stays in the configuration file, which this does not change.
That it was left is kept in the state directory: the gateway does not register
there again, not after a restart either, until gatewayctl join. Whoever removes
the table as well cannot join any more.
`,
		options: "--force         leave whatever the upper answers; what it still receives ends\n" +
			"--for D         try for that long (5m), up to 24h\n",
		example: "gatewayctl leave 33010000002000000001\ngatewayctl leave 33010000002000000001 --force\n",
		flags: func(f *flag.FlagSet) {
			f.BoolVar(&force, "force", force, "")
			f.DurationVar(&patience, "for", patience, "")
		},
		run: func(ctx context.Context, c *call) error {
			if patience <= 0 || patience > mostPatience {
				return usagef("--for %s: want more than 0, up to 24h", patience)
			}
			return c.leave(ctx, api.LeaveRequest{Upper: c.args[0], Force: force, For: patience})
		},
	}
}

func (c *call) leave(ctx context.Context, in api.LeaveRequest) error {
	c.timeout += in.For + 2*registerTime // the last attempt may have to wait for another
	ctx, cancel := c.within(ctx)
	defer cancel()
	stop := c.tickAsking("leaving "+in.Upper, in.For, func() string { return c.objection(ctx, in.Upper) })
	p, err := c.client.Leave(ctx, in)
	stop()
	if e := (*api.Error)(nil); errors.As(err, &e) && e.Level != "" {
		return fmt.Errorf("%w\nnot left in %s, still registered with; --force leaves all the same", err, span(in.For))
	}
	if err != nil {
		return err
	}
	return c.show(p, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "left %s: %s\n", p.Code, p.Reason)
		return err
	})
}

// objection returns why an upper has not let go yet, as the daemon last heard.
func (c *call) objection(ctx context.Context, upper string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var all []api.Peer
	if c.client.Get(ctx, api.PathPeers, nil, &all) != nil {
		return ""
	}
	for _, p := range all {
		if why, ok := strings.CutPrefix(p.Reason, "leaving: "); ok && p.Code == upper && p.State == "leaving" {
			return ", " + table.Clean(why)
		}
	}
	return ""
}
