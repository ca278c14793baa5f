package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"districtgateway/cmd/internal/account"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/rtsp"
)

// viewers opens streams for players that watch by RTSP: each is a local user of the
// domain, whoever the channel belongs to.
type viewers struct {
	users *users
	open  func(ctx context.Context, e domain.Opened, speed int) (s *media.Stream, release func(), err error)
}

// stream asks the domain for the stream of a path; see [rtsp.ServerConfig].
func (vs *viewers) stream(ctx context.Context, _, path string) (*media.Stream, func(), error) {
	in, err := watchOf(path)
	if err != nil {
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
		return nil, nil, viewerError(err)
	}
	return s, func() {
		release()
		vs.users.leave(v)
	}, nil
}

// watchOf reads a path: CHANNEL is the main stream of a channel, CHANNEL/sub its sub
// stream.
func watchOf(path string) (domain.WatchIn, error) {
	channel, profile, named := strings.Cut(path, "/")
	code, err := domain.ParseCode(channel)
	if err != nil {
		return domain.WatchIn{}, fmt.Errorf("%w: %w", rtsp.ErrNotFound, err)
	}
	in := domain.WatchIn{Channel: code, Kind: domain.Live}
	if named {
		if profile != profileNames[1] {
			return domain.WatchIn{}, rtsp.ErrNotFound
		}
		in.Profile = 1
	}
	return in, nil
}

// viewerError says a refusal of the domain in the words of the RTSP server.
func viewerError(err error) error {
	r := &domain.Refused{}
	errors.As(err, &r)
	switch {
	case errors.Is(err, domain.ErrNoChannel), r.Status == http.StatusNotFound: // SIP's number is the same
		return fmt.Errorf("%w: %w", rtsp.ErrNotFound, err)
	case errors.Is(err, domain.ErrDenied), r.Status == http.StatusForbidden:
		return fmt.Errorf("%w: %w", rtsp.ErrForbidden, err)
	}
	return err
}

// wireViewers makes the RTSP server, if there is to be one.
func (g *gateway) wireViewers() error {
	if g.file.RTSP.Listen == "" {
		return nil
	}
	vs := &viewers{users: g.users, open: g.control.opened}
	var err error
	g.rtsp, err = rtsp.NewServer(rtsp.ServerConfig{
		Listen: g.file.RTSP.Listen, Streams: vs.stream, Users: players{g.accounts}, Realm: account.Realm,
		Ports: [2]uint16{g.file.RTSP.Ports.First, g.file.RTSP.Ports.Last}, Log: part(g.log, "rtsp"),
	})
	return err
}

// players are the accounts, in the words of the RTSP server: whatever their role,
// they may watch.
type players struct{ *account.Book }

// HA1 is that of [rtsp.Users].
func (p players) HA1(user, algorithm string) (string, bool) {
	ha1, ok := p.Book.HA1(user, algorithm)
	return string(ha1), ok
}

// runViewers runs the RTSP server until ctx ends. A port that is somebody else's is
// tried again: it is no reason to stop recording. It is not opened before there is
// somebody who would be admitted.
func (g *gateway) runViewers(ctx context.Context) error {
	if g.rtsp == nil || !g.somebody(ctx) {
		<-ctx.Done()
		return nil
	}
	supervise(ctx, part(g.log, "rtsp"), g.rtsp.Run)
	return nil
}

// somebody waits for the first account; false: ctx ended before.
func (g *gateway) somebody(ctx context.Context) bool {
	select {
	case <-g.accounts.Some():
		return true
	case <-ctx.Done():
		return false
	}
}
