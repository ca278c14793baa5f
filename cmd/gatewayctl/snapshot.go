package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"districtgateway/cmd/internal/api"
)

func snapshotVerb() *verb {
	file, sub := "", false
	return &verb{
		name: "snapshot", args: "CHANNEL [-o FILE] [--sub]", least: 1, most: 1, summary: "save one picture of a channel",
		about: `Saves what a channel shows now as one picture, and says which kind it is:

JPEG   of an encoder of this server that makes one itself (ONVIF snapshot): what
       it sees at this moment
MP4    of every other channel, and if the encoder does not give one within 5 s:
       the last key picture, as old as the distance of key pictures at most, as
       a file that any player shows. ffmpeg -i FILE still.png makes a picture
       of it: the gateway decodes nothing
`,
		options: `-o FILE         where to write; without it CHANNEL.jpg or CHANNEL.mp4 here. The
                ending of FILE is made the right one if it is one of the two;
                - is standard output
--sub           of the sub stream
`,
		example: "gatewayctl snapshot 33010600001320000001\ngatewayctl snapshot 33010600001320000001 -o - | ffmpeg -i - still.png\n",
		flags: func(f *flag.FlagSet) {
			f.StringVar(&file, "o", "", "")
			f.BoolVar(&sub, "sub", false, "")
		},
		run: func(ctx context.Context, c *call) error {
			if file == "-" && c.json {
				return usagef("--json and -o -: both want standard output")
			}
			ctx, cancel := c.within(ctx)
			defer cancel()
			picture, kind, err := c.client.Snapshot(ctx, api.SnapshotRequest{Channel: c.args[0], Sub: sub})
			if err == nil && len(picture) == 0 {
				err = errors.New("no picture came")
			}
			if err != nil {
				return err
			}
			return c.keepPicture(file, picture, kind)
		},
	}
}

// keepPicture writes a picture to a file and says what it is.
func (c *call) keepPicture(file string, picture []byte, kind string) error {
	if file == "-" {
		_, err := c.stdout.Write(picture)
		return err
	}
	ending, what := ".mp4", "the last key picture, MP4"
	if kind == api.TypeJPEG {
		ending, what = ".jpg", "JPEG of the encoder"
		if size, err := jpeg.DecodeConfig(bytes.NewReader(picture)); err == nil {
			what += fmt.Sprintf(", %dx%d", size.Width, size.Height)
		}
	}
	file = pictureName(file, c.args[0], ending)
	if err := writeWhole(file, picture); err != nil {
		return named(file, err)
	}
	answer := struct {
		Channel string `json:"channel"`
		File    string `json:"file"`
		Type    string `json:"type"`
		Bytes   int    `json:"bytes"`
	}{c.args[0], file, kind, len(picture)}
	return c.show(answer, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, %s\n", file, what, size(int64(len(picture))))
		return err
	})
}

// pictureName gives a file the ending of its kind, unless it has one that says
// nothing of that.
func pictureName(file, channel, ending string) string {
	if file == "" {
		return channel + ending
	}
	has := strings.ToLower(filepath.Ext(file))
	switch {
	case has == "":
		return file + ending
	case has == ending, has == ".jpeg" && ending == ".jpg", !slices.Contains([]string{".jpg", ".jpeg", ".mp4"}, has):
		return file
	}
	return file[:len(file)-len(has)] + ending
}

// writeWhole writes a file that is whole whenever it is there. A device or a pipe is
// written to as it is.
func writeWhole(file string, b []byte) error {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(file, b, 0)
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".snapshot-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(b)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}
