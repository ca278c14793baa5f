package sip

import (
	"sync"
	"time"
)

const (
	maxBuckets = 8192        // hosts told apart; the rest share one
	sweepEvery = time.Second // at most: a flood of made-up hosts must not cost a sweep each
)

// A limiter lets each host (or whatever K names) do rate things a second, burst at
// once. It is safe for concurrent use and bounded however many hosts there are.
type limiter[K comparable] struct {
	rate, burst float64

	mu    sync.Mutex
	hosts map[K]*bucket
	rest  bucket
	swept time.Time
}

type bucket struct {
	spent float64
	at    time.Time
}

func newLimiter[K comparable](rate, burst float64) *limiter[K] {
	return &limiter[K]{rate: rate, burst: burst, hosts: make(map[K]*bucket)}
}

// allow takes one of what host may do, and reports false if nothing is left.
func (l *limiter[K]) allow(now time.Time, host K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(now, host)
	l.refill(now, b)
	if b.spent+1 > l.burst {
		return false
	}
	b.spent++
	return true
}

// empty reports whether nothing is left for host, and takes nothing.
func (l *limiter[K]) empty(now time.Time, host K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.hosts[host]
	if !ok {
		return len(l.hosts) >= maxBuckets && l.rest.spent+1 > l.burst
	}
	l.refill(now, b)
	return b.spent+1 > l.burst
}

func (l *limiter[K]) refill(now time.Time, b *bucket) {
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds()*l.rate)
	b.at = now
}

func (l *limiter[K]) bucket(now time.Time, host K) *bucket {
	if b := l.hosts[host]; b != nil {
		return b
	}
	if len(l.hosts) >= maxBuckets && now.Sub(l.swept) >= sweepEvery {
		l.swept = now
		for h, b := range l.hosts {
			if l.refill(now, b); b.spent == 0 {
				delete(l.hosts, h)
			}
		}
	}
	if len(l.hosts) >= maxBuckets {
		return &l.rest
	}
	b := &bucket{at: now}
	l.hosts[host] = b
	return b
}
