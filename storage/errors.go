package storage

import (
	"errors"
	"fmt"
)

// Errors of this package, to be matched with errors.Is.
var (
	ErrFull          = errors.New("volume is full")
	ErrWrongVolume   = errors.New("wrong volume")
	ErrCorrupt       = errors.New("recording is damaged")
	ErrVolumeInUse   = errors.New("volume is in use")
	ErrVolumeStalled = errors.New("volume does not answer")
	ErrNoRecording   = errors.New("no recording in this range")
	ErrChannelName   = errors.New("channel name cannot be a file name")
)

// An InUseError names who holds the volume. It is [ErrVolumeInUse].
type InUseError struct {
	Owner string // the owner's id as its mark says
	Alive bool   // the owner holds the lock at this moment
}

func (e *InUseError) Error() string {
	if e.Alive {
		return fmt.Sprintf("volume is in use by %q, which is alive", e.Owner)
	}
	return fmt.Sprintf("volume belongs to %q; taking it over must be confirmed by that name", e.Owner)
}

// Is makes errors.Is(err, ErrVolumeInUse) true.
func (e *InUseError) Is(target error) bool { return target == ErrVolumeInUse }

// A SyntaxError reports damaged bytes: of a segment, a row or a protocol frame.
// It is [ErrCorrupt].
type SyntaxError struct {
	Offset int64  // where, in bytes from the start of what was parsed
	Want   string // what should have been there
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("offset %d: want %s", e.Offset, e.Want) }

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *SyntaxError) Is(target error) bool { return target == ErrCorrupt }
