package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"districtgateway/media"
)

// PlayerConfig configures a player. Zero values mean the defaults.
type PlayerConfig struct {
	Scale float64       // how fast footage is shown: its times are divided by it (RFC 2326 §12.34); 0: 1
	Speed float64       // how fast it is delivered beyond that, times kept (RFC 2326 §12.35): downloads; 0: 1
	Ahead time.Duration // delivered so much before its time; 0: 500 ms; at most 500 ms

	// OnOpen, if not nil, is given the player when a stream opens it, to control it by.
	OnOpen func(*Player)
}

const (
	maxScale     = 32
	minScale     = 1.0 / 16
	keyOnlyScale = 4 // above this, only key frames are shown
	prefetch     = 32
	maxRelease   = 64 // samples pushed in one call, so that the owner's other work is not kept waiting
	releasePart  = 8  // and no more than such a part of the ring, so that nobody is lapped at one stroke
)

// A Player plays footage into a stream as if it were a camera, paced in real time
// times scale and speed. It is a media.Source with media.CarriageFrames; at the end
// of the footage it ends with media.ErrEnded. Pause, Resume, SetScale, SetSpeed and
// Seek may be called from any goroutine.
type Player struct {
	pb     *Playback
	cancel context.CancelFunc
	done   chan struct{}
	out    chan played // samples read ahead
	free   chan []byte // their memory, given back
	seeks  chan time.Time
	wake   chan struct{}

	mu     sync.Mutex // guards rate and generation
	rate   rate
	seekNo uint32

	head   *played // read but not due yet
	pace   pacer
	wanted uint32 // seekNo of what may be shown
}

// rate is what the viewer may change while playing.
type rate struct {
	scale, speed float64
	paused       bool
	ahead        time.Duration
}

// played is a sample on its way from disk to the stream.
type played struct {
	Sample
	tracks []media.Track
	seekNo uint32
	err    error
}

// Open returns an opener for the footage of channel on this volume alone; see
// [Volumes.Open].
func (v *Volume) Open(channel string, from, to time.Time, cfg PlayerConfig) media.Opener {
	return Volumes{v}.Open(Always(channel), from, to, cfg)
}

// NewPlayer makes a player, which owns pb from now on and reads ahead until it is
// closed.
func NewPlayer(pb *Playback, cfg PlayerConfig) *Player {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Player{
		pb: pb, cancel: cancel, done: make(chan struct{}), out: make(chan played, prefetch),
		free: make(chan []byte, prefetch+2), seeks: make(chan time.Time, 1), wake: make(chan struct{}, 1),
		rate: rate{scale: bound(cfg.Scale), speed: bound(cfg.Speed), ahead: 500 * time.Millisecond},
	}
	if cfg.Ahead > 0 {
		p.rate.ahead = min(cfg.Ahead, p.rate.ahead)
	}
	p.pace.restart = true
	go func() {
		defer close(p.done)
		p.read(ctx)
	}()
	return p
}

func bound(v float64) float64 {
	if v <= 0 {
		return 1
	}
	return max(minScale, min(v, maxScale))
}

// read reads ahead, on its own goroutine: a disk that does not answer must not hold
// up the stream's owner.
func (p *Player) read(ctx context.Context) {
	defer p.pb.Close()
	seekNo := uint32(0)
	for {
		s := p.readOne()
		s.seekNo = seekNo
		out := p.out
	deliver:
		select {
		case out <- s:
			p.Wake()
			if s.err == nil {
				continue
			}
			out = nil // after the end only a seek goes on
			goto deliver
		case at := <-p.seeks:
			seekNo++
			if err := p.pb.Seek(ctx, at); err != nil {
				s, out = played{err: err, seekNo: seekNo}, p.out
				goto deliver
			}
		case <-ctx.Done():
			return
		}
	}
}

func (p *Player) readOne() played {
	var buf []byte
	select {
	case buf = <-p.free:
	default:
	}
	s, err := p.pb.Next(buf[:0])
	return played{Sample: s, tracks: p.pb.Tracks(), err: err}
}

// Pause holds the footage where it is.
func (p *Player) Pause() { p.change(func(r *rate) { r.paused = true }) }

// Resume goes on.
func (p *Player) Resume() { p.change(func(r *rate) { r.paused = false }) }

// SetScale changes how fast the footage is shown, from 1/16 to 32. Above 4 only
// key frames are shown; sound only at 1.
func (p *Player) SetScale(v float64) { p.change(func(r *rate) { r.scale = bound(v) }) }

// SetSpeed changes how fast it is delivered, from 1/16 to 32.
func (p *Player) SetSpeed(v float64) { p.change(func(r *rate) { r.speed = bound(v) }) }

func (p *Player) change(f func(*rate)) {
	p.mu.Lock()
	f(&p.rate)
	p.mu.Unlock()
	p.Wake()
}

// Seek goes on from the last key frame at or before at. If there is no footage from
// there on, the stream ends.
func (p *Player) Seek(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.seeks: // overtaken before it was carried out
		p.seekNo--
	default:
	}
	p.seeks <- at
	p.seekNo++
	p.Wake()
}

// Receive implements media.Source: it waits until the next sample is due.
func (p *Player) Receive(s *media.Stream, deadline time.Time) error {
	for {
		now := time.Now()
		due, err := p.release(s, now)
		if err != nil || due.Equal(now) {
			return err
		}
		if due.IsZero() || due.After(deadline) {
			due = deadline
		}
		t := time.NewTimer(time.Until(due))
		select {
		case <-p.wake:
			t.Stop()
			if _, err := p.release(s, time.Now()); err != nil {
				return err
			}
			return nil
		case <-t.C:
			if !due.Before(deadline) {
				return nil
			}
		}
	}
}

// release pushes what is due. It returns when the next sample is; zero: not known,
// now: samples were pushed and there may be more.
func (p *Player) release(s *media.Stream, now time.Time) (time.Time, error) {
	p.mu.Lock()
	r, wanted := p.rate, p.seekNo
	p.mu.Unlock()
	if wanted != p.wanted {
		p.wanted, p.head, p.pace.restart = wanted, nil, true
	}
	p.pace.set(r, now)
	room := uint64(s.Ring().Size() / releasePart)
	for n, began := 0, s.Ring().Head(); n < maxRelease && s.Ring().Head()-began < room; n++ {
		if !p.fetch() {
			return time.Time{}, nil
		}
		if p.head.err != nil {
			return time.Time{}, endOf(p.head.err)
		}
		due, ok := p.pace.due(p.head)
		if !ok {
			return time.Time{}, nil // paused
		}
		if due.After(now) {
			if n > 0 {
				return now, nil
			}
			return due, nil
		}
		if err := p.push(s); err != nil {
			return now, err
		}
	}
	return now, nil
}

func endOf(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, ErrNoRecording) {
		return media.ErrEnded
	}
	return err
}

// fetch makes sure that the next sample is at hand, leaving out those from before a
// seek and those that are not shown at this scale.
func (p *Player) fetch() bool {
	for p.head == nil {
		select {
		case h := <-p.out:
			if h.seekNo != p.wanted || h.err == nil && !p.pace.shows(&h) {
				p.giveBack(&h)
				continue
			}
			p.head = &h
		default:
			return false
		}
	}
	return true
}

func (p *Player) giveBack(h *played) {
	if h.Data == nil {
		return
	}
	select {
	case p.free <- h.Data:
	default:
	}
}

// push copies the sample into the stream's ring.
func (p *Player) push(s *media.Stream) error {
	h := p.head
	p.head = nil
	defer p.giveBack(h)
	if h.Discontinuity {
		s.SetTracks(h.tracks) // nothing happens if they are the same
	}
	ring := s.Ring()
	if len(h.Data) > ring.Size()/2 {
		return nil // a picture that leaves no room for others cannot be carried
	}
	copy(ring.Reserve(len(h.Data)), h.Data)
	pts, dts := p.pace.times(h)
	err := s.PushFrame(media.Frame{
		Track: h.Track, Range: ring.Commit(len(h.Data)), PTS: pts, DTS: dts, Wall: h.Wall,
		Key: h.Key, Discontinuity: h.Discontinuity,
	})
	if err != nil {
		return fmt.Errorf("play back: %w", err)
	}
	return nil
}

// Wake implements media.Source.
func (p *Player) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Close implements media.Source. It waits for a read that is under way, 2 s at
// most; then the disk does not answer and the read ends when it does.
func (p *Player) Close() error {
	p.cancel()
	select {
	case <-p.done:
		return nil
	case <-time.After(requestTimeout):
		return ErrVolumeStalled
	}
}
