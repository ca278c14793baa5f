package domain

import "fmt"

// A Code is the validated 20-digit id of a server, device or channel
// (GB/T 28181-2022 Annex E): 8 digits civil code, 2 industry, 3 type, 1 network,
// 6 serial. Digit 14 is never interpreted: peers of the 2016 edition count it
// to the serial.
type Code string

// A CodeError says why a text is no Code.
type CodeError struct {
	Got    string
	Reason string
}

func (e *CodeError) Error() string { return fmt.Sprintf("id %.40q: %s", e.Got, e.Reason) }

// ParseCode returns s as a Code, or a *CodeError.
func ParseCode(s string) (Code, error) {
	if len(s) != 20 {
		return "", &CodeError{s, fmt.Sprintf("want 20 digits, got %d characters", len(s))}
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return "", &CodeError{s, fmt.Sprintf("character %d is not a digit", i+1)}
		}
	}
	return Code(s), nil
}

// Realm returns the SIP domain that c belongs to: its first ten digits.
func (c Code) Realm() string { return string(c[:10]) }

// Type returns digits 11 to 13, such as 132 for a network camera.
func (c Code) Type() int { return int(c[10]-'0')*100 + int(c[11]-'0')*10 + int(c[12]-'0') }

// Types with a meaning to the processor (GB/T 28181-2022 Annex E).
const (
	TypeCamera        = 131
	TypeNetworkCamera = 132
	TypeAlarmInput    = 134
	TypePlatform      = 200
	TypeBusinessGroup = 215
	TypeOrganisation  = 216
)

// region reports whether id is a civil code (GB/T 2260): 2, 4, 6 or 8 digits.
func (id NodeID) region() bool {
	switch len(id) {
	case 2, 4, 6, 8:
		return digits(string(id))
	}
	return false
}

// code returns id as a Code, and whether it is one.
func (id NodeID) code() (Code, bool) {
	return Code(id), len(id) == 20 && digits(string(id))
}

// kind returns the type digits of id, or 0 if it is no Code.
func (id NodeID) kind() int {
	if c, ok := id.code(); ok {
		return c.Type()
	}
	return 0
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
