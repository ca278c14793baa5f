package domaintest

import (
	"time"

	"districtgateway/domain"
)

// A Head is a camera that obeys DrivePTZ, 10 ms after it was told to.
type Head struct {
	Orders []domain.PTZ // obeyed
	now    domain.PTZ
	until  time.Time // it stops by itself
	busy   bool
}

// Moves reports whether the camera moves at an instant.
func (h *Head) Moves(at time.Time) bool { return h != nil && h.now.Moves() && at.Before(h.until) }

// drive performs DrivePTZ.
func (node *Node) drive(fx domain.DrivePTZ) {
	if node.Heads == nil {
		node.Heads = make(map[domain.Code]*Head)
	}
	h := node.Heads[fx.Channel]
	if h == nil {
		h = &Head{}
		node.Heads[fx.Channel] = h
	}
	if h.busy {
		node.net.violation("%s: two orders at once to %s", node.Code, fx.Channel)
	}
	if fx.Command.Moves() != (fx.For > 0) {
		node.net.violation("%s: %s for %s", node.Code, fx.Command, fx.For)
	}
	life := node.life
	h.busy = true
	node.net.after(10*time.Millisecond, func() {
		h.busy = false
		h.Orders, h.now, h.until = append(h.Orders, fx.Command), fx.Command, node.net.Now.Add(fx.For)
		if node.life == life {
			node.step(domain.Driven{Tag: fx.Tag})
		}
	})
}

// Steer has a user of the node move a camera.
func (node *Node) Steer(user string, channel domain.Code, p domain.PTZ) *Ticket {
	return node.Order(domain.PTZAsked{User: user, Channel: channel, Command: p})
}

// Order is Steer with everything that can be said.
func (node *Node) Order(ev domain.PTZAsked) *Ticket {
	t := node.ticket()
	ev.Ticket = t.ID
	node.step(ev)
	return t
}
