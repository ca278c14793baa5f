package footage

import (
	"districtgateway/media"
)

// A Track is one elementary stream of the footage.
type Track struct {
	ID         uint32
	Codec      media.Codec // 0 if it is none that the gateway carries
	TimeScale  uint32      // units of its clock in a second
	Parameters [][]byte    // video: VPS, SPS and PPS in the order of the sample entry
	lengthSize int         // video: bytes of the length before each NAL unit

	// Defaults of its samples (§8.8.3).
	duration, size, flags uint32
}

// maxTracks bounds what a moov may announce.
const maxTracks = 16

// parseMoov returns the tracks of a moov (§8.2.1).
func parseMoov(moov box) ([]*Track, error) {
	var tracks []*Track
	err := each(moov.body, moov.at, func(b box) error {
		switch b.kind {
		case "trak":
			t := &Track{}
			if err := t.parse(b); err != nil {
				return err
			}
			if len(tracks) == maxTracks {
				return &SyntaxError{b.at, "16 tracks at most"}
			}
			tracks = append(tracks, t)
		case "mvex":
			return each(b.body, b.at, func(b box) error { return parseTrex(b, tracks) })
		}
		return nil
	})
	for _, t := range tracks {
		if err == nil && t.TimeScale == 0 {
			err = &SyntaxError{moov.at, "a time scale for each track"}
		}
	}
	return tracks, err
}

func find(tracks []*Track, id uint32) *Track {
	for _, t := range tracks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// parse reads a trak or a box on the way from it to the sample entries.
func (t *Track) parse(b box) error {
	return each(b.body, b.at, func(b box) error {
		switch b.kind {
		case "mdia", "minf", "stbl":
			return t.parse(b)
		case "tkhd":
			f := b.fields()
			f.skip(timesOf(f.u32()))
			t.ID = f.u32()
			return f.err("tkhd")
		case "mdhd":
			f := b.fields()
			f.skip(timesOf(f.u32()))
			t.TimeScale = f.u32()
			return f.err("mdhd")
		case "stsd":
			f := b.fields()
			f.skip(8) // version, flags, number of entries
			if err := f.err("stsd"); err != nil {
				return err
			}
			return each(f.b, f.at, t.parseEntry)
		}
		return nil
	})
}

// timesOf returns the bytes of creation and modification time by the version in
// front of them.
func timesOf(versionFlags uint32) int {
	if versionFlags>>24 == 1 {
		return 16
	}
	return 8
}

// Bytes of a sample entry before its boxes (§12.1.3.2, §12.2.3.2).
const (
	visualEntry = 78
	audioEntry  = 28
)

// parseEntry reads a sample entry (ISO/IEC 14496-15 §5.4.2, §8.4.1).
func (t *Track) parseEntry(b box) error {
	switch b.kind {
	case "avc1", "avc3":
		t.Codec = media.H264
	case "hvc1", "hev1":
		t.Codec = media.H265
	case "mp4a":
		t.Codec = media.AAC
	case "alaw":
		t.Codec = media.G711A
	case "ulaw":
		t.Codec = media.G711U
	}
	if !t.Codec.Video() {
		return nil
	}
	f := b.fields()
	f.skip(visualEntry)
	if err := f.err("a visual sample entry"); err != nil {
		return err
	}
	return each(f.b, f.at, func(b box) error {
		switch b.kind {
		case "avcC":
			return t.parseAVC(b)
		case "hvcC":
			return t.parseHEVC(b)
		}
		return nil
	})
}

// parseAVC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
func (t *Track) parseAVC(b box) error {
	f := b.fields()
	f.skip(4)
	t.lengthSize = int(f.u8()&3) + 1
	t.parameters(f, int(f.u8()&0x1f))
	t.parameters(f, int(f.u8()))
	return f.err("avcC")
}

// parseHEVC reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1).
func (t *Track) parseHEVC(b box) error {
	f := b.fields()
	f.skip(21)
	t.lengthSize = int(f.u8()&3) + 1
	for n := f.u8(); n > 0 && !f.short; n-- {
		f.skip(1)
		t.parameters(f, int(f.u16()))
	}
	return f.err("hvcC")
}

// parameters reads n parameter sets.
func (t *Track) parameters(f *fields, n int) {
	for ; n > 0 && !f.short; n-- {
		size := int(f.u16())
		if size > len(f.b) {
			f.short = true
			return
		}
		t.Parameters = append(t.Parameters, f.take(size))
	}
}

// parseTrex reads the defaults of a track's samples (§8.8.3).
func parseTrex(b box, tracks []*Track) error {
	if b.kind != "trex" {
		return nil
	}
	f := b.fields()
	f.skip(4)
	id := f.u32()
	f.skip(4)
	duration, size, flags := f.u32(), f.u32(), f.u32()
	if t := find(tracks, id); t != nil {
		t.duration, t.size, t.flags = duration, size, flags
	}
	return f.err("trex")
}
