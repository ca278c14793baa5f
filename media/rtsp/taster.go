package rtsp

import (
	"context"
	"slices"
	"time"

	"districtgateway/media"
)

// A taster is a sink that finds out what a program stream carries. Sound shows
// itself only to whoever unpacks it, and a description comes before that.
type taster struct {
	cursor media.Cursor
	first  media.Ticks
	begun  bool
	told   bool
	enough chan struct{} // closed once sound is known, or none seems to come
}

const (
	tasteSpan   = media.TicksPerSecond // of the stream: sound comes 10 times in it at least
	tasteWithin = 2 * time.Second
)

// taste waits until the tracks of a program stream are known.
func taste(ctx context.Context, s *media.Stream) {
	if st := s.State(); st.Carriage != media.CarriagePS || sounds(st.Tracks) {
		return
	}
	k := &taster{enough: make(chan struct{})}
	k.cursor.FromOldest()
	if s.Attach(k) != nil {
		return // it has ended, which the next who wants something of it will see
	}
	defer s.Detach(k)
	ctx, cancel := context.WithTimeout(ctx, tasteWithin)
	defer cancel()
	select {
	case <-k.enough:
	case <-ctx.Done():
	}
}

// sounds reports whether one of the tracks is sound.
func sounds(tracks []media.Track) bool {
	return slices.ContainsFunc(tracks, func(t media.Track) bool { return !t.Codec.Video() })
}

// Flush unpacks what has come; see [media.Sink].
func (k *taster) Flush(s *media.Stream, _ time.Time) (time.Time, error) {
	for !k.told {
		n, ok := k.cursor.Next(s)
		if !ok {
			break
		}
		u := s.Unit(n)
		if !k.begun {
			k.begun, k.first = true, u.DTS
		}
		_, _ = s.Unpack(n) // what is damaged teaches nothing
		if sounds(s.Tracks()) || u.DTS-k.first >= tasteSpan {
			k.told = true
			close(k.enough)
		}
	}
	return time.Time{}, nil
}

// Close does nothing; see [media.Sink].
func (k *taster) Close(error) {}
