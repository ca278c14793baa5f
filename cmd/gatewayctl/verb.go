package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

// A verb is one command of the command line.
type verb struct {
	name    string
	args    string // as in the synopsis
	least   int    // arguments there must be
	most    int
	summary string
	about   string // the DESCRIPTION of its manual
	options string // the OPTIONS of its manual, besides the general ones
	example string
	flags   func(*flag.FlagSet) // adds the options; nil: none
	run     func(context.Context, *call) error
}

// verbs returns all verbs in the order of the manual.
func verbs() []*verb {
	return []*verb{
		statusVerb(), peersVerb(), channelsVerb(), encodersVerb(), streamsVerb(), sessionsVerb(),
		liveVerb(), snapshotVerb(), recordsVerb(), playVerb(), ptzVerb(),
		discoverVerb(), importVerb(), replaceVerb(), refreshVerb(), leaveVerb(), joinVerb(),
		userVerb(), configVerb(), profileVerb(), versionVerb(),
	}
}

// A call is one run of a verb.
type call struct {
	program
	client  *api.Client
	what    string   // what is done and to what, for errors
	args    []string // of the verb
	socket  string
	json    bool
	timeout time.Duration
}

// Defaults of the general options.
const (
	defaultSocket  = "/var/lib/districtgateway/control.sock"
	socketVariable = "DISTRICTGATEWAY_SOCKET"
	defaultTimeout = 30 * time.Second
)

// general adds the options that every verb has.
func (c *call) general(f *flag.FlagSet) {
	f.SetOutput(io.Discard)
	f.StringVar(&c.socket, "socket", cmp.Or(c.socket, c.getenv(socketVariable), defaultSocket), "")
	f.BoolVar(&c.json, "json", c.json, "")
	f.DurationVar(&c.timeout, "timeout", cmp.Or(c.timeout, defaultTimeout), "")
}

// parse reads the command line. flag.ErrHelp asks for the manual of the verb, or
// of all if that is nil.
func (c *call) parse(args []string) (*verb, error) {
	f := flag.NewFlagSet("", flag.ContinueOnError)
	c.general(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if args = f.Args(); len(args) == 0 {
		return nil, usageError{"want a verb"}
	}
	name := args[0]
	if args = args[1:]; name == "help" {
		if len(args) == 0 {
			return nil, flag.ErrHelp
		}
		v, err := verbNamed(args[0])
		return v, cmp.Or(err, error(flag.ErrHelp))
	}
	v, err := verbNamed(name)
	if err != nil {
		return nil, err
	}
	return v, c.parseVerb(v, args)
}

// parseVerb reads the arguments and options of a verb, in any order.
func (c *call) parseVerb(v *verb, args []string) error {
	f := flag.NewFlagSet("", flag.ContinueOnError)
	c.general(f)
	if v.flags != nil {
		v.flags(f)
	}
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "--":
			c.args, args = append(c.args, args[1:]...), nil
		case len(a) < 2 || a[0] != '-' || '0' <= a[1] && a[1] <= '9': // -10m is a time
			c.args, args = append(c.args, a), args[1:]
		default:
			if err := f.Parse(args); err != nil {
				return err
			}
			args = f.Args()
		}
	}
	c.what = strings.Join(append([]string{v.name}, c.args[:min(1, len(c.args))]...), " ")
	switch {
	case len(c.args) < v.least:
		return usagef("want %s", v.args)
	case len(c.args) > v.most:
		return usagef("unexpected argument %q", c.args[v.most])
	case c.timeout <= 0:
		return usagef("--timeout %s: want more than 0", c.timeout)
	}
	return nil
}

func verbNamed(name string) (*verb, error) {
	all := verbs()
	if i := slices.IndexFunc(all, func(v *verb) bool { return v.name == name }); i >= 0 {
		return all[i], nil
	}
	for _, v := range all {
		if len(name) > 1 && (strings.HasPrefix(v.name, name) || strings.HasPrefix(name, v.name)) {
			return nil, usagef("no verb %q; did you mean %s?", name, v.name)
		}
	}
	return nil, usagef("no verb %q", name)
}

// within bounds a request by --timeout.
func (c *call) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}

// get reads the JSON answer to a path into v within --timeout.
func (c *call) get(ctx context.Context, path string, v any) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	return c.client.Get(ctx, path, nil, v)
}

// show writes v as JSON if that is asked for, otherwise as print does.
func (c *call) show(v any, print func(io.Writer) error) error {
	if !c.json {
		return print(c.stdout)
	}
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// list makes an empty list of no list: JSON then says [] and not null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// listVerb is the run of a verb that shows a list as a table.
func listVerb[T any](path string, rows func(*call, []T) *table.Table) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		var all []T
		if err := c.get(ctx, path, &all); err != nil {
			return err
		}
		return c.show(list(all), func(w io.Writer) error { return rows(c, all).Write(w) })
	}
}

// stamp writes an instant in the local zone; - for none.
func (c *call) stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(c.zone).Format("2006-01-02 15:04:05")
}

// ago writes how long ago an instant was; - for none.
func (c *call) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return span(c.now().Sub(t))
}

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 24:
		return fmt.Sprintf("%dd%02dh", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%dh%02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%02ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

// size writes a number of bytes.
func size(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, u := float64(n), -1
	for v >= 999.5 && u < len(units)-1 {
		v /= 1000
		u++
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %cB", v, units[u])
	}
	return fmt.Sprintf("%.0f %cB", v, units[u])
}
