package digest

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a Secret shows wherever it is printed.
const redacted = "***"

// A Secret is a password held in memory. It prints as *** in every verb of
// package fmt, in slog and in every encoder that honours
// encoding.TextMarshaler; string(s) is the only way to the value, so each use
// of the value can be found by searching for that conversion.
type Secret string

// String returns ***.
func (Secret) String() string { return redacted }

// GoString returns ***.
func (Secret) GoString() string { return redacted }

// LogValue returns ***.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns ***, so a Secret does not survive being written out by
// encoding/json, encoding/xml or a TOML encoder: whoever stores passwords
// converts them on purpose.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format writes *** for every verb. Without it a wrong verb such as %d would
// print the value inside fmt's complaint about the verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }
