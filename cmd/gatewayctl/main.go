// Command gatewayctl asks a gateway what it does and tells it what to do. It
// speaks to the daemon's Unix socket and to nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

// version is set by the linker.
var version = "dev"

// Exit statuses.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	p := program{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now, zone: time.Local, getenv: os.Getenv,
		terminal: term.IsTerminal(int(os.Stderr.Fd())), screen: term.IsTerminal(int(os.Stdout.Fd())), every: time.Second,
		account: accountName,
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// A program is what a run of the command line may touch.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool          // stderr is one: progress may be shown
	screen         bool          // stdout is one: what is watched is redrawn in place
	every          time.Duration // between two looks at what is watched
	now            func() time.Time
	zone           *time.Location
	getenv         func(string) string
	account        func() string // name of the account that runs it
}

// run is main without the process: it returns the exit status.
func (p program) run(ctx context.Context, args []string) int {
	c := &call{program: p}
	v, err := c.parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(p.stdout, c.help(v))
		return exitGood
	case err != nil:
		return c.misuse(v, err)
	}
	c.client = api.NewClient(c.socket)
	defer c.client.Close()
	err = v.run(ctx, c)
	if u := (usageError{}); errors.As(err, &u) {
		return c.misuse(v, u)
	}
	if err != nil {
		c.complain(err)
		return exitFailed
	}
	return exitGood
}

// A usageError is a fault of the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// misuse reports a wrong command line.
func (c *call) misuse(v *verb, err error) int {
	name, more := "", ""
	if v != nil {
		name, more = v.name+": ", " "+v.name
	}
	fmt.Fprintf(c.stderr, "gatewayctl: %s%v\nTry: gatewayctl help%s\n", name, err, more)
	return exitUsage
}

// complain writes an error, each of its lines with what was being done.
func (c *call) complain(err error) {
	for line := range strings.SplitSeq(cause(err), "\n") {
		if len(c.args) > 0 {
			line = strings.TrimPrefix(line, c.args[0]+": ") // the daemon names it too
		}
		fmt.Fprintf(c.stderr, "gatewayctl: %s: %s\n", c.what, line)
	}
}

// cause words an error; a refusal names the level that refused.
func cause(err error) string {
	e := (*api.Error)(nil)
	switch {
	case errors.As(err, &e) && e.Level != "":
		refusal := fmt.Sprintf("refused by %s: %s", table.Clean(e.Level), e.Cause)
		return strings.Replace(err.Error(), e.Error(), refusal, 1)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time (--timeout)"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}
