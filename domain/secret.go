package domain

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a password. It prints as ***, in whatever way it is printed.
type Secret string

const redacted = "***"

func (Secret) String() string { return redacted }

// LogValue hides the secret from a log.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format hides the secret from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }
