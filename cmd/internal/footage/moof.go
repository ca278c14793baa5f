package footage

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// An entry is one sample of a fragment before its bytes are there.
type entry struct {
	track    *Track
	at       int64 // of its bytes in the stream
	size     uint32
	flags    uint32
	dts      time.Duration
	offset   time.Duration // from decoding to presentation
	duration time.Duration
}

// maxEntries bounds the samples of a fragment: an hour of 16 tracks is no fragment.
const maxEntries = 1 << 16

// Flags of a track fragment (§8.8.7), of a run (§8.8.8) and of a sample (§8.8.3.1).
const (
	tfhdBase, tfhdEntry, tfhdDuration, tfhdSize, tfhdFlags = 0x1, 0x2, 0x8, 0x10, 0x20

	trunOffset, trunFirstFlags                          = 0x1, 0x4
	trunDuration, trunSize, trunFlags, trunPresentation = 0x100, 0x200, 0x400, 0x800

	sampleNotSync  = 0x10000
	sampleDegraded = 0xffff // sample_degradation_priority
)

// A fragment collects the entries of one moof.
type fragment struct {
	tracks  []*Track
	start   int64 // of the moof, its header included
	entries []entry

	// Of the track fragment being read.
	track                 *Track
	base                  int64
	next                  int64 // where the next run's bytes are if it does not say
	ticks                 uint64
	duration, size, flags uint32
}

// parseMoof returns the entries of a moof whose header begins at start, in the
// order of their bytes, which do not overlap.
func parseMoof(moof box, start int64, tracks []*Track) ([]entry, error) {
	g := &fragment{tracks: tracks, start: start}
	err := each(moof.body, moof.at, func(b box) error {
		if b.kind != "traf" {
			return nil
		}
		g.track, g.ticks = nil, 0
		return each(b.body, b.at, g.parse)
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(g.entries, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	end := start
	for _, e := range g.entries {
		if e.at < end {
			return nil, &SyntaxError{start, "samples that do not overlap"}
		}
		end = e.at + int64(e.size)
	}
	return g.entries, nil
}

// within reports whether the bytes of all entries lie between start and end.
func within(entries []entry, start, end int64) bool {
	if len(entries) == 0 {
		return true
	}
	last := entries[len(entries)-1]
	return entries[0].at >= start && last.at+int64(last.size) <= end
}

// parse reads a box of a traf.
func (g *fragment) parse(b box) error {
	switch b.kind {
	case "tfhd":
		return g.parseHead(b)
	case "tfdt":
		f := b.fields()
		if f.u32()>>24 == 1 {
			g.ticks = f.u64()
		} else {
			g.ticks = uint64(f.u32())
		}
		return f.err("tfdt")
	case "trun":
		return g.parseRun(b)
	}
	return nil
}

func (g *fragment) parseHead(b box) error {
	f := b.fields()
	has := f.u32()
	if g.track = find(g.tracks, f.u32()); g.track == nil {
		return &SyntaxError{b.at + 4, "a track that moov announced"}
	}
	g.base = g.start
	g.duration, g.size, g.flags = g.track.duration, g.track.size, g.track.flags
	if has&tfhdBase != 0 {
		g.base = int64(f.u64() & math.MaxInt64)
	}
	g.next = g.base
	if has&tfhdEntry != 0 {
		f.skip(4)
	}
	if has&tfhdDuration != 0 {
		g.duration = f.u32()
	}
	if has&tfhdSize != 0 {
		g.size = f.u32()
	}
	if has&tfhdFlags != 0 {
		g.flags = f.u32()
	}
	return f.err("tfhd")
}

func (g *fragment) parseRun(b box) error {
	if g.track == nil {
		return &SyntaxError{b.at, "tfhd before trun"}
	}
	f := b.fields()
	has, n := f.u32(), f.u32()
	if n > maxEntries || len(g.entries)+int(n) > maxEntries {
		return &SyntaxError{b.at + 4, "65536 samples at most"}
	}
	if has&trunOffset != 0 {
		g.next = g.base + int64(int32(f.u32()))
	}
	first := g.flags
	if has&trunFirstFlags != 0 {
		first = f.u32()
	}
	for i := range n {
		e := entry{track: g.track, at: g.next, size: g.size, flags: g.flags}
		if i == 0 {
			e.flags = first
		}
		if err := g.parseSample(f, has, e); err != nil {
			return err
		}
	}
	return f.err("trun")
}

// parseSample reads what a run says of one sample; e holds what it need not say.
func (g *fragment) parseSample(f *fields, has uint32, e entry) error {
	duration := g.duration
	if has&trunDuration != 0 {
		duration = f.u32()
	}
	if has&trunSize != 0 {
		e.size = f.u32()
	}
	if has&trunFlags != 0 {
		e.flags = f.u32()
	}
	var offset int32 // signed in both versions: real writers differ
	if has&trunPresentation != 0 {
		offset = int32(f.u32())
	}
	if e.size > maxSample || e.at < g.start || e.at > math.MaxInt64-maxSample || g.ticks > math.MaxInt64 {
		return &SyntaxError{f.at, "a sample of a possible size, place and time"}
	}
	scale := g.track.TimeScale
	if g.ticks/uint64(scale) > maxSeconds {
		return &SyntaxError{f.at, "a time within a century"}
	}
	e.dts = toTime(int64(g.ticks), scale)
	e.duration, e.offset = toTime(int64(duration), scale), toTime(int64(offset), scale)
	g.ticks += uint64(duration)
	g.next += int64(e.size)
	g.entries = append(g.entries, e)
	return f.err("trun")
}

// maxSeconds keeps times far from the limits of time.Duration.
const maxSeconds = 100 * 366 * 24 * 3600

// toTime converts ticks of a clock; they are below maxSeconds.
func toTime(ticks int64, scale uint32) time.Duration {
	s := int64(scale)
	return time.Duration(ticks/s)*time.Second + time.Duration(ticks%s*int64(time.Second)/s)
}
