package manscdp

import (
	"errors"
	"strconv"
)

// Faults of a value that cannot be written as a body. They are mistakes of the
// caller, never of a peer; Encode wraps them.
var (
	// ErrNoCommand is a DeviceControl without a Command (A.2.3.1).
	ErrNoCommand = errors.New("device control without a command")
	// ErrExtraInfo is an ExtraInfo string of more than MaxExtraInfo characters
	// (GB/T 28181-2022, extension of Annex A) or more than MaxExtraInfos of them.
	ErrExtraInfo = errors.New("extra info too long")
	// ErrFlatPosition is a MobilePosition notify for an edition before 2022 that
	// does not fit its flat form: exactly one position, with coordinates, of the
	// device the message is about. The caller sends one message a device.
	ErrFlatPosition = errors.New("edition before 2022 carries one position, of the message's own device")
	// ErrNotFinite is a number that is infinite or not a number: XML has no text
	// for it that a peer would read.
	ErrNotFinite = errors.New("number not finite")
	// ErrTooLarge is a body that would exceed MaxBody or a list MaxItems.
	ErrTooLarge = errors.New("body too large")
	// ErrRoot is an Unknown message whose Root is none of the four.
	ErrRoot = errors.New("no such root element")
)

// A SyntaxError is input from a peer that cannot be used at all. Callers answer
// it with 400 (GB/T 28181-2022 clause 9, RFC 3261 clause 21.4.1).
type SyntaxError struct {
	Offset int    // in bytes from the start of the input as received
	Field  string // the element concerned; empty when the markup itself is wrong
	Want   string // what should have been there
}

// Error says where the input is damaged and what was wanted there.
func (e *SyntaxError) Error() string {
	s := "byte " + strconv.Itoa(e.Offset)
	if e.Field != "" {
		s += ", " + e.Field
	}
	return s + ": want " + e.Want
}

// Damage counts what Decode had to repair to make sense of a body. The zero
// value is an intact document. A sender of damaged bodies is to be logged, and
// an answer that lost items must be merged, never taken as the whole truth.
type Damage struct {
	Tags   int // places where markup was missing, stray or unbalanced
	Values int // values left out because unreadable, or kept with replaced characters
	Items  int // list items dropped because incomplete or without identity
	Offset int // in bytes: where the first fault of markup was noticed
}

// Any reports whether anything was repaired.
func (d Damage) Any() bool { return d.Tags+d.Values+d.Items > 0 }
