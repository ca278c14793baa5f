package ps

import "districtgateway/media"

// A Program is what a program stream in memory holds.
type Program struct {
	Tracks []media.Track
	Units  []media.AccessUnit // pictures as they come, sound after them; ranges are offsets into the data
	Fault  error              // the first damage, nil if there is none; a *media.SyntaxError
}

// flat is memory whose ranges are offsets.
type flat []byte

func (f flat) Bytes(g media.Range) []byte { return f[g.Off:g.End():g.End()] }

// Read demultiplexes a program stream that lies in memory from end to end, such
// as a file: MPEG-2 or MPEG-1, whoever wrote it. In contrast to an [Unpacker] it
// does not rely on one picture in a pack; pictures are told apart by their
// slices, so that each field of interlaced video is one. Times are those of the
// stream, unwrapped; an access unit without a stamp has the one before it. Read
// keeps ranges only; it needs about a hundredth of data's size for them.
func Read(data []byte) Program {
	const most = 1 << 30 // a range's length has 32 bits
	var in []piece
	for at, rest := uint64(0), len(data); rest > 0; {
		n := min(most, rest)
		in = append(in, piece{Range: media.Range{Off: at, Len: uint32(n)}})
		at, rest = at+uint64(n), rest-n
	}
	var b media.Batch
	d := demuxer{whole: true}
	d.pass(flat(data), in, &b)
	p := Program{Tracks: d.program.tracks, Units: b.Units}
	if d.damaged {
		p.Fault = &d.fault
	}
	unwrap(p.Units, d.timing)
	return p
}

// unwrap gives units the times of their stamps, each within half a wrap of the
// one before.
func unwrap(units []media.AccessUnit, timing []timing) {
	var last stamp
	var now media.Ticks
	for i := range units {
		a, t := &units[i], timing[i]
		if t.at.serial != 0 {
			if last.serial == 0 {
				now = media.Ticks(t.at.pts)
			} else {
				now += stampDiff(t.at.pts, last.pts)
			}
			last = t.at
		}
		a.PTS = now + t.later
		a.DTS = a.PTS
		if t.at.serial != 0 {
			a.DTS -= stampDiff(t.at.pts, t.at.dts)
		}
	}
}
