package main

import (
	"context"
	"errors"
	"io"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/counter"
	"districtgateway/cmd/internal/footage"
	"districtgateway/media"
)

// watch asks a level for a channel's live picture and hands on each sample of
// video with the instant its last byte was there, until each wants no more.
func (l *level) watch(ctx context.Context, channel string, each func(footage.Sample, time.Time) (more bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := l.client.Live(ctx, api.LiveRequest{Channel: channel}, out)
		out.CloseWithError(err) // nil is the end of the file
		ended <- err
	}()
	err := readVideo(in, each)
	cancel()
	in.Close()
	if live := <-ended; live != nil && !errors.Is(live, io.ErrClosedPipe) {
		return live
	}
	return err
}

func readVideo(in io.Reader, each func(footage.Sample, time.Time) (bool, error)) error {
	reader := footage.NewReader(in)
	for {
		s, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("the picture ended early")
		}
		if err != nil {
			return err
		}
		if !s.Track.Codec.Video() {
			continue
		}
		more, err := each(s, time.Now())
		if err != nil || !more {
			return err
		}
	}
}

// A sight is one first picture.
type sight struct {
	took time.Duration // from the request until the picture was there whole
	age  time.Duration // of the picture, at the request: where in the group of pictures that was
}

// first asks for a channel's live picture and ends with the first sample that a
// decoder can begin with.
func (l *level) first(ctx context.Context, channel string) (s sight, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	began := time.Now()
	err = l.watch(ctx, channel, func(p footage.Sample, now time.Time) (bool, error) {
		if !p.Decodable() {
			return true, nil
		}
		s.took = now.Sub(began)
		sent, err := sentAt(p)
		s.age = began.Sub(sent)
		return false, err
	})
	return s, err
}

// sentAt reads when the simulated encoder sent a picture.
func sentAt(p footage.Sample) (time.Time, error) {
	units, err := p.NALs()
	if err != nil {
		return time.Time{}, err
	}
	for _, u := range units {
		if _, at, ok := counter.Parse(u, p.Track.Codec == media.H265); ok {
			return at, nil
		}
	}
	return time.Time{}, errors.New("picture without the simulated encoder's mark")
}

// A view is what a channel looked like for a while.
type view struct {
	tally footage.Tally
	live  time.Duration // until the delay was below half a second for good
	delay time.Duration // of the last picture
}

// look counts a channel's pictures for a while, at most until ctx ends.
func (l *level) look(ctx context.Context, channel string, length time.Duration) (v view, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, length+15*time.Second)
	defer cancel()
	err = l.watch(ctx, channel, func(p footage.Sample, now time.Time) (bool, error) {
		if err := v.tally.Add(p, now); err != nil {
			return false, err
		}
		if v.delay = v.tally.Delay; v.delay > 500*time.Millisecond {
			v.live = now.Sub(began)
		}
		return now.Sub(began) < length, nil
	})
	return v, err
}

// sessions counts a level's sessions.
func (l *level) sessions(ctx context.Context) (int, error) {
	var list []api.Session
	err := l.client.Get(ctx, api.PathSessions, nil, &list)
	return len(list), err
}

// quiet waits until no level has a session.
func (r *rig) quiet(ctx context.Context) error {
	return poll(ctx, patience{5 * time.Millisecond, 15 * time.Second, "no session open"}, func() (bool, error) {
		for _, l := range r.levels {
			if n, err := l.sessions(ctx); n > 0 || err != nil {
				return false, errors.Join(err, l.check())
			}
		}
		return true, nil
	})
}
