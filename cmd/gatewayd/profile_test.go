package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
)

func TestEveryProfileCanBeRead(t *testing.T) {
	for _, kind := range []string{api.ProfileMemory, api.ProfileProcessor} {
		var b bytes.Buffer
		if err := profile(t.Context(), kind, time.Millisecond, &b); err != nil {
			t.Fatal(kind, err)
		}
		z, err := gzip.NewReader(&b)
		if err != nil {
			t.Fatal(kind, err)
		}
		if data, err := io.ReadAll(z); err != nil || len(data) < 100 {
			t.Errorf("%s: %d bytes, %v", kind, len(data), err)
		}
	}
	var b bytes.Buffer
	if err := profile(t.Context(), api.ProfileGoroutines, 0, &b); err != nil || !strings.Contains(b.String(), "TestEveryProfileCanBeRead") {
		t.Errorf("%v, %s", err, b.String())
	}
	if err := profile(t.Context(), "stars", 0, &b); errorOf(err).Status != http.StatusBadRequest {
		t.Errorf("stars: %v", err)
	}
}

func TestProcessorIsProfiledForOneAtATime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var first, second bytes.Buffer
	go func() {
		err := errProfiled
		for errors.Is(err, errProfiled) { // the second may be sooner
			err = profile(ctx, api.ProfileProcessor, time.Hour, &first)
		}
		done <- err
	}()
	await(t, "the first is being made", func() bool {
		return errors.Is(profile(t.Context(), api.ProfileProcessor, time.Microsecond, &second), errProfiled)
	})
	cancel() // whoever asked went away
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := profile(t.Context(), api.ProfileProcessor, time.Microsecond, &second); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// After a profile of memory the daemon says what it holds.
func TestStatusTellsWhatIsHeld(t *testing.T) {
	g := launch(t, stateDir(t), districtCode, "[record]\nenabled = false\n", anyPorts)
	defer g.stop()
	hold := make([]byte, 64<<20)
	if _, err := g.client.Profile(t.Context(), api.ProfileMemory, 0); err != nil {
		t.Fatal(err)
	}
	if p := g.status().Process; p.Objects < uint64(len(hold)) || p.Stacks == 0 {
		t.Errorf("%d bytes of objects, %d of stacks, %d known", p.Objects, p.Stacks, len(hold))
	}
	runtime.KeepAlive(hold)
	await(t, "what is not held any more is not told any more", func() bool {
		_, err := g.client.Profile(t.Context(), api.ProfileMemory, 0)
		return err == nil && g.status().Process.Objects < 64<<20
	})
}
