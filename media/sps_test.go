package media

import (
	"encoding/hex"
	"errors"
	"testing"

	"districtgateway/media/mediatest/cost"
)

// spsCases are parameter sets of x264, x265 and ffmpeg's read-out of the same
// streams; they seed FuzzParseSPS.
var spsCases = map[string]struct {
	codec Codec
	hex   string
	want  SPSInfo
}{
	"H.264 High with B pictures": {H264, "67640028acd940780227e5c044000003000400000300f03c60c658", SPSInfo{1920, 1080, 60, 2, 2, 100, 40}},
	"H.264 Constrained Baseline": {H264, "6742c00dd9016096c044000003000400000300c83c50a920", SPSInfo{352, 288, 50, 2, 0, 66, 13}},
	"H.264 cropped, 29.97":       {H264, "67640028acb200f0044f536022000007d20001d4c01e306490", SPSInfo{1918, 1078, 60000, 2002, 0, 100, 40}},
	"H.264 High 4:4:4":           {H264, "67f40016919b281405ff138088000003000800000300f078b16cb0", SPSInfo{640, 360, 30, 2, 2, 244, 22}},
	"H.264 interlaced":           {H264, "6764001eacd940b424d8088000000300800000190f8a14cb", SPSInfo{720, 576, 50, 2, 2, 100, 30}},
	"H.264 with HRD":             {H264, "6764001eacd940a03db01100000300010000030032604000f424001e84e4c30078b16cb0", SPSInfo{640, 480, 50, 2, 2, 100, 30}},
	"H.264 Main":                 {H264, "674d401fa6110280bfe5c044000003000400000300c83c60c846", SPSInfo{640, 360, 50, 2, 0, 77, 31}},
	"H.265 Main with B pictures": {H265, "420101016000000300900000030000030078a003c08010e596566924caf0168080000003008000000c84", SPSInfo{1920, 1080, 25, 1, 2, 1, 120}},
	"H.265 scaling lists":        {H265, "420101016000000300900000030000030078a002ac80301d7964a924e5780b40400000fa40001d4c02", SPSInfo{1366, 768, 30000, 1001, 0, 1, 120}},
	"H.265 4:2:2 of 10 bits":     {H265, "4201010408000003009d0800000300003fb005020169365959a4932bc05a020000030002000003001810", SPSInfo{640, 360, 12, 1, 2, 4, 63}},
	"H.265 temporal layers":      {H265, "4201020160000003009000000300000300960000a001e020021c5965652b2a5261780b4040000003004000000502", SPSInfo{3840, 2160, 20, 1, 2, 1, 150}},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseSPS(t *testing.T) {
	for name, tc := range spsCases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSPS(tc.codec, unhex(t, tc.hex))
			if got != tc.want || err != nil {
				t.Errorf("ParseSPS = %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

// Whatever is cut off, the answer is an error or the same size; only what comes
// after the size may be unknown.
func TestParseSPSCutOff(t *testing.T) {
	for name, tc := range spsCases {
		whole := unhex(t, tc.hex)
		for n := range whole {
			got, err := ParseSPS(tc.codec, whole[:n])
			if _, isSyntax := errors.AsType[*SyntaxError](err); err != nil && !isSyntax {
				t.Fatalf("%s cut to %d: error %T", name, n, err)
			}
			if err == nil && (got.Width != tc.want.Width || got.Height != tc.want.Height) {
				t.Errorf("%s cut to %d: %d×%d, want %d×%d", name, n, got.Width, got.Height, tc.want.Width, tc.want.Height)
			}
			if err == nil && n < 8 {
				t.Errorf("%s cut to %d: no error", name, n)
			}
		}
	}
}

func TestParseSPSRefusesOtherNALUnits(t *testing.T) {
	for name, tc := range map[string]struct {
		codec Codec
		in    string
	}{
		"picture parameter set": {H264, "68e84332c8"},
		"other codec":           {H265, "67640028acd940780227"},
		"no video":              {AAC, "67640028acd940780227"},
		"id too large":          {H264, "6742001f000008"},
		"empty":                 {H264, ""},
	} {
		if info, err := ParseSPS(tc.codec, unhex(t, tc.in)); err == nil {
			t.Errorf("%s: %+v, want an error", name, info)
		}
	}
}

func FuzzParseSPS(f *testing.F) {
	for _, tc := range spsCases {
		f.Add(tc.codec == H265, unhex(f, tc.hex))
	}
	f.Fuzz(func(t *testing.T, h265 bool, b []byte) {
		codec := H264
		if h265 {
			codec = H265
		}
		var info SPSInfo
		var err error
		cost.Bound(t, func() { info, err = ParseSPS(codec, b) })
		switch {
		case err != nil && info != SPSInfo{}:
			t.Errorf("error %v with a result %+v", err, info)
		case err == nil && (info.Width < 1 || info.Width > maxPictureSide || info.Height < 1 || info.Height > maxPictureSide):
			t.Errorf("size %d×%d", info.Width, info.Height)
		case info.ReorderDepth < -1 || info.ReorderDepth > maxReorder:
			t.Errorf("reorder depth %d", info.ReorderDepth)
		case info.FPSNum < 0 || info.FPSDen < 0 || (info.FPSNum == 0) != (info.FPSDen == 0):
			t.Errorf("rate %d/%d", info.FPSNum, info.FPSDen)
		case info.frame() < 1:
			t.Errorf("frame time %d", info.frame())
		}
	})
}

// audioCases seed FuzzParseAudioConfig.
var audioCases = map[string]struct {
	in   string
	want AudioInfo
	ok   bool
}{
	"AAC-LC 8 kHz mono":      {"1588", AudioInfo{2, 8000, 1}, true},
	"AAC-LC 48 kHz stereo":   {"1190", AudioInfo{2, 48000, 2}, true},
	"AAC-LC 44.1 kHz, 7.1":   {"1238", AudioInfo{2, 44100, 8}, true},
	"rate told as such":      {"17800fa008", AudioInfo{2, 8000, 1}, true},
	"escaped object type":    {"f80588", AudioInfo{32, 8000, 1}, false},
	"object type 0":          {"0588", AudioInfo{}, false},
	"reserved rate":          {"1688", AudioInfo{}, false},
	"program config element": {"1580", AudioInfo{}, false},
	"cut off":                {"15", AudioInfo{}, false},
	"empty":                  {"", AudioInfo{}, false},
}

func TestParseAudioConfig(t *testing.T) {
	for name, tc := range audioCases {
		if name == "escaped object type" {
			continue // seeds the fuzzer
		}
		t.Run(name, func(t *testing.T) {
			got, err := ParseAudioConfig(unhex(t, tc.in))
			if got != tc.want || (err == nil) != tc.ok {
				t.Errorf("ParseAudioConfig(%s) = %+v, %v; want %+v, ok %t", tc.in, got, err, tc.want, tc.ok)
			}
		})
	}
}

func FuzzParseAudioConfig(f *testing.F) {
	for _, tc := range audioCases {
		f.Add(unhex(f, tc.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var info AudioInfo
		var err error
		cost.Bound(t, func() { info, err = ParseAudioConfig(b) })
		if err == nil && (info.SampleRate < 1 || info.SampleRate > 192000 || info.Channels < 1 || info.Channels > 8 || info.ObjectType < 1) {
			t.Errorf("%X: %+v", b, info)
		}
	})
}
