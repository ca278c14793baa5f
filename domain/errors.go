package domain

import (
	"errors"
	"fmt"
)

// Reasons for which a request is refused here. Each edge has one table that
// turns them into its status codes.
var (
	ErrDenied      = errors.New("not permitted")
	ErrNoChannel   = errors.New("no such channel")
	ErrNoRecording = errors.New("no recording in that range")
	ErrOffline     = errors.New("channel is offline")
	ErrPeerOffline = errors.New("domain is offline")
	ErrBusy        = errors.New("busy")
	ErrNoMemory    = errors.New("no memory for another stream")
	ErrTimeout     = errors.New("no answer in time")
	ErrMedia       = errors.New("media cannot be agreed")
	ErrControl     = errors.New("playback cannot be controlled so")
	ErrHeld        = errors.New("another moves the camera")
	ErrUnable      = errors.New("camera cannot do that")
	ErrGone        = errors.New("ended")
	ErrBroken      = errors.New("media broke off")
	ErrNoUpper     = errors.New("no such upper domain is configured")
	ErrNoDialog    = errors.New("no such dialog")
)

// A Refused is a refusal that came from another domain. It names the level that
// refused, so that an operator sees who said no and why (LIVE-813).
type Refused struct {
	Level  Code   // the server that refused
	Status int    // SIP status it gave; 0 if it did not answer
	Reason string // its words
}

func (e *Refused) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("%s: %s", e.Level, e.Reason)
	}
	return fmt.Sprintf("%s: %d %s", e.Level, e.Status, e.Reason)
}
