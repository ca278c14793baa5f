package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/hal/run"
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
	vs.open[c.Path] = openVolume{v, ended}
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
func (vs *volumes) all() []openVolume {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var list []openVolume
	for _, c := range vs.configs {
		if v, ok := vs.open[c.Path]; ok {
			list = append(list, v)
		}
	}
	return list
}

// recorder makes a recorder for a camera, on the volume its code falls to.
func (vs *volumes) recorder(c *camera) (recording, error) {
	list := vs.all()
	if len(list) == 0 {
		return recording{}, errNoVolume
	}
	h := fnv.New32a()
	h.Write([]byte(c.Code))
	v := list[h.Sum32()%uint32(len(list))]
	r, err := storage.NewRecorder(v.Volume, storage.RecorderConfig{Channel: string(c.Code), Log: vs.log})
	if err != nil {
		return recording{}, err
	}
	return recording{r, v.ended}, nil
}

// recordings lists what all volumes hold of a channel, in order.
func (vs *volumes) recordings(ctx context.Context, channel domain.Code, in domain.Range) ([]storage.Recording, error) {
	var all []storage.Recording
	var errs []error
	for _, v := range vs.all() {
		list, err := v.Recordings(ctx, string(channel), in.From, in.To)
		all, errs = append(all, list...), append(errs, err)
	}
	slices.SortFunc(all, func(a, b storage.Recording) int { return a.Start.Compare(b.Start) })
	return all, errors.Join(errs...)
}

// gaps lists the holes in a channel's footage that no volume fills.
func (vs *volumes) gaps(ctx context.Context, channel domain.Code, in domain.Range) ([]storage.Gap, error) {
	var all []storage.Gap
	var errs []error
	for _, v := range vs.all() {
		if !slices.Contains(v.Channels(), string(channel)) {
			continue
		}
		list, err := v.Gaps(ctx, string(channel), in.From, in.To)
		all, errs = append(all, list...), append(errs, err)
	}
	slices.SortFunc(all, func(a, b storage.Gap) int { return cmp.Compare(a.From, b.From) })
	return all, errors.Join(errs...)
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
			if c := domain.Code(name); !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	slices.Sort(all)
	return all
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

// holder returns the volume that holds footage of a channel in a range.
func (vs *volumes) holder(ctx context.Context, channel domain.Code, in domain.Range) (*storage.Volume, error) {
	for _, v := range vs.all() {
		list, err := v.Recordings(ctx, string(channel), in.From, in.To)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			return v.Volume, nil
		}
	}
	return nil, fmt.Errorf("%s from %s: %w", channel, in.From.Format(time.RFC3339), domain.ErrNoRecording)
}
