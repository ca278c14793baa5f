package clip

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxFile bounds the file that Load keeps in memory.
const maxFile = 256 << 20

// Load reads an MP4 (plain or fragmented) or Matroska file of at most 256 MiB:
// its first H.264 or H.265 track and, if there is one, its first AAC or G.711
// track, which is nil otherwise. Damage within the file is a *SyntaxError or a
// plain error; never a partial clip.
func Load(path string) (*Video, *Audio, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(raw) > maxFile {
		return nil, nil, fmt.Errorf("%s: more than %d MiB", path, maxFile>>20)
	}
	v, a, err := Parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, a, nil
}

// Parse is Load of a file already in memory; the clip keeps references to raw.
func Parse(raw []byte) (*Video, *Audio, error) {
	read := readMP4
	if bytes.HasPrefix(raw, []byte{0x1a, 0x45, 0xdf, 0xa3}) {
		read = readMatroska
	} else if len(raw) < 8 {
		return nil, nil, &SyntaxError{len(raw), "an MP4 or Matroska file"}
	}
	tracks, err := read(raw)
	if err != nil {
		return nil, nil, err
	}
	return build(tracks)
}
