package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/domain"
)

// A moverFunc is a way to a camera that a test plays.
type moverFunc func(context.Context) error

func (f moverFunc) move(ctx context.Context, _ domain.PTZ, _ time.Duration) error { return f(ctx) }

// TestEveryCommandIsAnsweredOnce: however it goes, in its own time, and by nobody else's.
func TestEveryCommandIsAnsweredOnce(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ways := map[domain.Code]mover{
		"good":   moverFunc(func(context.Context) error { return nil }),
		"unable": moverFunc(func(context.Context) error { return domain.ErrUnable }),
		"panics": moverFunc(func(context.Context) error { panic("poison") }),
		"hangs":  moverFunc(hang),
		"late":   moverFunc(hang),
	}
	synctest.Test(t, func(t *testing.T) {
		type answer struct {
			domain.Driven
			after time.Duration
		}
		began := time.Now()
		told := make(chan answer, 2*len(ways))
		left := false
		d := newDrives(&drives{log: slog.New(slog.DiscardHandler), leave: func() { left = len(told) == len(ways)+1 },
			way: func(c domain.Code) (mover, error) {
				if ways[c] == nil {
					return nil, domain.ErrNoChannel
				}
				return ways[c], nil
			},
			post: func(e domain.Event) bool { told <- answer{e.(domain.Driven), time.Since(began)}; return true },
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = d.Run(ctx)
		}()
		d.Drive(domain.DrivePTZ{Tag: 1, Channel: "hangs"})
		for i, c := range []domain.Code{"good", "unable", "panics", "nobody"} {
			d.Drive(domain.DrivePTZ{Tag: domain.Tag(2 + i), Channel: c})
		}
		time.Sleep(driveWithin + time.Second) // of the bubble
		d.Drive(domain.DrivePTZ{Tag: 6, Channel: "late"})
		synctest.Wait()
		stop()
		<-ended
		if !left {
			t.Error("what the ways keep was not ended last")
		}
		close(told)
		want := map[domain.Tag]struct {
			err   error
			after time.Duration
		}{
			1: {context.DeadlineExceeded, driveWithin}, 2: {nil, 0}, 3: {domain.ErrUnable, 0}, 4: {domain.ErrUnable, 0}, 5: {domain.ErrNoChannel, 0},
			6: {domain.ErrGone, driveWithin + time.Second},
		}
		for a := range told {
			w, asked := want[a.Tag]
			if !asked || !errors.Is(a.Err, w.err) || a.after != w.after {
				t.Errorf("command %d (wanted: %t) after %s: %v", a.Tag, asked, a.after, a.Err)
			}
			delete(want, a.Tag)
		}
		if len(want) > 0 {
			t.Errorf("not answered: %v", want)
		}
	})
}
