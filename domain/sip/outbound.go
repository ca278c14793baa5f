package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

const manscdpType = "Application/MANSCDP+xml"

// An address is one end as From, To or Request-URI name it.
type address struct {
	user  domain.Code
	tag   string
	realm string // empty: the user's own
}

func (a address) uri() stack.Uri {
	if a.realm == "" {
		a.realm = a.user.Realm()
	}
	return stack.Uri{Scheme: "sip", User: string(a.user), Host: a.realm}
}

// A draft is a request before it has transport headers.
type draft struct {
	method stack.RequestMethod
	to     place
	uri    stack.Uri
	from   address
	target address // of To
	callID string
	cseq   uint32
	routes []string
}

func uriOf(user domain.Code, at netip.AddrPort) stack.Uri {
	return stack.Uri{Scheme: "sip", User: string(user), Host: at.Addr().String(), Port: int(at.Port())}
}

// draft returns a request of ours outside of any dialog to user at a place.
func (t *Transceiver) draft(method stack.RequestMethod, to place, user domain.Code) draft {
	return draft{method: method, to: to, uri: uriOf(user, to.addr), from: address{user: t.cfg.Self, tag: token(8)},
		target: address{user: user}, callID: token(12), cseq: uint32(t.next() & 0x7FFFFFFF)}
}

// request writes a draft out. From and To carry the SIP domains (the first ten
// digits), Via and Contact the addresses (GB/T 28181-2022 Annex E and clause 9).
func (t *Transceiver) request(d draft, body []byte, contentType string) *stack.Request {
	own := t.local(d.to.addr)
	req := stack.NewRequest(d.method, d.uri)
	via := &stack.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: d.to.network,
		Host: own.Addr().String(), Port: int(own.Port())}
	via.Params.Add("rport", "")
	via.Params.Add("branch", stack.GenerateBranch())
	req.AppendHeader(via)
	for _, route := range d.routes {
		add(req, "Route", route)
	}
	from := &stack.FromHeader{Address: d.from.uri()}
	from.Params.Add("tag", d.from.tag)
	req.AppendHeader(from)
	to := &stack.ToHeader{Address: d.target.uri()}
	if d.target.tag != "" {
		to.Params.Add("tag", d.target.tag)
	}
	req.AppendHeader(to)
	callID := stack.CallIDHeader(d.callID)
	req.AppendHeader(&callID)
	req.AppendHeader(&stack.CSeqHeader{SeqNo: d.cseq, MethodName: d.method})
	forwards := stack.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	switch d.method {
	case stack.REGISTER, stack.INVITE, stack.SUBSCRIBE, stack.NOTIFY, stack.INFO:
		req.AppendHeader(&stack.ContactHeader{Address: uriOf(t.cfg.Self, own)})
	}
	if t.cfg.UserAgent != "" {
		add(req, "User-Agent", t.cfg.UserAgent)
	}
	if contentType != "" {
		add(req, "Content-Type", contentType)
	}
	req.SetBody(body)
	t.direct(req, d.to)
	return req
}

// direct tells sipgo where a request goes: over UDP from our one socket, over TCP by
// the connection to that address.
func (t *Transceiver) direct(req *stack.Request, to place) {
	req.SetTransport(to.network)
	req.SetDestination(to.addr.String())
	if to.network == "UDP" {
		req.Laddr = t.wires.udpLocal
	}
}

// connect sees to it that there is a connection to a place, dialling if dial says
// that somebody listens there.
func (t *Transceiver) connect(ctx context.Context, to place, dial bool) error {
	if to.network == "UDP" {
		return nil
	}
	if c, err := t.wires.tp.GetConnection("tcp", to.addr.String()); err == nil {
		c.TryClose() // only the reference; the connection stays
		tcp, ok := c.(*stack.TCPConnection)
		if !ok || tcp.Conn.(*streamGate).alive() {
			return nil
		}
		t.wires.tp.Pool("tcp").Delete(to.addr.String()) // sipgo is about to
	}
	if !dial {
		return errNoConn
	}
	return t.wires.streams.dial(ctx, to.addr)
}

// exchange sends a request and returns its final response. The error is errNoConn if
// the connection went, domain.ErrTimeout if nothing came.
func (t *Transceiver) exchange(ctx context.Context, req *stack.Request) (*stack.Response, error) {
	tx, err := t.emit(ctx, req)
	if err != nil {
		return nil, err
	}
	return outcome(ctx, tx)
}

// emit sends a request; when it returns, that has left.
func (t *Transceiver) emit(ctx context.Context, req *stack.Request) (*stack.ClientTx, error) {
	t.counts.sent.Add(1)
	tx, err := t.wires.tx.Request(ctx, req)
	if err != nil {
		return nil, lostConn(err)
	}
	return tx, nil
}

// outcome returns the final response to what was emitted; errors are those of exchange.
func outcome(ctx context.Context, tx *stack.ClientTx) (*stack.Response, error) {
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, ended(tx)
		case <-lost(tx):
			return nil, errNoConn
		case <-ctx.Done():
			return nil, errStopped
		}
	}
}

// ended says why a transaction ended without an answer.
func ended(tx *stack.ClientTx) error {
	if err := tx.Err(); errors.Is(err, stack.ErrTransactionTransport) {
		return lostConn(err)
	}
	return domain.ErrTimeout
}

func lostConn(err error) error {
	if errors.Is(err, stack.ErrTransactionTransport) || errors.Is(err, errNoConn) {
		return errNoConn
	}
	return err
}

// deliver is exchange with a peer, once more over a new connection if the one there was
// had died unnoticed: an upper that restarted would else miss the first request.
func (t *Transceiver) deliver(ctx context.Context, n neighbour, build func() *stack.Request) (*stack.Response, error) {
	res, err := t.exchange(ctx, build())
	if !errors.Is(err, errNoConn) || n.at.network != "TCP" || n.cfg.Role != domain.Upper {
		return res, err
	}
	if err := t.connect(ctx, n.at, true); err != nil {
		return nil, err
	}
	return t.exchange(ctx, build())
}

// reach returns where a peer is, with a connection if it needs one.
func (t *Transceiver) reach(ctx context.Context, ref domain.PeerRef) (neighbour, error) {
	n, err := t.book.locate(ctx, ref, false)
	if err == nil {
		err = t.connect(ctx, n.at, ref.Role == domain.Upper)
	}
	return n, err
}

// answered turns the outcome of a request to a peer into an event.
func answered(tag domain.Tag, peer domain.Code, res *stack.Response, err error) domain.Answered {
	if err != nil {
		a := failed(tag, err)
		a.Level = peer
		return a
	}
	a := domain.Answered{Tag: tag, Status: res.StatusCode, Reason: clean(res.Reason, 128)}
	if res.IsSuccess() {
		return a
	}
	if err := errorOf(a.Status, a.Reason); a.Reason == "" {
		a.Reason = err.Error()
	}
	a.Level = peer
	if level, err := domain.ParseCode(header(res, headerLevel)); err == nil {
		a.Level = level
	}
	if d, ok := seconds(header(res, "Retry-After")); ok {
		a.RetryAfter = d
	}
	return a
}

// message sends one body to a peer, with what more adds to its headers.
func (t *Transceiver) message(ctx context.Context, to domain.PeerRef, m manscdp.Message, more ...func(*stack.Request)) (*stack.Response, error) {
	n, err := t.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	build, err := t.letter(n, m, more...)
	if err != nil {
		return nil, err
	}
	return t.deliver(ctx, n, build)
}

// letter returns how the request of message is made.
func (t *Transceiver) letter(n neighbour, m manscdp.Message, more ...func(*stack.Request)) (func() *stack.Request, error) {
	body, err := manscdp.Encode(m, n.profile())
	return func() *stack.Request {
		req := t.request(t.draft(stack.MESSAGE, n.at, n.cfg.Code), body, manscdpType)
		for _, f := range more {
			f(req)
		}
		return req
	}, err
}

// query is the work of a query. Who asked first travels in a header, for which a query
// has no element.
func (t *Transceiver) query(fx domain.Query) func(context.Context) domain.Answered {
	return t.single(fx.Tag, fx.Peer, query(fx), func(req *stack.Request) { tell(req, headerAsker, clean(fx.Asker, mostAsker)) })
}

// single is the work of an effect that is one MESSAGE, with what more adds to its headers.
func (t *Transceiver) single(tag domain.Tag, to domain.PeerRef, m manscdp.Message, more ...func(*stack.Request)) func(context.Context) domain.Answered {
	return func(ctx context.Context) domain.Answered {
		res, err := t.message(ctx, to, m, more...)
		return answered(tag, to.Code, res, err)
	}
}

func (t *Transceiver) keepalive(fx domain.Keepalive) manscdp.Message {
	m := &manscdp.Keepalive{Head: manscdp.Head{SN: t.serial(), DeviceID: string(t.cfg.Self)}, Fault: fx.Fault}
	for _, id := range fx.Faulty {
		m.Faulty = append(m.Faulty, string(id))
	}
	return m
}

// serial returns an SN for what nobody asked for.
func (t *Transceiver) serial() manscdp.SN { return manscdp.NewSN(uint32(t.next()&0x3FFFFFFF) + 1) }

func query(fx domain.Query) manscdp.Message {
	head := manscdp.Head{SN: formatSN(fx.SN), DeviceID: string(fx.Target)}
	switch fx.Kind {
	case domain.QueryDeviceInfo:
		return &manscdp.DeviceInfoQuery{Head: head}
	case domain.QueryDeviceStatus:
		return &manscdp.DeviceStatusQuery{Head: head}
	case domain.QueryRecords:
		return recordQuery(head, fx)
	}
	return &manscdp.CatalogQuery{Head: head}
}

// keyFrameOrder is a DeviceControl that no response answers.
func keyFrameOrder(fx domain.AskKeyFrame) manscdp.Message {
	return &manscdp.DeviceControl{Head: manscdp.Head{SN: formatSN(fx.SN), DeviceID: string(fx.Channel)}, Command: new(manscdp.KeyFrame)}
}

func infoResponse(fx domain.SendInfo) manscdp.Message   { return infoFrom(fx.SN, fx.Info) }
func stateResponse(fx domain.SendState) manscdp.Message { return stateFrom(fx.SN, fx.State) }

func (t *Transceiver) probe(ctx context.Context, fx domain.Probe) domain.Answered {
	n, err := t.reach(ctx, fx.Peer)
	if err != nil {
		return answered(fx.Tag, fx.Peer.Code, nil, err)
	}
	res, err := t.deliver(ctx, n, func() *stack.Request {
		return t.request(t.draft(stack.OPTIONS, n.at, n.cfg.Code), nil, "")
	})
	return answered(fx.Tag, fx.Peer.Code, res, err)
}

// until32 is how long RFC 3261 waits for a final answer: 64 T1.
func until32() time.Duration { return 64 * stack.T1 }

// mediaStatus tells the receiver, in the dialog, that everything was sent.
func (t *Transceiver) mediaStatus(ctx context.Context, fx domain.SendMediaStatus) domain.Answered {
	c := t.calls.get(fx.Dialog)
	if c == nil {
		return gone(fx.Tag)
	}
	n, _ := t.book.find(c.peer)
	body, err := manscdp.Encode(&manscdp.MediaStatus{
		Head:       manscdp.Head{SN: t.serial(), DeviceID: string(fx.Channel)},
		NotifyType: manscdp.EndOfFile,
	}, n.profile())
	if err == nil {
		err = t.connect(ctx, c.at, c.peer.Role == domain.Upper)
	}
	if err != nil {
		return answered(fx.Tag, c.peer.Code, nil, fmt.Errorf("media status: %w", err))
	}
	res, err := t.exchange(ctx, t.request(c.draft(stack.MESSAGE), body, manscdpType))
	return answered(fx.Tag, c.peer.Code, res, err)
}

// control sends a command in a dialog of ours. Expires says until when its answer is of
// use, as in INVITE (RFC 2976 has it).
func (t *Transceiver) control(ctx context.Context, fx domain.Control) domain.Answered {
	c := t.calls.get(fx.Dialog)
	if c == nil || !c.agreed() {
		return gone(fx.Tag)
	}
	if err := t.connect(ctx, c.at, c.peer.Role == domain.Upper); err != nil {
		return answered(fx.Tag, c.peer.Code, nil, fmt.Errorf("control: %w", err))
	}
	d := c.draft(stack.INFO)
	req := t.request(d, writeMANSRTSP(fx.Command, d.cseq), mansrtspType)
	if left := time.Until(fx.Deadline); !fx.Deadline.IsZero() && left > 0 {
		add(req, "Expires", wholeSeconds(left))
	}
	res, err := t.exchange(ctx, req)
	return answered(fx.Tag, c.peer.Code, res, err)
}

// gone is the outcome of a request in a dialog that has ended.
func gone(tag domain.Tag) domain.Answered {
	return domain.Answered{Tag: tag, Status: 481, Reason: phrase(481)}
}
