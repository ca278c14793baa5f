// Package player plays clips in real time and for ever: it paces pictures by
// their decoding times, loops without a step in time, marks each picture with
// package counter's number and pads to a wanted bitrate.
package player

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"districtgateway/cmd/encodersim/internal/clip"
	"districtgateway/cmd/internal/counter"
)

// An Output takes what is played, called from the player's goroutine only. What
// it is given is valid until it returns.
type Output interface {
	Video(profile int, p Picture)
	Audio(s Sound)
}

// A Picture is one access unit to send now. Ticks is its presentation instant,
// 90 kHz since the player was started; At is the same on the wall clock.
type Picture struct {
	NALs  [][]byte
	H265  bool
	Ticks int64
	At    time.Time
}

// A Sound is one audio frame to send now; Samples counts from the start.
type Sound struct {
	Data    []byte
	Samples int64
	At      time.Time
}

// Config says what to play.
type Config struct {
	Videos  []*clip.Video // one a profile
	Audio   *clip.Audio   // nil for none
	Bitrate int           // bit/s that profile 0 is padded to; 0 for none
	Output  Output
}

// A Player plays one encoder's profiles and its sound. Its methods may be called
// from any goroutine.
type Player struct {
	cfg Config

	mu      sync.Mutex
	epoch   time.Time
	videos  []videoReel
	audio   *audioReel
	numbers []uint64  // of each profile's next picture
	jump    int64     // ticks added to every timestamp
	silent  time.Time // nothing is sent before
	held    time.Time // nothing is taken before
	pad     padding
	unit    [][]byte // reused
	mark    []byte   // reused
}

// New returns a player; it does not start. Each video must have pictures.
func New(cfg Config) (*Player, error) {
	for i, v := range cfg.Videos {
		if v == nil || len(v.Pictures) == 0 || v.Period <= 0 {
			return nil, fmt.Errorf("profile %d has nothing to play", i)
		}
	}
	if a := cfg.Audio; a != nil && (len(a.Frames) == 0 || a.Period <= 0 || a.Rate <= 0) {
		return nil, fmt.Errorf("sound has nothing to play")
	}
	p := &Player{cfg: cfg, numbers: make([]uint64, len(cfg.Videos))}
	p.pad.bitrate = int64(cfg.Bitrate)
	p.rewind(time.Now())
	return p, nil
}

// Run plays from the start of the clips until ctx ends. It may be run again
// afterwards; picture numbers go on from where they were, and so do faults.
func (p *Player) Run(ctx context.Context) error {
	p.mu.Lock()
	p.rewind(time.Now())
	p.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(time.Until(p.play(time.Now())))
	}
}

// rewind goes to the start of the clips.
func (p *Player) rewind(now time.Time) {
	p.epoch = now
	p.videos = p.videos[:0]
	for _, v := range p.cfg.Videos {
		p.videos = append(p.videos, newVideoReel(v, 0))
	}
	if p.audio = nil; p.cfg.Audio != nil {
		p.audio = &audioReel{clip: p.cfg.Audio}
	}
}

// Show cuts a profile to another clip at its next picture, which is the new
// clip's first. Time and picture numbers go on.
func (p *Player) Show(profile int, v *clip.Video) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.Videos = slices.Clone(p.cfg.Videos) // ours from here on
	p.cfg.Videos[profile] = v
	p.videos[profile].cut(v)
}

// Shown returns what a profile plays.
func (p *Player) Shown(profile int) *clip.Video {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.videos[profile].clip
}

// Silence sends nothing until d has passed. Pictures are still taken and
// numbered, so that a reader sees how many it missed.
func (p *Player) Silence(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = time.Now().Add(d)
}

// Jump adds d, which may be negative, to every timestamp from now on.
func (p *Player) Jump(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jump += ticksOf(d)
}

// maxHold is how long pictures wait for a Key after a Hold.
const maxHold = 50 * time.Millisecond

// Hold sends nothing until Key, for a few milliseconds at most: a reader is
// being added.
func (p *Player) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = time.Now().Add(maxHold)
}

// Key skips to a key picture on all profiles, as most encoders do for a new
// reader. Time and picture numbers go on, sound moves ahead with the picture.
func (p *Player) Key() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = time.Time{}
	for i := range p.videos {
		moved := p.videos[i].skip()
		if i == 0 && p.audio != nil {
			p.audio.skip(moved)
		}
	}
}

// Numbers returns how many pictures each profile has taken.
func (p *Player) Numbers() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.numbers)
}

// play sends all that is due at now and returns when to come again.
func (p *Player) play(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.held) {
		return now.Add(time.Millisecond)
	}
	for i := range p.videos {
		for !p.at(p.videos[i].due()).After(now) {
			p.sendVideo(i, now)
		}
	}
	for p.audio != nil && !p.at(p.audio.due()).After(now) {
		p.sendAudio(now)
	}
	return p.next()
}

func (p *Player) next() time.Time {
	var next time.Time
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for i := range p.videos {
		earlier(p.at(p.videos[i].due()))
	}
	if p.audio != nil {
		earlier(p.at(p.audio.due()))
	}
	return next
}

func (p *Player) sendVideo(profile int, now time.Time) {
	r := &p.videos[profile]
	v := r.clip
	pic, shown := r.take()
	n := p.numbers[profile]
	p.numbers[profile]++
	if p.silent.After(now) {
		return
	}
	p.mark = counter.AppendSEI(p.mark[:0], v.H265, n, now)
	if v.H265 {
		p.mark[1] = pic.NALs[pic.Slice][1] & 7 // the picture's temporal sub-layer
	}
	p.unit = append(p.unit[:0], pic.NALs[:pic.Slice]...)
	p.unit = append(append(p.unit, p.mark), pic.NALs[pic.Slice:]...)
	if profile == 0 && p.pad.bitrate > 0 {
		p.unit = p.pad.fill(p.unit, v, pic.NALs[pic.Slice])
	}
	p.cfg.Output.Video(profile, Picture{NALs: p.unit, H265: v.H265, Ticks: shown + p.jump, At: p.at(shown)})
	clear(p.unit)
}

func (p *Player) sendAudio(now time.Time) {
	at, samples := p.at(p.audio.due()), p.audio.samples()
	f := p.audio.take()
	if p.silent.After(now) {
		return
	}
	samples += ticksTo(p.jump, p.audio.clip.Rate)
	p.cfg.Output.Audio(Sound{Data: f.Data, Samples: samples, At: at})
}

// at turns ticks since the start into an instant.
func (p *Player) at(ticks int64) time.Time {
	whole := time.Duration(ticks/clip.Clock) * time.Second
	return p.epoch.Add(whole + time.Duration(ticks%clip.Clock)*time.Second/clip.Clock)
}

func ticksOf(d time.Duration) int64 {
	return int64(d/time.Second)*clip.Clock + int64(d%time.Second)*clip.Clock/int64(time.Second)
}
