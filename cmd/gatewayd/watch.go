package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/storage"
)

// watchWithin bounds how long a user waits for a picture to begin.
const watchWithin = 25 * time.Second

// live answers a request for a channel's picture.
func (c *control) live(w http.ResponseWriter, r *http.Request) {
	code, err := channelOf(r)
	length, err2 := durationOf(r, "for")
	profile, err3 := profileOf(r)
	if err := errors.Join(err, err2, err3); err != nil {
		refuse(w, err)
		return
	}
	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if length > 0 {
		ctx, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	c.watch(ctx, w, domain.WatchIn{Channel: code, Kind: domain.Live, Profile: profile}, storage.ExportConfig{Length: length})
}

// profileOf reads which stream of a channel is wanted: the main one without a word.
func profileOf(r *http.Request) (uint8, error) {
	text := r.FormValue("profile")
	if text == "" {
		return 0, nil
	}
	n := slices.Index(profileNames[:], text)
	if n < 0 {
		return 0, badRequest{fmt.Errorf("profile=%q: want %s", text, strings.Join(profileNames[:], " or "))}
	}
	return uint8(n), nil
}

// play answers a request for a channel's recording: as a download, at the speed asked
// for or as fast as the way there carries it.
func (c *control) play(w http.ResponseWriter, r *http.Request) {
	code, err := channelOf(r)
	in, err2 := rangeOf(r)
	speed, err3 := speedOf(r)
	if err := errors.Join(err, err2, err3); err != nil {
		refuse(w, err)
		return
	}
	c.watch(r.Context(), w, domain.WatchIn{Channel: code, Kind: domain.Download, Range: in, Speed: speed}, storage.ExportConfig{FromStart: true})
}

// Multiples of real time that are asked for when a recording is saved: without a word,
// and at most.
const (
	downloadSpeed = 8
	mostSpeed     = 32
)

// speedOf reads the speed of a request.
func speedOf(r *http.Request) (int, error) {
	text := r.FormValue("speed")
	if text == "" {
		return downloadSpeed, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostSpeed {
		return 0, badRequest{fmt.Errorf("speed=%q: want 1 to %d", text, mostSpeed)}
	}
	return n, nil
}

// ctlName names whoever asks by this interface among the consumers of a stream.
const ctlName = "gatewayctl"

// watch asks the domain for a stream and copies it to w as MP4.
func (c *control) watch(ctx context.Context, w http.ResponseWriter, in domain.WatchIn, as storage.ExportConfig) {
	within, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	v, e, err := c.users.ask(within, func(t domain.Ticket) domain.Event {
		in.Ticket = t
		return in
	})
	defer c.users.leave(v)
	if err != nil {
		refuse(w, err)
		return
	}
	s, release, err := c.opened(ctx, e.(domain.Opened), in.Speed)
	if err != nil {
		refuse(w, err)
		return
	}
	defer release()
	as.Name, as.Budget = ctlName, c.memory.budget
	export, err := storage.NewExport(as)
	if err != nil {
		refuse(w, err)
		return
	}
	if err := s.Attach(export); err != nil {
		export.Close(err)
		refuse(w, err)
		return
	}
	defer s.Detach(export)
	w.Header().Set("Content-Type", api.TypeMP4)
	w.Header().Set("Trailer", api.Trailer)
	out := http.NewResponseController(w)
	err = export.Copy(ctx, w, func() { _ = out.Flush() })
	if ctx.Err() == nil {
		err = verdict(v, e.(domain.Opened), err)
	}
	if err != nil && ctx.Err() == nil {
		text, _ := json.Marshal(errorOf(err)) // plain strings: cannot fail
		w.Header().Set(api.Trailer, string(text))
	}
}

// lastWord bounds the wait for the domain's word on a stream that has ended.
const lastWord = 5 * time.Second

// verdict decides why a watch ended, when the copy of its stream ended with err:
// nil if it was complete. The domain knows better why a stream was closed, and
// alone whether a recording from another domain was complete.
func verdict(v *visit, e domain.Opened, err error) error {
	remoteEnd := err == nil && e.Source != 0 && e.Stream.Kind != domain.Live
	if err == nil && !remoteEnd {
		return nil
	}
	select {
	case ended := <-v.ended:
		if ended != nil || remoteEnd {
			return ended
		}
	case <-time.After(lastWord):
	}
	if remoteEnd {
		return errNoLastWord
	}
	return err
}

// errNoLastWord reports a recording that ended without the owner's word that it
// was complete.
var errNoLastWord = errors.New("the recording ended, perhaps not all was sent")

// opened returns the stream of an answered watch.
func (c *control) opened(ctx context.Context, e domain.Opened, speed int) (*media.Stream, func(), error) {
	switch {
	case e.Source != 0:
		if s := c.legs.stream(e.Source); s != nil {
			return s, func() {}, nil
		}
		return nil, nil, domain.ErrGone
	case e.Stream.Kind == domain.Live:
		s, release, err := c.cameras.live(e.Stream.Channel, e.Stream.Profile)
		if err != nil {
			return nil, nil, err
		}
		within, cancel := context.WithTimeout(ctx, readyWithin)
		defer cancel()
		if err := s.WaitReady(within); err != nil {
			release()
			return nil, nil, err
		}
		return s, release, nil
	}
	return c.legs.recorded(ctx, e.Stream, speed, nil)
}
