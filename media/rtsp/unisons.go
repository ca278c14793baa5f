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
	parts   []chorus // of each track
}

// A chorus is the unison of a track, and how many viewers have it.
type chorus struct {
	unison *rtp.Unison
	voices int
}

// join returns the unison of each of the tracks that are sent as flows, nil where
// others, who are still there, were told something else of it: the stream has just
// changed. Leave is owed, once the owner does not know the viewer any more.
func (a *unisons) join(s *media.Stream, flows []rtp.Flow) (tracks []*rtp.Unison, leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.all[s]
	if c == nil {
		c = &choir{parts: make([]chorus, maxCarried)}
		if a.all == nil {
			a.all = map[*media.Stream]*choir{}
		}
		a.all[s] = c
	}
	c.members++
	tracks = make([]*rtp.Unison, len(flows))
	for i, f := range flows[:min(len(flows), maxCarried)] {
		tracks[i] = c.parts[i].join(f, channelOf(i))
	}
	return tracks, func() { a.leave(s, c, tracks) }
}

// join returns the unison of a flow, nil if it is another's.
func (p *chorus) join(f rtp.Flow, channel byte) *rtp.Unison {
	if p.voices == 0 {
		p.unison = rtp.NewUnison(f, channel)
	}
	if n := p.unison.Flow(); n.Codec != f.Codec || n.Rate != f.Rate || n.PayloadType != f.PayloadType {
		return nil
	}
	p.voices++
	return p.unison
}

// leave forgets a viewer, and what he had in common with others if there are none.
func (a *unisons) leave(s *media.Stream, c *choir, tracks []*rtp.Unison) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, n := range tracks {
		if n != nil {
			c.parts[i].voices--
		}
	}
	if c.members--; c.members == 0 {
		delete(a.all, s)
	}
}

// channelOf is the channel that a player asks for who sets up every track in turn.
func channelOf(track int) byte { return byte(2 * track) }
