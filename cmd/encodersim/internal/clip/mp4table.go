package clip

// maxTick bounds every duration and offset read, so that sums cannot overflow.
const maxTick = 1 << 40

// maxSamples bounds a track: two days of pictures.
const maxSamples = 1 << 22

// place turns the sample tables of a plain MP4 into samples
// (ISO/IEC 14496-12 sections 8.6 and 8.7).
func (m *mp4) place(t *mp4Track, at int) error {
	sizes, wide := t.table["stsz"], t.table["co64"] != nil
	count := int(be32(sizes, 8))
	if t.kind == trackUnknown || count == 0 {
		return nil
	}
	chunks := t.table["stco"]
	if wide {
		chunks = t.table["co64"]
	}
	if count > min(len(m.file), maxSamples) {
		return &SyntaxError{at, "fewer samples"}
	}
	durations, offsets := newRuns(t.table["stts"]), newRuns(t.table["ctts"])
	toChunk := chunkRuns{body: t.table["stsc"]}
	var dts int64
	for chunk := uint32(0); len(t.samples) < count; chunk++ {
		if chunk >= min(be32(chunks, 4), uint32(len(chunks)/4)) {
			return &SyntaxError{at, "a chunk for every sample"}
		}
		off := uint64(be32(chunks, 8+4*int(chunk)))
		if wide {
			off = be64(chunks, 8+8*int(chunk))
		}
		n := min(toChunk.samples(chunk+1), uint32(count-len(t.samples)))
		for range n {
			size := be32(sizes, 4)
			if size == 0 {
				size = be32(sizes, 12+4*len(t.samples))
			}
			data, err := m.sampleAt(off, size)
			if err != nil {
				return err
			}
			off += uint64(size)
			dur := int64(durations.next())
			t.samples = append(t.samples, sample{
				dts: dts, pts: dts + int64(int32(offsets.next())), dur: dur, data: data,
			})
			dts = min(dts+dur, maxTick)
		}
	}
	t.markKeys()
	t.joinPCM()
	return nil
}

// markKeys applies the sync sample table; without one every sample is a key.
func (t *mp4Track) markKeys() {
	keys, ok := t.table["stss"]
	if !ok {
		for i := range t.samples {
			t.samples[i].key = true
		}
		return
	}
	for i := range min(int(be32(keys, 4)), len(keys)/4) {
		if n := int64(be32(keys, 8+4*i)); n >= 1 && n <= int64(len(t.samples)) {
			t.samples[n-1].key = true
		}
	}
}

// runs steps through a table of (count, value) pairs, stts or ctts. It ends in
// zeros; it is never exhausted.
type runs struct {
	body        []byte
	entry, left uint32
	value       uint32
}

func newRuns(body []byte) *runs { return &runs{body: body} }

func (r *runs) next() uint32 {
	for r.left == 0 {
		at := 8 + 8*int(r.entry)
		if r.entry >= be32(r.body, 4) || at+8 > len(r.body) {
			return 0
		}
		r.left, r.value = be32(r.body, at), be32(r.body, at+4)
		r.entry++
	}
	r.left--
	return r.value
}

// chunkRuns steps through stsc: samples per chunk from a first chunk on.
type chunkRuns struct {
	body  []byte
	entry int
}

// samples returns the samples in a chunk counted from 1; chunks are asked for
// in order.
func (c *chunkRuns) samples(chunk uint32) uint32 {
	for c.entry+1 < int(be32(c.body, 4)) && 8+12*(c.entry+2) <= len(c.body) &&
		be32(c.body, 8+12*(c.entry+1)) <= chunk {
		c.entry++
	}
	return be32(c.body, 8+12*c.entry+4)
}

// extends reads trex, a track's defaults for fragments (section 8.8.3).
func (m *mp4) extends(b box) error {
	if b.kind != "trex" {
		return nil
	}
	body := m.body(b)
	if t := m.byID(be32(body, 4)); t != nil {
		for i := range t.trex {
			t.trex[i] = be32(body, 8+4*i)
		}
	}
	return nil
}

func (m *mp4) byID(id uint32) *mp4Track {
	for _, t := range m.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

// A fragmentHead is what tfhd and tfdt settle for the runs of a traf.
type fragmentHead struct {
	track    *mp4Track
	base     uint64
	defaults [4]uint32
	at       uint64 // where the next run's data lies if it does not say
}

// fragment reads one traf (section 8.8.6).
func (m *mp4) fragment(b box) error {
	var h fragmentHead
	return m.each(b.from, b.to, func(b box) error {
		body := m.body(b)
		switch {
		case b.kind == "tfhd":
			h = m.fragmentHead(body)
		case h.track == nil || h.track.kind == trackUnknown:
		case b.kind == "tfdt" && version(body) == 1:
			h.track.next = int64(min(be64(body, 4), maxTick))
		case b.kind == "tfdt":
			h.track.next = int64(be32(body, 4))
		case b.kind == "trun":
			return m.run(&h, b)
		}
		return nil
	})
}

func (m *mp4) fragmentHead(body []byte) fragmentHead {
	h := fragmentHead{track: m.byID(be32(body, 4)), base: uint64(m.moof)}
	if h.track == nil {
		return h
	}
	h.defaults = h.track.trex
	flags, at := be32(body, 0), 8
	if flags&1 != 0 {
		h.base = be64(body, at)
		at += 8
	}
	for i, bit := range []uint32{0x2, 0x8, 0x10, 0x20} {
		if flags&bit != 0 {
			h.defaults[i] = be32(body, at)
			at += 4
		}
	}
	h.at = h.base
	return h
}

// run reads one trun (section 8.8.8).
func (m *mp4) run(h *fragmentHead, b box) error {
	body, t := m.body(b), h.track
	flags, count, at := be32(body, 0), be32(body, 4), 8
	if flags&1 != 0 {
		h.at = h.base + uint64(int64(int32(be32(body, at))))
		at += 4
	}
	first := h.defaults[3]
	if flags&4 != 0 {
		first = be32(body, at)
		at += 4
	}
	for i := range count {
		v := h.defaults
		if i == 0 {
			v[3] = first
		}
		var offset uint32
		for bit, to := range []*uint32{&v[1], &v[2], &v[3], &offset} {
			if flags>>(8+bit)&1 != 0 {
				*to = be32(body, at)
				at += 4
			}
		}
		if len(t.samples) == maxSamples {
			return &SyntaxError{b.from, "fewer samples"}
		}
		data, err := m.sampleAt(h.at, v[2])
		if err != nil {
			return err
		}
		h.at += uint64(v[2])
		t.samples = append(t.samples, sample{
			dts: t.next, pts: t.next + int64(int32(offset)), dur: int64(v[1]),
			key: v[3]&0x10000 == 0, data: data, // sample_is_non_sync_sample
		})
		t.next = min(t.next+int64(v[1]), maxTick)
	}
	return nil
}
