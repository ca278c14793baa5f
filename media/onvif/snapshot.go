package onvif

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"net/http"
)

// Snapshot returns the profile's present picture as a JPEG of at most 8 MiB, as the
// device makes it: GetSnapshotUri, then the GET of what it names (ONVIF Media
// §5.16, Media2 §5.11). That is asked of the device's own host whatever host it
// names, no redirect is followed, and anything but a JPEG is [ErrNoPicture].
func (c *Client) Snapshot(ctx context.Context, p Profile) ([]byte, error) {
	uri, err := c.SnapshotURI(ctx, p)
	if err != nil {
		return nil, err
	}
	r, err := c.send(ctx, message{url: uri})
	if err == nil {
		err = r.judgePicture()
	}
	if err != nil {
		return nil, fmt.Errorf("onvif snapshot %s: %w", c.base.Host, err)
	}
	return r.body, nil
}

// judgePicture tells a JPEG from what else a device may send.
func (r reply) judgePicture() error {
	switch {
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		return fmt.Errorf("%w: status %d", ErrUnauthorized, r.status)
	case r.status != http.StatusOK:
		return fmt.Errorf("%w: status %d", ErrNoPicture, r.status)
	}
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	if kind != "image/jpeg" {
		return fmt.Errorf("%w: its type is %.40q", ErrNoPicture, kind)
	}
	if !bytes.HasPrefix(r.body, []byte{0xff, 0xd8, 0xff}) { // SOI and the next marker (ITU-T T.81 §B.2.1)
		return fmt.Errorf("%w: it does not begin as one", ErrNoPicture)
	}
	return nil
}
