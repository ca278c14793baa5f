package mediatest

import (
	"encoding/hex"

	"districtgateway/media"
)

// Parameters returns the parameter sets of a real encoder, 640×360 at 25 pictures
// a second: SPS and PPS for H.264; VPS, SPS and PPS for H.265.
func Parameters(c media.Codec) [][]byte {
	if c == media.H265 {
		return [][]byte{
			unhex("40010c01ffff01600000030090000003000003003f968090"),
			unhex("42010101600000030090000003000003003fa0050201696596a4932bc05a020000030002000003003210"),
			unhex("4401c172b46240"),
		}
	}
	return [][]byte{unhex("674d401fa6110280bfe5c044000003000400000300c83c60c846"), unhex("68e84332c8")}
}

// OtherParameters returns those of a smaller encoding by the same encoder.
func OtherParameters(c media.Codec) [][]byte {
	if c == media.H265 {
		return [][]byte{
			unhex("40010c01ffff01600000030090000003000003003c968090"),
			unhex("42010101600000030090000003000003003ca00a080b9f7965a924caf0168080000003008000000c84"),
			unhex("4401c172b46240"),
		}
	}
	return [][]byte{unhex("674d4015a61105067e7c0440000003004000000c83c58b8460"), unhex("68e84332c8")}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Slice returns a NAL unit of n bytes that looks like the only slice of a
// picture, a key picture or one that needs others. Seed decides the bytes after
// the header; none of them makes a start code.
func Slice(c media.Codec, key bool, n int, seed byte) []byte {
	b := make([]byte, max(n, 4))
	for i := range b {
		b[i] = byte(i)*7 + seed | 0x10
	}
	switch {
	case c == media.H265 && key:
		copy(b, []byte{19 << 1, 1, 0x80})
	case c == media.H265:
		copy(b, []byte{1 << 1, 1, 0x80})
	case key:
		copy(b, []byte{0x65, 0x88})
	default:
		copy(b, []byte{0x41, 0x9A})
	}
	return b
}

// Picture returns the NAL units of a picture of one slice of n bytes; a key picture
// brings its parameter sets.
func Picture(c media.Codec, key bool, n int, seed byte) [][]byte {
	slice := Slice(c, key, n, seed)
	if !key {
		return [][]byte{slice}
	}
	return append(Parameters(c), slice)
}

// VideoTrack returns the track of such pictures, on payload type 96.
func VideoTrack(c media.Codec) media.Track {
	return media.Track{Codec: c, ClockRate: 90000, PayloadType: 96}
}
