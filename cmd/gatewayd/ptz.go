package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
)

// Times of what moves a camera.
const (
	repeatPTZ  = 500 * time.Millisecond // what moves is asked for again, and ends 1.5 s after it was not
	ptzWithin  = 25 * time.Second       // for an answer, from whichever level
	haltWithin = 2 * time.Second        // the same, where nobody waits for it any more
)

// ptz has a camera do something, and answers when it has. A movement is asked for again
// and again until its time is over or the caller has gone; then it is stopped.
func (c *control) ptz(r *http.Request) (api.PTZDone, error) {
	code, err := channelOf(r)
	var in api.PTZ
	if err := errors.Join(err, decodeBody(r, maxPTZBody, &in)); err != nil {
		return api.PTZDone{}, err
	}
	o, err := orderOf(&in)
	if err != nil {
		return api.PTZDone{}, badRequest{err}
	}
	o.asked.Channel = code
	if o.length > 0 {
		err = newMovement(c.users, o).run(r.Context())
	} else {
		ctx, cancel := context.WithTimeout(r.Context(), ptzWithin)
		defer cancel()
		err = c.users.order(ctx, o.asked)
	}
	return api.PTZDone{Channel: string(code), PTZ: in}, err
}

// order asks for one command and waits until it was obeyed.
func (u *users) order(ctx context.Context, asked domain.PTZAsked) error {
	v, _, err := u.ask(ctx, ticketed(asked))
	u.leave(v)
	return inTime(err)
}

// ticketed makes the event of one ticket.
func ticketed(asked domain.PTZAsked) func(domain.Ticket) domain.Event {
	return func(t domain.Ticket) domain.Event {
		asked.Ticket = t
		return asked
	}
}

// inTime words the end of a wait as the domain does.
func inTime(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return domain.ErrTimeout
	}
	return err
}

// A movement is an order that moves a camera until it is stopped.
type movement struct {
	order
	users   *users
	waits   sync.WaitGroup
	answers chan error // of each time it was asked for; has room for all
}

func newMovement(u *users, o order) *movement {
	return &movement{order: o, users: u, answers: make(chan error, o.length/repeatPTZ+1)}
}

// run moves the camera until the time is over or ctx ends, and returns when it stands.
// What was refused is not stopped: the camera may be somebody else's by now, and what
// had begun ends by itself.
func (m *movement) run(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	asking, end := context.WithCancel(context.WithoutCancel(ctx))
	defer m.waits.Wait()
	defer end()
	obeyed, err := m.goOn(ctx, asking)
	if err != nil {
		return err
	}
	within := ptzWithin
	if ctx.Err() != nil {
		within = haltWithin
	}
	halting, cancel := context.WithTimeout(asking, within)
	defer cancel()
	if err := m.users.order(halting, m.halt()); err != nil || obeyed {
		return err
	}
	select { // it stands, but has it moved?
	case err := <-m.answers:
		return err
	case <-halting.Done():
		return domain.ErrTimeout
	}
}

// halt is the command that ends what m moves, and no more than that: who only focuses
// does not end a cruise.
func (m *movement) halt() domain.PTZAsked {
	stop := m.asked
	stop.Hold, stop.Command = 0, domain.PTZ{}
	if m.asked.Command.Action == domain.PTZLens {
		stop.Command.Action = domain.PTZLens
	}
	return stop
}

// goOn asks for the movement until its time is over, ctx has ended or it is refused,
// and reports whether it was obeyed. It does not wait for an answer before it asks
// again: the way may be long, and the camera would stand meanwhile.
func (m *movement) goOn(ctx, asking context.Context) (obeyed bool, err error) {
	began, over := time.Now(), time.NewTimer(m.length)
	defer over.Stop()
	again := time.NewTicker(repeatPTZ)
	defer again.Stop()
	m.ask(asking)
	for {
		select {
		case err := <-m.answers:
			if err != nil {
				return obeyed, err
			}
			obeyed = true
		case <-again.C:
			if ctx.Err() == nil && time.Since(began) < m.length {
				m.ask(asking)
			}
		case <-over.C:
			return obeyed, nil
		case <-ctx.Done():
			return obeyed, nil
		}
	}
}

// ask asks for the movement once. It has been asked for when this returns, so that the
// stop comes after it.
func (m *movement) ask(ctx context.Context) {
	v, err := m.users.begin(ticketed(m.asked))
	m.waits.Go(func() {
		if err == nil {
			_, err = v.await(ctx)
		}
		m.users.leave(v)
		m.answers <- err
	})
}
