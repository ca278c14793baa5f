package media

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Errors a stream ends or refuses with.
var (
	ErrEnded     = errors.New("stream ended")              // the source has no more to give (end of a recording)
	ErrStopped   = errors.New("stream stopped")            // its owner was told to stop, maybe before the end of a recording
	ErrNoTracks  = errors.New("no track can be carried")   // the source offers no coding this package knows
	ErrSlow      = errors.New("consumer too slow")         // cut after StreamConfig.SlowLimit without progress
	ErrDone      = errors.New("consumer is done")          // of a sink that has what it came for: it was not cut
	ErrNotHeld   = errors.New("unit is no longer in ring") // asked for a unit that was overwritten
	ErrNoCarrier = errors.New("carriage cannot be unpacked")
)

// A Source fills a stream. Its methods but Wake are called by the stream's owner.
type Source interface {
	// Receive waits until bytes arrive, until deadline, or until Wake, whichever is
	// first; it then takes all that is there without waiting again and pushes it
	// into s. It also does the source's own housekeeping (keepalive, RTCP). It
	// returns nil unless the source is broken or, with ErrEnded, finished.
	Receive(s *Stream, deadline time.Time) error
	// Wake ends a Receive in progress, or the next one, at once. Any goroutine; it
	// does not block, and is not called after Close.
	Wake()
	// Close releases everything, telling the far end if that is the protocol's custom.
	Close() error
}

// Opened is what opening a source yields.
type Opened struct {
	Source   Source
	Carriage Carriage
	Tracks   []Track  // as announced; for CarriagePS usually empty until the stream shows them
	Unpacker Unpacker // for CarriagePS and other non-RTP carriages; nil for CarriageRTP and CarriageFrames
	Ordered  bool     // the transport keeps packets in order (TCP): what is missing is lost and not waited for
	Front    uint8    // bytes before each RTP packet in the ring that are nobody's once it was pushed: the frame it came in
}

// An Opener connects a source. It is called on a goroutine of its own, may take
// its time within ctx, and is called again, after a back-off, when the source
// it returned broke.
type Opener func(ctx context.Context) (Opened, error)

// A Sink consumes a stream. Its methods are called by the stream's owner and
// must not block, nor keep s beyond the call.
type Sink interface {
	// Flush sends what has become available since the last call, as far as the
	// consumer takes it. It returns the instant at which it wants to be called
	// again even if nothing arrives (a partial write to retry, pacing), 1 ms later
	// at the soonest, or the zero time. An error ends the sink: the owner calls Close with it.
	Flush(s *Stream, now time.Time) (again time.Time, err error)
	// Close releases the sink. Cause is nil when it was detached, ErrEnded when
	// the stream finished, ErrStopped when it was stopped, otherwise why it was
	// cut. Called exactly once.
	Close(cause error)
}

// StreamConfig configures a stream. The zero value of each field means its default.
type StreamConfig struct {
	Name       string        // for logs: channel and profile
	Memory     MemoryFunc    // where the ring's memory comes from; nil: the Go heap
	RingBytes  int           // size of the ring, rounded up to a power of two; 0: 4 MiB, of one that grows 1 MiB
	RingMax    int           // the ring grows up to so many bytes, as bitrate and groups of pictures need; 0: never. Not if patient
	Budget     *Budget       // what the ring's memory is taken from; nil: as much as there is
	Purpose    Purpose       // what that memory is for
	Reorder    int           // packets an RTP flow may be out of order by; 0: 64
	MaxBackoff time.Duration // longest pause before a broken source is opened again; 0: 30 s
	Once       bool          // do not reopen: the stream ends with its source (playback, streams from other domains)
	Patient    bool          // nothing is lost to slow sinks: the source waits for them (recordings; over TCP alone, where the far end waits too)
	Live       bool          // it comes at the pace of its time: a clock that runs away is not believed
	SlowLimit  time.Duration // a sink that makes no progress for so long is cut; 0: 10 s, if patient 1 h
	Log        *slog.Logger  // nil: discard
}

// A KeyAsker is a [Source] that can ask the far end for a key frame (RTCP PLI,
// GB/T 28181 IFrameCmd). The stream's owner calls it, every 2 s at most, while
// somebody waits for a key frame that the ring does not hold, or after
// [Stream.AskKey]. It must not block.
type KeyAsker interface {
	AskKey() error
}

// Progress is a [Sink] whose progress is watched: one that stands still for
// [StreamConfig].SlowLimit while there are units for it is cut with [ErrSlow].
// Sinks that pace themselves or may pause say so by their position.
type Progress interface {
	// Position returns the number of the unit the sink is at, such as
	// [Cursor.Position], or [Idle] while it wants none. Owner only.
	Position() uint64
}

// Idle is the [Progress] position of a sink that wants nothing.
const Idle = ^uint64(0)

// A MemoryFunc provides the memory of a ring: 2×size bytes, mirrored or not, and
// a function that releases it. See media/mirror.
type MemoryFunc func(size int) (mem []byte, mirrored bool, release func() error, err error)
