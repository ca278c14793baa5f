package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A SpawnFunc starts the volume's child process, which must call [ServeVolume] on
// files[0] (its descriptor 3 by os/exec's custom). Args are what to tell it apart
// by. Wait returns when the process has ended; kill ends it; both may be called
// from any goroutine, wait once.
type SpawnFunc func(args []string, files []*os.File) (wait func() error, kill func(), err error)

const (
	requestTimeout = 2 * time.Second
	stuckTimeout   = 30 * time.Second // a child that owes an answer for so long is replaced
	maxRestartWait = 10 * time.Second
)

// A child is the parent's side of the volume's child process.
type child struct {
	spawn SpawnFunc
	hello hello
	log   *slog.Logger
	up    chan struct{} // receives each time a child is ready

	starts atomic.Uint64

	mu      sync.Mutex
	conn    *os.File // nil: no child
	number  uint32
	waiting map[uint32]waiter
}

type waiter struct {
	reply chan frame
	since time.Time
}

// ask sends a request and waits for its answer, 2 s at most: then, or when there is
// no child, the error is [ErrVolumeStalled].
func (c *child) ask(ctx context.Context, o op, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	reply, err := c.send(ctx, o, body)
	if err != nil {
		return nil, err
	}
	select {
	case f, ok := <-reply:
		switch {
		case !ok:
			return nil, fmt.Errorf("child ended: %w", ErrVolumeStalled)
		case f.code != statusOK:
			return nil, errorOf(f)
		}
		return f.body, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		return nil, ErrVolumeStalled
	}
}

// send writes a request. A child that does not read is cut off: half a frame cannot
// be taken back.
func (c *child) send(ctx context.Context, o op, body []byte) (chan frame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil, fmt.Errorf("no child: %w", ErrVolumeStalled)
	}
	c.number++
	deadline, _ := ctx.Deadline()
	if err := c.conn.SetWriteDeadline(deadline); err != nil {
		return nil, fmt.Errorf("ask child: %w", err)
	}
	if err := writeFrame(c.conn, frame{c.number, uint8(o), body}); err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("%w (%w)", ErrVolumeStalled, err)
	}
	reply := make(chan frame, 1)
	c.waiting[c.number] = waiter{reply, time.Now()}
	return reply, nil
}

// run keeps a child running until ctx ends.
func (c *child) run(ctx context.Context) {
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			return
		}
		c.log.Error("volume child ended", "volume", c.hello.volume.String(), "err", err)
		if time.Since(began) > time.Minute {
			pause = 100 * time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxRestartWait)
	}
}

// once starts a child, greets it and serves it until it ends or is stuck. It
// returns after the process is gone, so that there are never two; when ctx ends a
// process that cannot be killed (its disk does not answer) is left to the kernel.
func (c *child) once(ctx context.Context) error {
	conn, wait, kill, err := c.start()
	if err != nil {
		return err
	}
	gone, read := make(chan error, 1), make(chan error, 1)
	go func() { gone <- wait() }()
	go func() { read <- c.read(conn) }()
	greeted := make(chan error, 1)
	go func() { greeted <- c.greet(ctx) }()
	stuck := time.NewTicker(time.Second)
	defer stuck.Stop()
	for err == nil {
		select {
		case err = <-read:
		case e := <-greeted:
			err = e
		case <-stuck.C:
			if c.owesSince(time.Now()) > stuckTimeout {
				err = ErrVolumeStalled
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	c.stop(conn)
	return errors.Join(err, reap(ctx, gone, kill))
}

// reap waits for the process: it ends by itself when its connection is closed, or
// is killed.
func reap(ctx context.Context, gone chan error, kill func()) error {
	select {
	case err := <-gone:
		return err
	case <-time.After(requestTimeout):
		kill()
	}
	if ctx.Err() == nil {
		select {
		case err := <-gone:
			return err
		case <-ctx.Done():
		}
	}
	select {
	case err := <-gone:
		return err
	case <-time.After(requestTimeout):
		return ErrVolumeStalled
	}
}

func (c *child) start() (conn *os.File, wait func() error, kill func(), err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("start child: %w", err)
	}
	conn = os.NewFile(uintptr(fds[0]), "volume-child")
	far := os.NewFile(uintptr(fds[1]), "volume-parent")
	defer far.Close()
	wait, kill, err = c.spawn([]string{"serve-volume"}, []*os.File{far})
	if err != nil {
		conn.Close()
		return nil, nil, nil, fmt.Errorf("start child: %w", err)
	}
	c.starts.Add(1)
	c.mu.Lock()
	c.conn, c.waiting = conn, map[uint32]waiter{}
	c.mu.Unlock()
	return conn, wait, kill, nil
}

// greet introduces us; opening a large index may take its time, so the deadline is
// the one for being stuck.
func (c *child) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stuckTimeout)
	defer cancel()
	reply, err := c.send(ctx, opHello, c.hello.encode())
	if err != nil {
		return err
	}
	select {
	case f, ok := <-reply:
		if !ok {
			return nil // read says why
		}
		if f.code != statusOK {
			return errorOf(f)
		}
	case <-ctx.Done():
		return ErrVolumeStalled
	}
	select {
	case c.up <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil
}

// read hands answers to who asked; late ones find nobody.
func (c *child) read(conn *os.File) error {
	for {
		f, err := readFrame(conn)
		if err != nil {
			return fmt.Errorf("read child: %w", err)
		}
		c.mu.Lock()
		w, ok := c.waiting[f.number]
		delete(c.waiting, f.number)
		c.mu.Unlock()
		if ok {
			w.reply <- f
		}
	}
}

// owesSince returns for how long the oldest request is unanswered.
func (c *child) owesSince(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	longest := time.Duration(0)
	for _, w := range c.waiting {
		longest = max(longest, now.Sub(w.since))
	}
	return longest
}

// stop closes the connection and tells who still waits.
func (c *child) stop(conn *os.File) {
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
	for _, w := range c.waiting {
		close(w.reply)
	}
	c.waiting = nil
}
