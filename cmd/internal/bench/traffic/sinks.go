package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Sinks are readers of streams. Their methods are called by [Dial]'s client.
//
// Quiet sinks look every 50 ms for what has come and sleep in between, outside of
// any poll: a server so pays for sending, and not for waking up the readers, who on a
// real network would be on other machines. Prompt ones read at once, and so can tell
// how long a picture took.
type Sinks struct {
	mu      sync.Mutex
	readers []*reader
	left    Totals // of readers that have been closed
}

// quietEvery is how often quiet sinks look. What comes meanwhile must fit into
// the receive buffer: a key picture and three others, with room.
const (
	quietEvery    = 50 * time.Millisecond
	receiveBuffer = 2 << 20
)

// A Request says what to open.
type Request struct {
	URLs   []string // with user and password if there are any
	UDP    bool
	Prompt bool
}

// A Sight is what one reader saw from its request on.
type Sight struct {
	Key    time.Duration // until the first key picture was whole; 0 if none came
	Behind time.Duration // until it was less than half a second late for good
	Totals
}

// Open opens a reader of each stream and answers when all of them play.
func (s *Sinks) Open(r Request, _ *Nothing) error {
	opened := make([]*reader, len(r.URLs))
	g, _ := errgroup.WithContext(context.Background())
	g.SetLimit(32) // a server may keep each waiting for a key picture
	for i, u := range r.URLs {
		g.Go(func() (err error) {
			opened[i], err = open(u, r)
			return err
		})
	}
	err := g.Wait()
	opened = slices.DeleteFunc(opened, func(r *reader) bool { return r == nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers = append(s.readers, opened...)
	if err == nil && !r.Prompt {
		go drain(opened) // ends with the readers
	}
	return err
}

// A Reading asks for what was received. Fresh forgets the delays noted so far.
type Reading struct{ Fresh bool }

// A Receipt is what was received.
type Receipt struct {
	Totals
	Readers int
	Delays  []time.Duration // of pictures at prompt readers, from their sending; sorted
	Ended   string          // why readers ended, if any did
}

// Read answers with what was received since the start.
func (s *Sinks) Read(what Reading, r *Receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Totals, r.Readers = s.left, len(s.readers)
	for _, reader := range s.readers {
		reader.mu.Lock()
		r.Totals = r.Totals.Plus(reader.tally.Totals)
		r.Delays = append(r.Delays, reader.tally.delays...)
		if what.Fresh {
			reader.tally.delays = reader.tally.delays[:0]
		}
		if reader.err != nil {
			r.Ended = reader.err.Error()
		}
		reader.mu.Unlock()
	}
	slices.Sort(r.Delays)
	return nil
}

// Close closes every reader and answers with what each saw, in the order they
// were opened.
func (s *Sinks) Close(_ Nothing, list *[]Sight) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.readers {
		sight := r.close()
		s.left = s.left.Plus(sight.Totals)
		*list = append(*list, sight)
	}
	s.readers = nil
	return nil
}

// Glance opens a prompt reader and closes it when its first key picture is whole.
// It answers with how long that took.
func (s *Sinks) Glance(r Request, took *time.Duration) error {
	if len(r.URLs) != 1 {
		return errors.New("a glance is at one stream")
	}
	r.Prompt = true
	reader, err := open(r.URLs[0], r)
	if err != nil {
		return err
	}
	defer reader.close()
	for deadline := now() + handshake; now() < deadline; time.Sleep(time.Millisecond / 2) {
		reader.mu.Lock()
		key, err := reader.tally.key, reader.err
		reader.mu.Unlock()
		if key > 0 || err != nil {
			*took = key - reader.tally.began
			return err
		}
	}
	return errors.New("no key picture")
}

// A reader takes one stream.
type reader struct {
	link  *link
	raw   int // descriptor of the socket with the media if it is read quietly
	mu    sync.Mutex
	tally tally
	rest  []byte // the beginning of a frame
	err   error
	ended bool
}

func open(url string, q Request) (*reader, error) {
	r := &reader{raw: -1}
	r.tally.began, r.tally.keep = now(), q.Prompt
	var err error
	if r.link, err = play(url, q.UDP); err != nil {
		return nil, err
	}
	r.take(r.link.left, now())
	if q.Prompt {
		go r.follow() // ends with the link
		return r, nil
	}
	if err := r.detach(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// detach takes the media socket away from the runtime's poll: closing a
// connection does that, and its duplicate was never there.
func (r *reader) detach() error {
	var media interface {
		SyscallConn() (syscall.RawConn, error)
		Close() error
	} = r.link.conn.(*net.TCPConn)
	if r.link.rtp != nil {
		media = r.link.rtp
	}
	raw, err := media.SyscallConn()
	if err != nil {
		return err
	}
	var dup error
	err = raw.Control(func(fd uintptr) { r.raw, dup = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return errors.Join(err, dup, media.Close())
}

// close ends the reader and returns what it saw.
func (r *reader) close() Sight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		r.link.close()
		if r.raw >= 0 {
			_ = unix.Close(r.raw)
		}
	}
	s := Sight{Totals: r.tally.Totals}
	if t := &r.tally; t.key > 0 {
		s.Key = t.key - t.began
		s.Behind = max(0, t.behind-t.began)
	}
	return s
}

// follow reads at once.
func (r *reader) follow() {
	buf := make([]byte, 256<<10)
	for {
		var n int
		var err error
		if r.link.rtp != nil {
			n, _, err = r.link.rtp.ReadFromUDPAddrPort(buf)
		} else {
			n, err = r.link.conn.Read(buf)
		}
		at := now()
		r.mu.Lock()
		if err != nil {
			if !r.ended {
				r.err = err
			}
			r.mu.Unlock()
			return
		}
		r.take(buf[:n], at)
		r.mu.Unlock()
	}
}

// take counts what was read.
func (r *reader) take(data []byte, at time.Duration) {
	if r.link.rtp != nil {
		if len(data) > 0 {
			r.tally.add(data, at)
		}
		return
	}
	if len(r.rest) > 0 {
		r.rest = append(r.rest, data...)
		data = r.rest
	}
	used := r.frames(data, at)
	r.rest = append(r.rest[:0], data[used:]...)
}

// frames counts the whole frames and returns how long they are together.
func (r *reader) frames(data []byte, at time.Duration) (used int) {
	for {
		frame, n, err := cutFrame(data[used:])
		if err != nil && r.err == nil {
			r.err = err
		}
		if n == 0 || err != nil {
			return used
		}
		if len(frame) > 0 {
			r.tally.add(frame, at)
		}
		used += n
	}
}

// drain reads quiet readers until they are closed.
func drain(list []*reader) {
	buf := make([]byte, 256<<10)
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	for range tick.C {
		open := 0
		for _, r := range list {
			if r.drain(buf) {
				open++
			}
		}
		if open == 0 {
			return
		}
	}
}

// drain takes what has come; it returns false when the reader has been closed.
func (r *reader) drain(buf []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.ended && r.err == nil {
		n, err := unix.Read(r.raw, buf)
		switch {
		case err == unix.EAGAIN:
			return true
		case err != nil:
			r.err = err
		case n == 0 && r.link.rtp == nil:
			r.err = fmt.Errorf("the server ended %s", r.link.conn.RemoteAddr())
		default:
			r.take(buf[:n], now())
		}
	}
	return !r.ended
}
