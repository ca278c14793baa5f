package storage

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// VolumeConfig configures a volume. Zero values mean the defaults.
type VolumeConfig struct {
	Dir         string         // where it is mounted
	Owner       string         // id of this box
	Volume      string         // UUID it must have; "": any
	Create      bool           // give an empty directory an identity; never done if Volume is set
	Label       string         // written into a new identity
	TakeOver    string         // owner whose mark may be replaced; typed by a person
	MaxBytes    int64          // footage kept at most; 0: as much as fits
	MinFree     int64          // bytes of the file system kept free; 0: 256 MiB
	Days        int            // footage kept for so many days; 0: no limit
	ChannelDays map[string]int // per channel, instead of Days
	IndexBytes  int64          // size at which a month's index goes on in a new file; 0: 256 MiB
	Buffered    bool           // write through the page cache
	Spawn       SpawnFunc      // starts the child process
	Hang        func()         // called before each job of the disk; nil but in rigs, whose disk hangs in it
	Log         *slog.Logger   // nil: discard
}

// Validate returns every fault of c, joined.
func (c *VolumeConfig) Validate() error {
	var err error
	if c.Dir == "" {
		err = errors.Join(err, errors.New("dir: want a directory"))
	}
	if c.Owner == "" || len(c.Owner) > 128 {
		err = errors.Join(err, errors.New("owner: want this box's id, at most 128 bytes"))
	}
	if c.Volume != "" {
		if _, e := ParseVolumeID(c.Volume); e != nil {
			err = errors.Join(err, e)
		}
	}
	if c.MaxBytes < 0 || c.MinFree < 0 || c.Days < 0 || c.IndexBytes < 0 {
		err = errors.Join(err, errors.New("limits: want 0 or more"))
	}
	if c.Spawn == nil {
		err = errors.Join(err, errors.New("spawn: want a way to start the child process"))
	}
	return err
}

// A Volume is a directory on a disk or LUN that records, with its identity, one
// owner, and an index of its own. Its methods may be called from any goroutine.
type Volume struct {
	cfg    VolumeConfig
	id     Identity
	lock   *os.File
	child  *child
	disk   *disk
	recent recent
	holes  holes
	stats  diskStats
	keeper keeper
	log    *slog.Logger
	tempo  tempo
	ready  chan struct{} // closed when the last 24 hours are in memory
	once   sync.Once
	lose   context.CancelCauseFunc // ends Run, with ErrWrongVolume
}

// keeper is the state of the goroutine that keeps index and limits.
type keeper struct {
	mu      sync.Mutex
	pending []Segment // rows the index has not acknowledged, oldest first
	kick    chan struct{}
	full    atomic.Bool // the disk said so
	marked  atomic.Bool // segments may be marked for deletion and still there
	recover atomic.Bool // the index must be brought in line with the segments
	busy    atomic.Bool // it is being
	totals  atomic.Pointer[indexStats]
	expired atomic.Uint64
	noted   atomic.Int64 // when an error was last logged, Unix nanoseconds
}

const maxPending = 65536

// tempo is how often things are done.
type tempo struct{ sync, commit, limits time.Duration }

// OpenVolume claims the volume: it must be the configured one, nobody else's, and
// writable by a write probe. Errors: [ErrWrongVolume], [ErrVolumeInUse] (an
// [InUseError]), [ErrFull], or [ErrVolumeStalled] when ctx ends before the disk has
// answered. Nothing is started; [Volume.Run] does that and releases the volume.
func OpenVolume(ctx context.Context, cfg VolumeConfig) (*Volume, error) {
	return openVolume(ctx, cfg, claim)
}

// A claimFunc makes a volume ours; see claim.
type claimFunc func(*VolumeConfig) (Identity, *os.File, error)

func openVolume(ctx context.Context, cfg VolumeConfig, claim claimFunc) (*Volume, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open volume: %w", err)
	}
	type claimed struct {
		id   Identity
		lock *os.File
		err  error
	}
	done := make(chan claimed, 1)
	go func() { // the disk may never answer; whoever waits must
		id, lock, err := claim(&cfg)
		done <- claimed{id, lock, err}
	}()
	select {
	case c := <-done:
		if c.err != nil {
			return nil, fmt.Errorf("open volume: %w", c.err)
		}
		return newVolume(cfg, c.id, c.lock)
	case <-ctx.Done():
		go func() {
			if c := <-done; c.lock != nil {
				c.lock.Close()
			}
		}()
		return nil, fmt.Errorf("open volume: %w", ErrVolumeStalled)
	}
}

func newVolume(cfg VolumeConfig, id Identity, lock *os.File) (*Volume, error) {
	if cfg.MinFree == 0 {
		cfg.MinFree = 256 << 20
	}
	if cfg.IndexBytes == 0 {
		cfg.IndexBytes = 256 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	volume, err := ParseVolumeID(id.Volume)
	if err != nil {
		lock.Close()
		return nil, err
	}
	var session [8]byte
	rand.Read(session[:])
	h := hello{dir: cfg.Dir, volume: volume, session: binary.BigEndian.Uint64(session[:]), indexBytes: cfg.IndexBytes}
	v := &Volume{
		cfg: cfg, id: id, lock: lock, log: cfg.Log.With("volume", id.Volume), ready: make(chan struct{}),
		child:  &child{spawn: cfg.Spawn, hello: h, log: cfg.Log, up: make(chan struct{}, 1)},
		recent: recent{since: time.Now().UnixNano(), rows: map[string][]Segment{}},
		holes:  holes{m: map[string][]Gap{}, on: map[string]bool{}},
		keeper: keeper{kick: make(chan struct{}, 1)}, tempo: tempo{syncEvery, commitEvery, retentionEvery},
	}
	v.disk = &disk{
		dir: cfg.Dir, volume: volume, sess: h.session, direct: !cfg.Buffered, queue: make(chan *job, queueLength),
		open: map[*Recorder]*segmentFile{}, stats: &v.stats, log: v.log, publish: v.publish, onFull: v.onFull, home: v.home, hang: cfg.Hang,
	}
	return v, nil
}

// Identity returns the volume's identity.
func (v *Volume) Identity() Identity { return v.id }

// Close releases a volume that was never run.
func (v *Volume) Close() error {
	err := error(nil)
	v.once.Do(func() { err = v.lock.Close() })
	return err
}

// Run records, keeps the child process running, the index up to date and the
// volume within its limits, until ctx ends, or another directory is found in the
// volume's place ([ErrWrongVolume]). Then it finishes the open segments and releases
// the volume. A disk that does not answer then is not waited for longer than 5 s: the
// error is [ErrVolumeStalled].
func (v *Volume) Run(ctx context.Context) error {
	defer v.Close()
	ctx, v.lose = context.WithCancelCause(ctx)
	defer v.lose(nil)
	childCtx, stopChild := context.WithCancel(context.WithoutCancel(ctx))
	defer stopChild()
	wrote, kept, served := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() { defer close(wrote); v.disk.run(ctx, v.tempo.sync) }()
	go func() { defer close(served); v.child.run(childCtx) }()
	go func() { defer close(kept); v.keep(ctx) }()
	<-kept
	select {
	case <-wrote:
	case <-time.After(5 * time.Second):
		return fmt.Errorf("stop volume: %w", ErrVolumeStalled)
	}
	err := v.flush(childCtx)
	stopChild()
	<-served
	if err != nil { // the segments have everything; the next start reads it from them
		v.log.Warn("index is behind", "err", err)
	}
	if lost := context.Cause(ctx); errors.Is(lost, ErrWrongVolume) {
		return lost
	}
	return nil
}

// home makes sure, before a segment is begun, that the directory is still the volume:
// one that was unmounted under us leaves a mount point, on the box's own flash. Disk
// goroutine.
func (v *Volume) home() error {
	ours, err := v.lock.Stat()
	if err != nil {
		return fmt.Errorf("find volume: %w", err)
	}
	there, err := os.Stat(filepath.Join(v.cfg.Dir, lockName))
	switch {
	case err == nil && os.SameFile(ours, there):
		return nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("find volume: %w", err)
	}
	err = fmt.Errorf("%s is another directory now: %w", v.cfg.Dir, ErrWrongVolume)
	v.lose(err)
	return err
}

// publish takes over a durable state of a segment. Disk goroutine.
func (v *Volume) publish(s Segment, changed bool) {
	k := &v.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	v.recent.put(s)
	switch {
	case !changed:
	case len(k.pending) == maxPending: // the child is gone for days; recovery finds these
		k.recover.Store(true)
	default:
		k.pending = append(k.pending, s)
	}
}

// onFull asks for room at once. Disk goroutine.
func (v *Volume) onFull() {
	v.keeper.full.Store(true)
	select {
	case v.keeper.kick <- struct{}{}:
	default:
	}
}

// VolumeStats is a snapshot of a volume.
type VolumeStats struct {
	Bytes, Segments int64     // footage, by the index
	OpenBytes       int64     // footage in segments being written
	Open            int       // segments being written
	Free, Space     int64     // bytes of the file system
	Oldest          time.Time // start of the first segment; zero: none
	Expired         uint64    // segments deleted by retention since the start
	Pending         int       // rows waiting for the index
	ChildStarts     uint64
	ChildMemory     int64 // bytes of objects and stacks in use there
	Ready           bool  // the last 24 hours can be queried
	Recovering      bool  // the index is being brought in line with the segments
	Disk            DiskStats
}

// DiskStats count what the disk goroutine did since the start.
type DiskStats struct {
	Fragments, Bytes uint64        // written
	Syncs, Failures  uint64        // of segments
	Lapped           uint64        // fragments overwritten before they were written
	Queue            int           // fragments waiting
	Stalled          time.Duration // for how long the disk has not answered; 0: it does
}

// Stats returns a snapshot. What comes from the index is a few seconds old.
func (v *Volume) Stats() VolumeStats {
	k := &v.keeper
	st := VolumeStats{
		Expired: k.expired.Load(), ChildStarts: v.child.starts.Load(),
		Recovering: k.recover.Load() || k.busy.Load(), Disk: v.diskStats(),
	}
	st.OpenBytes, st.Open = v.recent.open()
	k.mu.Lock()
	st.Pending = len(k.pending)
	k.mu.Unlock()
	if t := k.totals.Load(); t != nil {
		st.Bytes, st.Segments, st.Free, st.Space, st.ChildMemory = t.bytes, t.segments, t.free, t.space, t.held
		if t.oldest > 0 {
			st.Oldest = time.Unix(0, t.oldest).UTC()
		}
	}
	select {
	case <-v.ready:
		st.Ready = true
	default:
	}
	return st
}

// Failing returns for how long nothing could be written, since the volume is full,
// broken or does not answer; 0: it can. It is the word of those who record, and
// forgotten 10 minutes after the last of them tried.
func (v *Volume) Failing() time.Duration {
	now := time.Now().UnixNano()
	if at := v.stats.failing(now); at > 0 {
		return max(1, time.Duration(now-at))
	}
	return 0
}

func (v *Volume) diskStats() DiskStats {
	s := &v.stats
	st := DiskStats{
		Fragments: s.fragments.Load(), Bytes: s.bytes.Load(), Syncs: s.syncs.Load(),
		Failures: s.failures.Load(), Lapped: s.lapped.Load(), Queue: len(v.disk.queue),
	}
	if at := s.busySince.Load(); at > 0 {
		if d := time.Since(time.Unix(0, at)); d > requestTimeout {
			st.Stalled = d
		}
	}
	return st
}
