// Package storage keeps footage: fragmented MP4 segments on volumes that know
// who they are, an index beside them, and the reader that plays them back.
//
// A [Volume] is a directory (a mounted disk or LUN) with an identity and one
// owner. Its index lives on it and is touched by one child process only
// ([ServeVolume]), because a memory map on a stalled or dying disk stops or kills
// the process that holds it. The parent writes and reads footage with system
// calls, asks the child over a socket pair with deadlines of 2 s, and keeps the
// rows of the last 24 hours itself.
//
// A [Recorder] is the consumer of a media.Stream that hands fragments of at most
// one second to the volume's disk goroutine. What the disk acknowledged is never
// written again. The index may lag behind the segments but never says more than
// they hold, and can be rebuilt from them alone.
//
// The on-disk format is described in docs/design/recording-format.md.
package storage
