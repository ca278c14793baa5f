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
	held    bool // a receiver that bears silence
	reel
}

// A reel is a recording as its owner plays it.
type reel struct {
	paused bool
	scale  float64
	left   time.Duration // of the footage, at since
	since  time.Time
	turn   int // counts what changed the end
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
			l.watchSilence() // even if it never flows
		}
	case domain.HoldReceiver:
		if l := node.openedLeg(fx.Leg, fx); l != nil {
			l.held = fx.Held
		}
	case domain.ControlSender:
		if l := node.openedLeg(fx.Leg, fx); l != nil {
			l.control(fx.Command)
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
		l.left, l.scale = l.node.net.Length, 1
		l.play()
	}
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

// play lets a recording run to its end, unless somebody controls it.
func (l *leg) play() {
	l.turn++
	turn := l.turn
	l.paused, l.since = false, l.node.net.Now
	life := l.node.life
	l.node.net.after(time.Duration(float64(l.left)/l.scale), func() {
		if l.turn == turn && l.node.life == life {
			l.end(0, nil)
		}
	})
}

// control does with a recording what its viewer wants; a seek is to its beginning.
func (l *leg) control(c domain.Command) {
	if l.source != 0 || l.stream.Kind != domain.Playback {
		l.node.net.violation("%s: leg %d is no recording, and is controlled", l.node.Code, l.id)
		return
	}
	if l.scale == 0 { // it does not flow yet
		return
	}
	if !l.paused {
		l.left -= time.Duration(float64(l.node.net.Now.Sub(l.since)) * l.scale)
	}
	switch {
	case c.Verb == domain.CommandPause:
		l.turn++
		l.paused = true
		return
	case c.Scale != 0:
		l.scale = c.Scale
	case c.Now:
		l.scale = 1
	}
	if c.Seek {
		l.left = l.node.net.Length
	}
	l.play()
}

// silent reports whether nothing comes out of a sender, because its recording is paused
// somewhere below.
func (l *leg) silent() bool {
	source := l.node.legs[l.source]
	if l.source == 0 || source == nil {
		return l.paused
	}
	o := source.other()
	return o != nil && o.silent()
}

// watchSilence ends a leg some time after its other end has gone, or sends no more
// though nobody said that it would pause.
func (l *leg) watchSilence() {
	life := l.node.life
	l.node.net.after(mediaSilence, func() {
		if !l.open || l.node.life != life {
			return
		}
		if o := l.other(); o != nil && o.joined && (l.held || !o.silent()) {
			l.watchSilence()
			return
		}
		l.end(0, ErrSilence)
	})
}

// Hold has a receiver bear silence, as an upper of another make does that paused.
func (node *Node) Hold(id domain.LegID) {
	if l := node.legs[id]; l != nil {
		l.held = true
	}
}

// Stall makes an owner's recording stand still by itself.
func (node *Node) Stall(id domain.LegID) {
	if l := node.legs[id]; l != nil {
		l.turn++
		l.paused = true
	}
}
