package ps

import "encoding/binary"

// adtsSize is the length of an ADTS header without checksum (ISO/IEC 14496-3
// §1.A.2.2); adtsMax is the longest frame its 13-bit length can state.
const (
	adtsSize = 7
	adtsMax  = 1<<13 - 1
)

// aacRates are the sampling frequencies by their index (ISO/IEC 14496-3 table 1.18).
var aacRates = [13]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// An aacConfig is what ADTS can say of an AudioSpecificConfig.
type aacConfig struct {
	object   uint8 // audio object type, 1 to 4
	rate     uint8 // index into aacRates
	channels uint8 // channelConfiguration
}

// parseAudioConfig reads as much of an AudioSpecificConfig (ISO/IEC 14496-3
// §1.6.2.1) as an ADTS header can carry. It reports false for a coding ADTS
// cannot announce.
func parseAudioConfig(asc []byte) (aacConfig, bool) {
	var b [8]byte
	copy(b[:], asc)
	bits := bitReader(binary.BigEndian.Uint64(b[:]))
	c := aacConfig{object: uint8(bits.take(5))}
	rate, ok := bits.aacRate()
	c.rate, c.channels = rate, uint8(bits.take(4))
	if c.object == 5 || c.object == 29 { // SBR, PS stated explicitly: ADTS states the core coding
		_, ok2 := bits.aacRate()
		ok, c.object = ok && ok2, uint8(bits.take(5))
	}
	return c, ok && len(asc) >= 2 && c.object >= 1 && c.object <= 4 && c.channels >= 1 && c.channels <= 7
}

// appendAudioConfig appends the 2 bytes of an AudioSpecificConfig.
func (c aacConfig) appendAudioConfig(dst []byte) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(c.object)<<11|uint16(c.rate)<<7|uint16(c.channels)<<3)
}

// channelCount returns the number of channels of c.
func (c aacConfig) channelCount() int {
	if c.channels == 7 {
		return 8
	}
	return int(c.channels)
}

// appendADTS appends the header of a frame whose raw data block has n bytes.
func (c aacConfig) appendADTS(dst []byte, n int) []byte {
	size := n + adtsSize
	return append(dst, 0xFF, 0xF1,
		(c.object-1)<<6|c.rate<<2|c.channels>>2,
		c.channels<<6|byte(size>>11),
		byte(size>>3),
		byte(size<<5)|0x1F, // buffer fullness 7FF: variable rate
		0xFC)
}

// An adtsHeader is a parsed ADTS header.
type adtsHeader struct {
	aacConfig
	header int // bytes before the raw data block
	size   int // bytes of the frame, header included
}

// parseADTS reads the header b begins with. It reports false if there is none, or
// one of a frame with several raw data blocks, which cannot be told apart.
func parseADTS(b []byte) (adtsHeader, bool) {
	if len(b) < adtsSize || b[0] != 0xFF || b[1]&0xF6 != 0xF0 {
		return adtsHeader{}, false
	}
	h := adtsHeader{
		aacConfig: aacConfig{object: b[2]>>6 + 1, rate: b[2] >> 2 & 15, channels: b[2]&1<<2 | b[3]>>6},
		header:    adtsSize,
		size:      int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5,
	}
	if b[1]&1 == 0 { // a checksum follows
		h.header += 2
	}
	ok := int(h.rate) < len(aacRates) && h.channels != 0 && h.size > h.header && b[6]&3 == 0
	return h, ok
}

// A bitReader hands out bits from the top of a word.
type bitReader uint64

func (r *bitReader) take(n uint) uint64 {
	v := uint64(*r) >> (64 - n)
	*r <<= n
	return v
}

// aacRate reads a sampling frequency, given by index or in full.
func (r *bitReader) aacRate() (index uint8, ok bool) {
	i := r.take(4)
	if i < uint64(len(aacRates)) {
		return uint8(i), true
	}
	if i != 15 {
		return 0, false
	}
	hz := int(r.take(24))
	for j, rate := range aacRates {
		if rate == hz {
			return uint8(j), true
		}
	}
	return 0, false
}
