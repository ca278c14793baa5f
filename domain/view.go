package domain

import (
	"cmp"
	"slices"
	"time"
)

// A SessionView is a session as shown to people.
type SessionView struct {
	Peer    PeerRef // from whom we receive (Lower) or to whom we send (Upper)
	Channel Code    // our id of the channel
	Kind    Kind
	Profile uint8
	Range   Range
	State   string
	Since   time.Time // of State
	Users   int       // of what is received: senders and local tickets
	Leg     LegID
	SSRC    uint32
	Camera  Party // our own name of it
	Monitor Party // of what is received: of who asked first
}

// Caps returns the capabilities that this program has: all of them are announced.
func (p *Processor) Caps() Capability { return ownCaps }

// Links returns every link, uppers first, by code.
func (p *Processor) Links() []Link {
	links := make([]Link, 0, len(p.uppers)+len(p.lowers))
	for _, u := range p.uppers {
		l := u.link
		if u.leaving() {
			l.State = LinkLeaving
		}
		l.Channels = p.cat.below(u, "")
		for _, s := range p.calls.senders {
			if s.upper == u {
				l.Sessions++
			}
		}
		links = append(links, l)
	}
	sessions := make(map[Code]int)
	for _, r := range p.calls.receivers {
		sessions[r.peer.cfg.Code]++
	}
	for _, low := range sorted(p.lowers) {
		l := low.link
		l.Sessions = sessions[l.Peer]
		links = append(links, l)
	}
	return links
}

// Catalog returns our own items and those learned, parents before what hangs under
// them, and regions of all five levels. Those of the fifth are only shown to people:
// on the wire they are no items, but stand in the devices (PUSH-703).
func (p *Processor) Catalog() []Item {
	items := p.cat.answer(nil, "")
	fifth := make(map[NodeID]Item)
	after := 0 // the regions
	for i, it := range items {
		if id := it.Fifth(); id != "" {
			fifth[id] = Item{ID: id, Name: it.Grassroots, Parent: it.Region, Status: StatusOn, Children: true}
		}
		if i == 0 || it.ID.region() {
			after = i + 1
		}
	}
	return slices.Insert(items, min(after, len(items)), sorted(fifth)...)
}

// Item returns what the catalogue has of an id; false if it does not know it.
func (p *Processor) Item(id NodeID) (Item, bool) {
	e := p.cat.index[id]
	if e == nil {
		return Item{}, false
	}
	return p.cat.show(e), true
}

// Sessions returns what is received and sent, the oldest leg first.
func (p *Processor) Sessions() []SessionView {
	views := make([]SessionView, 0, len(p.calls.receivers)+len(p.calls.senders))
	for _, r := range p.calls.receivers {
		views = append(views, SessionView{r.peer.cfg.ref(), r.stream.Channel, r.stream.Kind, r.stream.Profile,
			r.stream.Range, r.state.String(), r.since, len(r.users), r.leg, r.ssrc, r.camera, r.monitor})
	}
	for _, s := range p.calls.senders {
		views = append(views, SessionView{s.upper.cfg.ref(), s.stream.Channel, s.stream.Kind, s.stream.Profile,
			s.stream.Range, s.shown(), s.since, 0, s.leg, s.ssrc, s.camera, s.monitor})
	}
	slices.SortFunc(views, func(a, b SessionView) int {
		return cmp.Or(cmp.Compare(a.Leg, b.Leg), cmp.Compare(a.SSRC, b.SSRC))
	})
	return views
}

// Owner returns which lower is asked for a channel; the zero PeerRef if it is our
// own, false if it is not known.
func (p *Processor) Owner(channel Code) (PeerRef, bool) {
	e := p.cat.index[NodeID(channel)]
	switch {
	case e == nil:
		return PeerRef{}, false
	case e.owner == "":
		return PeerRef{}, true
	}
	return PeerRef{e.owner, Lower}, true
}

// shown is the state of a sender, in words.
func (s *sender) shown() string {
	if s.steer.paused && s.state == txFlowing {
		return "paused"
	}
	return s.state.String()
}
