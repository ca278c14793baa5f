package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"districtgateway/media"
)

// timescale returns the units per second in which t's samples are timed in the
// file: 90 000 for video, the sampling rate for audio. 0: t cannot be recorded.
func timescale(t *media.Track) int {
	switch t.Codec {
	case media.H264, media.H265:
		return media.TicksPerSecond
	case media.G711A, media.G711U:
		if t.ClockRate == 0 {
			return 8000
		}
		return t.ClockRate
	case media.AAC:
		return t.ClockRate
	}
	return 0
}

// recordable reports whether t is known well enough to be recorded: its coding
// is one we carry and its parameters are there.
func recordable(t *media.Track) bool {
	switch t.Codec {
	case media.H264:
		return parameter(t, 7) != nil && parameter(t, 8) != nil
	case media.H265:
		return parameter(t, 32) != nil && parameter(t, 33) != nil && parameter(t, 34) != nil
	case media.AAC:
		return timescale(t) > 0 && len(t.Parameters) == 1
	}
	return timescale(t) > 0
}

// parameter returns the first parameter set of t with the given nal_unit_type,
// or nil.
func parameter(t *media.Track, nal uint8) []byte {
	for _, p := range t.Parameters {
		if len(p) < 3 {
			continue
		}
		if t.Codec == media.H264 && p[0]&0x1f == nal || t.Codec == media.H265 && p[0]>>1&0x3f == nal {
			return p
		}
	}
	return nil
}

// initBoxes returns ftyp and moov for tracks; track i has the id i+1.
func initBoxes(tracks []media.Track) ([]byte, error) {
	if len(tracks) == 0 || len(tracks) > maxTracks {
		return nil, media.ErrNoTracks
	}
	init := fmp4.Init{}
	for i := range tracks {
		c, err := codecOf(&tracks[i])
		if err != nil {
			return nil, err
		}
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: i + 1, TimeScale: uint32(timescale(&tracks[i])), Codec: c})
	}
	var buf seekablebuffer.Buffer
	if err := init.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("describe tracks: %w", err)
	}
	b := buf.Bytes()
	return b, nameG711(b, tracks)
}

// codecOf returns the MP4 library's description of t's coding. It knows no G.711:
// that is described as 16-bit PCM first and renamed by nameG711.
func codecOf(t *media.Track) (codecs.Codec, error) {
	if !recordable(t) {
		return nil, fmt.Errorf("%v: %w", t.Codec, media.ErrNoTracks)
	}
	switch t.Codec {
	case media.H264:
		return &codecs.H264{SPS: parameter(t, 7), PPS: parameter(t, 8)}, nil
	case media.H265:
		return &codecs.H265{VPS: parameter(t, 32), SPS: parameter(t, 33), PPS: parameter(t, 34)}, nil
	case media.AAC:
		var asc mpeg4audio.AudioSpecificConfig
		if err := asc.Unmarshal(t.Parameters[0]); err != nil {
			return nil, fmt.Errorf("audio parameters: %w", err)
		}
		return &codecs.MPEG4Audio{Config: asc}, nil
	}
	return &codecs.LPCM{BitDepth: 16, SampleRate: timescale(t), ChannelCount: max(t.Channels, 1)}, nil
}

// nameG711 renames, in b = ftyp and moov, the sample entries of G.711 tracks to
// `alaw` and `ulaw` (registered codes of ISO/IEC 14496-12 sample entries, as in
// QuickTime) and voids the PCM description inside.
func nameG711(b []byte, tracks []media.Track) error {
	names := map[media.Codec]string{media.G711A: "alaw", media.G711U: "ulaw"}
	track := -1
	return walkBoxes(b, 0, func(x boxSpan) {
		switch x.kind {
		case "trak":
			track++
		case "ipcm":
			if name, ok := names[tracks[track].Codec]; ok {
				copy(b[x.off+4:], name)
			}
		case "pcmC":
			copy(b[x.off+4:], "free")
		}
	})
}

// walkBoxes calls visit for the boxes of b from off on, outer before inner, going
// into those on the way to the sample entries.
func walkBoxes(b []byte, off int, visit func(boxSpan)) error {
	skip := map[string]int{"moov": 0, "trak": 0, "mdia": 0, "minf": 0, "stbl": 0, "stsd": 8, "ipcm": 28}
	for off < len(b) {
		x, err := nextBox(b, off)
		if err != nil {
			return err
		}
		visit(x)
		if n, ok := skip[x.kind]; ok {
			if err := walkBoxes(b[:x.end], off+8+n, visit); err != nil {
				return err
			}
		}
		off = x.end
	}
	return nil
}

// toScale converts ticks to units of scale per second, rounded to nearest.
func toScale(t media.Ticks, scale int) int64 {
	if scale == media.TicksPerSecond {
		return int64(t)
	}
	return (int64(t)*int64(scale) + media.TicksPerSecond/2) / media.TicksPerSecond
}

// fromScale converts back.
func fromScale(v int64, scale int) media.Ticks {
	if scale == media.TicksPerSecond {
		return media.Ticks(v)
	}
	return media.Ticks((v*media.TicksPerSecond + int64(scale)/2) / int64(scale))
}

func put32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
