package media

// NALType returns the nal_unit_type in first, a NAL unit's first byte (H.264
// §7.3.1, H.265 §7.3.1.2). It is 0 for codecs without NAL units.
func NALType(c Codec, first byte) uint8 {
	switch c {
	case H264:
		return first & 0x1F
	case H265:
		return first >> 1 & 0x3F
	}
	return 0
}

// KeyNAL reports whether NAL units of type t make a picture decoding can start
// at: IDR in H.264; BLA, IDR and CRA in H.265.
func KeyNAL(c Codec, t uint8) bool {
	switch c {
	case H264:
		return t == h264IDR
	case H265:
		return t >= h265BLA && t <= h265CRA
	}
	return false
}

// ParameterNAL reports whether NAL units of type t are parameter sets: SPS and
// PPS, in H.265 also VPS.
func ParameterNAL(c Codec, t uint8) bool {
	switch c {
	case H264:
		return t == h264SPS || t == h264PPS
	case H265:
		return t >= h265VPS && t <= h265PPS
	}
	return false
}

// A nalHint is what the first bytes of NAL units tell about their picture.
type nalHint struct {
	begins bool  // this lies at or before the picture's first slice
	slice  bool  // a slice was seen
	key    bool  // decoding can start at the picture
	intra  bool  // its first slice is I, although it is not marked as a place to start
	set    bool  // it comes with a sequence parameter set
	first  uint8 // type of the first NAL unit; 0: not told
}

// add joins what a later part of the picture tells.
func (h *nalHint) add(b nalHint) {
	h.slice = h.slice || b.slice
	h.key, h.intra, h.set = h.key || b.key, h.intra || b.intra, h.set || b.set
}

// starts reports whether decoding can start at the picture. An I picture that is
// not IDR counts if it brings its parameter sets: encoders that refresh this way
// would never be started on otherwise.
func (h *nalHint) starts() bool { return h.key || h.intra && h.set }

// hintOf judges the NAL unit that begins with b, which may be cut short after 3
// bytes.
func hintOf(c Codec, b []byte) nalHint {
	header := 1
	if c == H265 {
		header = 2
	}
	if len(b) <= header {
		return nalHint{}
	}
	t := NALType(c, b[0])
	h := hintOfType(c, t, b[header:])
	h.intra = h.slice && c == H264 && t == h264Slice && h264IntraSlice(b[1])
	h.first = t
	return h
}

// hintOfType judges the NAL unit of type t that goes on with b after its header.
func hintOfType(c Codec, t uint8, b []byte) nalHint {
	first := b[0]&0x80 != 0 // first_mb_in_slice 0; first_slice_segment_in_pic_flag
	switch {
	case KeyNAL(c, t):
		return nalHint{key: true, slice: true, begins: first}
	case c == H264 && t == h264Slice:
		return nalHint{slice: true, begins: first}
	case c == H265 && t < h265FirstNVCL:
		return nalHint{slice: true, begins: first}
	case c == H264 && t >= h264SEI && t <= h264AUD, c == H265 && (t <= h265AUD || t == h265SEI):
		return nalHint{begins: true, set: t == h264SPS || t == h265SPS}
	}
	return nalHint{}
}
