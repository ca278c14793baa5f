package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media/onvif"
	"districtgateway/storage"
)

// encoderWithin bounds how long an encoder may take for a picture of its own, all
// questions before it included.
const encoderWithin = 5 * time.Second

// snapshot answers with one picture of a channel: the JPEG of our own encoder, or
// else, of whoever's channel it is, the last key picture as it is sent.
func (c *control) snapshot(w http.ResponseWriter, r *http.Request) {
	code, err := channelOf(r)
	profile, err2 := profileOf(r)
	if err := errors.Join(err, err2); err != nil {
		refuse(w, err)
		return
	}
	in := domain.WatchIn{Channel: code, Kind: domain.Live, Profile: profile}
	jpeg, err := c.cameras.snapshot(r.Context(), code, in.Profile)
	if err == nil {
		w.Header().Set("Content-Type", api.TypeJPEG)
		_, _ = w.Write(jpeg) // fails only if the caller has gone
		return
	}
	if !errors.Is(err, errNoSnapshot) {
		c.log.Info("encoder gives no snapshot", "channel", code, "err", err)
	}
	c.watch(r.Context(), w, in, storage.ExportConfig{Still: true})
}

// errNoSnapshot reports a channel that has no encoder of ours to ask.
var errNoSnapshot = errors.New("no encoder to ask by ONVIF")

// snapshot asks a channel's encoder for a JPEG.
func (cs *cameras) snapshot(ctx context.Context, code domain.Code, profile uint8) (jpeg []byte, err error) {
	c := cs.camera(code)
	if c.Address == "" {
		return nil, fmt.Errorf("%s: %w", code, errNoSnapshot)
	}
	ctx, cancel := context.WithTimeout(ctx, encoderWithin)
	defer cancel()
	err = cs.converse(ctx, c, profile, func(client *onvif.Client, _ onvif.Config, p onvif.Profile) error {
		jpeg, err = client.Snapshot(ctx, p)
		return err
	})
	return jpeg, err
}
