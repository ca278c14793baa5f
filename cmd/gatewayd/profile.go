package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"districtgateway/cmd/internal/api"
)

// Times of a profile of the processor.
const (
	usualProfile   = 10 * time.Second
	longestProfile = time.Minute
)

// profile answers what the daemon itself is doing, for whoever maintains it. What making
// it took is given back to the system.
func (c *control) profile(w http.ResponseWriter, r *http.Request) {
	defer debug.FreeOSMemory()
	length, err := durationOf(r, "for")
	if err == nil && length > longestProfile {
		err = badRequest{fmt.Errorf("for=%s: want %s at most", length, longestProfile)}
	}
	var b bytes.Buffer
	if err == nil {
		err = profile(r.Context(), r.PathValue("kind"), length, &b)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(b.Bytes()) // fails only if the caller has gone
}

// profile writes a profile of a kind. One of memory is made after a collection of
// garbage.
func profile(ctx context.Context, kind string, length time.Duration, b *bytes.Buffer) error {
	switch kind {
	case api.ProfileProcessor:
		return profileProcessor(ctx, length, b)
	case api.ProfileMemory:
		runtime.GC()
		return pprof.Lookup("heap").WriteTo(b, 0)
	case api.ProfileGoroutines:
		return pprof.Lookup("goroutine").WriteTo(b, 1)
	}
	return badRequest{fmt.Errorf("no profile %q: want %s, %s or %s", kind, api.ProfileProcessor, api.ProfileMemory, api.ProfileGoroutines)}
}

// errProfiled reports that somebody else's profile of the processor is being made:
// the runtime makes one at a time.
var errProfiled = errors.New("another profile of the processor is being made")

func profileProcessor(ctx context.Context, length time.Duration, b *bytes.Buffer) error {
	if length == 0 {
		length = usualProfile
	}
	if err := pprof.StartCPUProfile(b); err != nil {
		return errProfiled
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
