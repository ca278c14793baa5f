package webrtc

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A connection that takes nothing is closed after a while: what wrote to it may try
// as often as it likes, and waits no more.
func TestConnectionThatTakesNothingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		left := 0
		g := newGuest(near, func() { left++ })
		began := time.Now()
		if _, err := g.Write([]byte("half a message")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("first: %v", err)
		}
		if d := time.Since(began); d != writeWithin {
			t.Errorf("after %s", d)
		}
		if _, err := g.Write([]byte("another")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("second: %v", err)
		}
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("far end: %v", err)
		}
		if err := g.Close(); err != nil || left != 1 {
			t.Errorf("closed again: %v, left %d times", err, left)
		}
	})
}
