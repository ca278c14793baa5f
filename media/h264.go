package media

// nal_unit_type values of H.264 (table 7-1) and RTP structures (RFC 6184 §5.2).
const (
	h264Slice = 1
	h264IDR   = 5
	h264SEI   = 6
	h264SPS   = 7
	h264PPS   = 8
	h264AUD   = 9
	h264STAPA = 24
	h264FUA   = 28
)

// parseH264SPS reads seq_parameter_set_data (§7.3.2.1.1).
func parseH264SPS(nal []byte) (info SPSInfo, id uint32, err error) {
	r := &bitReader{b: nal, at: 1}
	info = SPSInfo{Profile: uint8(r.u(8)), ReorderDepth: -1}
	r.skip(8) // constraint flags
	info.Level = uint8(r.u(8))
	if id = r.ue(); id > 31 {
		return SPSInfo{}, 0, &SyntaxError{r.at, "seq_parameter_set_id", "0 to 31"}
	}
	chroma := h264Chroma(r, info.Profile)
	r.ue() // log2_max_frame_num_minus4
	h264SkipOrder(r)
	r.ue()    // max_num_ref_frames
	r.skip(1) // gaps_in_frame_num_value_allowed_flag
	h264Size(r, chroma, &info)
	if err := checkSPS(r, info); err != nil {
		return SPSInfo{}, 0, err
	}
	if info.Profile == 66 { // Baseline has no B pictures (§A.2.1)
		info.ReorderDepth = 0
	}
	if r.flag() { // vui_parameters_present_flag
		h264VUI(r, &info)
	}
	return info, id, nil
}

// h264Chroma reads what only the high profiles have, and returns ChromaArrayType.
func h264Chroma(r *bitReader, profile uint8) uint32 {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
	default:
		return 1
	}
	chroma := r.ue()
	lists := 8
	if chroma == 3 {
		lists = 12
		if r.flag() { // separate_colour_plane_flag
			chroma = 0
		}
	}
	r.ue()        // bit_depth_luma_minus8
	r.ue()        // bit_depth_chroma_minus8
	r.skip(1)     // qpprime_y_zero_transform_bypass_flag
	if r.flag() { // seq_scaling_matrix_present_flag
		for i := range lists {
			if r.flag() {
				h264SkipScalingList(r, i)
			}
		}
	}
	return chroma
}

// h264SkipScalingList passes over scaling_list i (§7.3.2.1.1.1).
func h264SkipScalingList(r *bitReader, i int) {
	size := 16
	if i >= 6 {
		size = 64
	}
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + r.se()) & 0xFF
		}
		if next != 0 {
			last = next
		}
	}
}

// h264SkipOrder passes over the picture order count fields.
func h264SkipOrder(r *bitReader) {
	switch r.ue() { // pic_order_cnt_type
	case 0:
		r.ue()
	case 1:
		r.skip(1)
		r.se()
		r.se()
		for n := min(r.ue(), 255); n > 0; n-- {
			r.se()
		}
	}
}

// h264Size reads the picture's size and cropping (§7.4.2.1.1).
func h264Size(r *bitReader, chroma uint32, info *SPSInfo) {
	width, height := uint64(r.ue())+1, uint64(r.ue())+1
	fields := uint64(1)
	if !r.flag() { // frame_mbs_only_flag
		fields = 2
		r.skip(1)
	}
	r.skip(1) // direct_8x8_inference_flag
	width, height = width*16, height*16*fields
	if r.flag() { // frame_cropping_flag
		unitX, unitY := uint64(1), fields
		if chroma == 1 || chroma == 2 {
			unitX = 2
		}
		if chroma == 1 {
			unitY *= 2
		}
		left, right, top, bottom := uint64(r.ue()), uint64(r.ue()), uint64(r.ue()), uint64(r.ue())
		width, height = width-min(width, (left+right)*unitX), height-min(height, (top+bottom)*unitY)
	}
	info.setSize(width, height)
}

// h264VUI reads frame rate and reordering from vui_parameters (§E.1.1).
func h264VUI(r *bitReader, info *SPSInfo) {
	skipAspectToOverscan(r)
	var units, scale uint32
	if r.flag() { // timing_info_present_flag
		units, scale = r.u(32), r.u(32)
		r.skip(1)
	}
	if r.over {
		return
	}
	info.setRate(uint64(scale), 2*uint64(units)) // a field is the unit (§E.2.1)
	nalHRD := r.flag()
	if nalHRD {
		h264SkipHRD(r)
	}
	vclHRD := r.flag()
	if vclHRD {
		h264SkipHRD(r)
	}
	if nalHRD || vclHRD {
		r.skip(1) // low_delay_hrd_flag
	}
	r.skip(1)      // pic_struct_present_flag
	if !r.flag() { // bitstream_restriction_flag
		return
	}
	r.skip(1)
	r.ue() // max_bytes_per_pic_denom
	r.ue() // max_bits_per_mb_denom
	r.ue() // log2_max_mv_length_horizontal
	r.ue() // log2_max_mv_length_vertical
	if depth := r.ue(); !r.over && depth <= maxReorder {
		info.ReorderDepth = int(depth)
	}
}

// h264SkipHRD passes over hrd_parameters (§E.1.2).
func h264SkipHRD(r *bitReader) {
	count := min(r.ue(), 31)
	r.skip(8)
	for range count + 1 {
		r.ue()
		r.ue()
		r.skip(1)
	}
	r.skip(20)
}

// h264IntraSlice reports whether a slice that begins with b, the byte after its
// NAL header, is the first of its picture and an I slice: first_mb_in_slice 0
// and slice_type 7 or 2 (§7.3.3). Encoders that refresh by I pictures which are
// not IDR would never be started on without it.
func h264IntraSlice(b byte) bool {
	return b == 0b1_0001000 || b&0xF0 == 0b1_011_0000
}
