// Command bench measures the promises of docs/promises.md and docs/performance.md
// on this machine. For the former it starts three levels of the gateway (a [rig]) and
// simulated encoders on loopback addresses, watches at the top, and reads what the
// daemons cost. For the latter it has the gateway, and every other server whose
// program the environment names, do the same work in turn (a [field]): streams come
// from and go to processes of package traffic, and package peer sets the others up.
//
// Each daemon runs from a copy of the program of its own: the proportional set
// size would otherwise charge each with a part of the text only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"districtgateway/cmd/internal/bench/traffic"
)

const usage = `bench - measure the promises of docs/promises.md and docs/performance.md on this machine

usage:
  bench [--bin DIR] [--only NAME[,NAME]] [--quick] [--json FILE] [--logs DIR]
  bench --only soak [--for DURATION] [...]

  --bin DIR    take gatewayd and encodersim from DIR if they are there;
               otherwise both are built by make dist
  --only NAME  one measurement, or several: %s
  --for TIME   how long a soak takes (1h); it is only made when it is named, as
               are isolation (4 minutes) and limit, which is one of levels
  --quick      fewer pictures and shorter times: a look, no measurement
  --json FILE  write the results as JSON too
  --logs DIR   keep the logs of the programs here

environment: the programs of the servers to compare with. One that is not named
is left out.

  PEER_MEDIAMTX=FILE  PEER_GO2RTC=FILE  PEER_ZLM=FILE

exit status: 0 measured, whether or not a promise is kept; 1 something could
not be measured; 2 wrong usage
`

// Exit statuses.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
)

// A measurement yields the figures of one arrangement.
type measurement struct {
	name   string
	run    func(context.Context, *bench) ([]Result, error)
	onCall bool // made only when it is named
}

// measurements are all there are, in the order they run.
func measurements() []measurement {
	list := []measurement{
		{name: "size", run: measureSize},
		{name: "levels", run: measureLevels},
		{name: "first", run: measureFirsts},
	}
	for _, t := range tasks() {
		list = append(list, measurement{name: t.name, run: func(ctx context.Context, b *bench) ([]Result, error) { return measureTask(ctx, b, t) }})
	}
	return append(list,
		measurement{name: "reader", run: measureReader},
		measurement{name: "delay", run: measureDelay},
		measurement{name: "allocations", run: measureAllocations},
		measurement{name: "scale", run: measureScale},
		measurement{name: "uplink", run: measureUplink},
		measurement{name: "disk", run: measureDisk},
		measurement{name: "limit", run: measureLimit, onCall: true}, // of levels
		measurement{name: "isolation", run: measureIsolation, onCall: true},
		measurement{name: "soak", run: measureSoak, onCall: true},
	)
}

// options are the flags.
type options struct {
	bin, json, logs string
	only            []string
	quick           bool
	soak            time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := entry(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// trafficVerb has this program make or take traffic for another one of it.
const trafficVerb = "traffic"

func entry(ctx context.Context, args []string) int {
	if len(args) != 2 || args[0] != trafficVerb {
		return command(ctx, args, os.Stdout, os.Stderr)
	}
	if err := traffic.Serve(args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return exitFailed
	}
	return exitGood
}

// command runs the command line and returns the exit status.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, usage, strings.Join(names(), ", "))
		return exitGood
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return exitUsage
	}
	report, err := measure(ctx, opt, stderr)
	report.print(stdout)
	if opt.json != "" && report.Results != nil {
		err = errors.Join(err, save(opt.json, report))
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	return exitGood
}

func names() (list []string) {
	for _, m := range measurements() {
		list = append(list, m.name)
	}
	return list
}

func parse(args []string) (options, error) {
	var opt options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opt.bin, "bin", "", "")
	flags.StringVar(&only, "only", "", "")
	flags.BoolVar(&opt.quick, "quick", false, "")
	flags.DurationVar(&opt.soak, "for", time.Hour, "")
	flags.StringVar(&opt.json, "json", "", "")
	flags.StringVar(&opt.logs, "logs", "", "")
	if err := flags.Parse(args); err != nil {
		return opt, err
	}
	if flags.NArg() > 0 {
		return opt, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if only != "" {
		opt.only = strings.Split(only, ",")
	}
	for _, name := range opt.only {
		if !slices.Contains(names(), name) {
			return opt, fmt.Errorf("--only %q: want %s", name, strings.Join(names(), ", "))
		}
	}
	return opt, nil
}

// measure runs the measurements chosen. One that fails does not keep the others
// from being made.
func measure(ctx context.Context, opt options, progress io.Writer) (Report, error) {
	report := Report{Machine: describeMachine(), Quick: opt.quick}
	b, err := newBench(opt, progress)
	if err != nil {
		return report, err
	}
	defer b.close()
	if err := errors.Join(b.findPeers(), b.prepare(ctx, opt)); err != nil {
		return report, err
	}
	var errs []error
	for _, m := range measurements() {
		if named := slices.Contains(opt.only, m.name); ctx.Err() != nil || !named && (m.onCall || len(opt.only) > 0) {
			continue
		}
		before, began := loadAverage(), time.Now()
		b.say("%s", m.name)
		results, err := m.run(ctx, b)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
			b.say("%s: not measured: %v", m.name, err)
		}
		for i := range results {
			results[i].Load = fmt.Sprintf("%s to %s", before, loadAverage())
			results[i].Seconds = time.Since(began).Round(time.Second).Seconds()
		}
		report.Results = append(report.Results, results...)
	}
	return report, errors.Join(append(errs, ctx.Err())...)
}

func save(path string, r Report) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
