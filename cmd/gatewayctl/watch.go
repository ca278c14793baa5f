package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
)

// A streamLook asks for a channel's streams again and again.
type streamLook struct {
	c    *call
	last []api.StreamDetail
}

// look asks, and fills in the rates since the last time.
func (l *streamLook) look(ctx context.Context) ([]api.StreamDetail, error) {
	var all []api.StreamDetail
	if err := l.c.get(ctx, api.PathStreams+"/"+l.c.args[0], &all); err != nil {
		return nil, err
	}
	for i := range all {
		for _, before := range l.last {
			if before.Profile == all[i].Profile && before.Source == all[i].Source {
				fillRates(before, &all[i])
			}
		}
	}
	l.last = all
	return list(all), nil
}

// fillRates computes the rates of s, since before was seen. Who was not there then
// has none yet.
func fillRates(before api.StreamDetail, s *api.StreamDetail) {
	passed := s.At.Sub(before.At).Seconds()
	if passed <= 0 {
		return
	}
	per := func(was, is uint64) float64 {
		if is < was { // it began anew
			return 0
		}
		return float64(is-was) * 8 / passed
	}
	s.Rate = per(before.Bytes, s.Bytes)
	for i := range s.Consumers {
		k := &s.Consumers[i]
		for _, was := range before.Consumers {
			if was.Kind == k.Kind && was.Name == k.Name && was.Since.Equal(k.Since) {
				k.Rate = per(was.Bytes, k.Bytes)
			}
		}
	}
}

// pause waits for the next look; false: ctx ended.
func (c *call) pause(ctx context.Context) bool {
	select {
	case <-time.After(c.every):
		return true
	case <-ctx.Done():
		return false
	}
}

// showStreams looks twice and shows what it saw.
func (c *call) showStreams(ctx context.Context) error {
	l := &streamLook{c: c}
	all, err := l.look(ctx)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		if !c.pause(ctx) {
			return ctx.Err()
		}
		if all, err = l.look(ctx); err != nil {
			return err
		}
	}
	return c.show(all, func(w io.Writer) error { return c.writeStreams(w, all) })
}

// watchStreams looks every second until it is interrupted. Only if the first look
// fails is that an error: later it is shown, for the daemon may come back.
func (c *call) watchStreams(ctx context.Context) error {
	l := &streamLook{c: c}
	for first := true; ; first = false {
		all, err := l.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		}
		if err := c.drawStreams(all, err); err != nil {
			return err
		}
		if !c.pause(ctx) {
			return nil
		}
	}
}

// A watched is one look at a channel's streams, as JSON.
type watched struct {
	At      time.Time          `json:"at"`
	Streams []api.StreamDetail `json:"streams"`
	Error   string             `json:"error,omitempty"`
}

// drawStreams shows one look, which may have failed.
func (c *call) drawStreams(all []api.StreamDetail, failed error) error {
	var frame bytes.Buffer
	switch {
	case c.json:
		w := watched{At: c.now(), Streams: list(all)}
		if failed != nil {
			w.Error = cause(failed)
		}
		e := json.NewEncoder(&frame)
		e.SetEscapeHTML(false)
		if err := e.Encode(w); err != nil {
			return err
		}
	case c.screen:
		c.writeScreen(&frame, all, failed)
	default:
		c.writeLines(&frame, all, failed)
	}
	_, err := c.stdout.Write(frame.Bytes())
	return err
}

// writeScreen writes a whole screen over the last one: each line is cleared to its
// end, and what is left below.
func (c *call) writeScreen(w *bytes.Buffer, all []api.StreamDetail, failed error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s  %s  (Ctrl-C ends)\n\n", c.stamp(c.now()), c.args[0])
	if failed != nil {
		fmt.Fprintln(&text, cause(failed))
	} else {
		_ = c.writeStreams(&text, all) // a buffer takes everything
	}
	w.WriteString("\x1b[H")
	w.WriteString(strings.ReplaceAll(text.String(), "\n", "\x1b[K\n"))
	w.WriteString("\x1b[J")
}

// writeLines writes a line for each stream.
func (c *call) writeLines(w *bytes.Buffer, all []api.StreamDetail, failed error) {
	at := c.now().In(c.zone).Format("15:04:05")
	switch {
	case failed != nil:
		fmt.Fprintf(w, "%s %s: %s\n", at, c.args[0], cause(failed))
	case len(all) == 0:
		fmt.Fprintf(w, "%s %s: no stream of it runs\n", at, c.args[0])
	}
	for _, s := range all {
		behind, lapped := 0.0, uint64(0)
		for _, k := range s.Consumers {
			behind, lapped = max(behind, k.Behind), lapped+k.Lapped
		}
		fmt.Fprintf(w, "%s %s %s %s %s, %d lost, %d damaged, ring %.1f s, %d consumers, %.0f ms behind at most, %d lapped, %d cut\n", at, s.Channel, s.Profile,
			streamState(s.Stream), rate(s.Rate), s.Lost, s.Damaged, s.Memory.Seconds, len(s.Consumers), behind, lapped, s.Cut)
	}
}
