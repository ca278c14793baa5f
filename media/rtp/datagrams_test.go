package rtp

import (
	"errors"
	"testing"
	"time"
)

func TestReceiverThatVanishedEndsUDP(t *testing.T) {
	for name, tc := range map[string]struct {
		every time.Duration // answers of the host
		count int
		gone  bool
	}{
		"not open yet":      {time.Second, 10, false},
		"gone":              {time.Second, 17, true},
		"now and then":      {20 * time.Second, 10, false},
		"once and long ago": {time.Hour, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			var a absence
			var err error
			now := time.Unix(1000, 0)
			for n := uint64(1); n <= uint64(tc.count); n++ {
				now = now.Add(tc.every)
				err = a.judge(n, now)
			}
			if errors.Is(err, ErrRefused) != tc.gone {
				t.Errorf("after %s: %v", time.Duration(tc.count)*tc.every, err)
			}
			if err := (&absence{}).judge(0, now); err != nil {
				t.Error(err)
			}
		})
	}
}
