package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/rtsp"
	"districtgateway/media/webrtc"
)

// viewers opens streams for players that watch by RTSP and for browsers: each is a
// local user of the domain, whoever the channel belongs to.
type viewers struct {
	users *users
	words words
	lease lease // of the memory that each takes beside the stream
	open  func(ctx context.Context, e domain.Opened, speed int) (s *media.Stream, release func(), err error)
}

// A lease is bytes of a budget that each viewer takes.
type lease struct {
	budget *media.Budget
	bytes  int
}

func (l lease) take() error { return l.budget.Take(l.bytes, media.ForViewing) }
func (l lease) give()       { l.budget.Give(l.bytes, media.ForViewing) }

// words are what a server of streams calls the domain's refusals.
type words struct{ notFound, forbidden error }

// stream asks the domain for the stream of a path; see [rtsp.ServerConfig] and
// [webrtc.ServerConfig].
func (vs *viewers) stream(ctx context.Context, _, path string) (*media.Stream, func(), error) {
	in, err := watchOf(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", vs.words.notFound, err)
	}
	if err := vs.lease.take(); err != nil {
		return nil, nil, err
	}
	v, e, err := vs.users.ask(ctx, func(t domain.Ticket) domain.Event {
		in.Ticket = t
		return in
	})
	var s *media.Stream
	release := func() {}
	if err == nil {
		s, release, err = vs.open(ctx, e.(domain.Opened), 0)
	}
	if err != nil {
		vs.users.leave(v)
		vs.lease.give()
		return nil, nil, vs.words.of(err)
	}
	return s, sync.OnceFunc(func() {
		release()
		vs.users.leave(v)
		vs.lease.give()
	}), nil
}

// watchOf reads a path: CHANNEL is the main stream of a channel, CHANNEL/sub its sub
// stream.
func watchOf(path string) (domain.WatchIn, error) {
	channel, profile, named := strings.Cut(path, "/")
	code, err := domain.ParseCode(channel)
	if err != nil {
		return domain.WatchIn{}, err
	}
	in := domain.WatchIn{Channel: code, Kind: domain.Live}
	if named {
		if profile != profileNames[1] {
			return domain.WatchIn{}, fmt.Errorf("%.32q: want %s, or nothing", profile, profileNames[1])
		}
		in.Profile = 1
	}
	return in, nil
}

// of says a refusal of the domain.
func (w words) of(err error) error {
	r := &domain.Refused{}
	errors.As(err, &r)
	switch {
	case errors.Is(err, domain.ErrNoChannel), r.Status == http.StatusNotFound: // SIP's number is the same
		return fmt.Errorf("%w: %w", w.notFound, err)
	case errors.Is(err, domain.ErrDenied), r.Status == http.StatusForbidden:
		return fmt.Errorf("%w: %w", w.forbidden, err)
	}
	return err
}

// wireViewers makes the servers of streams that there are to be.
func (g *gateway) wireViewers() error {
	g.rtsp = &front{of: api.Server{Kind: api.ServerRTSP, Listen: g.file.RTSP.Listen}, accounts: g.accounts, log: part(g.log, "rtsp")}
	g.webrtc = &front{of: api.Server{Kind: api.ServerWeb, Listen: g.file.WebRTC.Listen, Media: g.file.WebRTC.Media}, accounts: g.accounts,
		log: part(g.log, "webrtc")}
	g.control.fronts = []*front{g.rtsp, g.webrtc}
	guesses := new(digest.Strikes) // whoever guesses at one of them is not listened to by the other
	return errors.Join(g.wireRTSP(guesses), g.wireWebRTC(guesses))
}

// wireRTSP makes the server for players.
func (g *gateway) wireRTSP(guesses *digest.Strikes) error {
	if g.file.RTSP.Listen == "" {
		return nil
	}
	vs := &viewers{users: g.users, words: words{rtsp.ErrNotFound, rtsp.ErrForbidden}, open: g.control.opened}
	s, err := rtsp.NewServer(rtsp.ServerConfig{
		Listen: g.file.RTSP.Listen, Streams: vs.stream, Users: players{g.accounts}, Realm: account.Realm, Strikes: guesses,
		Ports: [2]uint16{g.file.RTSP.Ports.First, g.file.RTSP.Ports.Last}, Log: g.rtsp.log,
	})
	if err == nil {
		g.rtsp.server = rtspServer{s}
	}
	return err
}

// wireWebRTC makes the server for browsers.
func (g *gateway) wireWebRTC(guesses *digest.Strikes) error {
	c := g.file.WebRTC
	if c.Listen == "" {
		return nil
	}
	vs := &viewers{users: g.users, words: words{webrtc.ErrNotFound, webrtc.ErrForbidden},
		lease: lease{g.memory.budget, webrtc.SessionBytes}, open: g.control.opened}
	s, err := webrtc.NewServer(webrtc.ServerConfig{
		Listen: c.Listen, Media: c.Media, Addresses: c.Extra(), Streams: vs.stream, Users: players{g.accounts}, Realm: account.Realm, Strikes: guesses,
		Limit: c.Viewers, Log: g.webrtc.log, Channels: g.control.watchable, Cameras: &wheel{g.users, g.accounts, g.control.item},
	})
	if err == nil {
		g.webrtc.server = webrtcServer{s}
	}
	return err
}

// players are the accounts, in the words of both servers: whatever their role,
// they may watch.
type players struct{ *account.Book }

// HA1 is that of [rtsp.Users] and [webrtc.Users].
func (p players) HA1(user, algorithm string) (string, bool) {
	ha1, ok := p.Book.HA1(user, algorithm)
	return string(ha1), ok
}
