package media

import (
	"errors"
	"testing"
	"time"
)

func TestSameLossIsSaidOnceInAWhile(t *testing.T) {
	var l loss
	refused, absent := errors.New("refused"), errors.New("absent")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after time.Duration
		err   error
		want  bool
	}{
		{0, refused, true},
		{time.Second, refused, false},
		{29 * time.Second, refused, true}, // 30 s after it was last said
		{time.Second, absent, true},
		{time.Second, refused, true},
		{29 * time.Second, refused, false},
	} {
		at = at.Add(step.after)
		if got := l.news(step.err, at); got != step.want {
			t.Errorf("%s at %s: news %v, want %v", step.err, at.Format(time.TimeOnly), got, step.want)
		}
	}
}
