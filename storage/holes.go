package storage

import "sync"

// holes remembers, per channel, what is missing since its last segment, until the
// next segment writes it down. The last of a channel's holes may be open: To is 0.
type holes struct {
	mu sync.Mutex
	m  map[string][]Gap
	on map[string]bool // channels being recorded, without a hole, at this moment
}

// recording reports whether the channel is being recorded at this moment, even if
// nothing of its present segment is durable yet.
func (h *holes) recording(channel string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.on[channel]
}

// begin opens a hole; one that is open ends where this begins, or goes on if it has
// the same cause.
func (h *holes) begin(channel string, from int64, cause Cause) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.on, channel)
	list := h.m[channel]
	if n := len(list); n > 0 && list[n-1].To == 0 {
		if list[n-1].Cause == cause {
			return
		}
		list[n-1].To = max(from, list[n-1].From)
		from = list[n-1].To
	}
	if len(list) == maxGapsBefore {
		list[1].From = list[0].From
		list = list[1:]
	}
	h.m[channel] = append(list, Gap{From: from, Cause: cause})
}

// end closes what is open at start and returns all holes, which it forgets.
func (h *holes) end(channel string, start int64) []Gap {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.m[channel]
	delete(h.m, channel)
	h.on[channel] = true
	var out []Gap
	for _, g := range list {
		if g.To == 0 || g.To > start {
			g.To = start
		}
		if g.To > g.From {
			out = append(out, g)
		}
	}
	return out
}

// list returns the holes so far; an open one ends at now.
func (h *holes) list(channel string, now int64) []Gap {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := append([]Gap(nil), h.m[channel]...)
	if n := len(out); n > 0 && out[n-1].To == 0 {
		out[n-1].To = max(now, out[n-1].From)
	}
	return out
}
