package footage

import "time"

// A Meter is written a stream of fragmented MP4 in pieces of any size and tells
// how much of it is whole. The zero value is ready. One goroutine at a time.
type Meter struct {
	at     int64  // bytes seen
	head   []byte // header and, of moov and moof, body read so far
	start  int64  // of the box being read
	left   int64  // bytes of its body that are only counted
	inData bool   // that box is the mdat of coming
	broken bool

	tracks []*Track
	coming []entry

	whole     int64
	fragments int
	began     time.Duration
	ended     time.Duration
}

// Whole returns the bytes up to the end of the last whole fragment: footage cut
// there plays. 0: there is none yet.
func (m *Meter) Whole() int64 { return m.whole }

// Fragments returns how many whole fragments there are.
func (m *Meter) Fragments() int { return m.fragments }

// Length returns how much time the whole fragments cover: of the video if there
// is any.
func (m *Meter) Length() time.Duration { return m.ended - m.began }

// Write counts p. It never fails: what follows damage is just not whole.
func (m *Meter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && !m.broken {
		if m.left > 0 {
			p = m.count(p)
			continue
		}
		p = m.collect(p)
	}
	return n, nil
}

// count passes over bytes of a body and returns the rest.
func (m *Meter) count(p []byte) []byte {
	n := min(m.left, int64(len(p)))
	m.left -= n
	m.at += n
	if m.left == 0 {
		m.boxEnded()
	}
	return p[n:]
}

// collect adds to the head until the box is understood.
func (m *Meter) collect(p []byte) []byte {
	want := int64(8)
	h, need, err := parseHeader(m.head, m.start)
	switch {
	case err != nil:
		m.broken = true
		return p
	case need > 0:
		want = int64(need)
	case h.kind == "moov" || h.kind == "moof":
		want = h.size + h.body
	}
	n := min(want-int64(len(m.head)), int64(len(p)))
	m.head = append(m.head, p[:n]...)
	m.at += n
	m.headGrown()
	return p[n:]
}

// headGrown judges the head after it has grown.
func (m *Meter) headGrown() {
	h, need, err := parseHeader(m.head, m.start)
	kept := h.kind == "moov" || h.kind == "moof"
	switch {
	case err != nil || need == 0 && (h.body < 0 || kept && h.body > maxHead):
		m.broken = true
	case need > 0:
	case kept && int64(len(m.head)) == h.size+h.body:
		m.parse(box{h.kind, m.head[h.size:], m.start + h.size})
		m.boxEnded()
	case !kept:
		m.left, m.inData = h.body, h.kind == "mdat"
		m.broken = m.inData && !within(m.coming, m.at, m.at+h.body)
		if m.left == 0 {
			m.boxEnded()
		}
	}
}

func (m *Meter) parse(b box) {
	var err error
	if b.kind == "moov" {
		m.tracks, err = parseMoov(b)
		m.head = nil // the tracks refer to it
	} else {
		m.coming, err = parseMoof(b, m.start, m.tracks)
	}
	m.broken = err != nil || m.tracks == nil
}

// boxEnded begins the next box, and enters a fragment that has become whole.
func (m *Meter) boxEnded() {
	m.head, m.start = m.head[:0], m.at
	if !m.inData {
		return
	}
	m.inData = false
	if len(m.coming) == 0 {
		return
	}
	t := m.measured()
	for _, e := range m.coming {
		if e.track != t {
			continue
		}
		if m.fragments == 0 && m.ended == 0 {
			m.began, m.ended = e.dts, e.dts
		}
		m.ended = max(m.ended, e.dts+e.duration)
	}
	m.coming = nil
	m.whole = m.at
	m.fragments++
}

// measured returns the track that Length is of.
func (m *Meter) measured() *Track {
	for _, t := range m.tracks {
		if t.Codec.Video() {
			return t
		}
	}
	return m.tracks[0] // there is one: entries have a track
}
