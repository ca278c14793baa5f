// Package encodertest runs simulated encoders in the process of a test.
package encodertest

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"districtgateway/cmd/encodersim/internal/clip"
	"districtgateway/cmd/encodersim/internal/encoder"
)

// Encoder, Config and State are those of a simulated encoder; its methods and fields
// are described there.
type (
	Encoder = encoder.Encoder
	Config  = encoder.Config
	State   = encoder.State
)

// User and Password are those of every encoder here.
const (
	User     = "admin"
	Password = "open-Sesame-7"
)

// Start runs an encoder with a head, a lens and the built-in picture, without sound,
// on loopback until the test ends. change, if not nil, changes its configuration.
func Start(t testing.TB, change func(*Config)) *Encoder {
	t.Helper()
	cfg := encoder.Config{
		User: User, Password: Password, PTZ: true, KeyOnPlay: true, Library: picture(t),
		Listen: encoder.Addresses{HTTP: "127.0.0.1:0", RTSP: "127.0.0.1:0"}, Log: slog.New(slog.DiscardHandler),
	}
	cfg.Identity.Name, cfg.Identity.Manufacturer, cfg.Identity.Model = "encodertest", "District Gateway", "Simulated Encoder"
	if change != nil {
		change(&cfg)
	}
	e, err := encoder.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

// picture is the built-in pattern.
func picture(t testing.TB) (l encoder.Library) {
	t.Helper()
	for i := range l.H264 {
		var err, err2 error
		l.H264[i], err = clip.Pattern(false, i == 1)
		l.H265[i], err2 = clip.Pattern(true, i == 1)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
	}
	return l
}
