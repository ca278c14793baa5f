package domain

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a password. It prints as ***, in whatever way it is printed, or as
// nothing if none is set; string(s) is the only way to the value. (The tree of media,
// which does not know this package, has digest.Secret.)
type Secret string

const redacted = "***"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// LogValue hides the secret from a log.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Format hides the secret from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }
