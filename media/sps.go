package media

// SPSInfo is what a sequence parameter set says about the pictures.
type SPSInfo struct {
	Width, Height  int   // of the picture as shown, in luma samples
	FPSNum, FPSDen int   // pictures per second, as a fraction; 0, 0: not said
	ReorderDepth   int   // pictures that may come before one they are shown after; -1: not said
	Profile, Level uint8 // profile_idc, level_idc (H.265: general_profile_idc, general_level_idc)
}

// The largest picture either standard's highest level knows is 16888 samples
// wide or high (H.264 level 6.2, H.265 level 6.2: √(8 × MaxLumaPs)).
const maxPictureSide = 16888

// ParseSPS reads a sequence parameter set, NAL header first, without start code
// (ITU-T H.264 §7.3.2.1.1, H.265 §7.3.2.2). Damage within the part that gives the
// picture's size is a *[SyntaxError]; usability information (VUI) that is damaged
// or cut off, as some cameras send it, only leaves the frame rate unknown.
func ParseSPS(codec Codec, nal []byte) (SPSInfo, error) {
	info, _, err := parseSPS(codec, nal)
	return info, err
}

// parseSPS also returns the parameter set's id.
func parseSPS(codec Codec, nal []byte) (info SPSInfo, id uint32, err error) {
	if len(nal) < 4 {
		return SPSInfo{}, 0, &SyntaxError{len(nal), "sequence parameter set", "at least 4 bytes"}
	}
	switch {
	case codec == H264 && NALType(H264, nal[0]) == h264SPS:
		return parseH264SPS(nal)
	case codec == H265 && NALType(H265, nal[0]) == h265SPS:
		return parseH265SPS(nal)
	}
	return SPSInfo{}, 0, &SyntaxError{0, "nal_unit_type", "a sequence parameter set"}
}

// checkSPS judges what was read up to the picture size.
func checkSPS(r *bitReader, info SPSInfo) error {
	switch {
	case r.over:
		return &SyntaxError{len(r.b), "sequence parameter set", "more bytes"}
	case info.Width <= 0 || info.Width > maxPictureSide:
		return &SyntaxError{r.at, "picture width", "1 to 16888"}
	case info.Height <= 0 || info.Height > maxPictureSide:
		return &SyntaxError{r.at, "picture height", "1 to 16888"}
	}
	return nil
}

// setRate notes a frame rate of num/den unless it is senseless.
func (i *SPSInfo) setRate(num, den uint64) {
	if num == 0 || den == 0 || num > 1<<31-1 || den > 1<<31-1 || num/den > 1000 {
		return
	}
	i.FPSNum, i.FPSDen = int(num), int(den)
}

// frame returns the time between two pictures, assuming 25 a second where
// nothing is said.
func (i SPSInfo) frame() Ticks {
	if i.FPSNum == 0 {
		return TicksPerSecond / 25
	}
	return max(1, Ticks(int64(i.FPSDen)*TicksPerSecond/int64(i.FPSNum)))
}

// skipAspectToOverscan passes over what H.264 §E.1.1 and H.265 §E.2.1 begin
// alike: aspect ratio, overscan, video signal type and chroma location.
func skipAspectToOverscan(r *bitReader) {
	if r.flag() && r.u(8) == 255 { // aspect_ratio_idc: Extended_SAR
		r.skip(32)
	}
	if r.flag() { // overscan_info_present_flag
		r.skip(1)
	}
	if r.flag() { // video_signal_type_present_flag
		r.skip(4)
		if r.flag() { // colour_description_present_flag
			r.skip(24)
		}
	}
	if r.flag() { // chroma_loc_info_present_flag
		r.ue()
		r.ue()
	}
}
