// Encodersim simulates ONVIF video encoders for demonstrations and tests: it is
// found by WS-Discovery, answers ONVIF's device, media, media2, PTZ and imaging
// services, streams over RTSP, listens to talk on the audio back-channel, and misbehaves
// when told to. See encodersim -help.
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
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, manual)
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "encodersim:", err)
		fmt.Fprintln(stderr, "Try encodersim -help.")
		return exitUsage
	}
	level := slog.LevelInfo
	if opt.quiet {
		level = slog.LevelError
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	sim, err := newSimulation(opt, log)
	if err == nil {
		defer sim.close()
		if err = sim.ready(stdout); err == nil {
			err = sim.run(ctx)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "encodersim:", err)
		return exitError
	}
	return exitOK
}
