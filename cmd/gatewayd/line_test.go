package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"districtgateway/cmd/encodersim/encodertest"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
)

// A line is a TCP proxy that a test cuts and holds up. It is at 127.0.0.2 and the port
// of what it leads to, so that addresses that an encoder tells lead through it.
type line struct {
	mu    sync.Mutex
	cut   bool          // the next bytes towards the encoder end their connection
	held  chan struct{} // not nil: bytes wait for its end
	cuts  int
	waits int
}

func newLine(t *testing.T, to string) (l *line, address string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.2:"+u.Port())
	if err != nil {
		t.Fatal(err)
	}
	l = &line{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer context.AfterFunc(t.Context(), func() { near.Close() })()
				l.carry(near, u.Host)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return l, "http://127.0.0.2:" + u.Port() + u.Path
}

// carry is one connection through the line.
func (l *line) carry(near net.Conn, to string) {
	defer near.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		_, _ = io.Copy(near, far)
		near.Close()
	}()
	b := make([]byte, 4096)
	for {
		n, err := near.Read(b)
		if err != nil || !l.pass() {
			return
		}
		if _, err := far.Write(b[:n]); err != nil {
			return
		}
	}
}

// pass reports whether bytes may pass, after waiting for it.
func (l *line) pass() bool {
	l.mu.Lock()
	cut, held := l.cut, l.held
	l.cut = false
	if cut {
		l.cuts++
	}
	if held != nil {
		l.waits++
	}
	l.mu.Unlock()
	if held != nil {
		<-held
	}
	return !cut
}

func (l *line) set(f func(*line)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
}

// TestCommandSurvivesTheEndOfAConversation: what was kept is of no use any more, and the
// encoder is asked anew who it is.
func TestCommandSurvivesTheEndOfAConversation(t *testing.T) {
	s := newStage(t, nil)
	l, address := newLine(t, s.sim.ONVIF())
	s.cameras.inv.cameras[camera1].Address = address
	s.order(domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 9}}, time.Minute)
	s.order(domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar}}, 0)
	l.set(func(l *line) { l.cut = true })
	if got := s.costs(func() { s.order(domain.PTZ{}, 0) }); got != 8 {
		t.Errorf("it cost %d requests, want 8: it has two things to stop", got)
	}
	l.set(func(l *line) {
		if l.cuts != 1 {
			t.Errorf("%d requests were cut", l.cuts)
		}
	})
	if s.sim.State().PTZ.Moving {
		t.Error("it did not stop")
	}
	l.set(func(l *line) { l.cut = true })
	s.sim.SetPassword("another")
	if err := s.try(camera1, domain.PTZ{}, 0); !errors.Is(err, domain.ErrUnable) || len(s.heads.kept) != 0 {
		t.Errorf("with a wrong password: %v, %d conversations", err, len(s.heads.kept))
	}
}

// TestStopWaitsForNoOtherCamera: another encoder takes a request and does not answer.
func TestStopWaitsForNoOtherCamera(t *testing.T) {
	s, slow := newStage(t, nil), encodertest.Start(t, nil)
	l, address := newLine(t, slow.ONVIF())
	s.enter(camera{Code: "slow", Address: address})
	s.cameras.file.Encoders = append(s.cameras.file.Encoders, config.Encoder{ID: "slow", User: encodertest.User, Password: encodertest.Password})
	left := domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 9}}
	if err := s.try("slow", left, time.Minute); err != nil {
		t.Fatal(err)
	}
	s.order(left, time.Minute)
	held := make(chan struct{})
	l.set(func(l *line) { l.held = held })
	s.cameras.drives.Drive(domain.DrivePTZ{Tag: 99, Channel: "slow"})
	await(t, "its request is on the line", func() (waits bool) {
		l.set(func(l *line) { waits = l.waits == 1 })
		return waits
	})
	s.order(domain.PTZ{}, 0) // the answer to 99 would be another's
	close(held)
	if a := <-s.told; a.Tag != 99 {
		t.Errorf("%+v", a)
	}
	if s.sim.State().PTZ.Moving || slow.State().PTZ.Moving {
		t.Error("not stopped")
	}
}
