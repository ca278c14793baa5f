package ps

import (
	"encoding/binary"

	"districtgateway/media"
)

// Bounds on what one unit can make us hold; a real one has a hundredth of them.
const (
	maxUnits = 1024 // access units
	maxNALs  = 4096 // NAL units
	maxMarks = 1024 // PES packets of one audio stream
)

// A piece is a run of program stream: the payload of an RTP packet.
type piece struct {
	media.Range
	hole bool // bytes are missing before it
}

// A demuxer finds access units in a program stream. What it learns of the
// streams it keeps from pass to pass; everything else begins anew.
type demuxer struct {
	whole   bool // one pass over all there is: pictures are told apart by their slices
	program program

	src     source
	ranges  []media.Range // of the run being read
	frames  source        // second reading of an audio stream
	out     *media.Batch
	timing  []timing     // of the access units this pass has appended to out
	reading *elementary  // whose packet the run ended in
	serial  int          // of the last stamp
	nals    int          // closed in this pass
	scratch []byte       // of a parameter set
	found   [maxSets]int // parameter sets of a picture
	lenient bool         // the map just read was broken: what follows may begin late
	damaged bool
	fault   media.SyntaxError // the first damage
}

// A timing is when an access unit is due: its stamp's time, and so much later.
type timing struct {
	at    stamp
	later media.Ticks
}

// blame notes damage at the current position.
func (d *demuxer) blame(field, want string) {
	if !d.damaged {
		d.fault = media.SyntaxError{Offset: d.src.pos, Field: field, Want: want}
	}
	d.damaged = true
}

// pass demultiplexes in and appends the access units to out. Their times are in
// d.timing, not in them.
func (d *demuxer) pass(mem memory, in []piece, out *media.Batch) {
	d.out, d.timing, d.reading = out, d.timing[:0], nil
	d.serial, d.nals, d.src.pos = 0, 0, 0
	d.lenient, d.damaged = false, false
	for i := range d.program.streams {
		d.program.streams[i].reset()
	}
	for len(in) > 0 {
		n := 1
		for n < len(in) && !in[n].hole {
			n++
		}
		d.ranges = d.ranges[:0]
		for _, p := range in[:n] {
			d.ranges = append(d.ranges, p.Range)
		}
		d.src.start(mem, d.ranges)
		d.run(in[0].hole)
		in = in[n:]
	}
	d.finish()
}

// run reads what d.src holds. After a hole, what comes before the next structure
// belongs to the packet the hole is in, if that was video: its NAL units that
// are whole are good.
func (d *demuxer) run(hole bool) {
	if hole {
		d.blame("rtp packets", "none missing")
		for i := range d.program.streams {
			d.program.streams[i].cut()
		}
	}
	var id byte
	var ok bool
	if e := d.reading; hole && e != nil && e.video() {
		id, ok = d.payload(e, -1)
	} else {
		id, ok = d.structure()
	}
	for ok {
		id, ok = d.element(id)
	}
}

// structure moves behind the stream_id that should come next and returns it, or
// looks for the next one there is.
func (d *demuxer) structure() (id byte, ok bool) {
	d.reading = nil
	b := d.src.peek(4)
	if len(b) == 4 && b[0]|b[1] == 0 && b[2] == 1 && structural(b[3]) {
		d.lenient = false
		id = b[3]
		d.src.skip(4)
		return id, true
	}
	return d.hunt()
}

// hunt moves behind the next stream_id. Zeros may be passed over; anything else
// is damage, unless it may be the rest of a broken map.
func (d *demuxer) hunt() (id byte, ok bool) {
	var s scan
	passed := 0
	for id == 0 && d.src.more() {
		var used int
		used, id = s.structure(d.src.b)
		d.src.advance(used)
		passed += used
	}
	if id != 0 {
		passed -= s.before + 2
	} else {
		passed -= s.zeros
	}
	if passed > 0 && !d.lenient {
		d.blame("structure", "start code")
	}
	d.lenient = false
	return id, id != 0
}

// element reads the structure whose stream_id was just read, and returns the
// stream_id of the one after it.
func (d *demuxer) element(id byte) (next byte, ok bool) {
	switch {
	case id == idEnd:
	case id == idPack:
		d.pack()
	case id == idMap:
		d.readMap()
	case id < idAudioFirst:
		d.passOver(id)
	default:
		return d.packet(id)
	}
	return d.structure()
}

// pack passes over a pack header: of MPEG-2 (§2.5.3.3) or of MPEG-1.
func (d *demuxer) pack() {
	b := d.src.peek(packSize - 4)
	switch {
	case len(b) == packSize-4 && b[0]&0xC0 == 0x40:
		d.src.skip(len(b) + int(b[9]&7))
	case len(b) >= 8 && b[0]&0xF0 == 0x20:
		d.src.skip(8)
	default:
		d.blame("pack header", "mpeg-2 or mpeg-1")
	}
}

// passOver passes over a structure of no interest that states its length: a system
// header, padding, a private stream.
func (d *demuxer) passOver(id byte) {
	b := d.src.peek(2)
	if len(b) < 2 {
		d.blame("structure", "length")
		return
	}
	n := int(binary.BigEndian.Uint16(b))
	if n == 0 && id != idPadding { // not stated: up to the next structure
		d.src.skip(2)
		d.lenient = true
		return
	}
	if !d.src.skip(2 + n) {
		d.blame("structure", "as long as it says")
	}
}

// readMap reads a program stream map. One that is broken changes nothing, and
// its length is not believed either.
func (d *demuxer) readMap() {
	head := d.src.peek(2)
	if len(head) < 2 {
		d.blame("program stream map", "length")
		return
	}
	n := int(binary.BigEndian.Uint16(head))
	if n <= maxMap {
		if b := d.src.peek(2 + n); len(b) == 2+n && d.believe(b) {
			d.src.skip(2 + n)
			return
		}
	}
	d.src.skip(2)
	d.lenient = true
}

// packet reads a PES packet of an audio or video stream.
func (d *demuxer) packet(id byte) (next byte, ok bool) {
	h, ok := parsePES(d.src.peek(maxPESHeader))
	if !ok {
		d.blame("pes header", "one that fits its packet")
		return d.hunt()
	}
	if !d.src.skip(h.header) {
		d.blame("pes header", "as long as it says")
		return 0, false
	}
	e := d.program.stream(id)
	if e == nil || e.refused() {
		return d.ignore(h.payload)
	}
	if h.stamp.serial != 0 {
		d.serial++
		h.stamp.serial = d.serial
	}
	d.arrive(e, h.stamp)
	return d.payload(e, h.payload)
}

// ignore passes over the payload of a stream that is not carried.
func (d *demuxer) ignore(payload int) (next byte, ok bool) {
	if payload < 0 {
		d.lenient = true
		return d.hunt()
	}
	if !d.src.skip(payload) {
		d.blame("pes packet", "as long as it says")
	}
	return d.structure()
}

// arrive prepares e for the payload of a packet stamped at.
func (d *demuxer) arrive(e *elementary, at stamp) {
	if !e.video() {
		d.program.heard++
		if d.whole || len(e.sound.marks) < maxMarks {
			e.sound.mark(at)
		}
		return
	}
	d.program.decodes = d.program.decodes || at.dts != at.pts
	p := &e.picture
	p.prior, p.stamp, p.fed = p.stamp, at, 0
	if d.whole || at.serial == 0 {
		return
	}
	if p.at.serial != 0 && p.at.pts != at.pts {
		d.closePicture(e)
	}
	if p.at.serial == 0 {
		p.at = at
	}
}

// payload hands n bytes to e, or, if n is negative, all up to the next structure.
func (d *demuxer) payload(e *elementary, n int) (next byte, ok bool) {
	d.reading = e
	for open := n < 0; (open || n > 0) && d.src.more(); {
		b := d.src.b
		if !open && n < len(b) {
			b = b[:n]
		}
		used, id := d.feed(e, b, open)
		d.src.advance(used)
		n -= used
		if id != 0 {
			if !open {
				d.blame("pes packet", "as long as it says")
			}
			return id, true
		}
		if open && !d.src.more() {
			return 0, false
		}
	}
	if n > 0 {
		d.blame("pes packet", "as long as it says")
		e.cut()
		return 0, false
	}
	return d.structure()
}

// feed hands b, which d.src is at, to e, until a structure begins in it: then id
// is its stream_id. In audio that is looked for only if open, that is if the
// packet does not state its length: samples can be anything.
func (d *demuxer) feed(e *elementary, b []byte, open bool) (used int, id byte) {
	g := media.Range{Off: d.src.cur.Off, Len: uint32(len(b))}
	if e.video() {
		return d.feedPicture(e, b, g.Off)
	}
	if !open {
		e.sound.add(g)
		return len(b), 0
	}
	used, id = e.sound.scan.structure(b)
	g.Len = uint32(used)
	e.sound.add(g)
	if id != 0 {
		e.sound.trim(4)
	}
	return used, id
}

// finish completes what is left at the end of a pass: pictures first, since a
// stream's tracks are announced when its first key picture is known.
func (d *demuxer) finish() {
	for i := range d.program.streams {
		if e := &d.program.streams[i]; !e.video() {
			d.recognise(e)
		}
	}
	for i := range d.program.streams {
		if e := &d.program.streams[i]; e.video() {
			d.closePicture(e)
		}
	}
	for i := range d.program.streams {
		if e := &d.program.streams[i]; !e.video() {
			d.closeSound(e)
		}
	}
}

// begin appends an access unit of e, due later than at, to the batch.
func (d *demuxer) begin(e *elementary, flags media.UnitFlags, t timing) bool {
	if !d.whole && len(d.timing) == maxUnits {
		d.blame("unit", "fewer access units")
		return false
	}
	d.out.Begin(media.AccessUnit{Track: uint8(e.track), Codec: e.codec, Flags: flags})
	d.timing = append(d.timing, t)
	return true
}
