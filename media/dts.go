package media

const (
	maxReorder   = 16 // pictures: max_num_reorder_frames is no more (H.264 §E.2.1, H.265 §A.4.2)
	learnReorder = 4  // depth that is learnt from time stamps alone
)

// A decodeClock derives decoding times from the presentation times of pictures
// in decoding order. With a reordering depth of D, picture n is decoded at the
// (D+1)-th largest presentation time of pictures 0 to n: as late as possible and
// never after any of them is shown.
//
// Results increase strictly. They are no larger than the presentation time, save
// where a depth larger than announced is being learnt, and on pictures that
// belong before the first one (leading pictures of a CRA, which nobody can
// decode).
type decodeClock struct {
	depth int
	frame Ticks // time between pictures, for the start
	ran   bool  // last is a result
	begun bool  // top is filled
	last  Ticks
	top   [maxReorder + 1]Ticks // the largest presentation times, descending
}

// configure takes what the parameter set announces and keeps what was learnt.
func (d *decodeClock) configure(info SPSInfo) {
	d.frame = info.frame()
	d.depth = max(0, info.ReorderDepth)
}

// restart forgets the past: time has jumped.
func (d *decodeClock) restart() { d.begun = false }

// next returns the decoding time of the next picture, shown at pts.
func (d *decodeClock) next(pts Ticks) Ticks {
	if !d.begun {
		d.begin(pts)
	}
	later := 0 // pictures decoded before this one and shown after it
	for later < len(d.top) && d.top[later] > pts {
		later++
	}
	if later < len(d.top) {
		copy(d.top[later+1:], d.top[later:])
		d.top[later] = pts
	}
	d.depth = max(d.depth, min(later, learnReorder))
	return d.plain(d.top[d.depth])
}

// more returns the decoding time of what goes on with the picture before.
func (d *decodeClock) more() Ticks { return d.plain(d.last) }

// plain returns at, or what is just after the last result if at is not.
func (d *decodeClock) plain(at Ticks) Ticks {
	if d.ran {
		at = max(at, d.last+1)
	}
	d.last, d.ran = at, true
	return at
}

// begin pretends that pictures had come before, one frame time apart.
func (d *decodeClock) begin(pts Ticks) {
	frame := max(d.frame, 1)
	for i := range d.top {
		d.top[i] = pts - Ticks(i+1)*frame
	}
	d.begun = true
}
