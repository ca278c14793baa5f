package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"districtgateway/domain"
)

// driveWithin bounds one command to a camera, all questions before it included.
const driveWithin = 5 * time.Second

// A mover is one way to one camera that moves.
type mover interface {
	// move has the camera obey p, whose movement ends by itself after d where the way
	// there can say so. It returns soon after ctx ended. ErrUnable and ErrOffline of the
	// domain tell why it did not.
	move(ctx context.Context, p domain.PTZ, d time.Duration) error
}

// drives has our own cameras move: each command is one goroutine from its effect to
// the event that tells what came of it. It is the [domain.Cameras] of the daemon.
type drives struct {
	way   func(domain.Code) (mover, error) // to a camera
	leave func()                           // ends what the ways keep; called once, at the end
	post  func(domain.Event) bool
	log   *slog.Logger

	ctx    context.Context // ends all commands
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// newDrives completes what the caller has set.
func newDrives(d *drives) *drives {
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Run returns when ctx has ended and every command with it.
func (d *drives) Run(ctx context.Context) error {
	<-ctx.Done()
	d.cancel()
	d.wg.Wait()
	d.leave()
	return nil
}

// Drive performs a camera command; see [domain.Cameras]. Whatever happens to it, one
// Driven is posted. Nothing is shared with commands for other cameras that could make
// one wait.
func (d *drives) Drive(e domain.DrivePTZ) {
	d.wg.Go(func() {
		err := guard(func() error { return d.drive(e) })
		if p := (*panicError)(nil); errors.As(err, &p) {
			d.log.Error("camera command panicked", "channel", e.Channel, "err", err, "stack", string(p.stack))
			err = fmt.Errorf("%w: %w", domain.ErrUnable, err)
		}
		d.post(domain.Driven{Tag: e.Tag, Err: err})
	})
}

func (d *drives) drive(e domain.DrivePTZ) error {
	m, err := d.way(e.Channel)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, driveWithin)
	defer cancel()
	err = m.move(ctx, e.Command, e.For)
	if err != nil && d.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", domain.ErrGone, err)
	}
	return err
}

// ways are what our cameras are moved over.
type ways struct {
	buses *buses // of domes; nil: none
	heads *heads // of those that move by ONVIF
}

// way returns how a camera is moved: as a dome on a bus if its settings say so, else by
// ONVIF.
func (cs *cameras) way(code domain.Code) (mover, error) {
	c, known := cs.lookup(code)
	if !known {
		return nil, domain.ErrNoChannel
	}
	if d := cs.dome(c); d != nil {
		return d, nil
	}
	return cs.ways.heads.way(c)
}

// dome returns the dome that a camera stands on; nil if it stands on none.
func (cs *cameras) dome(c camera) *dome {
	if len(cs.ways.buses.lines) == 0 {
		return nil
	}
	e := cs.settings(c)
	if e == nil {
		return nil
	}
	d, _ := cs.ways.buses.dome(e.Dome)
	return d
}
