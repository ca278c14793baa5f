package manscdp

import (
	"strconv"
	"strings"
	"time"
)

// An Opt is a field that a peer may leave out. Zero is a valid angle, count and
// coordinate, so absence needs its own bit.
type Opt[T comparable] struct {
	Value T
	Set   bool // false: the field was absent, empty or unreadable
}

// Some returns a present value.
func Some[T comparable](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// Or returns the value if present, else def.
func (o Opt[T]) Or(def T) T {
	if o.Set {
		return o.Value
	}
	return def
}

// A SN is the command sequence number of a body (A.2), kept as the text it
// arrived in so that an answer can echo it exactly.
type SN string

// maxSN bounds the text of a SN in bytes; an honest one has at most ten.
const maxSN = 64

// NewSN returns the SN with the number n, which the standard wants ≥ 1.
func NewSN(n uint32) SN { return SN(strconv.FormatUint(uint64(n), 10)) }

// Number returns the SN as a number; ok is false if it is none.
func (sn SN) Number() (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(sn), 10, 64)
	return n, err == nil
}

// A Result is the outcome in a response (A.2.1, resultType).
type Result uint8

// The results. A response without one is ResultNone; any text that is not OK is
// ResultError.
const (
	ResultNone Result = iota
	ResultOK
	ResultError
)

// String returns the text on the wire, empty for ResultNone.
func (r Result) String() string {
	switch r {
	case ResultOK:
		return "OK"
	case ResultError:
		return "ERROR"
	}
	return ""
}

func parseResult(s string) Result {
	switch {
	case s == "":
		return ResultNone
	case strings.EqualFold(s, "OK"):
		return ResultOK
	}
	return ResultError
}

// A Status says whether something is on (A.2.1, statusType and its relatives
// ON/OFF, ONLINE/OFFLINE).
type Status uint8

// The states. StatusUnknown is an absent or empty text.
const (
	StatusUnknown Status = iota
	StatusOn
	StatusOff
)

// String returns ON or OFF, empty for StatusUnknown.
func (s Status) String() string {
	switch s {
	case StatusOn:
		return "ON"
	case StatusOff:
		return "OFF"
	}
	return ""
}

// parseStatus reads the words devices use; what is none of those for "on" is off.
func parseStatus(s string) Status {
	switch strings.ToUpper(s) {
	case "":
		return StatusUnknown
	case "ON", "OK", "ONLINE", "1", "TRUE":
		return StatusOn
	}
	return StatusOff
}

// wallClock is how instants stand on the wire: Beijing time without a zone.
const (
	wallClock    = "2006-01-02T15:04:05"
	beijingAhead = 8 * time.Hour // of UTC
)

// FormatTime writes t as the standard does: Beijing time (UTC+8) to the second,
// without a zone, 2006-01-02T15:04:05.
func FormatTime(t time.Time) string {
	return t.UTC().Add(beijingAhead).Format(wallClock)
}

// ParseTime reads an instant of a peer: 2006-01-02T15:04:05, also with a space
// or nothing but a zone (Z, +08:00, +0800) or a fraction behind it. Without a zone
// it is Beijing time. The result is UTC, cut to the second. A hour of 24:00:00 is
// the end of the day. Offsets of errors count from the start of s.
func ParseTime(s string) (time.Time, error) {
	n, at := clockFields(s)
	if at != len(wallClock) {
		return time.Time{}, &SyntaxError{Offset: at, Field: "time", Want: "YYYY-MM-DDTHH:MM:SS"}
	}
	ahead, ok := zone(strings.TrimLeft(s[at:], ".,0123456789"))
	if !ok {
		return time.Time{}, &SyntaxError{Offset: at, Field: "time", Want: "no zone, Z or ±HH:MM"}
	}
	if n[3] == 24 && (n[4] > 0 || n[5] > 0) || n[3] > 24 || n[4] > 59 || n[5] > 59 || n[0] == 0 {
		return time.Time{}, &SyntaxError{Offset: 11, Field: "time", Want: "an hour of a day"}
	}
	day := time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
	if day.Month() != time.Month(n[1]) || day.Day() != n[2] {
		return time.Time{}, &SyntaxError{Offset: 5, Field: "time", Want: "a day of the calendar"}
	}
	clock := time.Duration(n[3]*3600+n[4]*60+n[5]) * time.Second
	return day.Add(clock - ahead), nil
}

// clockFields reads the six numbers of a wall clock and returns how many bytes
// matched its form.
func clockFields(s string) (n [6]int, at int) {
	const form = "0000-11-22T33:44:55"
	for ; at < len(form) && at < len(s); at++ {
		switch f, c := form[at], s[at]; {
		case '0' <= f && f <= '5':
			if c < '0' || c > '9' {
				return n, at
			}
			n[f-'0'] = n[f-'0']*10 + int(c-'0')
		case f == c, f == 'T' && (c == ' ' || c == 't'), f == '-' && c == '/':
		default:
			return n, at
		}
	}
	return n, at
}

// zone reads how far ahead of UTC a wall clock is.
func zone(s string) (time.Duration, bool) {
	switch s = strings.TrimSpace(s); {
	case s == "":
		return beijingAhead, true
	case s == "Z" || s == "z":
		return 0, true
	case len(s) < 5 || s[0] != '+' && s[0] != '-':
		return 0, false
	}
	n, err := strconv.ParseUint(strings.Replace(s[1:], ":", "", 1), 10, 16)
	if err != nil || n%100 > 59 || n > 1400 {
		return 0, false
	}
	d := time.Duration(n/100)*time.Hour + time.Duration(n%100)*time.Minute
	if s[0] == '-' {
		d = -d
	}
	return d, true
}
