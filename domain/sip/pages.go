package sip

import (
	"context"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// Bounds of a page. Over UDP a message of more than 1300 bytes might not fit the path
// (RFC 3261 clause 18.1.1); over TCP 60 KiB is what every peer's buffer takes.
const (
	maxUDPMessage = 1300
	maxTCPMessage = 60 << 10
	minPage       = 400 // bytes of body, however long the headers are
)

// room returns how many bytes of body fit into a message to n.
func (t *Transceiver) room(n neighbour, method stack.RequestMethod) int {
	return space(n, t.request(t.draft(method, n.at, n.cfg.Code), nil, manscdpType), noticeSize(method))
}

// space returns how many bytes of body fit beside the headers of an empty message,
// and more bytes of other headers.
func space(n neighbour, empty *stack.Request, more int) int {
	most := maxUDPMessage
	if n.at.network == "TCP" {
		most = maxTCPMessage
	}
	const digits = 8 // SumNum, Num and Content-Length may grow
	return max(most-len(empty.String())-digits-more, minPage)
}

// noticeSize is what NOTIFY has in headers of its own.
func noticeSize(method stack.RequestMethod) int {
	if method == stack.NOTIFY {
		return len("Event: Catalog\r\nSubscription-State: active\r\n")
	}
	return 0
}

// sendPages sends pages one after the other: the next when the one before was
// accepted, none after a failure (2022 Annex M).
func sendPages[P manscdp.Message](ctx context.Context, pages []P, send func(context.Context, manscdp.Message) (*stack.Response, error)) (*stack.Response, error) {
	var last *stack.Response
	for _, page := range pages {
		res, err := send(ctx, page)
		if err != nil {
			return nil, err
		}
		if last = res; !res.IsSuccess() {
			break
		}
	}
	return last, nil
}

// one returns how to send a body of a page to a peer.
func (t *Transceiver) one(to domain.PeerRef) func(context.Context, manscdp.Message) (*stack.Response, error) {
	return func(ctx context.Context, m manscdp.Message) (*stack.Response, error) { return t.message(ctx, to, m) }
}

func (t *Transceiver) sendCatalog(ctx context.Context, fx domain.SendCatalog) domain.Answered {
	fail := func(err error) domain.Answered { return answered(fx.Tag, fx.Peer.Code, nil, err) }
	n, err := t.reach(ctx, fx.Peer)
	if err != nil {
		return fail(err)
	}
	all := &manscdp.CatalogResponse{Head: manscdp.Head{SN: formatSN(fx.SN), DeviceID: string(fx.Target)}}
	all.Items = make([]manscdp.Item, len(fx.Items))
	for i, it := range fx.Items {
		all.Items[i] = itemFrom(it)
	}
	pages, err := all.Pages(n.profile(), t.room(n, stack.MESSAGE))
	if err != nil {
		return fail(err)
	}
	res, err := sendPages(ctx, pages, t.one(fx.Peer))
	return answered(fx.Tag, fx.Peer.Code, res, err)
}

func (t *Transceiver) sendRecords(ctx context.Context, fx domain.SendRecords) domain.Answered {
	fail := func(err error) domain.Answered { return answered(fx.Tag, fx.Peer.Code, nil, err) }
	n, err := t.reach(ctx, fx.Peer)
	if err != nil {
		return fail(err)
	}
	all := &manscdp.RecordInfoResponse{Head: manscdp.Head{SN: formatSN(fx.SN), DeviceID: string(fx.Channel)}, Name: fx.Name,
		Extra: extraOf(fx.Asker, fx.Owner)}
	all.Records = make([]manscdp.Record, len(fx.Records))
	for i, rec := range fx.Records {
		all.Records[i] = recordFrom(rec, fx.Name)
	}
	pages, err := all.Pages(n.profile(), t.room(n, stack.MESSAGE))
	if err != nil {
		return fail(err)
	}
	for _, page := range pages { // these may be only some of all
		page.SumNum = max(fx.Sum, len(fx.Records))
	}
	res, err := sendPages(ctx, pages, t.one(fx.Peer))
	return answered(fx.Tag, fx.Peer.Code, res, err)
}

// sendChanges sends NOTIFY in a subscription, or outside of any, as several platforms
// push; a peer that has no use for that method then gets the same by MESSAGE.
func (t *Transceiver) sendChanges(ctx context.Context, fx domain.SendChanges, s *subscription) domain.Answered {
	switch {
	case s != nil:
		return t.sendInDialog(ctx, fx, s)
	case fx.Dialog != 0:
		return gone(fx.Tag)
	}
	fail := func(err error) domain.Answered { return answered(fx.Tag, fx.Peer.Code, nil, err) }
	n, err := t.reach(ctx, fx.Peer)
	if err != nil {
		return fail(err)
	}
	pages, err := t.changePages(fx, n, t.room(n, stack.NOTIFY))
	if err != nil {
		return fail(err)
	}
	res, err := sendPages(ctx, pages, func(ctx context.Context, m manscdp.Message) (*stack.Response, error) {
		return t.notify(ctx, fx.Peer, m)
	})
	return answered(fx.Tag, fx.Peer.Code, res, err)
}

// changePages returns changes as bodies of at most limit bytes.
func (t *Transceiver) changePages(fx domain.SendChanges, n neighbour, limit int) ([]*manscdp.CatalogNotify, error) {
	all := &manscdp.CatalogNotify{Head: manscdp.Head{SN: t.serial(), DeviceID: string(fx.Target)}}
	for i, it := range fx.Items {
		m := itemFrom(it)
		if i < len(fx.Events) && int(fx.Events[i]) < len(wireEvents()) {
			m.Event = wireEvents()[fx.Events[i]]
		}
		all.Items = append(all.Items, m)
	}
	pages, err := all.Pages(n.profile(), limit)
	for _, page := range pages {
		page.SN = t.serial()
	}
	return pages, err
}

func (t *Transceiver) notify(ctx context.Context, to domain.PeerRef, m manscdp.Message) (*stack.Response, error) {
	n, err := t.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	body, err := manscdp.Encode(m, n.profile())
	if err != nil {
		return nil, err
	}
	res, err := t.deliver(ctx, n, func() *stack.Request {
		req := t.request(t.draft(stack.NOTIFY, n.at, n.cfg.Code), body, manscdpType)
		add(req, "Event", "Catalog")
		add(req, "Subscription-State", "active")
		return req
	})
	if err != nil {
		return nil, err
	}
	switch res.StatusCode {
	case 405, 481, 489, 501:
		return t.message(ctx, to, m)
	}
	return res, nil
}
