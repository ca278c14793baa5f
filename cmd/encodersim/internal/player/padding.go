package player

import "districtgateway/cmd/encodersim/internal/clip"

const (
	nalFiller264 = 12 // ITU-T H.264 table 7-1
	nalFiller265 = 38 // ITU-T H.265 table 7-1

	minFiller = 8       // bytes; less is not worth a NAL unit
	maxFiller = 4 << 20 // bytes; bounds what one picture is padded by
)

// padding fills a stream up to a bitrate with filler data, as encoders at a
// constant bitrate do (ITU-T H.264 7.3.2.7, ITU-T H.265 7.3.2.10). Pictures that
// are larger than their share are made up for by the following ones.
type padding struct {
	bitrate int64 // bit/s
	budget  int64 // bytes that may still be sent
	buf     []byte
}

// fill appends a filler NAL unit to an access unit, of which slice is a slice,
// if it is below its share.
// The unit is valid until the next call.
func (p *padding) fill(unit [][]byte, v *clip.Video, slice []byte) [][]byte {
	perLoop := p.bitrate / 8 * v.Period / clip.Clock
	p.budget += perLoop / int64(len(v.Pictures))
	for _, nal := range unit {
		p.budget -= int64(len(nal))
	}
	p.budget = max(p.budget, -p.bitrate/8) // a debt of a second at most
	if p.budget < minFiller {
		return unit
	}
	nal := p.filler(int(min(p.budget, maxFiller)), slice, v.H265)
	p.budget = min(p.budget-int64(len(nal)), maxFiller)
	return append(unit, nal)
}

// filler returns a filler data unit of n bytes in the picture's sub-layer.
func (p *padding) filler(n int, slice []byte, h265 bool) []byte {
	if cap(p.buf) < n {
		p.buf = make([]byte, n)
	}
	nal := p.buf[:n]
	for i := range nal {
		nal[i] = 0xff
	}
	nal[0] = nalFiller264
	if h265 {
		nal[0], nal[1] = nalFiller265<<1, slice[1]&7
	}
	nal[n-1] = 0x80 // rbsp_trailing_bits
	return nal
}
