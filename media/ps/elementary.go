package ps

import "districtgateway/media"

// An elementary is one elementary stream: what was learned of it, and what of it
// was read in this pass.
type elementary struct {
	id       byte
	codec    media.Codec
	declared bool // by a program stream map
	ready    bool // everything is known that a decoder needs
	track    int  // its index among the tracks, -1 until it was announced
	known    knowledge
	picture  picture
	sound    sound
}

// video reports whether e carries pictures.
func (e *elementary) video() bool {
	if e.codec == media.CodecUnknown {
		return videoID(e.id)
	}
	return e.codec.Video()
}

// refused reports whether e is of a coding that is not carried.
func (e *elementary) refused() bool { return e.declared && e.codec == media.CodecUnknown }

// reset forgets what was read.
func (e *elementary) reset() {
	e.picture.reset()
	e.picture.scan = scan{}
	e.picture.stamp, e.picture.prior, e.picture.used = stamp{}, stamp{}, 0
	e.sound.reset()
}

// cut tells e that bytes are missing here.
func (e *elementary) cut() {
	p := &e.picture
	if p.open {
		p.ranges, p.open = p.ranges[:p.nal.first], false
	}
	p.scan = scan{}
	if n := len(e.sound.marks); n > 0 {
		e.sound.marks = append(e.sound.marks, mark{at: e.sound.size, torn: true})
	}
}

// A picture is a video access unit in the making.
type picture struct {
	scan
	ranges []media.Range
	nals   []rawNAL
	nal    rawNAL // the last, if open
	open   bool
	slices bool  // nals has one of a coded picture
	junk   int   // bytes passed over since the last NAL unit
	at     stamp // of this picture

	// For telling which of several pictures in a packet its stamp is for
	// (ISO/IEC 13818-1 §2.4.3.7: the first that begins in it).
	stamp stamp // of the current packet
	prior stamp // of the packet before
	fed   int   // bytes of the current packet's payload seen
	used  int   // serial of the last stamp that was given to a picture
}

// A rawNAL is a NAL unit as part of a picture's ranges.
type rawNAL struct {
	first, end int // in ranges
	size       uint32
	head       [3]byte // its first bytes
	headLen    uint8
	at         stamp // of the packet it begins in
}

func (p *picture) reset() {
	p.ranges, p.nals = p.ranges[:0], p.nals[:0]
	p.open, p.slices, p.junk = false, false, 0
	p.zeros = 0
	p.at = stamp{}
}

// begin opens a NAL unit. The start code before it began fed+at bytes into the
// current packet, which is negative if that was in the one before.
func (p *picture) begin(at int) {
	p.open = true
	p.nal = rawNAL{first: len(p.ranges), end: len(p.ranges), at: p.stamp}
	if at < 0 {
		p.nal.at = p.prior
	}
}

// add appends b, which lies at off, to the open NAL unit.
func (p *picture) add(b []byte, off uint64) {
	if len(b) == 0 {
		return
	}
	if !p.open {
		p.junk += len(b)
		return
	}
	if n := p.nal.headLen; int(n) < len(p.nal.head) {
		p.nal.headLen += uint8(copy(p.nal.head[n:], b))
	}
	p.ranges = append(p.ranges, media.Range{Off: off, Len: uint32(len(b))})
	p.nal.size += uint32(len(b))
}

// end closes the open NAL unit, whose last cut bytes belong to what comes next.
// It reports whether there was one with anything in it.
func (p *picture) end(cut int) bool {
	if !p.open {
		return false
	}
	p.open = false
	p.ranges = trim(p.ranges, p.nal.first, cut)
	p.nal.size -= min(uint32(cut), p.nal.size)
	p.nal.headLen = uint8(min(uint32(p.nal.headLen), p.nal.size))
	p.nal.end = len(p.ranges)
	return p.nal.size > 0
}

// trim cuts n bytes off the end of ranges, which keeps its first elements.
func trim(ranges []media.Range, keep, n int) []media.Range {
	for n > 0 && len(ranges) > keep {
		last := &ranges[len(ranges)-1]
		if int(last.Len) > n {
			last.Len -= uint32(n)
			break
		}
		n -= int(last.Len)
		ranges = ranges[:len(ranges)-1]
	}
	return ranges
}

// shift drops everything but the NAL unit that was just closed.
func (p *picture) shift() {
	n := copy(p.ranges, p.ranges[p.nal.first:p.nal.end])
	p.ranges = p.ranges[:n]
	p.nal.first, p.nal.end = 0, n
	p.nals, p.slices, p.at = p.nals[:0], false, stamp{}
}

// A sound is the payload of an audio stream in one pass.
type sound struct {
	scan   scan
	ranges []media.Range
	size   int // bytes in ranges
	marks  []mark
}

// A mark is a place in a sound where a packet begins or, if torn, where bytes
// are missing.
type mark struct {
	at    int
	stamp stamp
	torn  bool
}

func (s *sound) reset() {
	s.ranges, s.size, s.marks, s.scan = s.ranges[:0], 0, s.marks[:0], scan{}
}

func (s *sound) mark(at stamp) {
	s.scan = scan{}
	s.marks = append(s.marks, mark{at: s.size, stamp: at})
}

func (s *sound) add(g media.Range) {
	if g.Len > 0 {
		s.ranges = append(s.ranges, g)
		s.size += int(g.Len)
	}
}

func (s *sound) trim(n int) {
	s.ranges = trim(s.ranges, 0, n)
	s.size -= min(n, s.size)
}
