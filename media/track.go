package media

import "time"

// Ticks is a media instant in units of 1/90000 s, the clock of MPEG-PS and of
// RTP video (ISO/IEC 13818-1 §2.4.3.7, RFC 3551 §5). It is unwrapped: it does
// not go back at 2³², and is comparable only within one run of one stream.
type Ticks int64

// TicksPerSecond is the rate of [Ticks].
const TicksPerSecond = 90000

// Duration returns t as a time.Duration, rounded down to the nanosecond.
func (t Ticks) Duration() time.Duration {
	return time.Duration(int64(t)/TicksPerSecond)*time.Second +
		time.Duration(int64(t)%TicksPerSecond*int64(time.Second)/TicksPerSecond)
}

// TicksOf returns d in Ticks, rounded down.
func TicksOf(d time.Duration) Ticks {
	s, r := d/time.Second, d%time.Second
	return Ticks(int64(s)*TicksPerSecond + int64(r)*TicksPerSecond/int64(time.Second))
}

// A Codec names the coding of an elementary stream.
type Codec uint8

// The codings this package carries.
const (
	CodecUnknown Codec = iota
	H264               // ITU-T H.264; RTP by RFC 6184
	H265               // ITU-T H.265; RTP by RFC 7798
	G711A              // ITU-T G.711 A-law; RTP by RFC 3551
	G711U              // ITU-T G.711 µ-law; RTP by RFC 3551
	AAC                // ISO/IEC 14496-3 AAC-LC; RTP by RFC 3640
)

// String returns the usual name, such as "H.264".
func (c Codec) String() string {
	switch c {
	case H264:
		return "H.264"
	case H265:
		return "H.265"
	case G711A:
		return "G.711A"
	case G711U:
		return "G.711U"
	case AAC:
		return "AAC"
	}
	return "unknown"
}

// Video reports whether c codes pictures.
func (c Codec) Video() bool { return c == H264 || c == H265 }

// A Track is one elementary stream of a [Stream].
type Track struct {
	Codec       Codec
	ClockRate   int   // RTP timestamp units per second: 90000 for video
	PayloadType uint8 // RTP payload type it is received with; 0 if it has no RTP flow of its own
	Channels    int   // audio channels; 0 for video

	// Parameters are what a decoder needs first: SPS and PPS (H.264), VPS, SPS
	// and PPS (H.265), without start codes, or the one AudioSpecificConfig (AAC).
	// The slices are never written again once published.
	Parameters [][]byte
}

// A Carriage says how elementary streams lie in a stream's packets.
type Carriage uint8

// The carriages.
const (
	// CarriageRTP: one RTP flow per track (RFC 6184, 7798, 3551, 3640). Flow i carries track i.
	CarriageRTP Carriage = iota
	// CarriagePS: one RTP flow (payload type 96) of MPEG program stream that carries all tracks
	// (GB/T 28181-2022 Annex C, RFC 2250).
	CarriagePS
	// CarriageFrames: no RTP; each packet is one sample: for video NAL units, each after its
	// length in 4 bytes, big-endian (ISO/IEC 14496-15 §5.3.4.2); for audio one frame.
	CarriageFrames
)
