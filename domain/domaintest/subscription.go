package domaintest

import "districtgateway/domain"

// A subscription is the dialog that a SUBSCRIBE from a to b made.
type subscription struct {
	a, b         *Node
	lifeA, lifeB int
	asked        domain.Dialog // a's name of it
	told         domain.Dialog // b's
}

// JoinStandard makes lower register with upper, while neither announces to the other what it can
// beyond the standard.
func (n *Network) JoinStandard(lower, upper *Node) {
	n.Join(lower, upper)
	if n.standard == nil {
		n.standard = make(map[[2]domain.Code]bool)
	}
	n.standard[[2]domain.Code{lower.Code, upper.Code}] = true
}

// caps is what lower announces to upper, of what it can.
func (n *Network) caps(lower, upper domain.Code, can domain.Capability) domain.Capability {
	if n.standard[[2]domain.Code{lower, upper}] {
		return 0
	}
	return can
}

// Subscriptions returns how many dialogs of subscriptions the node knows, of both kinds.
func (node *Node) Subscriptions() int { return len(node.subs) }

func (node *Node) subscribe(fx domain.Subscribe) {
	to, s := node.net.nodes[fx.Peer.Code], node.subs[fx.Dialog]
	again := s != nil
	if !again {
		s = &subscription{a: node, b: to, lifeA: node.life, asked: domain.Dialog(fx.Tag)}
		node.subs[s.asked] = s
	}
	from := node.origin()
	done := func(ev domain.Answered) { ev.Tag = fx.Tag; node.step(ev) }
	node.net.send(node, to, request{done: done, twice: true, deliver: func(ref domain.Ref) {
		ev := domain.SubscribeIn{Ref: ref, Origin: from, Target: fx.Target, Expires: fx.Expires, Again: again || s.told != 0}
		if to.Deaf != nil {
			if *to.Deaf > 0 {
				to.answer(ref, domain.Answered{Status: *to.Deaf})
			} else {
				delete(to.refs, ref)
			}
			return
		}
		if ev.Again && (s.lifeB != to.life || to.subs[s.told] != s) {
			to.answer(ref, domain.Answered{Status: 481})
			return
		}
		if !ev.Again {
			to.last++
			s.told, s.lifeB = domain.Dialog(to.last|1<<63), to.life
		}
		ev.Dialog = s.told
		to.asking[ref] = s
		to.step(ev)
	}})
}

func (node *Node) replySubscribe(fx domain.ReplySubscribe) {
	s := node.asking[fx.Ref]
	delete(node.asking, fx.Ref)
	ev := status(node.Code, fx.Err)
	if ev.Expires = fx.Expires; fx.Err == nil && fx.Expires > 0 && s != nil {
		node.subs[s.told] = s
	}
	node.answer(fx.Ref, ev)
}

// endSubscription forgets a dialog, and tells who subscribed if there is a reason.
func (node *Node) endSubscription(fx domain.EndSubscription) {
	s := node.subs[fx.Dialog]
	delete(node.subs, fx.Dialog)
	if s == nil || fx.Reason == "" {
		return
	}
	node.net.send(node, s.a, request{deliver: func(ref domain.Ref) {
		s.a.answer(ref, domain.Answered{Status: 200})
		if s.a.life == s.lifeA && s.a.subs[s.asked] == s {
			delete(s.a.subs, s.asked)
			s.a.step(domain.SubscriptionOver{Peer: node.Code, Dialog: s.asked})
		}
	}})
}

// changes sends what changed: in the dialog of a subscription, where a message that
// comes a second time is known by its CSeq, or outside of any.
func (node *Node) changes(fx domain.SendChanges) {
	event := func(ref domain.Ref, o domain.Origin) domain.Event {
		return domain.CatalogIn{Ref: ref, Origin: o, Notify: true, Items: fx.Items, Events: fx.Events}
	}
	if fx.Dialog == 0 {
		node.to(fx.Peer.Code, fx.Tag, event)
		return
	}
	done := func(ev domain.Answered) { ev.Tag = fx.Tag; node.step(ev) }
	s := node.subs[fx.Dialog]
	if s == nil {
		node.net.violation("%s: changes in dialog %d, which is not there", node.Code, fx.Dialog)
		return
	}
	from := node.origin()
	node.net.send(node, s.a, request{done: done, deliver: func(ref domain.Ref) {
		if len(fx.Items) == 0 { // the transceiver answers what says nothing
			s.a.answer(ref, domain.Answered{Status: 200})
			return
		}
		s.a.step(event(ref, from))
	}})
}
