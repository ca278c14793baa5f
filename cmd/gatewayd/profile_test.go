package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
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
