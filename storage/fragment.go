package storage

import (
	"encoding/binary"
	"hash/crc32"

	"districtgateway/media"
)

// A fragHead is what our box before every moof says of the fragment.
type fragHead struct {
	flags    fragFlags
	keys     uint16
	volume   VolumeID
	session  uint64
	seq      uint32      // 0, 1, ... in the segment
	wall     int64       // wall clock of the first sample, Unix nanoseconds
	dts      media.Ticks // of the first sample, in the file's time
	duration media.Ticks
	frames   uint32
	total    uint32 // bytes of the fragment, this box and the padding included
	body     uint32 // bytes of moof and mdat
	crc      uint32 // CRC-32C of this box's fields before it, then of moof and mdat
}

type fragFlags uint8

const (
	fragKey     fragFlags = 1 << iota // the first sample is one that decoding can start at
	fragDamaged                       // holds a unit with packets missing
)

const (
	fragFields  = 1 + 1 + 2 + 16 + 8 + 4 + 8 + 8 + 4 + 4 + 4 + 4 // before the checksum
	fragHeadLen = 8 + 16 + fragFields + 4
)

// appendFragHead appends h's box with the checksum over body.
func appendFragHead(b []byte, h *fragHead, body []byte) []byte {
	b, at := openUUID(b, &fragmentID)
	from := len(b)
	b = append(b, formatVersion, byte(h.flags))
	b = binary.BigEndian.AppendUint16(b, h.keys)
	b = append(b, h.volume[:]...)
	b = binary.BigEndian.AppendUint64(b, h.session)
	b = binary.BigEndian.AppendUint32(b, h.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(h.wall))
	b = binary.BigEndian.AppendUint64(b, uint64(h.dts))
	b = binary.BigEndian.AppendUint32(b, uint32(h.duration))
	b = binary.BigEndian.AppendUint32(b, h.frames)
	b = binary.BigEndian.AppendUint32(b, h.total)
	b = binary.BigEndian.AppendUint32(b, h.body)
	h.crc = crc32.Update(crc32.Checksum(b[from:], castagnoli), castagnoli, body)
	b = binary.BigEndian.AppendUint32(b, h.crc)
	closeBox(b, at)
	return b
}

// parseFragHead reads the box at the start of b. It checks everything but the
// checksum.
func parseFragHead(b []byte) (fragHead, error) {
	if len(b) < fragHeadLen || binary.BigEndian.Uint32(b) != fragHeadLen || string(b[4:8]) != "uuid" || boxID(b[8:24]) != fragmentID {
		return fragHead{}, &SyntaxError{0, "a fragment"}
	}
	d := decoder{b: b[:fragHeadLen], off: 24}
	if d.u8() != formatVersion {
		return fragHead{}, &SyntaxError{24, "format version 1"}
	}
	h := fragHead{flags: fragFlags(d.u8()), keys: d.u16()}
	h.volume = d.volume()
	h.session, h.seq, h.wall, h.dts = d.u64(), d.u32(), int64(d.u64()), media.Ticks(d.u64())
	h.duration, h.frames, h.total, h.body, h.crc = media.Ticks(d.u32()), d.u32(), d.u32(), d.u32(), d.u32()
	end := uint64(fragHeadLen) + uint64(h.body)
	if h.total%block != 0 || h.total > maxFragment || end > uint64(h.total) || h.wall < 0 || h.dts < 0 {
		return fragHead{}, &SyntaxError{24, "fragment fields within their bounds"}
	}
	return h, nil
}

// checkFragment verifies the checksum of the fragment b with head h.
func checkFragment(b []byte, h *fragHead) error {
	end := fragHeadLen + int(h.body)
	if len(b) < end {
		return &SyntaxError{int64(len(b)), "the whole fragment"}
	}
	sum := crc32.Checksum(b[24:24+fragFields], castagnoli)
	if crc32.Update(sum, castagnoli, b[fragHeadLen:end]) != h.crc {
		return &SyntaxError{fragHeadLen - 4, "the fragment's checksum"}
	}
	return nil
}

// A sample is one access unit on its way to disk.
type sample struct {
	dts, pts   media.Ticks // the source's time
	duration   media.Ticks
	size       uint32 // bytes in the file
	first, end uint32 // its parts
	track      uint8
	flags      media.UnitFlags
}

// Flags of a sample in a track run (ISO/IEC 14496-12 §8.8.3.1).
const (
	sampleKey    = 2 << 24          // sample_depends_on 2: on no other
	sampleNonKey = 1<<24 | 1<<16    // depends on others, is not a sync sample
	damagedBits  = 0x0001           // sample_degradation_priority: lower than its neighbours
	tfhdFlags    = 0x020000         // default-base-is-moof (§8.8.7)
	trunFlags    = 0x000f01         // data offset; duration, size, flags, composition offset of each sample (§8.8.8)
	trunEntry    = 16               // bytes of a sample in the run
	trafFixed    = 8 + 16 + 20 + 20 // traf, tfhd, tfdt, trun without samples
)

// sampleBits returns s's flags in the track run.
func sampleBits(s *sample, video bool) uint32 {
	bits := uint32(sampleKey)
	if video && s.flags&media.UnitKey == 0 {
		bits = sampleNonKey
	}
	if s.flags&media.UnitDamaged != 0 {
		bits |= damagedBits
	}
	return bits
}

// A layout is how samples lie in a fragment: the runs one after another in the
// order of tracks.
type layout struct {
	tracks  []media.Track
	base    media.Ticks // the source's time of the file's 0
	samples []sample
}

// count returns how many samples of track there are and their bytes.
func (l *layout) count(track int) (n, bytes int) {
	for i := range l.samples {
		if int(l.samples[i].track) == track {
			n++
			bytes += int(l.samples[i].size)
		}
	}
	return n, bytes
}

// appendMoof appends the moof of the samples and the header of the mdat that must
// follow (ISO/IEC 14496-12 §8.8.4, §8.1.1). It allocates nothing if b is large enough.
func (l *layout) appendMoof(b []byte, seq uint32) []byte {
	size := 8 + 16
	for t := range l.tracks {
		if n, _ := l.count(t); n > 0 {
			size += trafFixed + n*trunEntry
		}
	}
	b = append(put32(b, uint32(size)), "moof"...)
	b = append(put32(b, 16), "mfhd\x00\x00\x00\x00"...)
	b = put32(b, seq+1)
	data := size + 8
	for t := range l.tracks {
		n, bytes := l.count(t)
		if n == 0 {
			continue
		}
		b = l.appendTraf(b, t, n, data)
		data += bytes
	}
	return append(put32(b, uint32(data-size)), "mdat"...)
}

// appendTraf appends the run of track t: n samples whose data begin at offset data
// from the moof.
func (l *layout) appendTraf(b []byte, t, n, data int) []byte {
	scale := timescale(&l.tracks[t])
	video := l.tracks[t].Codec.Video()
	b = append(put32(b, uint32(trafFixed+n*trunEntry)), "traf"...)
	b = append(put32(b, 16), "tfhd"...)
	b = put32(put32(b, tfhdFlags), uint32(t+1))
	b = append(put32(b, 20), "tfdt\x01\x00\x00\x00"...)
	timed := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(put32(b, uint32(20+n*trunEntry)), "trun"...)
	b = put32(put32(put32(b, 1<<24|trunFlags), uint32(n)), uint32(data))
	first := true
	for i := range l.samples {
		s := &l.samples[i]
		if int(s.track) != t {
			continue
		}
		at := toScale(s.dts-l.base, scale)
		if first {
			binary.BigEndian.PutUint64(b[timed:], uint64(at))
			first = false
		}
		next := toScale(s.dts+s.duration-l.base, scale)
		b = put32(put32(b, uint32(max(next-at, 0))), s.size)
		b = put32(put32(b, sampleBits(s, video)), uint32(int32(toScale(s.pts-s.dts, scale))))
	}
	return b
}
