// Package serial owns the RS-485 lines on which dome cameras listen. It sends frames
// that others made, one after the other, and sees to it that nothing moves for longer
// than it was told to, whatever becomes of whoever told it.
package serial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A Config is what a line is and who listens on it.
type Config struct {
	Port  string // path of the device
	Baud  int    // one of Bauds; 8 data bits, no parity, one stop bit
	RS485 bool   // let the kernel switch between sending and listening (TIOCSRS485)
	Domes []Dome
	Log   *slog.Logger // nil: none
}

// A Dome is one listener on a line.
type Dome struct {
	Address uint8  // each once
	Stop    []byte // the frame that ends all its movement; not to be changed
}

// Bauds are the speeds that a line may have, in bits a second.
func Bauds() []int { return []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200} }

// A State is how a line is.
type State struct {
	Open    bool
	Since   time.Time // of the last change of Open; zero before the first
	Problem string    // not open: why; open: what is not as it was asked for
	Moving  int       // domes
	Queued  int       // orders
	Sent    uint64    // frames
	Refused uint64    // orders
}

// Times of a line.
const (
	retryLeast  = time.Second // pause before a port is tried again, doubled each time
	retryMost   = 30 * time.Second
	checkEvery  = time.Second     // how often it is looked whether the port is still there
	finishWorst = 3 * time.Second // the most that stopping every dome may take at the end
)

// A Line is one RS-485 line. Its methods may be called from any goroutine.
type Line struct {
	cfg  Config
	wake chan struct{}

	mu       sync.Mutex
	schedule *schedule
	state    State
}

// New checks cfg and makes a line. It opens nothing: see Run.
func New(cfg Config) (*Line, error) {
	if cfg.Port == "" {
		return nil, errors.New("serial line without a port")
	}
	if !slices.Contains(Bauds(), cfg.Baud) {
		return nil, fmt.Errorf("%s: %d baud: want one of %v", cfg.Port, cfg.Baud, Bauds())
	}
	var seen [256]bool
	for _, d := range cfg.Domes {
		if seen[d.Address] || len(d.Stop) == 0 {
			return nil, fmt.Errorf("%s: dome %d: want each once, and with a stop", cfg.Port, d.Address)
		}
		seen[d.Address] = true
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Line{cfg: cfg, wake: make(chan struct{}, 1), schedule: newSchedule(cfg.Baud, cfg.Domes), state: State{Problem: "not opened yet"}}, nil
}

// Send queues an order. It does not wait: nil says that the frame will be sent if the
// port lasts, or that a later order for the same dome takes its place. A Stop always has
// room; it goes before everything that waits, unless its dome stands by what it was told
// last, and what would move its dome is dropped.
// The error is [ErrDown] while the port is not open, [ErrFull], [ErrUnknown] or
// [ErrEndless].
func (l *Line) Send(o Order) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := fmt.Errorf("%w: %s", ErrDown, l.state.Problem)
	if l.state.Open {
		err = l.schedule.add(time.Now(), o)
	}
	if err != nil {
		l.state.Refused++
		return err
	}
	select {
	case l.wake <- struct{}{}:
	default: // it will look
	}
	return nil
}

// State returns how the line is now.
func (l *Line) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state
	s.Moving, s.Queued = l.schedule.moving(), len(l.schedule.queue)
	return s
}

// Run keeps the port open, and tries again for ever if it cannot be opened or vanishes.
// Whenever it was opened every dome is stopped first: whoever told it to move last may
// have been killed. When ctx ends what moves is stopped, and Run returns nil.
func (l *Line) Run(ctx context.Context) error {
	pause := retryLeast
	for ctx.Err() == nil {
		began := time.Now()
		err := l.use(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) >= retryMost {
			pause = retryLeast
		}
		l.lost(err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, retryMost)
	}
	l.lost(errEnded, 0)
	return nil
}

var errEnded = errors.New("ended")

// use opens the port and serves it until it fails or ctx ends.
func (l *Line) use(ctx context.Context) error {
	p, warning, err := openPort(l.cfg)
	if err != nil {
		return err
	}
	defer p.close()
	l.opened(warning)
	if err := l.serve(ctx, p); err != nil {
		p.discard()
		return err
	}
	return nil
}

// serve sends what is due until the port fails or, ctx having ended, every dome that
// moved was stopped.
func (l *Line) serve(ctx context.Context, p *port) error {
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	ended, late := ctx.Done(), (<-chan time.Time)(nil)
	for {
		frame, wait, idle := l.next()
		if frame != nil {
			if err := p.write(frame); err != nil {
				return err
			}
			continue
		}
		if idle && late != nil {
			return nil
		}
		due := time.NewTimer(wait)
		var err error
		select {
		case <-due.C:
		case <-l.wake:
		case <-check.C:
			err = p.check()
		case <-late:
			err = errEnded
		case <-ended:
			ended, late = nil, time.After(finishWorst)
			l.end()
		}
		due.Stop()
		if err != nil {
			return err
		}
	}
}

func (l *Line) next() (frame []byte, wait time.Duration, idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	frame, wait, idle = l.schedule.next(time.Now())
	if frame != nil {
		l.state.Sent++
	}
	return frame, wait, idle
}

// opened begins a new life of the port.
func (l *Line) opened(warning string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.schedule.open(now)
	l.state.Open, l.state.Since, l.state.Problem = true, now, warning
	l.cfg.Log.Info("serial line opened", "port", l.cfg.Port, "baud", l.cfg.Baud)
	if warning != "" {
		l.cfg.Log.Warn("serial line not as configured", "port", l.cfg.Port, "err", warning)
	}
}

// end takes no more orders, and stops what moves.
func (l *Line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Open, l.state.Since, l.state.Problem = false, time.Now(), errEnded.Error()
	l.schedule.end()
}

// lost notes that there is no port, and why. What is no news is not logged.
func (l *Line) lost(err error, again time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.schedule.close()
	if !errors.Is(err, errEnded) && (l.state.Open || l.state.Problem != err.Error()) {
		l.cfg.Log.Warn("serial line lost", "port", l.cfg.Port, "err", err, "again", again)
	}
	if l.state.Open {
		l.state.Open, l.state.Since = false, time.Now()
	}
	l.state.Problem = err.Error()
}
