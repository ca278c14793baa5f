package clip

import (
	"bytes"
	"embed"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

//go:embed data
var data embed.FS // made by make.sh

const (
	builtinFPS   = 25
	builtinGroup = 50 // pictures from key to key

	// toneFrame is the length of a G.711 packet in samples of 8 kHz: 40 ms, so
	// that sound is due when a picture is and costs no wake-up of its own.
	toneFrame = 320
)

// Pattern returns the built-in test pattern, 640x360 or, if small, 320x180, at
// 25 pictures a second with a key picture every two seconds.
func Pattern(h265, small bool) (*Video, error) {
	name := "main"
	if small {
		name = "sub"
	}
	if h265 {
		name += ".h265"
	} else {
		name += ".h264"
	}
	raw, err := data.ReadFile("data/" + name)
	if err != nil {
		return nil, err
	}
	v := annexB(raw, h265)
	if err := v.finish(); err != nil {
		return nil, fmt.Errorf("built-in %s: %w", name, err)
	}
	return v, nil
}

// Tone returns the built-in sound: a beep each second, in PCMA or AAC.
func Tone(c Coding) (*Audio, error) {
	if c == AAC {
		return toneAAC()
	}
	raw, err := data.ReadFile("data/tone.alaw")
	if err != nil {
		return nil, err
	}
	a := &Audio{Coding: PCMA, Rate: 8000, Channels: 1, Period: int64(len(raw)) * Clock / 8000}
	for at := 0; at < len(raw); at += toneFrame {
		a.Frames = append(a.Frames, Frame{At: int64(at), Data: raw[at:min(at+toneFrame, len(raw))]})
	}
	return a, nil
}

func toneAAC() (*Audio, error) {
	raw, err := data.ReadFile("data/tone.aac")
	if err != nil {
		return nil, err
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("built-in sound: %w", err)
	}
	config := mpeg4audio.AudioSpecificConfig{
		Type: packets[0].Type, SampleRate: packets[0].SampleRate,
		ChannelConfig: packets[0].ChannelConfig,
	}
	a := &Audio{Coding: AAC, Rate: config.SampleRate, Channels: channelsOf(config)}
	if a.Config, err = config.Marshal(); err != nil {
		return nil, fmt.Errorf("built-in sound: %w", err)
	}
	for i, p := range packets {
		a.Frames = append(a.Frames, Frame{At: int64(i) * mpeg4audio.SamplesPerAccessUnit, Data: p.AU})
	}
	a.Period = int64(len(packets)) * mpeg4audio.SamplesPerAccessUnit * Clock / int64(a.Rate)
	return a, nil
}

// channelsOf reads a channel configuration (ISO/IEC 14496-3 table 1.19).
func channelsOf(config mpeg4audio.AudioSpecificConfig) int {
	if config.ChannelConfig == 7 {
		return 8
	}
	return max(int(config.ChannelConfig), 1) // 0: told in the stream itself
}

// annexB cuts a byte stream (ITU-T H.264 annex B) into pictures at a constant
// rate, decoding order being display order.
func annexB(raw []byte, isH265 bool) *Video {
	v := &Video{H265: isH265}
	var open *Picture
	for _, nal := range splitAnnexB(raw) {
		isSlice := nalType(nal, isH265) == slice
		firstSlice := isSlice && startsPicture(nal, isH265)
		if open == nil || open.Slice > 0 && (!isSlice || firstSlice) {
			at := int64(len(v.Pictures)) * Clock / builtinFPS
			v.Pictures = append(v.Pictures, Picture{DTS: at, PTS: at})
			open = &v.Pictures[len(v.Pictures)-1]
		}
		open.NALs = append(open.NALs, nal)
		if isSlice {
			open.Slice = len(open.NALs) // only marks that a slice was seen
			open.Key = open.Key || isKey(nal, isH265)
		}
	}
	v.Period = int64(len(v.Pictures)) * Clock / builtinFPS
	return v
}

// startsPicture reads the first bit of the slice header: first_mb_in_slice is
// ue(v) 0, or first_slice_segment_in_pic_flag is 1.
func startsPicture(nal []byte, isH265 bool) bool {
	header := 1
	if isH265 {
		header = 2
	}
	return len(nal) > header && nal[header]&0x80 != 0
}

// splitAnnexB returns the NAL units between start codes, sharing raw.
func splitAnnexB(raw []byte) [][]byte {
	var nals [][]byte
	code := []byte{0, 0, 1}
	at := bytes.Index(raw, code)
	for at >= 0 {
		raw = raw[at+len(code):]
		at = bytes.Index(raw, code)
		nal := raw
		if at >= 0 {
			nal = raw[:at]
		}
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 { // the next code's zero byte
			nals = append(nals, nal[:len(nal):len(nal)])
		}
	}
	return nals
}
