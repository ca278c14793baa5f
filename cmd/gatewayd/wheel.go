package main

import (
	"context"
	"fmt"

	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media/webrtc"
)

// Ranks of accounts among the users of this level: an admin takes a camera over from
// an operator. By gatewayctl it is whatever is said there, and 0 without a word.
const (
	operatorRank = 0
	adminRank    = 10
)

// A wheel has those who watch with a browser move cameras. It is the [webrtc.Cameras]
// of the daemon.
type wheel struct {
	users    *users
	accounts *account.Book
	item     func(context.Context, domain.Code) (domain.Item, error) // of the catalogue
}

// May reports why a user may not move a camera; see [webrtc.Cameras]. Of a camera of
// which nobody says that it moves it is not known, either.
func (w *wheel) May(ctx context.Context, user, channel string) error {
	code, err := domain.ParseCode(channel)
	if err != nil {
		return refusal(fmt.Errorf("%w: %w", domain.ErrNoChannel, err))
	}
	if _, err := w.rank(user); err != nil {
		return refusal(err)
	}
	it, err := w.item(ctx, code)
	switch {
	case err != nil:
	case it.PTZ == domain.PTZFixed:
		err = fmt.Errorf("%w: it is fixed", domain.ErrUnable)
	case it.PTZ == domain.PTZNotStated:
		err = fmt.Errorf("%w, as far as is known: it does not say that it moves", domain.ErrUnable)
	}
	return refusal(err)
}

// Move has a camera obey; see [webrtc.Cameras].
func (w *wheel) Move(ctx context.Context, m webrtc.Move) error {
	code, err := domain.ParseCode(m.Channel)
	if err != nil {
		return refusal(fmt.Errorf("%w: %w", domain.ErrNoChannel, err))
	}
	rank, err := w.rank(m.User)
	if err != nil {
		return refusal(err)
	}
	o, err := orderOf(&api.PTZ{Action: m.Action, Pan: m.Pan, Tilt: m.Tilt, Zoom: m.Zoom, Focus: m.Focus, Iris: m.Iris, Number: m.Number,
		User: m.User, Rank: rank})
	if err != nil {
		return refusal(badRequest{err})
	}
	o.asked.Channel = code
	return refusal(w.users.order(ctx, o.asked))
}

// rank returns the rank of an account that may move cameras.
func (w *wheel) rank(user string) (int, error) {
	switch role, _ := w.accounts.Role(user); role {
	case account.Operator:
		return operatorRank, nil
	case account.Admin:
		return adminRank, nil
	}
	return 0, fmt.Errorf("%w: only operators and admins move cameras", domain.ErrDenied)
}

// refusal words an error for browsers, by the table of the control interface.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	return &webrtc.Refusal{Status: errorOf(err).Status, Reason: err.Error()}
}
