package storage

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// TestMain is also the volume's child process: the tests start their own binary.
func TestMain(m *testing.M) {
	if os.Getenv("STORAGE_TEST_CHILD") != "" {
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
		if err := ServeVolume(os.NewFile(3, "volume-parent"), ServeConfig{Log: log}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// processes starts child processes and can kill or stop the present one.
type processes struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	n   int
}

func (p *processes) spawn(args []string, files []*os.File) (func() error, func(), error) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "STORAGE_TEST_CHILD="+args[0])
	cmd.ExtraFiles = files // its last words are not shown: damaged index files kill it
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	p.cmd, p.n = cmd, p.n+1
	p.mu.Unlock()
	return cmd.Wait, func() { _ = cmd.Process.Kill() }, nil
}

func (p *processes) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// A rig is a volume that runs.
type rig struct {
	t     *testing.T
	vol   *Volume
	procs *processes
	stop  func() error
}

func config(dir string, procs *processes) VolumeConfig {
	return VolumeConfig{Dir: dir, Owner: "box-1", Create: true, MinFree: 1, Spawn: procs.spawn}
}

// openRig opens a volume, changes it before it runs, and runs it, fast.
func openRig(t *testing.T, cfg VolumeConfig, procs *processes, changes ...func(*Volume)) *rig {
	t.Helper()
	vol, err := OpenVolume(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	vol.tempo = tempo{5 * time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}
	for _, change := range changes {
		change(vol)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- vol.Run(ctx) }()
	r := &rig{t: t, vol: vol, procs: procs}
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func newRig(t *testing.T, changes ...func(*Volume)) *rig {
	procs := new(processes)
	return openRig(t, config(t.TempDir(), procs), procs, changes...)
}

// await polls until ok, which another goroutine or process brings about.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// settle waits until everything handed over is durable and indexed.
func (r *rig) settle() {
	r.t.Helper()
	await(r.t, "index up to date", func() bool {
		st := r.vol.Stats()
		return st.Ready && st.Disk.Queue == 0 && st.Pending == 0 && !st.Recovering
	})
}

// A feeder drives a stream by hand with a recorder on it, by a clock of its own.
type feeder struct {
	r      *rig
	stream *media.Stream
	rec    *Recorder
	tracks []media.Track
	now    time.Time
	dts    media.Ticks
	step   media.Ticks
	n      int
	size   int // of a picture
	reseed byte
}

func videoTrack(c media.Codec) media.Track {
	t := mediatest.VideoTrack(c)
	t.Parameters = mediatest.Parameters(c)
	return t
}

// feed attaches a recorder for cfg to a new stream; its clock begins at start.
func (r *rig) feed(cfg RecorderConfig, start time.Time, tracks ...media.Track) *feeder {
	r.t.Helper()
	return r.feedOn(media.StreamConfig{}, cfg, start, tracks...)
}

// feedOn is feed with a stream of its own kind.
func (r *rig) feedOn(stream media.StreamConfig, cfg RecorderConfig, start time.Time, tracks ...media.Track) *feeder {
	r.t.Helper()
	rec, err := NewRecorder(r.vol, cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	stream.Name = cfg.Channel
	s := media.NewStream(stream, nil)
	f := &feeder{r: r, stream: s, rec: rec, tracks: tracks, now: start, dts: 1000, step: 3600, size: 600}
	s.Adopt(media.Opened{Carriage: media.CarriageFrames, Tracks: tracks}, start)
	if err := s.Attach(rec); err != nil {
		r.t.Fatal(err)
	}
	return f
}

// frame pushes one frame of track 0, and what belongs to it of the others.
func (f *feeder) frame(key bool) {
	c := f.tracks[0].Codec
	data := mediatest.Lengths(mediatest.Picture(c, key, f.size, byte(f.n)+f.reseed)...)
	f.push(media.Frame{PTS: f.dts, DTS: f.dts, Wall: f.now.UnixNano(), Key: key}, data)
	for i := 1; i < len(f.tracks); i++ {
		f.push(media.Frame{Track: uint8(i), PTS: f.dts, DTS: f.dts, Wall: f.now.UnixNano()}, make([]byte, 320))
	}
	f.tick(f.step)
}

// push hands one frame to the stream and lets the recorder take it.
func (f *feeder) push(fr media.Frame, data []byte) {
	f.r.t.Helper()
	fr.Range = mediatest.Put(f.stream, data)
	if err := f.stream.PushFrame(fr); err != nil {
		f.r.t.Fatal(err)
	}
	f.stream.Flush(f.now)
}

// tick lets time pass.
func (f *feeder) tick(d media.Ticks) {
	f.dts += d
	f.now = f.now.Add(d.Duration())
	f.n++
}

// run pushes n frames, a key frame every gop. It does not outrun the disk.
func (f *feeder) run(n, gop int) {
	for i := range n {
		f.frame(i%gop == 0)
		if i%50 == 49 {
			f.drain()
		}
	}
}

// drain waits until the disk has taken all fragments.
func (f *feeder) drain() {
	await(f.r.t, "fragments written", func() bool {
		held := 0
		if f.rec.cur != nil {
			held = 1
		}
		return len(f.rec.free)+held == jobsPerRecorder
	})
}

// end detaches the recorder.
func (f *feeder) end() {
	f.r.t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f.stream.Detach(f.rec) }()
	for {
		f.stream.Flush(f.now)
		select {
		case <-done:
			return
		default:
		}
	}
}

// noon is when tests begin to record.
func noon() time.Time {
	return time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
}
