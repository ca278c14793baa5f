// Package footage reads fragmented MP4 (ISO/IEC 14496-12 §8.8) as it arrives:
// the live pictures and the playback that the gateway answers with, and the
// segments it records. gatewayctl measures with it how much of a download is
// whole; rigs read pictures and their counters out of it.
package footage

import "fmt"

// A SyntaxError reports input that is no fragmented MP4, and where.
type SyntaxError struct {
	Offset int64  // of the first byte that is wrong, from the start of the stream
	Want   string // what should stand there
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("MP4 at byte %d: want %s", e.Offset, e.Want)
}
