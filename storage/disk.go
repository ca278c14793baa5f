package storage

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"districtgateway/media"
)

const (
	queueLength = 2048                   // fragments on their way to one volume; every recorder has at most jobsPerRecorder
	syncEvery   = 500 * time.Millisecond // at most so long between a write and its sync
)

// diskStats count what the disk goroutine did.
type diskStats struct {
	fragments, bytes, syncs, failures, lapped atomic.Uint64
	busySince                                 atomic.Int64 // Unix nanoseconds at which the present system call began; 0: none
	badSince, lastBad                         atomic.Int64 // Unix nanoseconds of the first and the last failure since something was written; 0: none
}

// badMemory is how long a failure is held against a volume that nobody has used
// since: then it is worth another try.
const badMemory = 10 * time.Minute

// bad notes a failure at now.
func (s *diskStats) bad(now int64) {
	if now-s.lastBad.Swap(now) > int64(badMemory) {
		s.badSince.Store(0)
	}
	s.badSince.CompareAndSwap(0, now)
}

// failing returns since when nothing could be written; 0: it can, or nobody has
// tried for long.
func (s *diskStats) failing(now int64) int64 {
	if at := s.busySince.Load(); at > 0 && now-at > int64(requestTimeout) {
		return at
	}
	if now-s.lastBad.Load() > int64(badMemory) {
		return 0
	}
	return s.badSince.Load()
}

// A disk is the one goroutine that writes footage to a volume. When the volume
// stalls it stands still, alone.
type disk struct {
	dir    string
	volume VolumeID
	sess   uint64
	direct bool
	queue  chan *job
	open   map[*Recorder]*segmentFile
	mem    []byte // page-aligned scratch for one section
	stats  *diskStats
	log    *slog.Logger
	logged time.Time // when a failure was last logged
	quiet  int       // failures since

	publish func(s Segment, changed bool) // a durable state of a segment; changed: the index must learn of it
	onFull  func()
	home    func() error // whether dir is still the volume
	hang    func()       // see VolumeConfig
}

// run writes until ctx ends, then finishes what is queued and every open segment.
func (d *disk) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case j := <-d.queue:
			d.do(j)
		case <-tick.C:
			d.syncAll()
		case <-ctx.Done():
			d.finish()
			return
		}
	}
}

func (d *disk) finish() {
	for {
		select {
		case j := <-d.queue:
			d.do(j)
			continue
		default:
		}
		break
	}
	for rec, s := range d.open {
		rec.fail(s.gen)
		d.end(rec, CauseStopped)
	}
	d.syncAll()
	if d.mem != nil {
		_ = unix.Munmap(d.mem)
		d.mem = nil
	}
}

// do carries out one job and gives it back.
func (d *disk) do(j *job) {
	d.stats.busySince.Store(time.Now().UnixNano())
	defer d.stats.busySince.Store(0)
	if d.hang != nil {
		d.hang()
	}
	rec := j.rec
	if err := d.perform(j); err != nil {
		d.fail(rec, j.gen, err)
	}
	rec.give(j)
}

func (d *disk) perform(j *job) error {
	if j.begin != nil {
		d.end(j.rec, j.begin.cause)
		if err := d.begin(j); err != nil {
			return err
		}
	}
	if j.closes {
		d.end(j.rec, j.cause)
	}
	s := d.open[j.rec]
	if s == nil || s.gen != j.gen || s.closing {
		return nil // of a segment that failed
	}
	if len(j.samples) > 0 {
		if err := d.write(s, j); err != nil {
			return err
		}
	}
	if j.ends {
		d.end(j.rec, j.cause)
	}
	return nil
}

// fail ends the segment without touching its file again: what was durable stays.
func (d *disk) fail(rec *Recorder, gen uint32, err error) {
	d.stats.failures.Add(1)
	if errors.Is(err, media.ErrLapped) {
		d.stats.lapped.Add(1)
	} else {
		d.stats.bad(time.Now().UnixNano())
	}
	d.quiet++
	if now := time.Now(); now.Sub(d.logged) >= 10*time.Second {
		d.log.Error("segment abandoned", "channel", rec.cfg.Channel, "times", d.quiet, "err", err)
		d.logged, d.quiet = now, 0
	}
	rec.fail(gen)
	if s := d.open[rec]; s != nil && s.gen == gen {
		delete(d.open, rec)
		d.abandon(s, err)
	}
	if errors.Is(err, ErrFull) {
		d.onFull()
	}
}

// abandon closes a segment whose file failed, or whose data were lost. If the disk
// itself is well the file is finished properly, with the cause.
func (d *disk) abandon(s *segmentFile, err error) {
	if errors.Is(err, media.ErrLapped) && len(s.tally.table) > 0 {
		s.tally.cause = CauseDisk
		if d.writeTail(s) == nil && s.sync() == nil {
			d.closed(s)
			return
		}
	}
	name := s.file.Name()
	s.file.Close()
	if !s.announced {
		os.Remove(name)
		return
	}
	s.durable.Flags &^= SegmentOpen
	s.durable.Cause = CauseDisk
	d.publish(s.durable, true)
}

func (d *disk) begin(j *job) error {
	if err := d.home(); err != nil {
		return err
	}
	h := &j.begin.header
	h.volume, h.session = d.volume, d.sess
	if slices.EqualFunc(h.tracks, j.rec.head.tracks, sameTrack) { // as nearly always: making them anew takes 500 allocations
		h.boxes = j.rec.head.boxes
	}
	d.need(maxHeader + 2*block)
	b, err := appendHeader(d.mem[:0], h)
	if err != nil {
		return err
	}
	j.rec.head.tracks, j.rec.head.boxes = h.tracks, h.boxes
	s, err := createSegment(d.dir, h, d.direct)
	if err != nil {
		return err
	}
	h.size = len(b)
	s.gen, s.tally.size = j.gen, int64(len(b))
	d.open[j.rec] = s
	return s.append(b)
}

// need makes the scratch at least n bytes large.
func (d *disk) need(n int) {
	if len(d.mem) >= n {
		return
	}
	n = (n + 1<<20 - 1) &^ (1<<20 - 1)
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("storage: no memory: " + err.Error())
	}
	if d.mem != nil {
		_ = unix.Munmap(d.mem)
	}
	d.mem = mem
}

// write appends the fragment of j to s.
func (d *disk) write(s *segmentFile, j *job) error {
	tracks := s.head.tracks
	d.need(fragHeadLen + 24 + len(tracks)*trafFixed + len(j.samples)*trunEntry + 8 + j.bytes + 3*block)
	lay := layout{tracks: tracks, base: s.head.base, samples: j.samples}
	b := lay.appendMoof(d.mem[:fragHeadLen], s.seq)
	b, err := j.rec.ring.take(b, j, len(tracks))
	if err != nil {
		return err
	}
	h := fragHead{
		flags: j.flags, volume: d.volume, session: d.sess, seq: s.seq, wall: j.wall,
		dts: j.dts - s.head.base, duration: j.duration, body: uint32(len(b) - fragHeadLen),
	}
	h.frames, h.keys = j.frames(tracks)
	pad := padding(len(b))
	h.total = uint32(len(b) + pad)
	appendFragHead(d.mem[:0], &h, b[fragHeadLen:])
	b = appendFree(b, pad)
	off := s.written
	if err := s.append(b); err != nil {
		return err
	}
	s.seq++
	s.tally.add(&h, off)
	d.stats.fragments.Add(1)
	d.stats.badSince.Store(0)
	d.stats.bytes.Add(uint64(len(b)))
	return nil
}

// end closes the open segment of rec, if any; the next sync makes it final.
func (d *disk) end(rec *Recorder, cause Cause) {
	s := d.open[rec]
	if s == nil {
		return
	}
	s.tally.cause = cause
	if err := d.writeTail(s); err != nil {
		d.fail(rec, s.gen, err)
		return
	}
	d.finalize(rec, s)
}

func (d *disk) writeTail(s *segmentFile) error {
	d.need(maxHeader)
	tail := appendTail(nil, s.head, &s.tally)
	d.need(len(tail))
	s.closing = true
	return s.append(append(d.mem[:0], tail...))
}

func (d *disk) finalize(rec *Recorder, s *segmentFile) {
	if err := s.sync(); err != nil {
		d.fail(rec, s.gen, err)
		return
	}
	d.stats.syncs.Add(1)
	delete(d.open, rec)
	d.closed(s)
}

// closed tells that s is final and durable.
func (d *disk) closed(s *segmentFile) {
	if err := s.close(); err != nil {
		d.log.Warn("segment not closed cleanly", "channel", s.head.channel, "err", err)
	}
	d.publish(s.tally.row(s.head, s.written), true)
}

// syncAll makes what was written to any segment durable, then publishes it.
func (d *disk) syncAll() {
	d.stats.busySince.Store(time.Now().UnixNano())
	defer d.stats.busySince.Store(0)
	for rec, s := range d.open {
		if !s.dirty {
			continue
		}
		if err := s.sync(); err != nil {
			d.fail(rec, s.gen, err)
			continue
		}
		d.stats.syncs.Add(1)
		if len(s.tally.table) == 0 {
			continue
		}
		s.durable = s.tally.row(s.head, s.tally.size)
		s.durable.Flags |= SegmentOpen
		d.publish(s.durable, !s.announced)
		s.announced = true
	}
}
