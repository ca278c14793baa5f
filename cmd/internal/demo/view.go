package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/footage"
)

// errEnough ends a view that has seen what it wanted.
var errEnough = errors.New("enough")

// view reads footage that fetch writes, sample by sample as it comes. It ends
// with the footage, or when visit returns an error; errEnough is none.
func view(ctx context.Context, fetch func(context.Context, io.Writer) error, visit func(footage.Sample) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	fetched := make(chan error, 1)
	go func() {
		err := fetch(ctx, w)
		w.CloseWithError(err) // nil: the reader sees io.EOF
		fetched <- err
	}()
	err := samples(r, visit)
	cancel()
	r.CloseWithError(err)
	fetchErr := <-fetched
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return err
	}
	return fetchErr
}

// samples calls visit for each sample of r.
func samples(r io.Reader, visit func(footage.Sample) error) error {
	in := footage.NewReader(r)
	for {
		s, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = visit(s)
		}
		if err != nil {
			return err
		}
	}
}

// live returns a fetch of a channel's live picture at a level; length 0: endless.
func (l *level) live(channel string, length time.Duration) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		return l.client.Live(ctx, api.LiveRequest{Channel: channel, For: length}, w)
	}
}

// firstPicture measures the time from asking for a channel's live picture to
// the last byte of the first picture that a decoder can start with.
func (l *level) firstPicture(ctx context.Context, channel string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	began, took := time.Now(), time.Duration(0)
	err := view(ctx, l.live(channel, 0), func(s footage.Sample) error {
		if !s.Decodable() {
			return nil
		}
		took = time.Since(began)
		return errEnough
	})
	if err == nil && took == 0 {
		err = errors.New("no picture came")
	}
	return took, err
}

// count tallies the pictures of footage.
func count(ctx context.Context, fetch func(context.Context, io.Writer) error) (*footage.Tally, error) {
	t := &footage.Tally{}
	err := view(ctx, fetch, func(s footage.Sample) error { return tally(t, s) })
	if err == nil && !t.Whole() {
		err = errors.New(t.String())
	}
	return t, err
}

func tally(t *footage.Tally, s footage.Sample) error {
	if !s.Track.Codec.Video() {
		return nil
	}
	return t.Add(s, time.Now())
}

// get reads an answer of a level's control interface.
func get[T any](ctx context.Context, l *level, path string) (v T, err error) {
	err = l.client.Get(ctx, path, nil, &v)
	if err != nil {
		err = fmt.Errorf("%s: %w", l.english, err)
	}
	return v, err
}

// sessions lists the sessions of a level that concern a channel; "" means all.
func (l *level) sessions(ctx context.Context, channel string) ([]api.Session, error) {
	all, err := get[[]api.Session](ctx, l, api.PathSessions)
	var of []api.Session
	for _, s := range all {
		if channel == "" || s.Channel == channel {
			of = append(of, s)
		}
	}
	return of, err
}
