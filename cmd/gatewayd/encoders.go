package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/onvif"
	"districtgateway/media/ps"
	"districtgateway/media/rtsp"
)

// askKey wants a key frame on each stream of a channel that runs.
func (cs *cameras) askKey(code domain.Code) {
	for _, name := range profileNames {
		if s, running := cs.hub.Lookup(media.Key{Channel: string(code), Profile: name}); running {
			s.AskKey()
		}
	}
}

// open connects to an encoder's stream.
func (cs *cameras) open(ctx context.Context, code domain.Code, profile uint8) (media.Opened, error) {
	c := cs.camera(code)
	if c.SDP != "" {
		return cs.openPushed(ctx, c)
	}
	user, password := cs.credentials(c)
	url := c.RTSP
	if url != "" && profile == 1 && c.SubRTSP != "" {
		url = c.SubRTSP
	}
	cfg := rtsp.Config{URL: url, User: user, Password: password, Log: cs.log}
	if url == "" {
		var err error
		if cfg.URL, cfg.KeyFrame, err = cs.ask(ctx, c, profile); err != nil {
			cs.lookAgain()
			return media.Opened{}, err
		}
	}
	if e := cs.settings(c); e != nil {
		cfg.Transport, cfg.Basic = transports[e.Transport], e.Basic
	}
	return rtsp.Open(ctx, cfg)
}

// openPushed receives what an encoder sends by itself.
func (cs *cameras) openPushed(ctx context.Context, c camera) (media.Opened, error) {
	text, err := readDescription(c.SDP)
	if err != nil {
		return media.Opened{}, err
	}
	cfg := rtsp.PushConfig{SDP: text, Unpacker: func() media.Unpacker { return ps.NewUnpacker() }, Log: cs.log.With("channel", c.Code)}
	if e := cs.settings(c); e != nil {
		cfg.From, _ = netip.ParseAddr(e.From) // it was checked
	}
	return rtsp.Push(ctx, cfg)
}

// maxDescription bounds the file that describes a stream.
const maxDescription = 64 << 10

// readDescription reads such a file.
func readDescription(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDescription))
}

// transports are the words of [config.Encoder].Transport; TCP without one.
var transports = map[string]rtsp.Transport{"udp": rtsp.UDP, "multicast": rtsp.Multicast}

// errMoved reports that another encoder answers where this one was.
var errMoved = errors.New("another encoder answers at its address")

// ask asks an encoder for the address of a stream, and returns what asks it for a key
// frame.
func (cs *cameras) ask(ctx context.Context, c camera, profile uint8) (url string, keyFrame func(context.Context) error, err error) {
	err = cs.converse(ctx, c, profile, func(client *onvif.Client, cfg onvif.Config, p onvif.Profile) error {
		keyFrame = syncPoint(cfg, p)
		url, err = cs.streamURI(ctx, client, p, c)
		return err
	})
	return url, keyFrame, err
}

// converse has talk talk with an encoder about a profile.
func (cs *cameras) converse(ctx context.Context, c camera, profile uint8, talk func(*onvif.Client, onvif.Config, onvif.Profile) error) error {
	cfg := cs.reach(c)
	client, ch, err := cs.meet(ctx, c, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	p := ch.Main
	if profile == 1 && ch.Sub.Token != "" {
		p = ch.Sub
	}
	cs.update(c.Code, func(s *service) { s.streams = streamsOf(ch) })
	return talk(client, cfg, p)
}

// reach is how a camera's encoder is asked by ONVIF.
func (cs *cameras) reach(c camera) onvif.Config {
	user, password := cs.credentials(c)
	cfg := onvif.Config{Address: c.Address, User: user, Password: password, Insecure: true}
	if e := cs.settings(c); e != nil {
		cfg.Basic = e.Basic
	}
	return cfg
}

// meet begins a conversation with a camera's encoder, after making sure that it is the
// one we mean: addresses move, and footage must not end up under another's code. The
// caller closes the client.
func (cs *cameras) meet(ctx context.Context, c camera, cfg onvif.Config) (*onvif.Client, onvif.Channel, error) {
	if c.Address == "" {
		return nil, onvif.Channel{}, fmt.Errorf("%w: not found on the network yet", domain.ErrOffline)
	}
	client, err := onvif.New(cfg)
	if err != nil {
		return nil, onvif.Channel{}, err
	}
	d, err := client.Identify(ctx)
	base, n := splitSource(c.Identity)
	switch {
	case err != nil:
	case base != "" && !sameIdentity(base, d.Key()):
		err = fmt.Errorf("%s: %w", c.Address, errMoved)
	case n >= len(d.Channels):
		err = fmt.Errorf("video source %d: %w", n+1, media.ErrNoTracks)
	default:
		cs.learnMoves(c.Code, d.Channels[n])
		return client, d.Channels[n], nil
	}
	client.Close()
	return nil, onvif.Channel{}, err
}

// learnMoves notes whether a camera moves: without discovery nobody else finds out, and
// of an encoder with several cameras each is its own.
func (cs *cameras) learnMoves(code domain.Code, ch onvif.Channel) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c, moves := cs.inv.cameras[code], ch.Moves != ""; c != nil && c.PTZ != moves {
		c.PTZ = moves
		cs.store.SaveEncoder(code, *c)
	}
}

// streamURI asks where a profile is taken. Some encoders have an address of its own for
// multicast, and some none at all: then any will do, to ask for TCP.
func (cs *cameras) streamURI(ctx context.Context, client *onvif.Client, p onvif.Profile, c camera) (string, error) {
	if e := cs.settings(c); e != nil && transports[e.Transport] == rtsp.Multicast {
		url, err := client.StreamURI(ctx, p, onvif.Multicast)
		if _, refused := errors.AsType[*onvif.Fault](err); !refused {
			return url, err
		}
	}
	return client.StreamURI(ctx, p, onvif.TCP)
}

// syncPoint returns what asks an encoder for a key frame of a profile. It is asked
// rarely: no connection is kept for it.
func syncPoint(cfg onvif.Config, p onvif.Profile) func(context.Context) error {
	return func(ctx context.Context) error {
		client, err := onvif.New(cfg)
		if err != nil {
			return err
		}
		defer client.Close()
		return client.KeyFrame(ctx, p)
	}
}

func streamsOf(c onvif.Channel) uint8 {
	if c.Sub.Token != "" {
		return 2
	}
	return 1
}
