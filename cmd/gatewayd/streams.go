package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media"
)

func (c *control) streams(*http.Request) ([]api.Stream, error) {
	list := []api.Stream{}
	for _, k := range c.hub.Streams() {
		s := streamOf(k.State, k.Stats)
		s.Channel, s.Profile, s.Users = k.Key.Channel, k.Key.Profile, k.Users
		list = append(list, s)
	}
	return append(list, c.legs.receiving()...), nil
}

func streamOf(st media.StreamState, n media.StreamStats) api.Stream {
	s := api.Stream{
		Connected: st.Connected, Packets: n.Packets, Bytes: n.Bytes, Lost: n.Lost, Damaged: n.Damaged, Units: n.Units,
		Users: len(n.Consumers.Now), Tracks: trackNames(st.Tracks), Ring: int64(st.Ring.Size), Held: st.Ring.Span.Seconds(),
	}
	if st.Connected {
		s.Transport = transportOf(st)
	}
	if st.Err != nil {
		s.Problem = st.Err.Error()
	}
	return s
}

// transportOf names what media comes by.
func transportOf(st media.StreamState) string {
	if st.Ordered {
		return "tcp"
	}
	return "udp"
}

func trackNames(tracks []media.Track) []string {
	names := make([]string, len(tracks))
	for i, t := range tracks {
		names[i] = trackName(t)
	}
	return names
}

// trackName describes a track: H.264 1280x720, AAC 16000 Hz.
func trackName(t media.Track) string {
	if !t.Codec.Video() {
		return fmt.Sprintf("%s %d Hz", t.Codec, t.ClockRate)
	}
	for _, p := range t.Parameters {
		if info, err := media.ParseSPS(t.Codec, p); err == nil && info.Width > 0 {
			return fmt.Sprintf("%s %dx%d", t.Codec, info.Width, info.Height)
		}
	}
	return t.Codec.String()
}

// channelStreams tells all of a channel's running streams.
func (c *control) channelStreams(r *http.Request) ([]api.StreamDetail, error) {
	code, err := channelOf(r)
	if err != nil {
		return nil, err
	}
	list := []api.StreamDetail{}
	for _, k := range c.hub.Streams() {
		if s, ok := c.hub.Lookup(k.Key); ok && k.Key.Channel == string(code) {
			d := detailOf(r.Context(), s)
			d.Channel, d.Profile, d.Users = k.Key.Channel, k.Key.Profile, k.Users
			d.Source = "encoder " + c.cameras.host(code)
			list = append(list, d)
		}
	}
	for _, rec := range c.legs.received() {
		if rec.id.Channel == code {
			d := detailOf(r.Context(), rec.stream)
			d.Channel, d.Profile, d.Source = string(code), rec.id.Kind.String(), "domain "+string(rec.from)
			list = append(list, d)
		}
	}
	return list, nil
}

// surveyWithin bounds the wait for the owner of a stream, which is at work elsewhere
// for some milliseconds at most.
const surveyWithin = time.Second

// detailOf tells all of one stream.
func detailOf(ctx context.Context, s *media.Stream) api.StreamDetail {
	ctx, cancel := context.WithTimeout(ctx, surveyWithin)
	defer cancel()
	v, err := s.Survey(ctx)
	if err != nil { // it ends just now, or waits for the far end: what was published will do
		v = media.Survey{At: time.Now(), Stats: s.Stats()}
	}
	st, n := s.State(), v.Stats
	d := api.StreamDetail{
		Stream: streamOf(st, n), At: v.At, Since: st.Since, Opened: n.Opened, Keys: n.KeyUnits,
		Losses: api.Losses{Late: n.Late, Reordered: n.Reordered, Doubled: n.Duplicates, Stray: n.Stray,
			Malformed: n.Malformed, Jumps: n.Discontinuities},
		Memory: api.Ring{Bytes: v.Size, Held: v.Held, Seconds: v.Span.Duration().Seconds(), Copies: v.Size > 0 && !v.Mirrored},
		Media:  mediaOf(st.Tracks, v.Tracks), Consumers: []api.Consumer{}, LastCut: []api.CutConsumer{},
		Cut: n.Consumers.Cut, Slow: n.Consumers.Slow,
	}
	for _, k := range n.Consumers.Now {
		d.Consumers = append(d.Consumers, consumerOf(k))
	}
	for _, k := range n.Consumers.Last {
		d.LastCut = append(d.LastCut, api.CutConsumer{Consumer: consumerOf(k.SinkStats), At: k.At, Why: k.Why.Error()})
	}
	return d
}

// mediaOf tells of tracks what is known of them, which may be their coding alone.
func mediaOf(tracks []media.Track, seen []media.TrackSurvey) []api.Track {
	list := make([]api.Track, len(tracks))
	for i, t := range tracks {
		list[i].Coding = trackName(t)
		if i >= len(seen) {
			continue
		}
		list[i].Bits = seen[i].Bits()
		if t.Codec.Video() {
			list[i].FPS, list[i].Group, list[i].Interval = seen[i].FPS(), seen[i].Group, seen[i].Interval.Duration().Seconds()
		}
	}
	return list
}

func consumerOf(k media.SinkStats) api.Consumer {
	return api.Consumer{
		Kind: k.Kind, Name: k.Name, Since: k.Since, Units: k.Units, Packets: k.Packets, Bytes: k.Bytes,
		Dropped: k.Dropped, Lapped: k.Lapped, Copied: k.Copied, Behind: float64(k.Behind.Duration()) / float64(time.Millisecond),
	}
}

// A received is the stream of a leg.
type received struct {
	stream *media.Stream
	id     domain.StreamID
	from   domain.Code
}

// received returns the streams received from other domains.
func (l *legs) received() []received {
	l.mu.Lock()
	var open []*leg
	for _, g := range l.open {
		open = append(open, g)
	}
	l.mu.Unlock()
	slices.SortFunc(open, func(a, b *leg) int { return cmp.Compare(a.id, b.id) })
	var list []received
	for _, g := range open {
		g.mu.Lock()
		if g.stream != nil {
			list = append(list, received{g.stream, g.name, g.from})
		}
		g.mu.Unlock()
	}
	return list
}

// receiving lists the streams received from other domains.
func (l *legs) receiving() []api.Stream {
	var list []api.Stream
	for _, r := range l.received() {
		out := streamOf(r.stream.State(), r.stream.Stats())
		out.Channel, out.Profile = string(r.id.Channel), r.id.Kind.String()
		list = append(list, out)
	}
	return list
}
