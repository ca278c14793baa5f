package sip

import (
	"context"
	"strconv"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// subscribeIn takes a SUBSCRIBE: a new one must be of the catalogue, one in a dialog
// must be of a dialog that is known (481: the upper begins anew, as after our restart).
func (t *Transceiver) subscribeIn(r *request) {
	s := t.subs.find(r, domain.Upper)
	ev := domain.SubscribeIn{Origin: r.origin, Again: s != nil, Expires: defaultSubscription}
	if s == nil && r.To().Params.Has("tag") {
		t.refuse(r, 481, "")
		return
	}
	if s == nil && !t.readSubscribe(r, &ev) {
		return
	}
	if header(r, "Expires") != "" {
		var ok bool
		if ev.Expires, ok = expiresOf(r.Request); !ok {
			t.refuse(r, 400, "Expires: want seconds")
			return
		}
	}
	if s == nil {
		s = t.newSubscription(r)
	}
	ev.Dialog = s.dialog
	t.ask(&pending{r: r, subscription: s}, func(ref domain.Ref) domain.Event { ev.Ref = ref; return ev })
}

// readSubscribe reads what a new SUBSCRIBE is about, and refuses what is not served.
func (t *Transceiver) readSubscribe(r *request, ev *domain.SubscribeIn) bool {
	if !catalogEvent(eventHeader(r.Request)) {
		t.refuseEvent(r, "no subscriptions but to the catalogue")
		return false
	}
	if len(r.Body()) == 0 {
		return true
	}
	n, _ := t.book.caller(r.origin.From, true)
	m, err := manscdp.DecodeAs(r.Body(), n.cfg.Charset)
	if err != nil {
		t.refuseFor(r, err, "")
		return false
	}
	query, ok := m.(*manscdp.CatalogQuery)
	if !ok {
		t.refuseEvent(r, "body: want a query of the catalogue")
		return false
	}
	if ev.Target, err = nodeOf(query.Header()); err != nil {
		t.refuseFor(r, err, "")
		return false
	}
	return true
}

func (t *Transceiver) refuseEvent(r *request, words string) {
	t.respond(r, 489, "", func(res *stack.Response) {
		t.blame(t.cfg.Self, 489, words)(res)
		add(res, "Allow-Events", "Catalog")
	})
}

func (t *Transceiver) newSubscription(r *request) *subscription {
	s := &subscription{dialog: domain.Dialog(t.next() | received), callID: r.CallID().Value(), event: eventHeader(r.Request),
		peer: domain.PeerRef{Code: r.origin.From, Role: domain.Upper}, local: address{user: t.cfg.Self, tag: token(8)}}
	if to, err := codeOf(r.To().Address); err == nil {
		s.local.user, s.local.realm = to, r.To().Address.Host
	}
	s.remote = address{user: r.origin.From, realm: r.From().Address.Host}
	s.remote.tag, _ = r.From().Params.Get("tag")
	s.target = uriOf(r.origin.From, r.at.addr)
	s.agree(r.Request, r.at, t.book.knows)
	return s
}

// replySubscribe answers a SUBSCRIBE. What is told in the dialog comes after it.
func (t *Transceiver) replySubscribe(fx domain.ReplySubscribe) {
	w := t.pendings.take(fx.Ref)
	switch {
	case w == nil || w.subscription == nil:
		return
	case fx.Err != nil:
		t.refuseFor(w.r, fx.Err, "")
		return
	case fx.Expires > 0:
		t.subs.enter(w.subscription)
		w.subscription.follow(w.r, t.book.knows)
	}
	t.respond(w.r, 200, "", func(res *stack.Response) {
		res.To().Params.Add("tag", w.subscription.local.tag)
		res.AppendHeader(&stack.ContactHeader{Address: uriOf(t.cfg.Self, t.local(w.r.at.addr))})
		add(res, "Expires", wholeSeconds(fx.Expires))
	})
}

// subscribe asks a lower for the changes of its catalogue, or again in the dialog.
// The dialog is known before the answer: a NOTIFY may overtake that.
func (t *Transceiver) subscribe(fx domain.Subscribe) func(context.Context) domain.Answered {
	s := t.subs.get(fx.Dialog)
	if fx.Dialog != 0 && s == nil {
		return func(context.Context) domain.Answered { return gone(fx.Tag) }
	}
	if s == nil {
		s = &subscription{dialog: domain.Dialog(fx.Tag), peer: fx.Peer, callID: token(12),
			event: "Catalog;id=" + strconv.FormatUint(t.next(), 10),
			local: address{user: t.cfg.Self, tag: token(8)}, remote: address{user: fx.Peer.Code}}
		t.subs.enter(s)
	}
	return func(ctx context.Context) domain.Answered {
		n, err := t.reach(ctx, fx.Peer)
		if err != nil {
			return answered(fx.Tag, fx.Peer.Code, nil, err)
		}
		if fx.Dialog == 0 {
			s.mu.Lock()
			s.at, s.target = n.at, uriOf(fx.Peer.Code, n.at.addr)
			s.mu.Unlock()
		}
		res, err := t.sendSubscribe(ctx, n, s, fx)
		a := answered(fx.Tag, fx.Peer.Code, res, err)
		if err == nil && res.IsSuccess() {
			a.Expires = granted(res, fx.Expires)
			t.accepted(s, res, fx.Dialog == 0)
		}
		return a
	}
}

func (t *Transceiver) sendSubscribe(ctx context.Context, n neighbour, s *subscription, fx domain.Subscribe) (*stack.Response, error) {
	query := &manscdp.CatalogQuery{Head: manscdp.Head{SN: t.serial(), DeviceID: string(fx.Target)}}
	body, err := manscdp.Encode(query, n.profile())
	if err != nil {
		return nil, err
	}
	return t.deliver(ctx, n, func() *stack.Request {
		req := t.request(t.toward(ctx, s.draft(stack.SUBSCRIBE), n), body, manscdpType)
		add(req, "Event", s.event)
		add(req, "Expires", wholeSeconds(fx.Expires))
		return req
	})
}

// accepted takes from the first 200 how the other end of the dialog is reached.
func (t *Transceiver) accepted(s *subscription, res *stack.Response, first bool) {
	from, ok := parsePlace(res.Transport() + ":" + res.Source())
	if !first || !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agree(res, from, t.book.knows)
	if to := res.To(); to != nil {
		s.remote.tag, _ = to.Params.Get("tag")
	}
}

// toward directs a request of a dialog to where the peer is now: a lower's port moves
// behind a NAT, and the connection that the dialog began on may be gone.
func (t *Transceiver) toward(ctx context.Context, d draft, n neighbour) draft {
	moved := n.cfg.Role == domain.Lower && d.to.addr.Addr() == n.at.addr.Addr()
	if moved || t.connect(ctx, d.to, false) != nil {
		d.to = n.at
	}
	return d
}

// notice sends NOTIFY in a subscription; m nil: without a body.
func (t *Transceiver) notice(ctx context.Context, s *subscription, m manscdp.Message, state string) (*stack.Response, error) {
	n, err := t.reach(ctx, s.peer)
	if err != nil {
		return nil, err
	}
	var body []byte
	contentType := ""
	if m != nil {
		contentType = manscdpType
		if body, err = manscdp.Encode(m, n.profile()); err != nil {
			return nil, err
		}
	}
	return t.deliver(ctx, n, func() *stack.Request {
		req := t.request(t.toward(ctx, s.draft(stack.NOTIFY), n), body, contentType)
		add(req, "Event", s.event)
		add(req, "Subscription-State", state)
		return req
	})
}

// sendInDialog sends changes in a subscription, page by page.
func (t *Transceiver) sendInDialog(ctx context.Context, fx domain.SendChanges, s *subscription) domain.Answered {
	until := time.Now().Add(fx.Left)
	state := func() string { return "active;expires=" + wholeSeconds(max(time.Until(until), time.Second)) }
	if len(fx.Items) == 0 {
		res, err := t.notice(ctx, s, nil, state())
		return answered(fx.Tag, fx.Peer.Code, res, err)
	}
	n, err := t.reach(ctx, fx.Peer)
	if err != nil {
		return answered(fx.Tag, fx.Peer.Code, nil, err)
	}
	empty := t.request(s.draft(stack.NOTIFY), nil, manscdpType) // leaves a CSeq out, which is allowed
	pages, err := t.changePages(fx, n, space(n, empty, len("Event: \r\nSubscription-State: \r\n"+s.event+state())))
	if err != nil {
		return answered(fx.Tag, fx.Peer.Code, nil, err)
	}
	res, err := sendPages(ctx, pages, func(ctx context.Context, m manscdp.Message) (*stack.Response, error) {
		return t.notice(ctx, s, m, state())
	})
	return answered(fx.Tag, fx.Peer.Code, res, err)
}

// endSubscription forgets a dialog; an upper is told so if there is a reason to give.
func (t *Transceiver) endSubscription(fx domain.EndSubscription) {
	s := t.subs.leave(fx.Dialog)
	if s == nil || fx.Reason == "" || s.peer.Role != domain.Upper {
		return
	}
	t.spawn(func(ctx context.Context) { t.notice(ctx, s, nil, "terminated;reason="+clean(fx.Reason, 64)) })
}

// noticeIn gives a NOTIFY in a subscription of ours to the lower that it is at, whatever
// its From says. The address is judged as ever.
func (t *Transceiver) noticeIn(r *request) {
	if s := t.subs.find(r, domain.Lower); s != nil && r.Method == stack.NOTIFY {
		r.origin.From = s.peer.Code
		r.origin.Proved = t.book.proves(time.Now(), s.peer.Code, r.at)
	}
}

// noticeEnd tells that a lower ended a subscription of ours, once.
func (t *Transceiver) noticeEnd(r *request) {
	ended, retry := subscriptionState(header(r, "Subscription-State"))
	if !ended || r.Method != stack.NOTIFY {
		return
	}
	if s := t.subs.find(r, domain.Lower); s != nil && t.subs.leave(s.dialog) != nil {
		t.cfg.Post(domain.SubscriptionOver{Peer: s.peer.Code, Dialog: s.dialog, RetryAfter: retry})
	}
}
