//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"districtgateway/cmd/internal/footage"
	"districtgateway/storage"
)

// spawn runs this test binary as the child process of a volume.
func spawn(args []string, files []*os.File) (wait func() error, kill func(), err error) {
	cmd := exec.Command(os.Args[0], append([]string{childArg}, args...)...)
	cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return cmd.Wait, func() { _ = cmd.Process.Kill() }, nil
}

// volume runs a new volume; end ends it, which finishes what is being written.
func volume(t *testing.T) (v *storage.Volume, dir string, end func()) {
	t.Helper()
	dir = t.TempDir()
	v, err := storage.OpenVolume(t.Context(), storage.VolumeConfig{Dir: dir, Owner: "e2e", Create: true, MinFree: 1, Spawn: spawn})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("volume: %v", err)
		}
	}
	t.Cleanup(end)
	return v, dir, end
}

// TestPlayersReadRecordedSegments records an encoder and hands each file to players.
func TestPlayersReadRecordedSegments(t *testing.T) {
	for _, codec := range []string{"h264", "h265"} {
		for _, audio := range []string{"pcma", "aac"} {
			t.Run(codec+"/"+audio, func(t *testing.T) {
				t.Parallel()
				files := record(t, simulate(t, "-codec", codec, "-audio", audio))
				if len(files) < 3 {
					t.Fatalf("%d segments, want at least 3", len(files))
				}
				checkSegments(t, files, codec, map[string]string{"pcma": "pcm_alaw", "aac": "aac"}[audio])
				out := silent(t, "mpv", "--no-config", "--vo=null", "--ao=null", "--ao-null-untimed", "--untimed", "--frames=50", "--msg-level=all=warn", files[0])
				if out != "" {
					t.Errorf("mpv complains: %s", out)
				}
			})
		}
	}
}

// record records an encoder for a few segments of two seconds and returns their
// files in order of time.
func record(t *testing.T, s *simulator) []string {
	t.Helper()
	v, dir, end := volume(t)
	k, err := storage.NewRecorder(v, storage.RecorderConfig{Channel: "camera", Segment: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	stream := pull(t, s.source(false))
	if err := stream.Attach(k); err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "three segments are recorded", func() bool { return len(segments(t, dir)) > 3 })
	stream.Detach(k)
	end()
	return segments(t, dir)
}

// segments returns the files of footage on a volume in order of their names, which
// are their times.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".mp4" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// checkSegments compares what ffprobe and what we find in files of footage that
// follow each other.
func checkSegments(t *testing.T, files []string, codec, audio string) {
	t.Helper()
	var all footage.Tally
	sum := 0
	for _, f := range files {
		streams := count(t, f)
		checkStreams(t, streams, codec, audio)
		shown, own := streams[0].frames(t), tally(t, &all, f)
		if sum += shown; shown != own || own == 0 {
			t.Errorf("%s: ffprobe decodes %d pictures, we see %d", f, shown, own)
		}
	}
	t.Logf("%d files, ffprobe decodes %d pictures in all; we see %s", len(files), sum, &all)
	if !all.Whole() || all.Pictures != sum || all.Unnumbered != 0 {
		t.Errorf("pictures are missing")
	}
}

// tally adds the pictures of a file to k and returns how many there are.
func tally(t *testing.T, k *footage.Tally, file string) (n int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := footage.NewReader(f)
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if s.Damaged {
			t.Errorf("%s: a sample is damaged", file)
		}
		if !s.Track.Codec.Video() {
			continue
		}
		n++
		if err := k.Add(s, time.Now()); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
