package domaintest

import (
	"errors"
	"fmt"
	"time"

	"districtgateway/domain"
)

// An Outcome is what media does with an effect.
type Outcome struct {
	Delay time.Duration // 0: 20 ms
	Err   error         // it fails with this
	Never bool          // nothing happens at all
}

// ErrSilence ends a leg whose other end has gone.
var ErrSilence = errors.New("no media")

const (
	mediaDelay   = 20 * time.Millisecond
	mediaSilence = 10 * time.Second
	playTime     = 3 * time.Second
)

// A leg is one end of media at a node.
type leg struct {
	node    *Node
	id      domain.LegID
	open    bool
	stream  domain.StreamID
	source  domain.LegID // of a sender that relays
	remote  string       // the other end
	joined  bool         // a receiver knows its other end; a sender was started
	picture bool
}

func (l *leg) name() string { return fmt.Sprintf("%s-%d", l.node.Code, l.id) }

// other finds the leg at the other end, if it lives.
func (l *leg) other() *leg {
	for _, node := range l.node.net.order {
		for _, o := range node.legs {
			if o.open && o.name() == l.remote {
				return o
			}
		}
	}
	return nil
}

func (node *Node) media(fx domain.Effect) {
	var out Outcome
	if node.net.Script != nil {
		out = node.net.Script(node.Code, fx)
	}
	switch fx := fx.(type) {
	case domain.OpenReceiver:
		l := node.openLeg(fx.Leg, fx.Stream)
		l.later(out, func() {
			node.step(domain.ReceiverOpened{Leg: fx.Leg, Offer: domain.Endpoint{Host: l.name(), Port: 1, SSRC: fx.SSRC}})
		})
	case domain.OpenSender:
		l := node.openLeg(fx.Leg, fx.Stream)
		l.source, l.remote = fx.Source, fx.Offer.Host
		if source := node.legs[fx.Source]; fx.Source != 0 && (source == nil || !source.open || !source.picture) {
			node.net.violation("%s: sender %d from leg %d, which has nothing to send", node.Code, fx.Leg, fx.Source)
		}
		l.later(out, func() {
			node.step(domain.SenderOpened{Leg: fx.Leg, Answer: domain.Endpoint{Host: l.name(), Port: 1, SSRC: fx.SSRC}})
		})
	case domain.ConnectReceiver:
		if l := node.openedLeg(fx.Leg, fx); l != nil {
			l.remote, l.joined = fx.Answer.Host, true
			l.later(out, func() { l.show() })
			l.watchSilence()
		}
	case domain.StartSender:
		if l := node.openedLeg(fx.Leg, fx); l != nil {
			l.joined = true
			l.later(out, l.flow)
		}
	case domain.CloseLeg:
		l := node.legs[fx.Leg]
		if l == nil {
			node.net.violation("%s: closed leg %d, which never was", node.Code, fx.Leg)
			return
		}
		if !l.open && l.source != ended {
			node.net.violation("%s: closed leg %d twice", node.Code, fx.Leg)
		}
		l.open, l.source = false, 0
	}
}

// ended marks a leg that ended by itself, in source: its MediaEnded may still be under way.
const ended domain.LegID = 1<<63 - 1

func (node *Node) openLeg(id domain.LegID, stream domain.StreamID) *leg {
	if node.legs[id] != nil {
		node.net.violation("%s: leg %d opened twice", node.Code, id)
	}
	l := &leg{node: node, id: id, open: true, stream: stream}
	node.legs[id] = l
	return l
}

func (node *Node) openedLeg(id domain.LegID, fx domain.Effect) *leg {
	l := node.legs[id]
	if l == nil || !l.open && l.source != ended {
		node.net.violation("%s: %T of leg %d, which is not open", node.Code, fx, id)
		return nil
	}
	if !l.open {
		return nil
	}
	return l
}

// later lets the script's outcome happen.
func (l *leg) later(out Outcome, happens func()) {
	if out.Never {
		return
	}
	d := out.Delay
	if d == 0 {
		d = mediaDelay
	}
	if out.Err != nil {
		l.end(d, out.Err)
		return
	}
	life := l.node.life
	l.node.net.after(d, func() {
		if l.open && l.node.life == life {
			happens()
		}
	})
}

// end ends the leg from within; the news takes a moment.
func (l *leg) end(after time.Duration, err error) {
	life := l.node.life
	l.node.net.after(after, func() {
		if !l.open || l.node.life != life {
			return
		}
		l.open, l.source = false, ended
		l.node.net.after(time.Millisecond, func() {
			if l.node.life == life {
				l.node.step(domain.MediaEnded{Leg: l.id, Err: err})
			}
		})
	})
}

// flow begins to send: the other end sees a picture. A recording lasts a while.
func (l *leg) flow() {
	if o := l.other(); o != nil && o.joined {
		o.show()
	}
	if l.source == 0 && l.stream.Kind != domain.Live {
		l.end(playTime, nil)
	}
	l.watchSilence()
}

// show tells that a receiver has a picture, once its sender flows.
func (l *leg) show() {
	o := l.other()
	if l.picture || o == nil || !o.joined || o.remote != l.name() {
		return
	}
	l.picture = true
	l.later(Outcome{}, func() { l.node.step(domain.ReceiverReady{Leg: l.id}) })
}

// watchSilence ends a leg some time after its other end has gone.
func (l *leg) watchSilence() {
	life := l.node.life
	l.node.net.after(mediaSilence, func() {
		if !l.open || l.node.life != life {
			return
		}
		if o := l.other(); o != nil && o.joined {
			l.watchSilence()
			return
		}
		l.end(0, ErrSilence)
	})
}
