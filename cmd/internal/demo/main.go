// Command demo runs a province, a city and a district on this machine, each a
// real gatewayd, with two simulated encoders at the district. It shows a table
// and the commands to try, and stays until it is interrupted; with -once it
// checks that everything works and ends. It touches nothing but loopback
// addresses and a directory of its own, and leaves neither processes nor files.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const usage = `demo - three levels and two simulated encoders on this machine

usage:
  demo -bin DIR [-once] [-keep DIR]

  -bin DIR    where gatewayd, gatewayctl and encodersim are (bin)
  -once       check everything, print a line for each check, and end
  -keep DIR   work in DIR, which must not exist yet, and leave it: logs,
              configurations, recordings

exit status: 0 ended as asked and, with -once, every check passed; 1 otherwise;
2 wrong usage
`

func main() {
	// The processes started here end with the thread that started them; see start.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	bin, once, keep := f.String("bin", "bin", ""), f.Bool("once", false, ""), f.String("keep", "", "")
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v\n\n%s", err, usage)
		return 2
	}
	d := &demo{out: stdout, once: *once, began: time.Now()}
	if err := d.run(ctx, *bin, *keep); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// A demo is one run.
type demo struct {
	out   io.Writer
	once  bool
	began time.Time
	site  *site
	tally score
}

// errChecks reports that checks failed; which ones has been printed.
var errChecks = errors.New("not everything works")

// run sets everything up, shows or checks it, and takes everything down again.
func (d *demo) run(ctx context.Context, bin, keep string) (err error) {
	if d.site, err = newSite(bin, keep); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.site.remove()) }()
	err = d.show(ctx)
	if !d.once && ctx.Err() != nil {
		d.progress("stopping")
		err = nil
	}
	stopped := d.site.stop()
	if !d.once {
		return errors.Join(err, stopped)
	}
	d.tally.note(d.out, "every process ends when asked to, with status 0", "", stopped)
	fmt.Fprintf(d.out, "%d passed, %d failed\n", d.tally.passed, d.tally.failed)
	if err == nil && d.tally.failed > 0 {
		err = errChecks
	}
	return err
}

// show starts everything and shows or checks it. It ends early if a process does.
func (d *demo) show(ctx context.Context) error {
	ctx, died := context.WithCancelCause(ctx)
	defer died(nil)
	if err := d.site.start(ctx, d.progress, died); err != nil {
		return because(ctx, err)
	}
	if d.once {
		d.check(ctx)
		return because(ctx, nil)
	}
	if err := d.present(ctx); err != nil {
		return because(ctx, err)
	}
	<-ctx.Done()
	return because(ctx, nil)
}

// because prefers the cause of ctx's end, a process that died, to err.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// progress tells what is being done now.
func (d *demo) progress(format string, args ...any) {
	fmt.Fprintf(d.out, "%5.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}
