package ps

import "districtgateway/media"

// feedPicture hands b, which lies at off, to the video stream e, until a
// structure of the program stream begins in it: then id is its stream_id. That
// is looked for even in packets that state their length, since none can occur in
// coded video: it means that the packet is not what it says.
func (d *demuxer) feedPicture(e *elementary, b []byte, off uint64) (used int, id byte) {
	p := &e.picture
	defer func() { p.fed += used }()
	for {
		if p.prefix {
			if used == len(b) {
				return used, 0
			}
			p.prefix = false
			if structural(b[used]) {
				return used + 1, b[used]
			}
			// An access unit begins with the zero_byte, if there is one.
			p.begin(p.fed + used - 1 - min(p.before, 3))
		}
		end := p.next(b[used:])
		if end < 0 {
			p.add(b[used:], off+uint64(used))
			return len(b), 0
		}
		p.add(b[used:used+end], off+uint64(used))
		d.endNAL(e, p.before+1)
		used += end
	}
}

// endNAL closes the open NAL unit of e, whose last cut bytes, as the start code,
// belong to what comes next.
func (d *demuxer) endNAL(e *elementary, cut int) {
	p := &e.picture
	if !p.open {
		if p.junk > cut {
			d.blame("video", "start code")
		}
		p.junk = 0
		return
	}
	if !p.end(cut) {
		return
	}
	d.nals++
	if !d.whole && d.nals > maxNALs || len(p.nals) == maxNALs {
		d.blame("unit", "fewer nal units")
		return
	}
	if c := sniff(p.nal.head[:p.nal.headLen]); c != media.CodecUnknown && c != e.codec {
		d.recode(e, c)
	}
	if d.whole {
		d.divide(e)
	}
	p.nals = append(p.nals, p.nal)
}

// sniff tells the coding of a stream by the first bytes of a sequence or video
// parameter set. Other NAL units do not tell: the H.264 slice 41 has the type of
// an H.265 parameter set.
func sniff(head []byte) media.Codec {
	switch {
	case len(head) < 2:
	case head[0] == 0x67 || head[0] == 0x47 || head[0] == 0x27:
		return media.H264
	case (head[0] == 0x40 || head[0] == 0x42) && head[1] == 1:
		return media.H265
	}
	return media.CodecUnknown
}

// recode makes c the coding of e, whatever the map says, from the NAL unit just
// closed on. A stream whose coding was not known may have begun before.
func (d *demuxer) recode(e *elementary, c media.Codec) {
	if p := &e.picture; e.codec != media.CodecUnknown {
		nal, at := p.nal, p.at
		d.emitPicture(e)
		p.nal = nal
		p.shift()
		p.at = at
	}
	d.program.set(e, c)
}

// divide completes the picture of e if the NAL unit just closed begins the next
// one, and gives the picture that it is in its stamp.
func (d *demuxer) divide(e *elementary) {
	p := &e.picture
	slice, first := beginsPicture(e.codec, p.nal.head[:p.nal.headLen])
	if p.slices && first {
		nal := p.nal
		d.emitPicture(e)
		p.nal = nal
		p.shift()
	}
	p.slices = p.slices || slice
	if len(p.nals) == 0 && p.nal.at.serial > p.used {
		p.at, p.used = p.nal.at, p.nal.at.serial
	}
}

// beginsPicture reports whether a NAL unit is a slice, and whether it is one
// that begins an access unit if the one before has slices (ITU-T H.264
// §7.4.1.2.3, H.265 §7.4.2.4.4). Fields count as pictures.
func beginsPicture(c media.Codec, head []byte) (slice, first bool) {
	if len(head) == 0 {
		return false, false
	}
	t := media.NALType(c, head[0])
	if c == media.H265 {
		slice = t < 32
		return slice, slice && len(head) > 2 && head[2]&0x80 != 0 ||
			t >= 32 && t <= 35 || t == 39 || t >= 41 && t <= 44 || t >= 48 && t <= 55
	}
	slice = t == 1 || t == 2 || t == 5
	return slice, slice && len(head) > 1 && head[1]&0x80 != 0 || t >= 6 && t <= 9 || t >= 14 && t <= 18
}

// closePicture completes the picture of e with what was read so far.
func (d *demuxer) closePicture(e *elementary) {
	d.endNAL(e, e.picture.zeros)
	d.emitPicture(e)
	e.picture.reset()
}

// emitPicture appends the picture of e to the batch if it is of a track.
func (d *demuxer) emitPicture(e *elementary) {
	p := &e.picture
	if len(p.nals) == 0 {
		return
	}
	d.learnPicture(e)
	d.program.announce()
	if e.track < 0 || !e.ready || !d.begin(e, 0, timing{at: p.at}) {
		return
	}
	for i := range p.nals {
		n := &p.nals[i]
		typ := media.NALType(e.codec, n.head[0])
		if media.KeyNAL(e.codec, typ) {
			d.out.Flag(media.UnitKey)
		}
		d.out.BeginNAL(typ)
		for _, g := range p.ranges[n.first:n.end] {
			d.out.Append(g)
		}
	}
}
