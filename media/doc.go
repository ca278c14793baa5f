// Package media is the pure core of the media path: packets where they were
// received, the ring that holds them, the access units they form and the stream
// that owns all three. It knows no socket, no file and no domain.
//
// # Ownership
//
// One goroutine owns a [Stream]: it receives into the stream's [Ring], indexes
// what arrived and lets every [Sink] send, once per access unit or every 5 ms,
// never per packet. Sinks never block and never wait for one another; one that
// falls behind by more than the ring holds resumes at a key frame. Everything
// in this package may be called by the owner only, unless its comment says
// "any goroutine".
//
// # Zero copy
//
// A byte of payload is written once, by the receive system call, into the ring,
// and read once, by the send system call, out of it. In between there are only
// [Range] values. A [Range] is valid until the ring has been overwritten; the
// owner knows that by [Ring.Holds], a reader on another goroutine copies with
// [Ring.CopyOut], which reports [ErrLapped] when it came too late.
//
// # Time
//
// [Ticks] count 1/90000 s, unwrapped, from an origin of the stream's own. All
// tracks of a stream share that origin. Wall clock rides beside, as Unix
// nanoseconds.
package media
