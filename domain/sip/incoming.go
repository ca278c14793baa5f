package sip

import (
	"context"
	"errors"
	"strings"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

// inviteIn takes an INVITE: 100 at once, the answer when the processor has it.
func (t *Transceiver) inviteIn(r *request) {
	if c := t.calls.find(r.CallID().Value()); c != nil {
		t.inviteAgain(r, c)
		return
	}
	ev, d, err := t.readInvite(r)
	if err != nil {
		t.refuseFor(r, err, "")
		return
	}
	n, _ := t.book.caller(r.origin.From, true)
	peer := domain.PeerRef{Code: r.origin.From, Role: n.cfg.Role}
	c := &call{dialog: domain.Dialog(t.next() | received), peer: peer, channel: ev.Channel, kind: ev.Kind,
		callID: r.CallID().Value(), over: make(chan struct{}), in: &incoming{r: r, name: *d, acks: make(chan struct{}, 1)}}
	c.local = address{user: ev.Channel, tag: token(8)}
	if to, err := codeOf(r.To().Address); err == nil {
		c.local.user = to
	}
	c.remote = address{user: r.origin.From, realm: r.From().Address.Host}
	c.remote.tag, _ = r.From().Params.Get("tag")
	c.target = uriOf(r.origin.From, r.at.addr)
	c.agree(r.Request, r.at, t.book.knows)
	switch other := t.calls.enter(c); {
	case other == nil:
		t.refuse(r, 503, "too many calls")
		return
	case other != c: // both copies came at once
		t.refuse(r, 482, "")
		return
	}
	t.offer(r, c, ev)
}

// offer passes the call on. A CANCEL may come at any time; the processor is told of
// it after it was told of the call.
func (t *Transceiver) offer(r *request, c *call, ev domain.InviteIn) {
	ev.Dialog = c.dialog
	cancelled := func(*stack.Request) {
		if ended, told := c.giveUp(); ended {
			t.calls.leave(c)
			if told {
				t.cfg.Post(domain.CancelIn{Dialog: c.dialog})
			}
		}
	}
	if !r.tx.OnCancel(cancelled) {
		c.end()
		t.calls.leave(c)
		return
	}
	t.respond(r, 100, "", nil)
	if !t.cfg.Post(ev) {
		t.counts.refused.Add(1)
		t.hangUp(c, 503, "too many requests")
		return
	}
	if c.tell() {
		t.cfg.Post(domain.CancelIn{Dialog: c.dialog}) // for nothing if it was refused meanwhile
		return
	}
	t.spawn(func(ctx context.Context) { // nobody may forget a call
		timer := time.NewTimer(stillborn)
		defer timer.Stop()
		select {
		case <-timer.C:
			t.hangUp(c, 408, "no decision in time")
		case <-r.tx.Done():
		case <-c.over:
		case <-ctx.Done():
		}
	})
}

// readInvite reads what an INVITE asks for. Errors are answered 400.
func (t *Transceiver) readInvite(r *request) (domain.InviteIn, *description, error) {
	d, err := parseSDP(r.Body())
	if err == nil {
		err = d.checkOffer()
	}
	if err != nil {
		return domain.InviteIn{}, nil, err
	}
	subject := header(r, "Subject")
	sender, _, _ := strings.Cut(subject, ",")
	ev := domain.InviteIn{Origin: r.origin, Kind: d.kind(), Profile: uint8(d.stream), Range: d.span(), Speed: d.speed,
		Offer: d.offer(), Stream: clean(sender, 64), Monitor: d.monitor}
	if ev.Kind == domain.Live || ev.Kind == domain.Talk {
		ev.Range = domain.Range{}
	}
	if ev.Channel, err = t.channelOf(r, sender, d.channel); err != nil {
		return ev, nil, err
	}
	if wait, ok := seconds(header(r, "Expires")); ok && wait > 0 {
		ev.Deadline = time.Now().Add(wait)
	}
	return ev, d, nil
}

// channelOf finds the channel: the user of To or of the Request-URI unless that is
// ourselves, the sender of the Subject, u=.
func (t *Transceiver) channelOf(r *request, sender, history string) (domain.Code, error) {
	subject, _, _ := strings.Cut(strings.TrimSpace(sender), ":")
	for _, text := range []string{r.To().Address.User, r.Recipient.User, subject, history} {
		if code, err := domain.ParseCode(text); err == nil && code != t.cfg.Self {
			return code, nil
		}
	}
	return "", &SyntaxError{0, "To", "a channel, there or in Subject or u="}
}

// inviteAgain answers an INVITE in a known call: our SDP again within the dialog
// (GB/T 28181 has no other use for it), else it is the same request by another way.
func (t *Transceiver) inviteAgain(r *request, c *call) {
	c.mu.Lock()
	agreed := c.in != nil && (c.state == callAnswered || c.state == callAgreed)
	var answer []byte
	if agreed {
		answer = c.in.answer
	}
	c.mu.Unlock()
	switch {
	case !c.with(r):
		t.refuse(r, 481, "")
	case agreed && r.To().Params.Has("tag"):
		res := t.answerWith(r, c, answer)
		if err := r.tx.Respond(res); err != nil {
			t.counts.unsent.Add(1)
		}
		t.spawn(func(ctx context.Context) { t.persist(ctx, c, r.tx, res) })
	case r.To().Params.Has("tag"):
		t.refuse(r, 491, "")
	default:
		t.refuse(r, 482, "")
	}
}

// answerWith gives a 200 with an SDP.
func (t *Transceiver) answerWith(r *request, c *call, sdp []byte) *stack.Response {
	res := t.response(r, 200, "")
	res.To().Params.Add("tag", c.local.tag)
	res.AppendHeader(&stack.ContactHeader{Address: uriOf(t.cfg.Self, t.local(r.at.addr))})
	add(res, "Content-Type", "application/sdp")
	res.SetBody(sdp)
	return res
}

func (t *Transceiver) answerInvite(fx domain.AnswerInvite) {
	c := t.calls.get(fx.Dialog)
	if c == nil || c.in == nil {
		return
	}
	d := &c.in.name
	sdp := writeAnswer(session{owner: c.channel, kind: c.kind, channel: c.channel, span: d.span(), speed: d.speed,
		profile: uint8(d.stream), ends: ends{fx.Camera, fx.Monitor}}, fx.Answer)
	c.mu.Lock()
	asked := c.state == callAsked
	if asked {
		c.in.answer = sdp
		c.set(callAnswered)
	}
	c.mu.Unlock()
	if !asked {
		return
	}
	res := t.answerWith(c.in.r, c, sdp)
	if err := c.in.r.tx.Respond(res); errors.Is(err, stack.ErrTransactionCanceled) {
		t.overtaken(c)
		return
	}
	t.spawn(func(ctx context.Context) {
		if !t.persist(ctx, c, c.in.r.tx, res) && ctx.Err() == nil && c.end() != callOver {
			t.calls.leave(c)
			t.cfg.Post(domain.ByeIn{Dialog: c.dialog, Reason: "never acknowledged"})
			t.farewell(ctx, c, "never acknowledged")
		}
	})
}

// overtaken is a CANCEL that sipgo answered 487 while we answered 200. sipgo then
// holds the 200 as what to repeat; it is given the 487 again.
func (t *Transceiver) overtaken(c *call) {
	c.in.r.tx.Respond(t.response(c.in.r, 487, ""))
	if c.end() != callOver {
		t.calls.leave(c)
		t.cfg.Post(domain.CancelIn{Dialog: c.dialog})
	}
}

// persist repeats a 200 until it is acknowledged (RFC 3261 clause 13.3.1.4), and
// reports false if that takes 64 T1. sipgo's transaction takes further ACKs of
// peers that do not change the branch; they are read until it ends.
func (t *Transceiver) persist(ctx context.Context, c *call, tx *stack.ServerTx, res *stack.Response) bool {
	interval := stack.T1
	again, limit := time.NewTimer(interval), time.NewTimer(until32())
	defer again.Stop()
	defer limit.Stop()
	acked := false
	for {
		select {
		case <-tx.Acks():
			acked = true
			t.acknowledged(c)
		case <-c.in.acks:
			acked = true
		case <-again.C:
			if !acked {
				tx.Respond(res)
				interval = min(2*interval, stack.T2)
				again.Reset(interval)
			}
		case <-limit.C:
			return acked
		case <-tx.Done(): // the connection went, or all its time has passed
			return acked || ctx.Err() != nil
		case <-c.over:
			return true
		case <-ctx.Done():
			return true
		}
	}
}

// ackIn takes the ACK of a 200, which comes outside of the INVITE's transaction.
func (t *Transceiver) ackIn(r *request) {
	c := t.calls.find(r.CallID().Value())
	if c == nil || c.in == nil || !c.with(r) {
		return
	}
	select {
	case c.in.acks <- struct{}{}:
	default:
	}
	t.acknowledged(c)
}

func (t *Transceiver) acknowledged(c *call) {
	if c.move(callAnswered, callAgreed) {
		t.cfg.Post(domain.AckIn{Dialog: c.dialog})
	}
}

func (t *Transceiver) refuseInvite(fx domain.RefuseInvite) {
	c := t.calls.get(fx.Dialog)
	if c == nil || c.in == nil || !c.move(callAsked, callOver) {
		return
	}
	t.calls.leave(c)
	t.refuseFor(c.in.r, fx.Err, "")
}

// hangUp ends a call that has no answer yet, by ourselves.
func (t *Transceiver) hangUp(c *call, status int, words string) {
	ended, told := c.giveUp()
	if !ended {
		return
	}
	t.calls.leave(c)
	t.refuse(c.in.r, status, words)
	if told {
		t.cfg.Post(domain.CancelIn{Dialog: c.dialog})
	}
}

// byeIn ends a call, whoever began it.
func (t *Transceiver) byeIn(r *request) {
	c := t.calls.find(r.CallID().Value())
	if c == nil || !c.with(r) {
		t.refuse(r, 481, "")
		return
	}
	was := c.end()
	t.calls.leave(c)
	t.respond(r, 200, "", nil)
	if was == callOver {
		return
	}
	if was == callAsked && c.in != nil {
		t.refuse(c.in.r, 487, "")
	}
	t.cfg.Post(domain.ByeIn{Dialog: c.dialog, Reason: reasonOf(r)})
}

// reasonOf returns the words of a Reason header (RFC 3326).
func reasonOf(r *request) string {
	v := header(r, "Reason")
	if _, text, ok := strings.Cut(v, "text="); ok {
		words, _, err := digestValue(text)
		if err == nil {
			v = words
		}
	}
	return clean(v, 128)
}
