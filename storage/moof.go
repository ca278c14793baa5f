package storage

import (
	"cmp"
	"slices"

	"districtgateway/media"
)

// A fileSample is one sample of a fragment that was read.
type fileSample struct {
	dts, pts media.Ticks // in the file's time
	off, end int         // its bytes in the fragment
	track    uint8
	key      bool
	damaged  bool
}

// parseMoof appends the samples of the fragment b, in order of decoding time.
// head is how many bytes precede the moof.
func parseMoof(dst []fileSample, b []byte, head int, tracks []media.Track) ([]fileSample, error) {
	moof, err := nextBox(b, head)
	if err != nil {
		return dst, err
	}
	if moof.kind != "moof" {
		return dst, &SyntaxError{int64(head), "box moof"}
	}
	from := len(dst)
	for off := moof.off + 8; off < moof.end; {
		x, err := nextBox(b[:moof.end], off)
		if err != nil {
			return dst[:from], err
		}
		if x.kind == "traf" {
			if dst, err = parseTraf(dst, b, run{moof: moof.off, traf: x, tracks: tracks}); err != nil {
				return dst[:from], err
			}
		}
		off = x.end
	}
	slices.SortStableFunc(dst[from:], func(a, c fileSample) int { return cmp.Compare(a.dts, c.dts) })
	return dst, nil
}

// A run is a traf and what is known around it.
type run struct {
	moof   int // offset of the moof
	traf   boxSpan
	tracks []media.Track
	track  int // index; from tfhd
	at     int64
}

// parseTraf reads a traf as appendTraf writes it.
func parseTraf(dst []fileSample, b []byte, r run) ([]fileSample, error) {
	d := decoder{b: r.traf.body}
	hd, id := d.take(12), d.u32()
	dt, at := d.take(12), d.u64()
	tr := d.take(12)
	n, data := d.u32(), d.u32()
	if err := d.err("tfhd, tfdt and trun"); err != nil {
		return dst, err
	}
	if string(hd[4:8]) != "tfhd" || string(dt[4:8]) != "tfdt" || string(tr[4:8]) != "trun" {
		return dst, &SyntaxError{int64(r.traf.off), "tfhd, tfdt and trun"}
	}
	if id == 0 || int64(id) > int64(len(r.tracks)) || at > 1<<60 || uint64(n)*trunEntry > uint64(len(r.traf.body)-d.off) {
		return dst, &SyntaxError{int64(r.traf.off), "a run within its bounds"}
	}
	r.track, r.at = int(id-1), int64(at)
	return r.appendSamples(dst, &d, span{int64(n), int64(r.moof) + int64(data), int64(len(b))})
}

// A span tells how many samples follow, where their data begin, and where it must
// end.
type span struct{ n, off, limit int64 }

func (r *run) appendSamples(dst []fileSample, d *decoder, s span) ([]fileSample, error) {
	scale := timescale(&r.tracks[r.track])
	video := r.tracks[r.track].Codec.Video()
	for range s.n {
		duration, size, bits, shift := d.u32(), d.u32(), d.u32(), int32(d.u32())
		end := s.off + int64(size)
		if s.off < 0 || end > s.limit {
			return dst, &SyntaxError{int64(r.traf.off), "samples inside the fragment"}
		}
		dst = append(dst, fileSample{
			dts: fromScale(r.at, scale), pts: fromScale(r.at+int64(shift), scale),
			off: int(s.off), end: int(end), track: uint8(r.track),
			key: video && bits&(1<<16) == 0, damaged: bits&0xffff != 0,
		})
		s.off, r.at = end, r.at+int64(duration)
	}
	return dst, nil
}
