package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"districtgateway/cmd/internal/bench/peer"
	"districtgateway/cmd/internal/bench/traffic"
)

// A field is who is measured side by side, and the processes that make the work
// and count it.
type field struct {
	bench    *bench
	entrants []entrant
	source   *loader
	sinks    *loader
	at       string // of the source
	host     string // first three bytes of the servers' addresses
	starts   int
}

// An entrant is a server and its program.
type entrant struct {
	peer.Server
	program string
}

// A loader is a process that makes traffic or takes it.
type loader struct {
	*process
	*traffic.Client
}

func (l *loader) end() {
	l.Client.Close()
	l.stop()
}

// newField starts the load's processes. The gateway is first, then every peer whose
// program the environment names. The caller owes it a close.
func (b *bench) newField(ctx context.Context) (*field, error) {
	b.fields++
	f := &field{bench: b, host: fmt.Sprintf("127.%d.%d", 64+rand.N(128), rand.N(256)), entrants: []entrant{{ours{}, b.gatewayd}}}
	f.entrants = append(f.entrants, b.peers...)
	var err error
	if f.source, err = b.loader(ctx, "source"); err != nil {
		return nil, err
	}
	if f.sinks, err = b.loader(ctx, "sinks"); err == nil {
		f.at, err = f.source.Listen(ctx, f.host+".1:0")
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *field) close() {
	f.source.end()
	if f.sinks != nil {
		f.sinks.end()
	}
}

// loader runs this program once more, as one that makes or takes traffic.
func (b *bench) loader(ctx context.Context, name string) (*loader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name = fmt.Sprintf("%s%d", name, b.fields)
	socket := filepath.Join(b.scratch, name)
	p, err := b.start(name, nil, self, trafficVerb, socket)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := traffic.Dial(ctx, socket)
	if err != nil {
		p.stop()
		return nil, errors.Join(err, p.check())
	}
	return &loader{p, c}, nil
}

// findPeers looks for the peers' programs.
func (b *bench) findPeers() error {
	var errs []error
	for _, c := range peer.All() {
		path := os.Getenv(c.Variable)
		if path == "" {
			b.say("%s is not compared with: %s does not name its program", c.Name(), c.Variable)
			continue
		}
		if _, err := exec.LookPath(path); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Variable, err))
		}
		b.peers = append(b.peers, entrant{c.Server, path})
	}
	return errors.Join(errs...)
}

// A server is an entrant at work.
type server struct {
	*process
	entrant
	job   peer.Job
	field *field
}

// begin starts an entrant with n sources. The caller owes it an end.
func (f *field) begin(ctx context.Context, e entrant, n int, record bool) (*server, error) {
	f.starts++
	name := fmt.Sprintf("field%d-%d-%s", f.bench.fields, f.starts, e.Name())
	s := &server{entrant: e, field: f, job: peer.Job{
		Dir: filepath.Join(f.bench.scratch, name), Host: fmt.Sprintf("%s.%d", f.host, 2+f.starts%250), Record: record}}
	for i := range n {
		s.job.Sources = append(s.job.Sources, fmt.Sprintf("rtsp://%s/%s/%d", f.at, e.Name(), i))
	}
	if err := os.Mkdir(s.job.Dir, 0o755); err != nil {
		return nil, err
	}
	args, err := e.Prepare(s.job)
	if err != nil {
		return nil, err
	}
	if s.process, err = f.bench.start(name, nil, e.program, args...); err != nil {
		return nil, err
	}
	p := patience{20 * time.Millisecond, 20 * time.Second, e.Name() + " can be given work"}
	err = poll(ctx, p, func() (bool, error) {
		if err := s.check(); err != nil {
			return true, err
		}
		err := s.engage(ctx)
		return err == nil, err
	})
	if err := errors.Join(err, s.check()); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// engage tells a server what to pull, or the source to publish it.
func (s *server) engage(ctx context.Context) error {
	if err := s.Begin(ctx, s.job); err != nil || !s.Can().Pushed {
		return err
	}
	return s.field.source.Publish(ctx, s.urls(1))
}

func (s *server) end() {
	s.stop()
	if err := os.RemoveAll(s.job.Dir); err != nil {
		s.field.bench.say("remove %s: %v", s.job.Dir, err)
	}
}

// urls names what readers ask for: each source so many times.
func (s *server) urls(times int) (list []string) {
	for n := range s.job.Sources {
		list = append(list, slices.Repeat([]string{s.URL(s.job, n)}, times)...)
	}
	return list
}

// open has the sinks read. A server that has just been started may not have its port open yet, or
// its sources.
func (s *server) open(ctx context.Context, r traffic.Request) error {
	p := patience{100 * time.Millisecond, 20 * time.Second, s.Name() + " gives its streams"}
	return poll(ctx, p, func() (bool, error) {
		if err := s.check(); err != nil {
			return true, err
		}
		err := s.field.sinks.Open(ctx, r)
		if err != nil {
			_, err2 := s.field.sinks.CloseReaders(ctx)
			return false, errors.Join(err, err2)
		}
		return true, nil
	})
}

// fed waits until the server has all its sources.
func (s *server) fed(ctx context.Context) error {
	p := patience{20 * time.Millisecond, 20 * time.Second, s.Name() + " has its sources"}
	return poll(ctx, p, func() (bool, error) {
		sent, err := s.field.source.Sent(ctx)
		return err == nil && sent.Playing >= len(s.job.Sources), errors.Join(err, s.check())
	})
}

// recorded returns how large the recordings are.
func (s *server) recorded() (sum int64, err error) {
	err = filepath.WalkDir(s.job.Recordings(), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // not begun, or renamed just now
			return nil
		}
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".db") {
			return err
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}
