package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Bounds of the pause before a failed leaf is started again.
const (
	backoffLeast = time.Second
	backoffMost  = 30 * time.Second
	backoffReset = time.Minute // a leaf that ran so long begins with the least pause again
)

// A panicError is a recovered panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard runs f and turns a panic into an error, so that one poisoned leaf (an
// encoder, a peer, a viewer) never costs another's footage.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}

// supervise runs a leaf until ctx ends, and again after a pause whenever it ends
// by itself. All its state must be made inside f.
func supervise(ctx context.Context, log *slog.Logger, f func(context.Context) error) {
	pause := backoffLeast
	for ctx.Err() == nil {
		began := time.Now()
		err := guard(func() error { return f(ctx) })
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > backoffReset {
			pause = backoffLeast
		}
		logEnd(log, err, pause)
		select {
		case <-time.After(pause + rand.N(pause/2)):
		case <-ctx.Done():
		}
		pause = min(2*pause, backoffMost)
	}
}

func logEnd(log *slog.Logger, err error, pause time.Duration) {
	attrs := []any{"err", err, "again", pause}
	if p := (*panicError)(nil); errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	log.Warn("ended, will be started again", attrs...)
}
