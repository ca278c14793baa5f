package main

import (
	"context"
	"sync"

	"districtgateway/domain"
)

// users joins the requests of local users to the domain's answers. It is the
// [domain.Users] of the daemon.
type users struct {
	post func(domain.Event) bool

	mu      sync.Mutex
	last    domain.Ticket
	waiting map[domain.Ticket]*visit
}

// A visit is one request of a local user. Both channels hold one value.
type visit struct {
	ticket domain.Ticket
	answer chan domain.Effect // Opened, Denied, RecordsFound or Done
	ended  chan error
}

func newUsers(post func(domain.Event) bool) *users {
	return &users{post: post, waiting: map[domain.Ticket]*visit{}}
}

// Tell hands an answer to whoever waits for it; see [domain.Users].
func (u *users) Tell(e domain.Effect) {
	switch e := e.(type) {
	case domain.Opened:
		u.answer(e.Ticket, e)
	case domain.Denied:
		u.answer(e.Ticket, e)
	case domain.RecordsFound:
		u.answer(e.Ticket, e)
	case domain.Done:
		u.answer(e.Ticket, e)
	case domain.Ended:
		if v := u.visit(e.Ticket); v != nil {
			select {
			case v.ended <- e.Err:
			default:
			}
		}
	}
}

func (u *users) visit(t domain.Ticket) *visit {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.waiting[t]
}

func (u *users) answer(t domain.Ticket, e domain.Effect) {
	if v := u.visit(t); v != nil {
		select {
		case v.answer <- e:
		default:
		}
	}
}

// ask posts the request that request makes for a ticket and waits for its answer.
// The visit must be left in any case.
func (u *users) ask(ctx context.Context, request func(domain.Ticket) domain.Event) (*visit, domain.Effect, error) {
	v, err := u.begin(request)
	if err != nil {
		return v, nil, err
	}
	e, err := v.await(ctx)
	return v, e, err
}

// begin is ask that does not wait: the request has been posted when it returns.
func (u *users) begin(request func(domain.Ticket) domain.Event) (*visit, error) {
	u.mu.Lock()
	u.last++
	v := &visit{ticket: u.last, answer: make(chan domain.Effect, 1), ended: make(chan error, 1)}
	u.waiting[v.ticket] = v
	u.mu.Unlock()
	if !u.post(request(v.ticket)) {
		return v, domain.ErrBusy
	}
	return v, nil
}

// await returns the answer to a visit's request.
func (v *visit) await(ctx context.Context) (domain.Effect, error) {
	select {
	case e := <-v.answer:
		if d, denied := e.(domain.Denied); denied {
			return nil, d.Err
		}
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// leave ends a visit; watching ends with it.
func (u *users) leave(v *visit) {
	u.mu.Lock()
	delete(u.waiting, v.ticket)
	u.mu.Unlock()
	u.post(domain.WatchOut{Ticket: v.ticket})
}
