package media

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrMemory reports that a [Budget] is used up.
var ErrMemory = errors.New("memory for streams is used up")

// A Purpose is what memory is taken for.
type Purpose uint8

// The purposes.
const (
	ForViewing   Purpose = iota // viewers, exports, streams of other domains
	ForRecording                // streams that are recorded here: they come first
	purposes
)

// A Budget bounds the memory that media takes beside the Go heap's small change:
// rings, which lie outside of the heap and count once though they are mapped
// twice, and queues. It only counts. Recording may take all of it; whatever else
// may take three quarters of what recording leaves, so that a recorded stream
// finds memory to begin and to grow. A nil Budget has no end.
//
// Its methods may be called on any goroutine.
type Budget struct {
	limit int64

	mu      sync.Mutex
	used    [purposes]int64
	refused uint64
	last    time.Time // when something was refused
}

// BudgetState is a snapshot of a [Budget], in bytes.
type BudgetState struct {
	Limit   int64
	Used    int64
	Refused uint64    // times that something was not given
	Last    time.Time // of these; zero: none
}

// NewBudget makes a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Take takes n bytes, to be given back by Give. The error wraps [ErrMemory] and
// says how much is used.
func (b *Budget) Take(n int, p Purpose) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	left, free := b.limit-b.used[ForRecording], int64(0)
	if p == ForRecording {
		free = left - b.used[ForViewing]
	} else {
		free = left*3/4 - b.used[ForViewing]
	}
	if int64(n) > free {
		b.refused++
		b.last = time.Now()
		return fmt.Errorf("%w: %s", ErrMemory, b.words(p))
	}
	b.used[p] += int64(n)
	return nil
}

// words says how much is used of what p may take. The caller holds mu.
func (b *Budget) words(p Purpose) string {
	const mib = 1 << 20
	text := fmt.Sprintf("%d of %d MiB", (b.used[ForRecording]+b.used[ForViewing])/mib, b.limit/mib)
	if p == ForViewing {
		text += ", of which recording keeps a part"
	}
	return text
}

// Give gives back n bytes that were taken for p. It panics if more is given back than
// was taken: that is a programming error.
func (b *Budget) Give(n int, p Purpose) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used[p] -= int64(n)
	if b.used[p] < 0 {
		panic("media: more memory given back than was taken")
	}
}

// State returns a snapshot.
func (b *Budget) State() BudgetState {
	if b == nil {
		return BudgetState{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return BudgetState{Limit: b.limit, Used: b.used[ForRecording] + b.used[ForViewing], Refused: b.refused, Last: b.last}
}
