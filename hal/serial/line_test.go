package serial

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/hal/haltest"
)

// A rig is a line that runs, on the clock of a bubble.
type rig struct {
	t    *testing.T
	line *Line
	log  *bytes.Buffer
	end  func() // ends it and waits for it
}

// start runs a line of some domes inside of a bubble.
func start(t *testing.T, path string, domes int) *rig {
	t.Helper()
	r := &rig{t: t, log: &bytes.Buffer{}}
	var err error
	r.line, err = New(Config{Port: path, Baud: 2400, Domes: domesOf(domes), Log: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.line.Run(ctx) }()
	r.end = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	synctest.Wait()
	return r
}

// open starts a line and reads past the stops that it begins with.
func open(t *testing.T, path string, domes int) (*rig, *haltest.PTY) {
	t.Helper()
	p := haltest.Plug(t, path)
	r := start(t, path, domes)
	r.pass(time.Duration(2*domes) * air)
	p.Read(2 * domes * 7)
	p.Silent()
	return r, p
}

// pass lets time pass and waits until the line has done what was due.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) send(kind Kind, address uint8, frame string, during time.Duration) {
	r.t.Helper()
	if err := r.line.Send(Order{Address: address, Kind: kind, Frame: []byte(frame), For: during}); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *rig) expect(p *haltest.PTY, want string) {
	r.t.Helper()
	if d := cmp.Diff(want, p.Read(len(want))); d != "" {
		r.t.Error(d)
	}
	p.Silent()
}

func TestOpenedLineStopsEveryDomeOnTheWire(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		p := haltest.Plug(t, path)
		r := start(t, path, 2)
		r.expect(p, "stop  1")
		r.pass(air - 1)
		p.Silent()
		r.pass(1)
		r.expect(p, "stop  2")
		r.pass(time.Minute)
		r.expect(p, "stop  1stop  2")
		if s := r.line.State(); !s.Open || s.Sent != 4 || s.Problem != "" {
			t.Errorf("%+v", s)
		}
		r.end()
		if s := r.line.State(); s.Open || s.Problem != "ended" {
			t.Errorf("%+v", s)
		}
	})
}

func TestMovementEndsOnTheWire(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r, p := open(t, path, 2)
		r.send(Move, 2, "left  2", time.Second)
		r.expect(p, "left  2")
		r.pass(900 * time.Millisecond)
		r.send(Move, 2, "left  2", time.Second)
		r.expect(p, "left  2")
		r.pass(999 * time.Millisecond)
		p.Silent()
		if s := r.line.State(); s.Moving != 1 {
			t.Errorf("%+v", s)
		}
		r.pass(time.Millisecond)
		r.expect(p, "stop  2")
		r.end()
	})
}

func TestStopOvertakesOnTheWire(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r, p := open(t, path, 2)
		r.send(Once, 1, "preset1", 0)
		r.send(Once, 2, "preset2", 0)
		r.send(Move, 1, "left  1", time.Second)
		r.send(Stop, 1, "", 0)
		if s := r.line.State(); s.Queued != 1 {
			t.Errorf("%+v", s)
		}
		r.pass(time.Minute)
		r.expect(p, "preset1stop  1preset2stop  1")
		r.end()
	})
}

func TestEndStopsWhatMoves(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r, p := open(t, path, 3)
		r.send(Move, 1, "left  1", time.Minute)
		r.pass(air)
		r.send(Move, 3, "left  3", time.Minute)
		r.send(Once, 2, "preset2", 0)
		r.end()
		r.expect(p, "left  1left  3stop  1stop  3stop  1stop  3")
		if err := r.line.Send(Order{Address: 1, Kind: Stop}); !errors.Is(err, ErrDown) {
			t.Errorf("sent behind the end: %v", err)
		}
	})
}

func TestPortVanishesAndComesBack(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r, p := open(t, path, 1)
		r.send(Move, 1, "left  1", time.Minute)
		p.Unplug()
		r.pass(checkEvery)
		if s := r.line.State(); s.Open || !strings.Contains(s.Problem, "port is gone") || s.Moving != 0 {
			t.Fatalf("the port is gone: %+v", s)
		}
		err := r.line.Send(Order{Address: 1, Kind: Stop})
		if !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "port is gone") {
			t.Errorf("sent to nobody: %v", err)
		}
		r.pass(retryLeast)
		if s := r.line.State(); s.Open || !strings.Contains(s.Problem, "no such file") || s.Refused != 1 {
			t.Errorf("tried again: %+v", s)
		}
		p = haltest.Plug(t, path)
		r.pass(2 * retryLeast)
		r.expect(p, "stop  1stop  1")
		r.end()
	})
}

func TestWriteFindsThePortGone(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r, p := open(t, path, 1)
		p.Unplug()
		r.send(Once, 1, "preset1", 0)
		if s := r.line.State(); s.Open || !strings.Contains(s.Problem, "port is gone") {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestPortThatTakesNothingIsGivenUp: a write does not wait for it, nor does the end.
func TestPortThatTakesNothingIsGivenUp(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r, _ := open(t, path, 1)
		near, err := openNear(path)
		if err != nil {
			t.Fatal(err)
		}
		defer near.close()
		if n := near.fill(); n < 1000 {
			t.Fatalf("it took %d bytes: nothing was injected", n)
		}
		r.send(Move, 1, "left  1", time.Second)
		if s := r.line.State(); s.Open || !strings.Contains(s.Problem, "port does not send") {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestPortIsTriedEverMoreRarely plugs a port in at an instant at which it is not tried,
// and sees when it is found.
func TestPortIsTriedEverMoreRarely(t *testing.T) {
	for plugged, found := range map[time.Duration]time.Duration{
		0:                  0,
		1:                  time.Second,
		2 * time.Second:    3 * time.Second,
		4 * time.Second:    7 * time.Second,
		32 * time.Second:   61 * time.Second,
		61*time.Second + 1: 91 * time.Second,
		time.Hour + time.Second + time.Nanosecond: time.Hour + 31*time.Second,
	} {
		t.Run(plugged.String(), func(t *testing.T) {
			path := portOf(t)
			synctest.Test(t, func(t *testing.T) {
				if plugged == 0 {
					haltest.Plug(t, path)
				}
				r := start(t, path, 1)
				if plugged > 0 {
					r.pass(plugged)
					haltest.Plug(t, path)
					r.pass(found - plugged - 1)
					if s := r.line.State(); s.Open {
						t.Errorf("open too soon: %+v", s)
					}
					r.pass(1)
				}
				if s := r.line.State(); !s.Open {
					t.Errorf("not found: %+v", s)
				}
				r.end()
			})
		})
	}
}

func TestPortThatLastedIsTriedSoonAgain(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r := start(t, path, 1)
		r.pass(time.Hour) // the pause has grown
		p := haltest.Plug(t, path)
		r.pass(retryMost + retryMost)
		if s := r.line.State(); !s.Open {
			t.Fatalf("not found: %+v", s)
		}
		p.Unplug()
		p = haltest.Plug(t, path)
		r.pass(checkEvery + retryLeast)
		p.Read(7)
		if s := r.line.State(); !s.Open {
			t.Errorf("not found again: %+v", s)
		}
		r.end()
	})
}

func TestAbsentPortIsLoggedOnce(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r := start(t, path, 1)
		r.pass(time.Hour)
		r.end()
		if n := strings.Count(r.log.String(), "\n"); n != 1 {
			t.Errorf("%d lines in an hour:\n%s", n, r.log)
		}
	})
}

func TestWhatIsNoPortIsNotUsed(t *testing.T) {
	path := portOf(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := start(t, path, 1)
		if s := r.line.State(); s.Open || !strings.Contains(s.Problem, "set up "+path) {
			t.Errorf("%+v", s)
		}
		r.end()
	})
	if b, err := os.ReadFile(path); err != nil || len(b) > 0 {
		t.Errorf("written %q, %v", b, err)
	}
}

func TestPortWithoutRS485ModeIsUsedAllTheSame(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		p := haltest.Plug(t, path)
		line, err := New(Config{Port: path, Baud: 2400, RS485: true, Domes: domesOf(1)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- line.Run(ctx) }()
		synctest.Wait()
		if got := p.Read(7); got != "stop  1" {
			t.Errorf("sent %q", got)
		}
		if s := line.State(); !s.Open || s.Problem != "the driver of the port has no RS-485 mode" {
			t.Errorf("%+v", s)
		}
		cancel()
		<-done
	})
}

// TestWhatComesInIsThrownAway: domes that answer do not fill the port.
func TestWhatComesInIsThrownAway(t *testing.T) {
	path := portOf(t)
	synctest.Test(t, func(t *testing.T) {
		r, p := open(t, path, 1)
		near, err := openNear(path)
		if err != nil {
			t.Fatal(err)
		}
		defer near.close()
		p.Write("answer")
		if n := near.waiting(len("answer")); n != len("answer") {
			t.Fatalf("%d bytes wait at the port: nothing was injected", n)
		}
		r.pass(checkEvery)
		if n := near.waiting(0); n != 0 {
			t.Errorf("%d bytes wait at the port", n)
		}
		r.end()
	})
}

func TestLineIsRefused(t *testing.T) {
	good := Config{Port: "/dev/null", Baud: 2400, Domes: domesOf(2)}
	for name, change := range map[string]func(*Config){
		"port": func(c *Config) { c.Port = "" },
		"baud": func(c *Config) { c.Baud = 12345 },
		"two":  func(c *Config) { c.Domes[1].Address = 1 },
		"stop": func(c *Config) { c.Domes[1].Stop = nil },
	} {
		cfg := good
		cfg.Domes = domesOf(2)
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
