// Package clip holds what a simulated encoder shows: coded pictures and sound,
// from the built-in test pattern or from an MP4 or Matroska file. Everything is
// in memory and read-only once loaded, so any number of encoders share it.
package clip

import (
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Clock is the unit of every instant of a Video and of every Period: ticks a
// second (RFC 6184 section 5.1, RFC 7798 section 4.1).
const Clock = 90000

// A Video is one loop of coded pictures in decoding order.
type Video struct {
	H265          bool
	VPS, SPS, PPS []byte // VPS only in H.265
	Width, Height int    // pixels, after cropping
	FPS           float64
	Pictures      []Picture
	Period        int64 // length of the loop in ticks
}

// A Picture is one access unit: NAL units without start codes, parameter sets
// in front when Key. DTS and PTS are in ticks from the start of the loop; the
// first DTS is 0 and PTS may exceed Period.
type Picture struct {
	DTS, PTS int64
	Key      bool
	NALs     [][]byte
	Slice    int // index in NALs of the first slice
}

// A Coding names how sound is coded.
type Coding string

// The codings a simulated encoder speaks.
const (
	PCMA Coding = "pcma" // G.711 A-law (RFC 3551)
	PCMU Coding = "pcmu" // G.711 mu-law (RFC 3551)
	AAC  Coding = "aac"  // raw AAC access units (RFC 3640)
)

// An Audio is one loop of sound.
type Audio struct {
	Coding   Coding
	Rate     int    // samples a second
	Channels int    // interleaved
	Config   []byte // AudioSpecificConfig of AAC (ISO/IEC 14496-3)
	Frames   []Frame
	Period   int64 // length of the loop in ticks of Clock, as a Video's
}

// A Frame is one AAC access unit or a run of G.711 samples; At counts samples
// from the start of the loop.
type Frame struct {
	At   int64
	Data []byte
}

// finish derives what the pictures tell: parameter sets, size and rate. It puts
// the parameter sets in front of key pictures that lack them.
func (v *Video) finish() error {
	if len(v.Pictures) == 0 {
		return fmt.Errorf("no pictures")
	}
	for _, p := range v.Pictures {
		if v.SPS != nil && v.PPS != nil {
			break
		}
		v.takeParams(p.NALs)
	}
	if v.SPS == nil || v.PPS == nil || v.H265 && v.VPS == nil {
		return fmt.Errorf("no parameter sets")
	}
	first := slices.IndexFunc(v.Pictures, func(p Picture) bool { return p.Key })
	if first < 0 {
		return fmt.Errorf("no key picture")
	}
	v.Pictures = slices.Clip(v.Pictures[first:])
	v.rebase()
	for i := range v.Pictures {
		v.Pictures[i].prepare(v)
	}
	if v.Period <= 0 {
		return fmt.Errorf("no duration")
	}
	v.FPS = float64(len(v.Pictures)) * Clock / float64(v.Period)
	return v.measure()
}

// rebase lets the loop begin at its first key picture.
func (v *Video) rebase() {
	start := v.Pictures[0].DTS
	v.Period -= start
	for i := range v.Pictures {
		v.Pictures[i].DTS -= start
		v.Pictures[i].PTS -= start
	}
}

// takeParams remembers the parameter sets among nals that are not known yet.
func (v *Video) takeParams(nals [][]byte) {
	for _, nal := range nals {
		var to *[]byte
		switch nalType(nal, v.H265) {
		case paramVPS:
			to = &v.VPS
		case paramSPS:
			to = &v.SPS
		case paramPPS:
			to = &v.PPS
		default:
			continue
		}
		if *to == nil {
			*to = nal
		}
	}
}

// prepare finds the first slice and completes a key picture.
func (p *Picture) prepare(v *Video) {
	hasSPS := slices.ContainsFunc(p.NALs, func(n []byte) bool { return nalType(n, v.H265) == paramSPS })
	if p.Key && !hasSPS {
		at := 0
		if nalType(p.NALs[0], v.H265) == delimiter {
			at = 1
		}
		sets := [][]byte{v.SPS, v.PPS}
		if v.H265 {
			sets = [][]byte{v.VPS, v.SPS, v.PPS}
		}
		p.NALs = slices.Insert(slices.Clone(p.NALs), at, sets...)
	}
	p.Slice = slices.IndexFunc(p.NALs, func(n []byte) bool { return nalType(n, v.H265) == slice })
}

// measure reads the size of the picture from the SPS.
func (v *Video) measure() error {
	if v.H265 {
		var sps h265.SPS
		if err := sps.Unmarshal(v.SPS); err != nil {
			return fmt.Errorf("sequence parameter set: %w", err)
		}
		v.Width, v.Height = sps.Width(), sps.Height()
		return nil
	}
	var sps h264.SPS
	if err := sps.Unmarshal(v.SPS); err != nil {
		return fmt.Errorf("sequence parameter set: %w", err)
	}
	v.Width, v.Height = sps.Width(), sps.Height()
	return nil
}

// A nalClass is what the player must know of a NAL unit.
type nalClass int

const (
	otherUnit nalClass = iota
	slice
	paramVPS
	paramSPS
	paramPPS
	delimiter
)

// nalType classifies a NAL unit (ITU-T H.264 table 7-1, ITU-T H.265 table 7-1).
func nalType(nal []byte, isH265 bool) nalClass {
	if len(nal) == 0 {
		return otherUnit
	}
	if isH265 {
		return nalType265(nal[0] >> 1 & 0x3f)
	}
	switch t := nal[0] & 0x1f; {
	case t >= 1 && t <= 5:
		return slice
	case t == 7:
		return paramSPS
	case t == 8:
		return paramPPS
	case t == 9:
		return delimiter
	}
	return otherUnit
}

func nalType265(t byte) nalClass {
	switch {
	case t < 32:
		return slice
	case t == 32:
		return paramVPS
	case t == 33:
		return paramSPS
	case t == 34:
		return paramPPS
	case t == 35:
		return delimiter
	}
	return otherUnit
}

// isKey reports whether a slice starts a picture that decodes on its own: an
// IDR picture, or any intra random access point in H.265.
func isKey(nal []byte, isH265 bool) bool {
	if isH265 {
		t := nal[0] >> 1 & 0x3f
		return t >= 16 && t <= 23
	}
	return nal[0]&0x1f == 5
}
