package sip

import (
	"errors"
	"fmt"
)

// A SyntaxError is a message or SDP of a peer that cannot be used. It is answered
// with 400 (RFC 3261 clause 21.4.1).
type SyntaxError struct {
	Offset int    // in bytes, from the start of the text that was read
	Field  string // the header, SDP line or parameter
	Want   string // what should have been there
}

func (e *SyntaxError) Error() string {
	if e.Offset == 0 {
		return fmt.Sprintf("%s: want %s", e.Field, e.Want)
	}
	return fmt.Sprintf("%s at %d: want %s", e.Field, e.Offset, e.Want)
}

// Errors of sending; the processor sees them as Answered without a status.
var (
	errStopped = errors.New("transceiver stopped")
	errUnknown = errors.New("address of the peer is not known")
	errNoConn  = errors.New("connection is gone")
	errStalled = errors.New("peer reads too slowly")
)
