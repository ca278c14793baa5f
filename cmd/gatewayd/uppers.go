package main

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/domain/boltstore"
	"districtgateway/domain/sip"
)

// registrations is how long two registrations may take, one after the other, that
// are not answered: a request to leave may have to wait for both.
const registrations = 150 * time.Second

// leave leaves an upper for good, and answers when that is done or given up.
func (c *control) leave(r *http.Request) (api.Peer, error) {
	patience, err := durationOf(r, "for")
	if err != nil {
		return api.Peer{}, err
	}
	return c.steer(r, patience+registrations, func(t domain.Ticket, upper domain.Code) domain.Event {
		return domain.LeaveAsked{Ticket: t, Peer: upper, Force: r.FormValue("force") == "1", For: patience}
	})
}

// join registers with an upper, whether it was left or not.
func (c *control) join(r *http.Request) (api.Peer, error) {
	return c.steer(r, registrations, func(t domain.Ticket, upper domain.Code) domain.Event {
		return domain.JoinAsked{Ticket: t, Peer: upper}
	})
}

// steer asks the domain for something about an upper, and answers with its link once
// what came of it is durable.
func (c *control) steer(r *http.Request, most time.Duration, event func(domain.Ticket, domain.Code) domain.Event) (p api.Peer, err error) {
	code, err := domain.ParseCode(r.PathValue("peer"))
	if err != nil {
		return p, badRequest{err}
	}
	ctx, cancel := context.WithTimeout(r.Context(), most)
	defer cancel()
	v, _, err := c.users.ask(ctx, func(t domain.Ticket) domain.Event { return event(t, code) })
	defer c.users.leave(v)
	if err != nil {
		return p, err
	}
	if err := c.store.Flush(); err != nil {
		return p, err
	}
	err = c.view(r.Context(), func(core *domain.Processor) {
		for _, l := range core.Links() {
			if l.Peer == code && l.Role == domain.Upper {
				p = peerOf(l)
			}
		}
	})
	return p, err
}

// loginAt returns who we are to each upper of the file.
func loginAt(f config.File) func(domain.Code) boltstore.Login {
	return func(upper domain.Code) boltstore.Login {
		i := slices.IndexFunc(f.Uppers, func(u config.Upper) bool { return domain.Code(u.ID) == upper })
		if i < 0 {
			return boltstore.Login{}
		}
		u := f.Uppers[i]
		return boltstore.Login{User: cmp.Or(u.User, f.Server.ID), Password: u.Password}
	}
}

// formerUppers returns how to reach the uppers that were left and have no table any
// more, by what their tombstones keep. Of the others the file says it, and the
// tombstones are brought in line with it. A tombstone that makes no sense is put out
// of state: the box must start.
func (g *gateway) formerUppers(state *domain.State) ([]sip.Peer, error) {
	logins, err := g.store.Logins()
	if err != nil {
		return nil, err
	}
	var former []sip.Peer
	state.Tombstones = slices.DeleteFunc(state.Tombstones, func(t domain.Tombstone) bool {
		kept := logins[t.Peer]
		if slices.ContainsFunc(g.file.Uppers, func(u config.Upper) bool { return domain.Code(u.ID) == t.Peer }) {
			if loginAt(g.file)(t.Peer) != kept {
				g.store.Save(domain.SaveTombstone{Tombstone: t})
			}
			return false
		}
		if !sound(t) || string(t.Peer) == g.file.Server.ID {
			g.log.Error("tombstone makes no sense, left out", "peer", string(t.Peer))
			return true
		}
		former = append(former, sip.Peer{Code: t.Peer, Role: domain.Upper, Address: t.Address, Transport: t.Transport,
			User: kept.User, Password: kept.Password})
		return false
	})
	return former, nil
}

// sound reports whether a tombstone can be what we wrote.
func sound(t domain.Tombstone) bool {
	_, err := domain.ParseCode(string(t.Peer))
	_, _, at := net.SplitHostPort(t.Address)
	return err == nil && at == nil && (t.Transport == "" || t.Transport == "udp" || t.Transport == "tcp")
}
