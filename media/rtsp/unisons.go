package rtsp

import (
	"sync"

	"districtgateway/media"
	"districtgateway/media/rtp"
)

// unisons are the flows that viewers of a stream have in common, as long as there are
// any.
type unisons struct {
	mu  sync.Mutex
	all map[*media.Stream]*choir
}

// A choir is the unisons of one stream.
type choir struct {
	members int
	tracks  []*rtp.Unison
}

// join returns the unison of each of the tracks that are sent as flows, nil where
// others are told something else of it: the stream has just changed. Leave is
// owed, once the owner does not know the viewer any more.
func (a *unisons) join(s *media.Stream, flows []rtp.Flow) (tracks []*rtp.Unison, leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.all[s]
	if c == nil {
		c = &choir{}
		if a.all == nil {
			a.all = map[*media.Stream]*choir{}
		}
		a.all[s] = c
	}
	c.members++
	for i := len(c.tracks); i < len(flows) && i < maxCarried; i++ {
		c.tracks = append(c.tracks, rtp.NewUnison(flows[i], channelOf(i)))
	}
	tracks = make([]*rtp.Unison, len(flows))
	for i, n := range c.tracks[:min(len(flows), len(c.tracks))] {
		if f := n.Flow(); f.Codec == flows[i].Codec && f.Rate == flows[i].Rate && f.PayloadType == flows[i].PayloadType {
			tracks[i] = n
		}
	}
	return tracks, func() { a.leave(s, c) }
}

// leave forgets a viewer, and what he had in common with others if there are none.
func (a *unisons) leave(s *media.Stream, c *choir) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.members--; c.members == 0 {
		delete(a.all, s)
	}
}

// channelOf is the channel that a player asks for who sets up every track in turn.
func channelOf(track int) byte { return byte(2 * track) }
