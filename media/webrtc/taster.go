package webrtc

import (
	"context"
	"slices"
	"time"

	"districtgateway/media"
)

const (
	tasteSpan     = media.TicksPerSecond // of a program stream: sound comes 10 times in it at least
	tasteWithin   = 2 * time.Second
	tastePictures = 12 // tell whether pictures are reordered
	tasteReversed = 2  // of them, shown before the one before them
)

// A taste is what a stream is like.
type taste struct {
	tracks    []media.Track
	reordered bool
}

// A taster is a sink that finds out what a stream carries, where its parameter sets
// leave that open: sound of a program stream shows itself only to whoever unpacks
// it, and not every encoder says whether it reorders pictures.
type taster struct {
	cursor    media.Cursor
	sound     bool // is looked for
	order     bool // likewise
	begun     bool
	first     media.Ticks
	last      media.Ticks // presentation time of the last picture
	pictures  int
	reversals int
	told      bool
	enough    chan struct{} // closed once it is known
}

// tasteOf waits until a stream can be shown, and tells what it is like.
func tasteOf(ctx context.Context, s *media.Stream) (taste, error) {
	if err := s.WaitReady(ctx); err != nil {
		return taste{}, err
	}
	st := s.State()
	k := &taster{enough: make(chan struct{})}
	k.sound = st.Carriage == media.CarriagePS && !sounds(st.Tracks)
	depth := depthOf(st.Tracks)
	k.order = depth != 0
	if !k.sound && !k.order {
		return taste{tracks: st.Tracks}, nil
	}
	k.cursor.FromOldest()
	if err := s.Attach(k); err != nil {
		return taste{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, tasteWithin)
	defer cancel()
	select {
	case <-k.enough:
	case <-ctx.Done():
	}
	s.Detach(k) // from here on it is ours
	out := taste{tracks: s.State().Tracks, reordered: k.reversals >= tasteReversed}
	if k.order && k.pictures < tastePictures {
		out.reordered = depth > 0 // too few to tell: by what was announced
	}
	return out, nil
}

// sounds reports whether one of the tracks is sound.
func sounds(tracks []media.Track) bool {
	return slices.ContainsFunc(tracks, func(t media.Track) bool { return !t.Codec.Video() })
}

// depthOf returns how far the pictures are reordered by the word of their parameter
// sets; -1: they say nothing.
func depthOf(tracks []media.Track) int {
	for _, t := range tracks {
		if !t.Codec.Video() {
			continue
		}
		depth := -1
		for _, p := range t.Parameters {
			if info, err := media.ParseSPS(t.Codec, p); err == nil {
				depth = max(depth, info.ReorderDepth)
			}
		}
		return depth
	}
	return 0
}

// Flush looks at what has come; see [media.Sink].
func (k *taster) Flush(s *media.Stream, _ time.Time) (time.Time, error) {
	for !k.told {
		n, ok := k.cursor.Next(s)
		if !ok {
			break
		}
		k.look(s, n)
		if !k.sound && !k.order || k.done(s, n) {
			k.told = true
			close(k.enough)
		}
	}
	return time.Time{}, nil
}

// look takes notice of unit n.
func (k *taster) look(s *media.Stream, n uint64) {
	u := s.Unit(n)
	if !k.begun {
		k.begun, k.first = true, u.DTS
	}
	units, _ := s.Unpack(n) // what is damaged teaches nothing
	for i := range units {
		if !units[i].Codec.Video() {
			continue
		}
		if k.pictures > 0 && units[i].PTS < k.last {
			k.reversals++
		}
		k.pictures, k.last = k.pictures+1, units[i].PTS
	}
}

// done reports whether what is looked for was found, or will not be.
func (k *taster) done(s *media.Stream, n uint64) bool {
	if k.sound && !sounds(s.Tracks()) && s.Unit(n).DTS-k.first < tasteSpan {
		return false
	}
	return !k.order || k.pictures >= tastePictures
}

// Close does nothing; see [media.Sink].
func (k *taster) Close(error) {}
