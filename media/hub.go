package media

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Key names a stream of a [Hub]: an encoding of a channel.
type Key struct {
	Channel string // code of the channel
	Profile string // which of its encodings, such as "main"
}

// HubConfig configures a [Hub].
type HubConfig struct {
	Linger time.Duration // a stream goes on for so long after its last user; 0: 10 s
	Log    *slog.Logger  // nil: discard
}

const defaultLinger = 10 * time.Second

// A Hub shares streams: whoever wants one that is running joins it, the first one
// starts it, and it ends a while after the last one left. Its methods may be
// called on any goroutine.
type Hub struct {
	cfg     HubConfig
	work    chan struct{} // tells Run to look at the entries
	mu      sync.Mutex
	entries map[Key]*hubEntry
	leaving map[Key]*hubEntry // told to end, not yet ended
	fresh   []*hubEntry       // not yet started
	ended   bool
}

// A hubEntry is a stream and who uses it.
type hubEntry struct {
	key    Key
	stream *Stream
	users  int
	idle   time.Time          // since when there are none
	cancel context.CancelFunc // nil: not started
	before *hubEntry          // stream of the same key that has to end first
	done   chan struct{}      // closed when the stream has ended
}

// KeyedStats tells of one stream of a hub.
type KeyedStats struct {
	Key   Key
	Users int // that have not released it
	State StreamState
	Stats StreamStats
}

// NewHub makes a hub. It starts nothing.
func NewHub(cfg HubConfig) *Hub {
	if cfg.Linger <= 0 {
		cfg.Linger = defaultLinger
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{
		cfg: cfg, work: make(chan struct{}, 1),
		entries: make(map[Key]*hubEntry), leaving: make(map[Key]*hubEntry),
	}
}

// Run runs the streams until ctx ends, and returns when each of them has ended. It
// owns their goroutines.
func (h *Hub) Run(ctx context.Context) error {
	var streams sync.WaitGroup
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		h.start(ctx, &streams)
		if next := h.reap(time.Now()); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-h.work:
		case <-timer.C:
		case <-ctx.Done():
			h.stop()
			streams.Wait()
			return nil
		}
	}
}

// start starts the streams that were asked for.
func (h *Hub) start(ctx context.Context, streams *sync.WaitGroup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.fresh {
		ctx, cancel := context.WithCancel(ctx)
		e.cancel = cancel
		streams.Go(func() {
			defer cancel()
			h.run(ctx, e)
		})
	}
	h.fresh = nil
}

// run runs one stream.
func (h *Hub) run(ctx context.Context, e *hubEntry) {
	defer h.forget(e)
	if e.before != nil {
		<-e.before.done // encoders allow few connections: one at a time
		e.before = nil
	}
	if err := e.stream.Run(ctx); err != nil {
		h.cfg.Log.Warn("stream ended", "channel", e.key.Channel, "profile", e.key.Profile, "err", err)
	}
}

// forget removes a stream that has ended.
func (h *Hub) forget(e *hubEntry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(e.done)
	if h.entries[e.key] == e {
		delete(h.entries, e.key)
	}
	if h.leaving[e.key] == e {
		delete(h.leaving, e.key)
	}
}

// reap ends the streams that had no user for long enough, and returns when the
// next one is due.
func (h *Hub) reap(now time.Time) (next time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, e := range h.entries {
		if e.users > 0 || e.cancel == nil {
			continue
		}
		due := e.idle.Add(h.cfg.Linger)
		if due.After(now) {
			next = earlier(next, due)
			continue
		}
		delete(h.entries, key)
		h.leaving[key] = e
		e.cancel()
	}
	return next
}

// stop refuses everything from now on.
func (h *Hub) stop() {
	h.mu.Lock()
	h.ended = true
	fresh := h.fresh
	h.fresh = nil
	for _, e := range fresh {
		delete(h.entries, e.key)
	}
	h.mu.Unlock()
	for _, e := range fresh { // their sinks may call back: not under the lock
		e.stream.finish(ErrEnded)
	}
}

// Acquire joins the running stream of key, or starts one from cfg and open, which
// are not used otherwise. Release, to be called once (more do nothing), leaves
// it. After the hub ended the stream returned has ended too, and says so.
func (h *Hub) Acquire(key Key, cfg StreamConfig, open Opener) (s *Stream, release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		s = NewStream(cfg, open)
		s.finish(ErrEnded)
		return s, func() {}
	}
	e := h.entries[key]
	if e == nil || e.stream.shared.over() {
		e = &hubEntry{key: key, stream: NewStream(cfg, open), before: h.predecessor(key), done: make(chan struct{})}
		h.entries[key] = e
		h.fresh = append(h.fresh, e)
		h.look()
	}
	e.users++
	return e.stream, sync.OnceFunc(func() { h.release(e) })
}

// predecessor returns the stream of key that has yet to end, if there is one.
func (h *Hub) predecessor(key Key) *hubEntry {
	if e := h.entries[key]; e != nil {
		return e
	}
	return h.leaving[key]
}

// release notes that a user left.
func (h *Hub) release(e *hubEntry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.users--; e.users == 0 {
		e.idle = time.Now()
		h.look()
	}
}

// look makes Run look at the entries.
func (h *Hub) look() {
	select {
	case h.work <- struct{}{}:
	default: // it is about to
	}
}

// Lookup returns the stream of key if there is one.
func (h *Hub) Lookup(key Key) (*Stream, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entries[key]
	if e == nil || e.stream.shared.over() {
		return nil, false
	}
	return e.stream, true
}

// Streams tells of every stream, in the order of their keys.
func (h *Hub) Streams() []KeyedStats {
	h.mu.Lock()
	entries := slices.Collect(maps.Values(h.entries))
	all := make([]KeyedStats, len(entries))
	for i, e := range entries {
		all[i] = KeyedStats{Key: e.key, Users: e.users, State: e.stream.State(), Stats: e.stream.Stats()}
	}
	h.mu.Unlock()
	slices.SortFunc(all, func(a, b KeyedStats) int {
		return cmp.Or(cmp.Compare(a.Key.Channel, b.Key.Channel), cmp.Compare(a.Key.Profile, b.Key.Profile))
	})
	return all
}
