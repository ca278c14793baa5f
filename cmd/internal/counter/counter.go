// Package counter marks each picture of an H.264 or H.265 stream with a number
// and with the time of its sending, and reads the mark back. The simulated
// encoder writes it and tests read it at the far end, where loss, duplication,
// reordering and latency follow by subtraction.
//
// The mark is one supplemental enhancement information message "user data
// unregistered" (ITU-T H.264 D.1.7, ITU-T H.265 D.2.7) under this package's own
// UUID, in a NAL unit of its own. Decoders ignore it and every carrier of NAL
// units (RTP, MPEG-PS, MP4) keeps it.
package counter

import (
	"bytes"
	"encoding/binary"
	"time"
)

const (
	nalSEI264       = 6  // ITU-T H.264 table 7-1
	nalPrefixSEI265 = 39 // ITU-T H.265 table 7-1

	payloadUnregistered = 5
	payloadSize         = 16 + 8 + 8

	// maxNAL bounds the work Parse does on a hostile unit: the mark is at most
	// a hundred bytes long and is looked for no farther than this.
	maxNAL = 4096
)

// uuid names the mark: 16 bytes drawn at random once.
const uuid = "\x72\x7e\x68\x53\x1c\xf6\x08\x1a\x20\x09\x1a\xff\xd2\x3c\xf5\x27"

// AppendSEI appends to dst a whole NAL unit, emulation prevention included and
// start code excluded, that carries the number n and the instant at, kept to
// the microsecond. With h265 it is a prefix SEI of layer 0 and temporal
// sub-layer 0. The caller owns the result; dst may be nil.
func AppendSEI(dst []byte, h265 bool, n uint64, at time.Time) []byte {
	if h265 {
		dst = append(dst, nalPrefixSEI265<<1, 1)
	} else {
		dst = append(dst, nalSEI264)
	}
	var body [2 + payloadSize + 1]byte
	body[0], body[1] = payloadUnregistered, payloadSize
	copy(body[2:], uuid)
	binary.BigEndian.PutUint64(body[18:], n)
	binary.BigEndian.PutUint64(body[26:], uint64(at.UnixMicro()))
	body[34] = 0x80 // rbsp_trailing_bits
	return appendEscaped(dst, body[:])
}

// Parse reads the mark from one NAL unit, given without a start code. It
// reports false for every other unit, for an SEI without the mark and for a
// damaged one; it never fails otherwise and keeps no reference to nal. The time
// comes back to the microsecond.
func Parse(nal []byte, h265 bool) (n uint64, at time.Time, ok bool) {
	body, ok := seiBody(nal, h265)
	if !ok {
		return 0, time.Time{}, false
	}
	rbsp := unescape(body[:min(len(body), maxNAL)])
	for len(rbsp) > 2 { // the last byte is rbsp_trailing_bits
		typ, rest, ok := ffCoded(rbsp)
		if !ok {
			break
		}
		size, rest, ok := ffCoded(rest)
		if !ok || size > len(rest) {
			break
		}
		payload := rest[:size]
		if typ == payloadUnregistered && size == payloadSize && bytes.HasPrefix(payload, []byte(uuid)) {
			micros := binary.BigEndian.Uint64(payload[24:])
			return binary.BigEndian.Uint64(payload[16:]), time.UnixMicro(int64(micros)), true
		}
		rbsp = rest[size:]
	}
	return 0, time.Time{}, false
}

// seiBody strips the NAL header and reports whether the unit is an SEI.
func seiBody(nal []byte, h265 bool) ([]byte, bool) {
	if h265 {
		if len(nal) < 3 || nal[0]>>1&0x3f != nalPrefixSEI265 {
			return nil, false
		}
		return nal[2:], true
	}
	if len(nal) < 2 || nal[0]&0x1f != nalSEI264 {
		return nil, false
	}
	return nal[1:], true
}

// ffCoded reads a payload type or size: bytes of 255 add up, the first other
// byte ends it (ITU-T H.264 7.3.2.3.1).
func ffCoded(b []byte) (v int, rest []byte, ok bool) {
	for i, c := range b {
		v += int(c)
		if c != 0xff {
			return v, b[i+1:], true
		}
	}
	return 0, nil, false
}

// appendEscaped appends b with emulation prevention: 00 00 0x becomes
// 00 00 03 0x for x up to 3 (ITU-T H.264 7.4.1.1).
func appendEscaped(dst, b []byte) []byte {
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c <= 3 {
			dst = append(dst, 3)
			zeros = 0
		}
		dst = append(dst, c)
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return dst
}

// unescape removes emulation prevention bytes.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		out = append(out, c)
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}
