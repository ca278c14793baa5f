package sip

import (
	"context"
	"fmt"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

// newOutgoing enters the call of an Invite, at once, so that a Cancel finds it.
func (t *Transceiver) newOutgoing(fx domain.Invite) *call {
	c := &call{dialog: domain.Dialog(fx.Tag), peer: fx.Peer, channel: fx.Channel, kind: fx.Kind, callID: token(12),
		local: address{user: t.cfg.Self, tag: token(8)}, remote: address{user: fx.Channel}, over: make(chan struct{}),
		out: &outgoing{cancel: make(chan struct{})}}
	if t.calls.enter(c) == nil {
		return nil
	}
	return c
}

// invite asks for media and returns the final answer.
func (t *Transceiver) invite(ctx context.Context, c *call, fx domain.Invite) domain.Answered {
	if c == nil {
		return domain.Answered{Tag: fx.Tag, Status: 486, Level: t.cfg.Self, Reason: "too many calls"}
	}
	n, err := t.reach(ctx, fx.Peer)
	if err != nil {
		return t.lost(c, answered(fx.Tag, fx.Peer.Code, nil, err))
	}
	c.mu.Lock()
	c.at, c.target = n.at, uriOf(fx.Channel, n.at.addr)
	c.mu.Unlock()
	req := t.request(c.draft(stack.INVITE), t.offerBody(fx, n), "application/sdp")
	add(req, "Subject", fmt.Sprintf("%s,%s:%d", clean(fx.Stream, 64), t.cfg.Self, uint64(fx.Tag)%1e15))
	add(req, "Allow", allowed)
	if left := time.Until(fx.Deadline); !fx.Deadline.IsZero() && left > 0 {
		add(req, "Expires", wholeSeconds(left))
	}
	t.counts.sent.Add(1)
	tx, err := t.wires.tx.Request(ctx, req)
	if err != nil {
		return t.lost(c, answered(fx.Tag, fx.Peer.Code, nil, err))
	}
	tx.OnRetransmission(func(*stack.Response) { t.ackAgain(c) })
	res, err := t.await(ctx, c, tx, fx.Deadline)
	if err != nil || !res.IsSuccess() {
		return t.lost(c, answered(fx.Tag, fx.Peer.Code, res, err))
	}
	return t.agreed(ctx, c, fx, res)
}

func (t *Transceiver) offerBody(fx domain.Invite, n neighbour) []byte {
	return writeOffer(session{owner: t.cfg.Self, kind: fx.Kind, channel: fx.Channel, span: fx.Range, speed: fx.Speed,
		profile: fx.Profile, modern: n.version == domain.Version2022, ends: ends{monitor: fx.Monitor}}, fx.Offer)
}

// lost forgets a call that came to nothing.
func (t *Transceiver) lost(c *call, a domain.Answered) domain.Answered {
	c.end()
	t.calls.leave(c)
	return a
}

// await returns the final answer. A Cancel, or the deadline, sends CANCEL as soon as
// the peer has answered anything (RFC 3261 clause 9.1), and then waits 64 T1 at most.
func (t *Transceiver) await(ctx context.Context, c *call, tx *stack.ClientTx, deadline time.Time) (*stack.Response, error) {
	late, stop := until(deadline)
	defer stop()
	var giveUp <-chan time.Time
	wanted, heard := c.out.cancel, false
	cancelling := false
	for {
		if cancelling && heard && giveUp == nil {
			timer := time.NewTimer(until32())
			defer timer.Stop()
			giveUp = timer.C
			t.sendCancel(tx.Origin())
		}
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
			heard = true
		case <-wanted:
			wanted, cancelling = nil, true
		case <-late:
			late, cancelling = nil, true
		case <-giveUp:
			tx.Terminate()
			return nil, domain.ErrTimeout
		case <-tx.Done():
			return nil, ended(tx)
		case <-lost(tx):
			tx.Terminate()
			return nil, errNoConn
		case <-ctx.Done():
			tx.Terminate()
			return nil, errStopped
		}
	}
}

// cancel gives up an INVITE that is not answered.
func (t *Transceiver) cancel(tag domain.Tag) {
	if c := t.calls.get(domain.Dialog(tag)); c != nil && c.out != nil {
		c.out.once.Do(func() { close(c.out.cancel) })
	}
}

// sendCancel sends CANCEL for an INVITE: the same branch, so that it is found.
func (t *Transceiver) sendCancel(invite *stack.Request) {
	req := stack.NewRequest(stack.CANCEL, invite.Recipient)
	req.AppendHeader(invite.Via().Clone())
	for _, h := range []stack.Header{invite.From(), invite.To(), invite.CallID()} {
		req.AppendHeader(stack.HeaderClone(h))
	}
	req.AppendHeader(&stack.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: stack.CANCEL})
	forwards := stack.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	req.SetBody(nil)
	req.SetTransport(invite.Transport())
	req.SetDestination(invite.Destination())
	req.Laddr = invite.Laddr
	t.spawn(func(ctx context.Context) { t.exchange(ctx, req) })
}

// agreed acknowledges a 200 and reads it. One whose SDP cannot be used is ended at
// once, and told as a refusal of ours.
func (t *Transceiver) agreed(ctx context.Context, c *call, fx domain.Invite, res *stack.Response) domain.Answered {
	from, ok := parsePlace(res.Transport() + ":" + res.Source())
	if !ok {
		from = c.at
	}
	c.agree(res, from, t.book.knows)
	c.mu.Lock()
	if to := res.To(); to != nil {
		c.remote.tag, _ = to.Params.Get("tag")
		c.remote.realm = to.Address.Host
	}
	ended := c.state == callOver
	if !ended {
		c.set(callAgreed)
	}
	c.mu.Unlock()
	t.acknowledge(c)
	d, err := parseSDP(res.Body())
	if err == nil && ended {
		err = domain.ErrGone
	}
	if err != nil {
		t.lost(c, domain.Answered{})
		t.spawn(func(ctx context.Context) { t.farewell(ctx, c, "answer cannot be used") })
		return domain.Answered{Tag: fx.Tag, Status: 488, Level: t.cfg.Self, Reason: "answer: " + err.Error()}
	}
	a := answered(fx.Tag, fx.Peer.Code, res, nil)
	a.Answer, a.Camera, a.Monitor = d.answer(fx.Offer.Transport), d.camera, d.monitor
	return a
}

// acknowledge sends the ACK of a 200, a request of its own (RFC 3261 clause 13.2.2.4).
func (t *Transceiver) acknowledge(c *call) {
	c.mu.Lock()
	d := draft{method: stack.ACK, to: c.at, uri: c.target, from: c.local, target: c.remote, callID: c.callID,
		cseq: c.cseq.Load(), routes: c.routes}
	c.mu.Unlock()
	ack := t.request(d, nil, "")
	c.mu.Lock()
	c.out.ack = ack
	c.mu.Unlock()
	t.ackAgain(c)
}

func (t *Transceiver) ackAgain(c *call) {
	c.mu.Lock()
	defer c.mu.Unlock() // the ACK is written by one at a time
	if c.out == nil || c.out.ack == nil {
		return
	}
	if err := t.wires.tp.WriteMsg(c.out.ack); err != nil {
		t.counts.unsent.Add(1)
	}
}

// stray takes responses that no transaction waits for: a 200 to INVITE repeated
// late is acknowledged again.
func (t *Transceiver) stray(res *stack.Response) {
	if _, ok := t.begin(); !ok {
		return
	}
	defer t.state.group.Done()
	if res.CallID() == nil || res.CSeq() == nil || res.CSeq().MethodName != stack.INVITE || !res.IsSuccess() {
		return
	}
	if c := t.calls.find(res.CallID().Value()); c != nil && c.out != nil {
		t.ackAgain(c)
	}
}

// bye ends a dialog, whoever began it, at once. Until the peer has answered, the
// dialog is still found, so that its own BYE, crossing ours, gets a 200.
func (t *Transceiver) bye(fx domain.Bye) func(context.Context) domain.Answered {
	c := t.calls.get(fx.Dialog)
	if c == nil {
		return func(context.Context) domain.Answered { return gone(fx.Tag) }
	}
	was := c.end()
	if was == callAsked && c.out != nil { // its 200 may still come
		c.out.once.Do(func() { close(c.out.cancel) })
	}
	return func(ctx context.Context) domain.Answered {
		defer t.calls.leave(c)
		switch {
		case was == callAsked && c.in != nil:
			t.refuse(c.in.r, 480, fx.Reason)
			return domain.Answered{Tag: fx.Tag, Status: 200}
		case was == callAsked || was == callOver:
			return gone(fx.Tag)
		}
		res, err := t.farewell(ctx, c, fx.Reason)
		return answered(fx.Tag, c.peer.Code, res, err)
	}
}

// farewell sends BYE with its reason in words (RFC 3326).
func (t *Transceiver) farewell(ctx context.Context, c *call, reason string) (*stack.Response, error) {
	d := c.draft(stack.BYE)
	if err := t.connect(ctx, d.to, c.peer.Role == domain.Upper); err != nil {
		return nil, err
	}
	req := t.request(d, nil, "")
	if reason != "" {
		add(req, "Reason", "GB;text="+quoted(reason))
	}
	return t.exchange(ctx, req)
}
