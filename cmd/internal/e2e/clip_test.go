//go:build e2e

package e2e

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// A clip is footage that ffmpeg makes: 320x180 at 25 pictures a second, a key
// picture every two seconds unless group says otherwise.
type clip struct {
	h265    bool
	b       int    // B pictures in a row
	group   int    // pictures from key to key; 0: 50
	audio   string // ffmpeg's encoder; "": no sound
	seconds int
	format  string // its muxer's file name extension
}

// make encodes the clip and returns its path, which everybody can read.
func (c clip) make(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-clip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // for programs that run as nobody
		t.Fatal(err)
	}
	path := filepath.Join(dir, "clip."+c.format)
	silent(t, "ffmpeg", append(c.args(), path)...)
	return path
}

// args are ffmpeg's arguments but for the name of the result.
func (c clip) args() []string {
	args := []string{"-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"}
	if c.audio != "" {
		args = append(args, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000", "-c:a", c.audio, "-ar", "8000", "-ac", "1")
	}
	bframes, group := strconv.Itoa(c.b), strconv.Itoa(cmp.Or(c.group, 50))
	if c.h265 {
		args = append(args, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint="+group+":bframes="+bframes)
	} else {
		args = append(args, "-c:v", "libx264", "-preset", "superfast", "-g", group, "-sc_threshold", "0", "-bf", bframes)
	}
	return append(args, "-pix_fmt", "yuv420p", "-b:v", "600k", "-t", strconv.Itoa(c.seconds))
}
