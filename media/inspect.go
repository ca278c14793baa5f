package media

import "encoding/binary"

// inspect looks into a packet that was added to f's open unit: does the unit
// start a picture, can decoding start at it, does it bring parameter sets.
func (s *Stream) inspect(f *flow, body []byte) {
	o := &f.open
	if f.programs {
		o.hint.begins = o.hint.begins || o.packets == 1 && startsPack(body)
		f.sniffer.feed(body)
		return
	}
	if !f.codec.Video() || len(body) == 0 {
		return
	}
	hint := s.look(f, body)
	if o.packets == 1 {
		o.hint.begins, o.hint.first = hint.begins, hint.first
	}
	o.hint.add(hint)
}

// look judges one RTP payload of video.
func (s *Stream) look(f *flow, b []byte) nalHint {
	t := NALType(f.codec, b[0])
	switch {
	case f.codec == H264 && t == h264STAPA:
		return s.lookInside(f, b[1:])
	case f.codec == H265 && t == h265AP:
		return s.lookInside(f, b[min(2, len(b)):])
	case f.codec == H264 && t == h264FUA:
		if len(b) < 3 || b[1]&0x80 == 0 {
			return nalHint{}
		}
		return hintOf(H264, []byte{b[0]&0xE0 | b[1]&0x1F, b[2]})
	case f.codec == H265 && t == h265FU:
		if len(b) < 4 || b[2]&0x80 == 0 {
			return nalHint{}
		}
		return hintOf(H265, []byte{b[0]&0x81 | b[2]&0x3F<<1, b[1], b[3]})
	case ParameterNAL(f.codec, t):
		s.learn(f, b)
	}
	return hintOf(f.codec, b)
}

// lookInside judges the NAL units of an aggregation packet (RFC 6184 §5.7.1, RFC
// 7798 §4.4.2), each after its length in 2 bytes.
func (s *Stream) lookInside(f *flow, b []byte) nalHint {
	var all nalHint
	for i := 0; len(b) > 2; i++ {
		n := int(binary.BigEndian.Uint16(b))
		if n == 0 || 2+n > len(b) {
			break
		}
		nal := b[2 : 2+n]
		hint := hintOf(f.codec, nal)
		if i == 0 {
			all.begins, all.first = hint.begins, hint.first
		}
		all.add(hint)
		if ParameterNAL(f.codec, NALType(f.codec, nal[0])) {
			s.learn(f, nal)
		}
		b = b[2+n:]
	}
	return all
}

// learn takes a parameter set that came with f's open unit.
func (s *Stream) learn(f *flow, nal []byte) {
	if s.updateParameter(f.track, nal) {
		f.open.Flags |= UnitDiscontinuity
	}
}
