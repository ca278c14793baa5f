package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/hal/run"
	"districtgateway/media"
	"districtgateway/storage"
)

// volumeRole is the first argument of the daemon when it is executed again as the
// child process of a volume.
const volumeRole = "volume"

// errNoVolume reports that no volume can be recorded on now.
var errNoVolume = errors.New("no volume to record on")

// volumes keeps the configured volumes open and spreads channels over them. It is
// the [domain.Archive] of the daemon.
type volumes struct {
	owner   domain.Code
	configs []config.Volume
	post    func(domain.Event) bool
	tenures func(domain.Code) []storage.Tenure // the names a channel was recorded under; nil: its code
	holders func(domain.Code) []domain.Code    // the channels that a name's footage is of; nil: the one of that code
	log     *slog.Logger

	finds sync.WaitGroup

	mu   sync.Mutex
	open map[string]openVolume // by path
	errs map[string]error      // why a volume is not open
}

// An openVolume is a volume that runs, and a channel that is closed when it ends.
type openVolume struct {
	*storage.Volume
	ended chan struct{}
	since time.Time // when it was opened
}

// newVolumes completes what the caller has set.
func newVolumes(v *volumes) *volumes {
	v.open, v.errs = map[string]openVolume{}, map[string]error{}
	return v
}

// Run keeps every volume open until ctx ends: a volume that is missing or broken
// is tried again and again, without touching the others.
func (vs *volumes) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range vs.configs {
		wg.Go(func() {
			supervise(ctx, vs.log.With("volume", c.Path), func(ctx context.Context) error { return vs.keep(ctx, c) })
		})
	}
	<-ctx.Done()
	wg.Wait()
	vs.finds.Wait()
	return nil
}

// openWithin bounds the claim of a volume: a dead disk does not answer at all.
const openWithin = 10 * time.Second

// keep opens one volume and runs it.
func (vs *volumes) keep(ctx context.Context, c config.Volume) error {
	within, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if c.Create {
		if err := os.MkdirAll(c.Path, 0o755); err != nil {
			return vs.failed(c.Path, err)
		}
	}
	v, err := storage.OpenVolume(within, storage.VolumeConfig{
		Dir: c.Path, Owner: string(vs.owner), Volume: c.ID, Create: c.Create && c.ID == "", Label: string(vs.owner),
		MaxBytes: int64(c.Size), MinFree: int64(c.Free), Days: c.Days, Spawn: spawnVolume, Log: vs.log,
	})
	if err != nil {
		return vs.failed(c.Path, err)
	}
	ended := make(chan struct{})
	vs.mu.Lock()
	vs.open[c.Path] = openVolume{v, ended, time.Now()}
	delete(vs.errs, c.Path)
	vs.mu.Unlock()
	defer func() {
		vs.mu.Lock()
		delete(vs.open, c.Path)
		vs.mu.Unlock()
		close(ended)
	}()
	vs.log.Info("volume open", "volume", v.Identity().Volume, "path", c.Path)
	return v.Run(ctx)
}

func (vs *volumes) failed(path string, err error) error {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.errs[path] = err
	return err
}

// spawnVolume executes the daemon again as a volume's child process.
func spawnVolume(args []string, files []*os.File) (wait func() error, kill func(), err error) {
	p, err := run.Start(run.Self, append([]string{volumeRole}, args...), files)
	if err != nil {
		return nil, nil, err
	}
	return p.Wait, p.Kill, nil
}

// serveVolume is the life of that child process: descriptor 3 is the parent.
func serveVolume(log *slog.Logger) error {
	return storage.ServeVolume(os.NewFile(3, "parent"), storage.ServeConfig{Log: log})
}

// all returns the open volumes in the order of the configuration.
func (vs *volumes) all() storage.Volumes {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var list storage.Volumes
	for _, c := range vs.configs {
		if v, ok := vs.open[c.Path]; ok {
			list = append(list, v.Volume)
		}
	}
	return list
}

// failingFor is how long a volume may fail to write before its channels are recorded
// on others: a volume that is full makes room within seconds. settledFor is how long
// one has to be open before channels of its own come back to it.
const (
	failingFor = 10 * time.Second
	settledFor = 30 * time.Second
)

// ranked returns the configured volumes in the order in which a channel falls to
// them (rendezvous hashing): the order of a channel's volumes depends on nothing
// but their names, so that it comes back to its own and a volume more or less
// moves no channels but those that fall to it.
func ranked(configs []config.Volume, channel domain.Code) []config.Volume {
	weight := func(c config.Volume) uint64 {
		sum := sha256.Sum256([]byte(string(channel) + "@" + cmp.Or(c.ID, c.Path)))
		return binary.BigEndian.Uint64(sum[:])
	}
	list := slices.Clone(configs)
	slices.SortStableFunc(list, func(a, b config.Volume) int { return cmp.Compare(weight(b), weight(a)) })
	return list
}

// place returns the path of the volume to record a channel on, which is recorded on
// the one at from now, or on none; "": nowhere. It is the first of the channel's
// order that works, if it need not be left at once one that has settled.
func (vs *volumes) place(order []config.Volume, from string) string {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	now, there := vs.open[from]
	works := there && now.Failing() < failingFor
	atLeast := ""
	for _, c := range order {
		v, open := vs.open[c.Path]
		settled := !works || c.Path == from || time.Since(v.since) >= settledFor
		switch {
		case !open:
		case settled && v.Failing() < failingFor:
			return c.Path
		case atLeast == "" || c.Path == from:
			atLeast = c.Path
		}
	}
	return atLeast
}

// recorder makes a recorder for a camera, on the volume its code falls to.
func (vs *volumes) recorder(c *camera) (recording, error) {
	order := ranked(vs.configs, c.Code)
	path := vs.place(order, "")
	vs.mu.Lock()
	v, open := vs.open[path]
	vs.mu.Unlock()
	if !open {
		return recording{}, errNoVolume
	}
	r, err := storage.NewRecorder(v.Volume, storage.RecorderConfig{Channel: string(c.Code), Log: vs.log})
	if err != nil {
		return recording{}, err
	}
	return recording{sink: r, volume: v.ended, misplaced: func() bool { return vs.place(order, path) != path }}, nil
}

// footage returns what was recorded of a channel: under its code, and under those it
// had before.
func (vs *volumes) footage(channel domain.Code) []storage.Tenure {
	if vs.tenures == nil {
		return storage.Always(string(channel))
	}
	return vs.tenures(channel)
}

// recordings lists what all volumes hold of a channel, in order.
func (vs *volumes) recordings(ctx context.Context, channel domain.Code, in domain.Range) ([]storage.Recording, error) {
	return vs.all().Recordings(ctx, vs.footage(channel), in.From, in.To)
}

// gaps lists the holes in a channel's footage that no volume fills.
func (vs *volumes) gaps(ctx context.Context, channel domain.Code, in domain.Range) ([]storage.Gap, error) {
	return vs.all().Gaps(ctx, vs.footage(channel), in.From, in.To)
}

// findWithin bounds a query of the archive.
const findWithin = 5 * time.Second

// Find performs FindRecords; see [domain.Archive].
func (vs *volumes) Find(e domain.FindRecords) {
	vs.finds.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), findWithin)
		defer cancel()
		var records []domain.Recording
		var errs []error
		for _, channel := range vs.channels(e.Channel) {
			list, err := vs.recordings(ctx, channel, e.Range)
			errs = append(errs, err)
			for _, r := range list {
				records = append(records, domain.Recording{
					Channel: channel, Range: domain.Range{From: r.Start, To: r.End}, Bytes: r.Bytes, Kind: recordKind(r.Kind),
				})
			}
		}
		vs.post(domain.RecordsRead{Tag: e.Tag, Records: records, Err: errors.Join(errs...)})
	})
}

// channels returns the channels that a query for code is about: for our own id,
// everything recorded here.
func (vs *volumes) channels(code domain.Code) []domain.Code {
	if code != vs.owner {
		return []domain.Code{code}
	}
	var all []domain.Code
	for _, v := range vs.all() {
		for _, name := range v.Channels() {
			if vs.holders == nil {
				all = append(all, domain.Code(name))
				continue
			}
			all = append(all, vs.holders(domain.Code(name))...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func recordKind(k storage.Kind) domain.RecordKind {
	switch k {
	case storage.KindAlarm:
		return domain.RecordAlarm
	case storage.KindManual:
		return domain.RecordManual
	}
	return domain.RecordScheduled
}

// play returns an opener for a channel's footage in a range, whichever volumes it
// lies on.
func (vs *volumes) play(ctx context.Context, channel domain.Code, in domain.Range, cfg storage.PlayerConfig) (media.Opener, error) {
	list, err := vs.recordings(ctx, channel, in)
	if len(list) == 0 {
		return nil, fmt.Errorf("%s from %s: %w", channel, in.From.Format(time.RFC3339), cmp.Or(err, domain.ErrNoRecording))
	}
	return vs.all().Open(vs.footage(channel), in.From, in.To, cfg), nil
}
