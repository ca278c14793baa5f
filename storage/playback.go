package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

	"districtgateway/media"
)

// A Sample is one picture, or one audio frame, read back.
type Sample struct {
	Track         uint8 // index into Playback.Tracks
	PTS, DTS      media.Ticks
	Wall          int64 // wall clock of its recording, Unix nanoseconds
	Key           bool
	Damaged       bool   // packets were missing when it was recorded
	Discontinuity bool   // a hole, or other parameters, before it: Tracks may have changed
	Data          []byte // video: NAL units, each after its length in 4 bytes; audio: one frame
}

// A Playback reads the footage of a channel in order of decoding time, over
// segments, volumes and holes. Times count from the first sample read and leave holes out,
// but for one frame. It is used by one goroutine.
type Playback struct {
	vols    Volumes
	of      []Tenure
	to      int64
	segs    []located
	cur     *openedSegment
	frag    fragmentRead
	next    int         // sample of frag
	shift   media.Ticks // added to a segment's time
	reached media.Ticks // our time after the newest fragment
	ended   int64       // wall clock at which the previous segment ended; 0: none
	jumped  bool        // a discontinuity is due
	skipKey bool        // nothing before the next key frame
	tracks  []media.Track
}

// An openedSegment is a segment being read.
type openedSegment struct {
	file *os.File
	row  Segment
	head *header
	off  int64
	end  int64
}

// A fragmentRead is a fragment in memory.
type fragmentRead struct {
	head    fragHead
	samples []fileSample
	buf     []byte
}

// OpenPlayback opens the footage of channel in [from, to) on this volume alone; see
// [Volumes.OpenPlayback].
func (v *Volume) OpenPlayback(ctx context.Context, channel string, from, to time.Time) (*Playback, error) {
	return Volumes{v}.OpenPlayback(ctx, Always(channel), from, to)
}

// Tracks returns the tracks of the sample that was read last (at first, of the
// first). They change only at a sample marked as discontinuity.
func (p *Playback) Tracks() []media.Track { return p.tracks }

// Seek goes on from the last key frame at or before at.
func (p *Playback) Seek(ctx context.Context, at time.Time) error {
	if err := p.seek(ctx, at.UnixNano()); err != nil {
		return fmt.Errorf("seek %s: %w", p.channel(), err)
	}
	return nil
}

// Close releases the files.
func (p *Playback) Close() error {
	p.closeSegment()
	return nil
}

func (p *Playback) seek(ctx context.Context, from int64) error {
	segs, err := p.find(ctx, from)
	if err != nil {
		return err
	}
	p.closeSegment()
	p.segs, p.ended, p.jumped, p.skipKey = segs, 0, true, true
	p.frag.samples, p.next = p.frag.samples[:0], 0
	if err := p.openNext(); err != nil {
		return err
	}
	return p.seekKey(from)
}

// seekKey goes to the fragment with the last key frame at or before from, and in it
// to that key frame.
func (p *Playback) seekKey(from int64) error {
	entries, err := p.entries()
	if err != nil {
		return err
	}
	// The first fragment after from; a key frame is in it or before.
	i := sort.Search(len(entries), func(i int) bool { return entries[i].wall > from })
	for i--; i > 0 && entries[i].keys == 0; i-- {
	}
	if i <= 0 {
		return nil
	}
	p.cur.off = entries[i].off
	if err := p.readFragment(); err != nil {
		return nil // damaged: reading goes on from there
	}
	best := p.keyBefore(from)
	if best < 0 && i > 0 { // its keys all come after from: the fragment before has one too
		for i--; i > 0 && entries[i].keys == 0; i-- {
		}
		p.cur.off = entries[i].off
		if p.readFragment() != nil {
			return nil
		}
		best = p.keyBefore(from)
	}
	p.next = max(best, 0)
	return nil
}

// keyBefore returns the sample of the fragment in memory that is the last key frame
// at or before from; -1 if there is none.
func (p *Playback) keyBefore(from int64) int {
	best := -1
	for k, s := range p.frag.samples {
		if p.startsAt(&s) && p.wall(&s) <= from {
			best = k
		}
	}
	return best
}

func (p *Playback) startsAt(s *fileSample) bool {
	primary := primaryTrack(p.cur.head.tracks)
	return int(s.track) == primary && (s.key || !p.cur.head.tracks[primary].Codec.Video())
}

// entries returns the table of fragments: from the tail, or, of a segment that is
// being written, from the fragments themselves.
func (p *Playback) entries() ([]fragEntry, error) {
	if t, err := readTail(p.cur.file, p.cur.row.Bytes, p.cur.head); err == nil {
		return t.table, nil
	}
	c, err := scanFragments(p.cur.file, p.cur.end, p.cur.head, &p.frag.buf)
	p.frag.samples, p.next = p.frag.samples[:0], 0
	if err != nil {
		return nil, err
	}
	return c.tally.table, nil
}

// openNext opens the next segment that is there.
func (p *Playback) openNext() error {
	p.closeSegment()
	for len(p.segs) > 0 {
		row := p.segs[0]
		p.segs = p.segs[1:]
		cur, err := openSegment(filepath.Join(row.dir, row.Path()), row.Segment, &p.frag.buf)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrCorrupt) {
			p.jumped, p.skipKey = true, true
			continue
		}
		if err != nil {
			return err
		}
		p.follow(cur)
		return nil
	}
	return io.EOF
}

// follow goes on with cur: its time continues ours, without the hole.
func (p *Playback) follow(cur *openedSegment) {
	sameTracks := len(p.tracks) == len(cur.head.tracks)
	for i := range p.tracks {
		sameTracks = sameTracks && sameTrack(p.tracks[i], cur.head.tracks[i])
	}
	joined := p.ended != 0 && absolute(cur.row.Start-p.ended) <= cur.row.frame() && sameTracks
	first := media.Ticks(0)
	if len(cur.head.tracks) > 1 {
		first = audioLead
	}
	step := media.TicksOf(time.Duration(cur.row.frame()))
	if joined {
		step = 0
	}
	p.shift = p.reached + step - first
	if !joined {
		p.jumped, p.skipKey = true, true
	}
	p.cur, p.tracks = cur, cur.head.tracks
}

func absolute(v int64) int64 { return max(v, -v) }

func openSegment(name string, row Segment, buf *[]byte) (*openedSegment, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	h, err := readHeader(f, row.Bytes, buf)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &openedSegment{file: f, row: row, head: h, off: int64(h.size), end: row.Bytes}, nil
}

func (p *Playback) closeSegment() {
	if p.cur != nil {
		p.ended = p.cur.row.End
		p.cur.file.Close()
		p.cur = nil
	}
}

// readFragment reads the fragment at p.cur.off and goes past it.
func (p *Playback) readFragment() error {
	c := p.cur
	h, err := readFragment(c.file, c.off, c.head, &p.frag.buf)
	p.next, p.frag.samples = 0, p.frag.samples[:0]
	if err != nil {
		return err
	}
	p.frag.head = h
	p.frag.samples, err = parseMoof(p.frag.samples, p.frag.buf[:fragHeadLen+int(h.body)], fragHeadLen, c.head.tracks)
	c.off += int64(h.total)
	return err
}

// nextFragment reads on until there are samples: over damaged fragments and to the
// next segment. io.EOF at the end.
func (p *Playback) nextFragment() error {
	for {
		if p.cur == nil || p.cur.off+block > p.cur.end {
			if err := p.openNext(); err != nil {
				return err
			}
			continue
		}
		err := p.readFragment()
		switch {
		case ioFailed(err):
			return fmt.Errorf("play %s: %w", p.channel(), err)
		case err == nil:
			if len(p.frag.samples) > 0 {
				return nil
			}
		case tailAt(p.cur):
			p.cur.off = p.cur.end
		default:
			p.cur.off += block
			p.jumped, p.skipKey = true, true
		}
	}
}

// tailAt reports whether what is read is the segment's tail.
func tailAt(c *openedSegment) bool {
	t, err := readTail(c.file, c.row.Bytes, c.head)
	return err == nil && c.off >= t.size
}

// Next returns the next sample, its data appended to dst. At the end, or when the
// recording has nothing durable beyond, the error is io.EOF.
func (p *Playback) Next(dst []byte) (Sample, error) {
	for {
		if p.cur == nil || p.next == len(p.frag.samples) {
			if err := p.nextFragment(); err != nil {
				return Sample{}, err
			}
		}
		s := &p.frag.samples[p.next]
		p.next++
		wall := p.wall(s)
		if p.skipKey && !p.startsAt(s) {
			continue
		}
		if wall >= p.to {
			return Sample{}, io.EOF
		}
		out := Sample{
			Track: s.track, PTS: s.pts + p.shift, DTS: s.dts + p.shift, Wall: wall, Key: s.key,
			Damaged: s.damaged, Discontinuity: p.jumped, Data: append(dst, p.frag.buf[s.off:s.end]...),
		}
		p.jumped, p.skipKey = false, false
		p.reached = max(p.reached, p.frag.head.dts+p.frag.head.duration+p.shift)
		return out, nil
	}
}

// wall returns the wall clock of s, by its fragment's.
func (p *Playback) wall(s *fileSample) int64 {
	return p.frag.head.wall + int64((s.dts - p.frag.head.dts).Duration())
}
