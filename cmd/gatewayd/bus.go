package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/hal/pelco"
	"districtgateway/hal/serial"
)

// buses are the RS-485 lines, and the domes on them.
type buses struct {
	log   *slog.Logger
	lines []busLine
	domes map[domeKey]*dome
}

type busLine struct {
	name, port string
	domes      int
	line       *serial.Line
}

// A domeKey names a dome: no bus has two with one address.
type domeKey struct {
	bus     string
	address int
}

// protocols are the words of [config.Dome].Protocol.
var protocols = map[string]pelco.Protocol{"pelco-d": pelco.D, "pelco-p": pelco.P}

// newBuses makes the lines of a configuration that was checked. Nothing is opened
// before Run.
func newBuses(file config.File, log *slog.Logger) (*buses, error) {
	b := &buses{log: log, domes: map[domeKey]*dome{}}
	for _, bus := range file.Buses {
		cfg := serial.Config{Port: bus.Port, Baud: bus.Baud, RS485: bus.RS485, Log: log.With("bus", bus.Name)}
		var here []*dome
		for _, e := range file.Encoders {
			if e.Dome == nil || e.Dome.Bus != bus.Name {
				continue
			}
			d := &dome{bus: bus.Name, protocol: protocols[e.Dome.Protocol], address: uint8(e.Dome.Address)}
			stop, err := d.frame(pelco.Motion{})
			if err != nil {
				return nil, fmt.Errorf("dome %d of bus %s: %w", e.Dome.Address, bus.Name, err)
			}
			cfg.Domes = append(cfg.Domes, serial.Dome{Address: d.address, Stop: stop})
			here = append(here, d)
			b.domes[domeKey{bus.Name, e.Dome.Address}] = d
		}
		line, err := serial.New(cfg)
		if err != nil {
			return nil, fmt.Errorf("bus %s: %w", bus.Name, err)
		}
		for _, d := range here {
			d.line = line
		}
		b.lines = append(b.lines, busLine{bus.Name, bus.Port, len(here), line})
	}
	return b, nil
}

// Run keeps the lines open until ctx ends; then it stops what moves.
func (b *buses) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, l := range b.lines {
		wg.Go(func() { supervise(ctx, b.log.With("bus", l.name), l.line.Run) })
	}
	<-ctx.Done()
	return nil
}

// dome returns the way to a dome; false if the encoder has none (of is then nil, too).
func (b *buses) dome(of *config.Dome) (*dome, bool) {
	if of == nil {
		return nil, false
	}
	d, known := b.domes[domeKey{of.Bus, of.Address}]
	return d, known
}

// list tells how each bus is.
func (b *buses) list() []api.Bus {
	all := make([]api.Bus, 0, len(b.lines))
	for _, l := range b.lines {
		s := l.line.State()
		all = append(all, api.Bus{Name: l.name, Port: l.port, Open: s.Open, Since: s.Since, Problem: s.Problem,
			Domes: l.domes, Moving: s.Moving, Sent: s.Sent, Refused: s.Refused})
	}
	return all
}

// A dome is a camera that is moved over a bus.
type dome struct {
	bus      string
	protocol pelco.Protocol
	address  uint8
	line     *serial.Line

	mu    sync.Mutex
	doing doing
}

// doing is what a dome was told last. A frame has all its movements at once, commands
// move pan, tilt and zoom, or focus and iris; so what the other kind still does has to
// be said again.
type doing struct {
	move, lens motion
	ends       time.Time // when the line stops them both
	tour       bool      // a preset, a cruise or a scan, which the dome does by itself
}

// A motion is one kind of movement.
type motion struct {
	command domain.PTZ
	until   time.Time // when it ends, if it is not renewed
}

// move obeys a command by handing frames to the line; a movement ends after most if it
// is not renewed. It does not wait until they were sent. The error is domain.ErrUnable
// for what the protocol has no frame for, domain.ErrOffline while the port is not open,
// and domain.ErrBusy, each with words.
func (d *dome) move(_ context.Context, p domain.PTZ, most time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, order, err := d.plan(time.Now(), p, most)
	if err != nil {
		return fmt.Errorf("%w: %s by %s: %w", domain.ErrUnable, p, d.protocol, err)
	}
	if order == nil {
		return nil
	}
	err = d.line.Send(*order)
	switch {
	case err == nil:
		d.doing = next
	case errors.Is(err, serial.ErrDown):
		d.doing = doing{} // it is stopped before anything else once the port is open
		return fmt.Errorf("%w: bus %s: %w", domain.ErrOffline, d.bus, err)
	case errors.Is(err, serial.ErrFull):
		return fmt.Errorf("%w: bus %s: %w", domain.ErrBusy, d.bus, err)
	default:
		return fmt.Errorf("bus %s: %w", d.bus, err)
	}
	return nil
}

// plan says what is to be sent for a command, and what the dome does then. Without an
// order there is nothing to send.
func (d *dome) plan(now time.Time, p domain.PTZ, most time.Duration) (next doing, order *serial.Order, err error) {
	if next = d.doing; !now.Before(next.ends) {
		next.move, next.lens = motion{}, motion{}
	}
	switch {
	case p.Action == domain.PTZMove && p.Stops():
		return doing{}, &serial.Order{Address: d.address, Kind: serial.Stop}, nil
	case p.Action == domain.PTZMove:
		next.move = motion{p, now.Add(most)}
	case p.Action == domain.PTZLens && p.Stops() && next.tour:
		return next, nil, nil // the lens stands still, and a frame would end the tour
	case p.Action == domain.PTZLens:
		next.lens = motion{}
		if p.Moves() {
			next.lens = motion{p, now.Add(most)}
		}
	default:
		return d.planOnce(p)
	}
	return d.planMotion(now, next)
}

// planMotion makes one frame of all that moves. It ends with the first of it that is not
// renewed: nothing moves for longer than it was to.
func (d *dome) planMotion(now time.Time, next doing) (doing, *serial.Order, error) {
	next.tour, next.ends = false, time.Time{}
	var m pelco.Motion
	for _, one := range []motion{next.move, next.lens} {
		if !now.Before(one.until) {
			continue
		}
		one.join(&m)
		if next.ends.IsZero() || one.until.Before(next.ends) {
			next.ends = one.until
		}
	}
	if next.ends.IsZero() {
		return doing{}, &serial.Order{Address: d.address, Kind: serial.Stop}, nil
	}
	frame, err := d.frame(m)
	return next, &serial.Order{Address: d.address, Kind: serial.Move, Frame: frame, For: next.ends.Sub(now)}, err
}

// join adds what it moves to a frame.
func (a motion) join(m *pelco.Motion) {
	if c := a.command; c.Action == domain.PTZMove {
		m.Pan, m.PanSpeed = pelco.Dir(c.Pan.Dir), pelcoSpeed(c.Pan)
		m.Tilt, m.TiltSpeed = pelco.Dir(c.Tilt.Dir), pelcoSpeed(c.Tilt)
		m.Zoom = pelco.Dir(c.Zoom.Dir)
	} else {
		m.Focus, m.Iris = pelco.Dir(c.Focus.Dir), pelco.Dir(c.Iris.Dir)
	}
}

// pelcoSpeed turns a speed of 0 to 255 into one of Pelco. Whoever names a direction wants to
// move, however slowly.
func pelcoSpeed(a domain.Axis) uint8 {
	if a.Dir == domain.Still {
		return 0
	}
	return max(1, a.Speed/((255+1)/(pelco.MaxSpeed+1)))
}

// planOnce makes the frame of a command that is no movement of ours.
func (d *dome) planOnce(p domain.PTZ) (next doing, order *serial.Order, err error) {
	command, tour, err := commandOf(p)
	if err != nil {
		return doing{}, nil, err
	}
	frame, err := d.frame(command)
	if err != nil {
		return doing{}, nil, err
	}
	if tour {
		return doing{tour: true}, &serial.Order{Address: d.address, Kind: serial.Go, Frame: frame}, nil
	}
	return d.doing, &serial.Order{Address: d.address, Kind: serial.Once, Frame: frame}, nil
}

// oneScan is the highest number of a scan: domes have one, which people call 0 or 1.
const oneScan = 1

// commandOf turns a command that is no movement of ours into one of Pelco; tour says
// that the dome moves by itself because of it.
func commandOf(p domain.PTZ) (command pelco.Command, tour bool, err error) {
	switch p.Action {
	case domain.PresetSet:
		return pelco.Action{Op: pelco.PresetSet, Number: p.Number}, false, nil
	case domain.PresetCall:
		return pelco.Action{Op: pelco.PresetCall, Number: p.Number}, true, nil
	case domain.PresetDelete:
		return pelco.Action{Op: pelco.PresetClear, Number: p.Number}, false, nil
	case domain.AuxOn:
		return pelco.Action{Op: pelco.AuxOn, Number: p.Number}, false, nil
	case domain.AuxOff:
		return pelco.Action{Op: pelco.AuxOff, Number: p.Number}, false, nil
	case domain.CruiseStart:
		return pelco.Action{Op: pelco.PatternRun, Number: p.Number}, true, nil
	case domain.ScanStart:
		if p.Number > oneScan {
			return nil, false, errors.New("a dome has one scan")
		}
		return pelco.Motion{Scan: pelco.On}, true, nil
	case domain.CruiseAdd, domain.CruiseDelete, domain.CruiseSpeed, domain.CruiseDwell:
		return nil, false, errors.New("cruises are recorded at the dome, as patterns")
	}
	return nil, false, pelco.ErrLacks
}

// frame returns the bytes of a command.
func (d *dome) frame(c pelco.Command) ([]byte, error) {
	return d.protocol.Append(nil, pelco.Frame{Address: d.address, Command: c})
}
