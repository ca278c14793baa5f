package clip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// A SyntaxError reports a file that is damaged or beyond what this package
// reads. Offset counts bytes from the start of the file.
type SyntaxError struct {
	Offset int
	Want   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("at byte %d: want %s", e.Offset, e.Want)
}

// A trackKind is what a track of a file carries.
type trackKind int

const (
	trackUnknown trackKind = iota
	trackH264
	trackH265
	trackAAC
	trackPCMA
	trackPCMU
)

func (k trackKind) video() bool { return k == trackH264 || k == trackH265 }

// A track is one elementary stream as a container describes it.
type track struct {
	kind     trackKind
	config   []byte // avcC, hvcC or AudioSpecificConfig
	scale    int64  // ticks a second of the samples' times
	rate     int    // audio
	channels int
	shift    int64 // presentation start of the track, in its ticks (edit list)
	samples  []sample
}

// A sample is one access unit where it lies in the file. dur is its length, as
// far as the container tells.
type sample struct {
	dts, pts, dur int64
	key           bool
	data          []byte
}

// maxScale bounds clocks so that no product below overflows.
const maxScale = 1 << 30

// rescale turns ticks of one clock into ticks of another, rounding to nearest;
// the product is kept in 128 bits.
func rescale(v, to, from int64) int64 {
	if v < 0 {
		return -rescale(-v, to, from)
	}
	hi, lo := bits.Mul64(uint64(v), uint64(to))
	lo, carry := bits.Add64(lo, uint64(from)/2, 0)
	hi += carry
	if hi >= uint64(from) {
		return 1<<63 - 1
	}
	q, _ := bits.Div64(hi, lo, uint64(from))
	return int64(min(q, 1<<63-1))
}

// build turns the tracks of a file into a clip: the first video track, and the
// first audio track cut to the video's length.
func build(tracks []*track) (*Video, *Audio, error) {
	i := slices.IndexFunc(tracks, func(t *track) bool { return t.kind.video() && len(t.samples) > 0 })
	if i < 0 {
		return nil, nil, fmt.Errorf("no H.264 or H.265 track")
	}
	v, start, err := tracks[i].video()
	if err != nil {
		return nil, nil, err
	}
	j := slices.IndexFunc(tracks, func(t *track) bool {
		return t.kind != trackUnknown && !t.kind.video() && len(t.samples) > 0
	})
	if j < 0 {
		return v, nil, nil
	}
	a, err := tracks[j].audio(start, v.Period)
	return v, a, err
}

// video makes a Video; start is the presentation instant, in ticks of Clock, at
// which its loop begins.
func (t *track) video() (v *Video, start int64, err error) {
	if t.scale <= 0 || t.scale > maxScale {
		return nil, 0, fmt.Errorf("video clock of %d Hz", t.scale)
	}
	v = &Video{H265: t.kind == trackH265}
	lengthSize, sets, err := t.parameters()
	if err != nil {
		return nil, 0, err
	}
	v.takeParams(sets)
	for _, s := range t.samples {
		p := Picture{
			DTS: rescale(s.dts, Clock, t.scale), PTS: rescale(s.pts, Clock, t.scale), Key: s.key,
		}
		if err := p.cut(s.data, lengthSize, v.H265); err != nil {
			return nil, 0, err
		}
		if p.Slice >= 0 {
			v.Pictures = append(v.Pictures, p)
		}
	}
	last := t.samples[len(t.samples)-1]
	v.Period = rescale(last.dts+last.dur, Clock, t.scale)
	first := slices.IndexFunc(v.Pictures, func(p Picture) bool { return p.Key })
	if first >= 0 {
		start = v.Pictures[first].DTS - rescale(t.shift, Clock, t.scale)
	}
	if err := v.finish(); err != nil {
		return nil, 0, err
	}
	return v, start, checkOrder(v)
}

// checkOrder refuses a loop that time would run backwards in.
func checkOrder(v *Video) error {
	for i, p := range v.Pictures[1:] {
		if p.DTS < v.Pictures[i].DTS {
			return fmt.Errorf("picture %d is decoded before its predecessor", i+1)
		}
	}
	if last := v.Pictures[len(v.Pictures)-1]; v.Period <= last.DTS {
		return fmt.Errorf("the last picture has no duration")
	}
	return nil
}

// cut splits a length-prefixed access unit (ISO/IEC 14496-15 section 4.3.3).
// A unit that runs past the end is an error; an empty one is skipped.
func (p *Picture) cut(data []byte, lengthSize int, isH265 bool) error {
	p.Slice = -1
	for len(data) > 0 {
		if len(data) < lengthSize {
			return fmt.Errorf("a picture ends within a length")
		}
		var prefix [4]byte
		copy(prefix[4-lengthSize:], data)
		n := uint64(binary.BigEndian.Uint32(prefix[:]))
		data = data[lengthSize:]
		if n > uint64(len(data)) {
			return fmt.Errorf("a NAL unit of %d bytes where %d are left", n, len(data))
		}
		nal := data[:n:n]
		data = data[n:]
		if len(nal) < 3 {
			continue // no unit of use is that short, and packetisers dislike them
		}
		if p.Slice < 0 && nalType(nal, isH265) == slice {
			p.Slice = len(p.NALs)
			p.Key = p.Key || isKey(nal, isH265)
		}
		p.NALs = append(p.NALs, nal)
	}
	return nil
}

// parameters reads avcC or hvcC (ISO/IEC 14496-15 sections 5.3.3.1 and 8.3.3.1).
func (t *track) parameters() (lengthSize int, sets [][]byte, err error) {
	c, skip := t.config, 5
	if t.kind == trackH265 {
		skip = 22
	}
	if len(c) < skip+1 {
		return 0, nil, fmt.Errorf("decoder configuration of %d bytes", len(c))
	}
	if t.kind == trackH265 {
		lengthSize = int(c[21]&3) + 1
		sets, err = hvcSets(c[22:])
		return lengthSize, sets, err
	}
	lengthSize = int(c[4]&3) + 1
	rest := c[6:]
	if sets, rest, err = takeSets(nil, rest, int(c[5]&31)); err != nil || len(rest) == 0 {
		return lengthSize, sets, err
	}
	sets, _, err = takeSets(sets, rest[1:], int(rest[0]))
	return lengthSize, sets, err
}

func hvcSets(c []byte) (sets [][]byte, err error) {
	arrays, c := int(c[0]), c[1:]
	for range arrays {
		if len(c) < 3 {
			return nil, fmt.Errorf("decoder configuration cut short")
		}
		n := int(binary.BigEndian.Uint16(c[1:]))
		if sets, c, err = takeSets(sets, c[3:], n); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// takeSets appends n parameter sets with 16-bit lengths.
func takeSets(sets [][]byte, c []byte, n int) (_ [][]byte, rest []byte, err error) {
	for range n {
		if len(c) < 2 {
			return nil, nil, fmt.Errorf("decoder configuration cut short")
		}
		size := int(binary.BigEndian.Uint16(c))
		if c = c[2:]; size > len(c) {
			return nil, nil, fmt.Errorf("decoder configuration cut short")
		}
		sets, c = append(sets, c[:size:size]), c[size:]
	}
	return sets, c, nil
}

// audio makes an Audio of the frames that begin within period ticks of start.
func (t *track) audio(start, period int64) (*Audio, error) {
	a := &Audio{Rate: t.rate, Channels: t.channels, Config: t.config, Period: period}
	switch t.kind {
	case trackAAC:
		a.Coding = AAC
		var config mpeg4audio.AudioSpecificConfig
		if err := config.Unmarshal(t.config); err != nil {
			return nil, fmt.Errorf("audio configuration: %w", err)
		}
		a.Rate, a.Channels = config.SampleRate, channelsOf(config)
	case trackPCMA:
		a.Coding = PCMA
	case trackPCMU:
		a.Coding = PCMU
	}
	if a.Rate <= 0 || a.Rate > 1<<20 || a.Channels < 1 || a.Channels > 8 || t.scale <= 0 || t.scale > maxScale {
		return nil, fmt.Errorf("sound of %d channels at %d Hz", a.Channels, a.Rate)
	}
	from := rescale(start, int64(a.Rate), Clock)
	length := rescale(period, int64(a.Rate), Clock)
	for _, s := range t.samples {
		at := rescale(s.pts-t.shift, int64(a.Rate), t.scale) - from
		if at >= 0 && at < length && len(s.data) > 0 {
			a.Frames = append(a.Frames, Frame{At: at, Data: s.data})
		}
	}
	slices.SortStableFunc(a.Frames, func(x, y Frame) int { return int(min(max(x.At-y.At, -1), 1)) })
	if len(a.Frames) == 0 {
		return nil, nil
	}
	return a, nil
}

// joinPCM joins G.711 samples, each a byte or so, into packets' worth.
func (t *track) joinPCM() {
	if t.kind != trackPCMA && t.kind != trackPCMU {
		return
	}
	var joined []sample
	for _, s := range t.samples {
		last := len(joined) - 1
		if last >= 0 && len(joined[last].data)+len(s.data) <= toneFrame*t.channels {
			joined[last].data = append(joined[last].data, s.data...) // capacity was clipped: a copy
			joined[last].dur += s.dur
			continue
		}
		joined = append(joined, s)
	}
	t.samples = joined
}

// clone detaches a configuration from the file it was read from.
func clone(b []byte) []byte { return bytes.Clone(b) }
