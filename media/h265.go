package media

// nal_unit_type values of H.265 (table 7-1) and RTP structures (RFC 7798 §4.4).
const (
	h265BLA       = 16 // BLA_W_LP, the first type decoding can start at
	h265CRA       = 21 // the last one
	h265FirstNVCL = 32
	h265VPS       = 32
	h265SPS       = 33
	h265PPS       = 34
	h265AUD       = 35
	h265SEI       = 39
	h265AP        = 48
	h265FU        = 49
)

// parseH265SPS reads seq_parameter_set_rbsp (§7.3.2.2.1).
func parseH265SPS(nal []byte) (info SPSInfo, id uint32, err error) {
	r := &bitReader{b: nal, at: 2}
	info = SPSInfo{ReorderDepth: -1}
	r.skip(4) // sps_video_parameter_set_id
	layers := int(r.u(3))
	r.skip(1) // sps_temporal_id_nesting_flag
	h265Profile(r, layers, &info)
	if id = r.ue(); id > 15 {
		return SPSInfo{}, 0, &SyntaxError{r.at, "sps_seq_parameter_set_id", "0 to 15"}
	}
	h265Size(r, &info)
	if err := checkSPS(r, info); err != nil {
		return SPSInfo{}, 0, err
	}
	r.ue() // bit_depth_luma_minus8
	r.ue() // bit_depth_chroma_minus8
	orderBits := int(min(r.ue(), 12)) + 4
	first := layers
	if r.flag() { // sps_sub_layer_ordering_info_present_flag
		first = 0
	}
	for ; first <= layers; first++ {
		r.ue() // sps_max_dec_pic_buffering_minus1
		depth := r.ue()
		r.ue() // sps_max_latency_increase_plus1
		if !r.over && depth <= maxReorder {
			info.ReorderDepth = int(depth)
		}
	}
	h265Rest(r, orderBits, &info)
	return info, id, nil
}

// h265Profile reads profile_tier_level (§7.3.3).
func h265Profile(r *bitReader, layers int, info *SPSInfo) {
	r.skip(3)
	info.Profile = uint8(r.u(5))
	r.skip(32 + 48)
	info.Level = uint8(r.u(8))
	if layers == 0 {
		return
	}
	present := r.u(16) // two flags for each of eight sub-layers, unused ones reserved
	for i := range layers {
		if present>>(15-2*i)&1 == 1 {
			r.skip(88)
		}
		if present>>(14-2*i)&1 == 1 {
			r.skip(8)
		}
	}
}

// h265Size reads the picture's size and conformance window.
func h265Size(r *bitReader, info *SPSInfo) {
	chroma := r.ue()
	if chroma == 3 && r.flag() { // separate_colour_plane_flag
		chroma = 0
	}
	width, height := uint64(r.ue()), uint64(r.ue())
	if r.flag() { // conformance_window_flag
		unitX, unitY := uint64(1), uint64(1)
		if chroma == 1 || chroma == 2 {
			unitX = 2
		}
		if chroma == 1 {
			unitY = 2
		}
		left, right, top, bottom := uint64(r.ue()), uint64(r.ue()), uint64(r.ue()), uint64(r.ue())
		width, height = width-min(width, (left+right)*unitX), height-min(height, (top+bottom)*unitY)
	}
	info.setSize(width, height)
}

// setSize notes a size; one that no int of 32 bits holds becomes 0, which is refused.
func (i *SPSInfo) setSize(width, height uint64) {
	if width <= maxPictureSide {
		i.Width = int(width)
	}
	if height <= maxPictureSide {
		i.Height = int(height)
	}
}

// h265Rest goes on to the frame rate in the VUI, which lies behind everything else.
func h265Rest(r *bitReader, orderBits int, info *SPSInfo) {
	for range 6 { // block and transform sizes and depths
		r.ue()
	}
	if enabled := r.flag(); enabled && r.flag() { // scaling_list_enabled_flag, sps_scaling_list_data_present_flag
		h265SkipScalingLists(r)
	}
	r.skip(2)     // amp_enabled_flag, sample_adaptive_offset_enabled_flag
	if r.flag() { // pcm_enabled_flag
		r.skip(8)
		r.ue()
		r.ue()
		r.skip(1)
	}
	if !h265SkipReferenceSets(r) {
		return
	}
	if r.flag() { // long_term_ref_pics_present_flag
		for n := min(r.ue(), 32); n > 0; n-- {
			r.skip(orderBits + 1)
		}
	}
	r.skip(2)     // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
	if r.flag() { // vui_parameters_present_flag
		h265VUI(r, info)
	}
}

// h265SkipScalingLists passes over scaling_list_data (§7.3.4).
func h265SkipScalingLists(r *bitReader) {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for matrix := 0; matrix < 6; matrix += step {
			if !r.flag() { // scaling_list_pred_mode_flag
				r.ue()
				continue
			}
			if size > 1 {
				r.se()
			}
			for range min(64, 1<<(4+size<<1)) {
				r.se()
			}
		}
	}
}

// h265SkipReferenceSets passes over the short-term reference picture sets
// (§7.3.7), each of which may be told by difference to the one before.
func h265SkipReferenceSets(r *bitReader) bool {
	count := r.ue()
	if count > 64 {
		return false
	}
	pictures := uint32(0) // in the set before
	for i := range count {
		if i > 0 && r.flag() { // inter_ref_pic_set_prediction_flag
			r.skip(1)
			r.ue()
			pictures = h265PredictedSet(r, pictures)
			continue
		}
		negative, positive := r.ue(), r.ue()
		if negative > 16 || positive > 16 {
			return false
		}
		pictures = negative + positive
		for range pictures {
			r.ue()
			r.skip(1)
		}
	}
	return !r.over
}

// h265PredictedSet passes over a set told by difference to one of n pictures and
// returns how many pictures it has.
func h265PredictedSet(r *bitReader, n uint32) uint32 {
	kept := uint32(0)
	for range n + 1 {
		if used := r.flag(); used || r.flag() { // used_by_curr_pic_flag, use_delta_flag
			kept++
		}
	}
	return min(kept, 32)
}

// h265VUI reads the frame rate from vui_parameters (§E.2.1).
func h265VUI(r *bitReader, info *SPSInfo) {
	skipAspectToOverscan(r)
	r.skip(3)     // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
	if r.flag() { // default_display_window_flag
		for range 4 {
			r.ue()
		}
	}
	if !r.flag() { // vui_timing_info_present_flag
		return
	}
	units, scale := r.u(32), r.u(32)
	if !r.over {
		info.setRate(uint64(scale), uint64(units))
	}
}
