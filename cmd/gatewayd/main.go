// Command gatewayd is the gateway: it finds encoders, records them, and serves
// them to the domains above it, and is the upper server of the domains below.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"districtgateway/cmd/internal/config"
)

// version is set by the linker.
var version = "dev"

const usage = `gatewayd - video gateway of one domain (GB/T 28181)

usage:
  gatewayd --config FILE     run until SIGINT or SIGTERM
  gatewayd version           print the version
  gatewayd config-doc        print the reference of the configuration (Markdown)

The configuration is described in docs/configuration.md; check one without
running it by: gatewayctl config check FILE. Logs go to standard error.

exit status: 0 stopped as asked, 1 failed, 2 wrong usage or configuration
`

// Exit statuses.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(command(os.Args[1:])) }

// command runs the command line and returns the exit status.
func command(args []string) int {
	if len(args) > 0 {
		switch args[0] {
		case volumeRole:
			return volumeCommand()
		case "version":
			fmt.Println(version)
			return exitGood
		case "config-doc":
			return report(config.WriteReference(os.Stdout))
		}
	}
	flags := flag.NewFlagSet("gatewayd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	path := flags.String("config", "", "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return exitGood
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err == nil && *path == "":
		err = errors.New("want --config FILE")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "gatewayd: %v\n\n%s", err, usage)
		return exitUsage
	}
	return daemon(*path)
}

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatewayd:", err)
		return exitFailed
	}
	return exitGood
}

// volumeCommand is the daemon executed again as the child process of a volume. It
// ends when the parent closes its side, not by the signals of a terminal.
func volumeCommand() int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
	debug.SetGCPercent(50)
	return report(serveVolume(newLogger(slog.LevelInfo).With("part", "volume child")))
}

// daemon runs the gateway.
func daemon(path string) int {
	file, err := config.Load(path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "gatewayd: %s:\n%v\n", path, err)
		return exitUsage
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(file.Server.LogLevel)) // Validate has checked it
	log := newLogger(level)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	g, err := wire(ctx, file, log)
	if err != nil {
		return report(err)
	}
	limitHeap(g.memory, len(file.Volumes), part(log, "memory"))
	log.Info("started", "version", version, "code", file.Server.ID, "listen", file.Server.Listen)
	err = g.Run(ctx)
	log.Info("stopped", "err", err)
	return report(err)
}

func newLogger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
