package webrtc

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// A logger has what the library says written as messages of the lowest level: it
// complains of what a far end does, and a far end may do anything.
type logger struct{ log *slog.Logger }

// NewLogger is that of [logging.LoggerFactory].
func (l logger) NewLogger(scope string) logging.LeveledLogger {
	return logger{l.log.With("library", scope)}
}

func (l logger) say(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("library says", "text", fmt.Sprintf(format, args...))
	}
}

// Trace and the other methods are those of [logging.LeveledLogger].
func (l logger) Trace(string)          {}
func (l logger) Tracef(string, ...any) {}
func (l logger) Debug(string)          {}
func (l logger) Debugf(string, ...any) {}
func (l logger) Info(string)           {}
func (l logger) Infof(string, ...any)  {}

func (l logger) Warn(text string)                  { l.say("%s", text) }
func (l logger) Warnf(format string, args ...any)  { l.say(format, args...) }
func (l logger) Error(text string)                 { l.say("%s", text) }
func (l logger) Errorf(format string, args ...any) { l.say(format, args...) }
