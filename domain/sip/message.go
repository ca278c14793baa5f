package sip

import (
	"context"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// messageIn takes a MESSAGE or NOTIFY, in its turn. The body decides what it is, not the method:
// peers send changes of the catalogue by either.
func (t *Transceiver) messageIn(r *request) {
	t.gate.turns.inTurn(r, func() { t.bodyIn(r) })
}

func (t *Transceiver) bodyIn(r *request) {
	t.noticeIn(r)
	defer t.noticeEnd(r)
	if len(r.Body()) == 0 { // a NOTIFY that only tells how the subscription stands
		t.respond(r, 200, "", nil)
		return
	}
	m, event, err := t.read(r)
	switch {
	case err != nil:
		t.refuseFor(r, err, "")
	case event == nil:
		t.unserved(r, m)
	default:
		t.ask(pendingOf(r, m), event)
	}
}

// pendingOf returns how a message waits for the processor.
func pendingOf(r *request, m manscdp.Message) *pending {
	w := &pending{r: r}
	switch m.(type) {
	case *manscdp.Keepalive:
		w.beat = true
	case *manscdp.DeviceControl:
		w.wait = controlWait
	}
	return w
}

// read decodes the body of r and translates it.
func (t *Transceiver) read(r *request) (manscdp.Message, func(domain.Ref) domain.Event, error) {
	if len(r.Body()) > bulky {
		t.gate.ledger.bulk.Lock()
		defer t.gate.ledger.bulk.Unlock()
	}
	n, _ := t.book.caller(r.origin.From, false)
	m, err := manscdp.DecodeAs(r.Body(), n.cfg.Charset)
	if err != nil {
		return nil, nil, err
	}
	event, err := t.translate(r, m)
	return m, event, err
}

// translate returns what m means to the processor, nil if nothing. An error is a
// *SyntaxError.
func (t *Transceiver) translate(r *request, m manscdp.Message) (func(domain.Ref) domain.Event, error) {
	switch m := m.(type) {
	case *manscdp.Keepalive:
		return keepaliveIn(r, m)
	case *manscdp.CatalogQuery:
		return queryIn(r, domain.QueryCatalog, m.Header())
	case *manscdp.DeviceInfoQuery:
		return queryIn(r, domain.QueryDeviceInfo, m.Header())
	case *manscdp.DeviceStatusQuery:
		return queryIn(r, domain.QueryDeviceStatus, m.Header())
	case *manscdp.RecordInfoQuery:
		return recordsAsked(r, m)
	case *manscdp.CatalogResponse:
		return catalogIn(r, m)
	case *manscdp.CatalogNotify:
		return changesIn(r, m)
	case *manscdp.RecordInfoResponse:
		return recordsIn(r, m)
	case *manscdp.DeviceInfoResponse:
		return answerIn(m.Header(), func(ref domain.Ref, sn int, id domain.NodeID) domain.Event {
			return domain.DeviceInfoIn{Ref: ref, Origin: r.origin, SN: sn, Info: infoOf(m, id)}
		})
	case *manscdp.DeviceStatusResponse:
		return answerIn(m.Header(), func(ref domain.Ref, sn int, id domain.NodeID) domain.Event {
			return domain.DeviceStatusIn{Ref: ref, Origin: r.origin, SN: sn, State: stateOf(m, id)}
		})
	case *manscdp.MediaStatus:
		return t.mediaStatusIn(r, m)
	case *manscdp.DeviceControl:
		return t.controlIn(r, m)
	}
	return nil, nil
}

func keepaliveIn(r *request, m *manscdp.Keepalive) (func(domain.Ref) domain.Event, error) {
	if _, err := nodeOf(m.Header()); err != nil {
		return nil, err
	}
	ev := domain.KeepaliveIn{Origin: r.origin, Fault: m.Fault || m.Off}
	for _, s := range m.Faulty {
		if id, ok := parseNode(s); ok {
			ev.Faulty = append(ev.Faulty, id)
		}
	}
	return func(ref domain.Ref) domain.Event { ev.Ref = ref; return ev }, nil
}

// controlIn reads what a device is to do. Of all commands only those that move a camera
// and the request for a key frame are passed on.
func (t *Transceiver) controlIn(r *request, m *manscdp.DeviceControl) (func(domain.Ref) domain.Event, error) {
	switch command := m.Command.(type) {
	case *manscdp.PTZCommand:
		return t.ptzIn(r, m, command.Hex)
	case *manscdp.KeyFrame:
		return answerIn(m.Header(), func(ref domain.Ref, _ int, id domain.NodeID) domain.Event {
			return domain.KeyFrameIn{Ref: ref, Origin: r.origin, Target: id}
		})
	}
	return nil, nil
}

// answerIn reads what every body has and leaves the rest to event.
func answerIn(h *manscdp.Head, event func(domain.Ref, int, domain.NodeID) domain.Event) (func(domain.Ref) domain.Event, error) {
	sn, err := parseSN(h.SN)
	if err != nil {
		return nil, err
	}
	id, err := nodeOf(h)
	if err != nil {
		return nil, err
	}
	return func(ref domain.Ref) domain.Event { return event(ref, sn, id) }, nil
}

func queryIn(r *request, kind domain.QueryKind, h *manscdp.Head) (func(domain.Ref) domain.Event, error) {
	return answerIn(h, func(ref domain.Ref, sn int, id domain.NodeID) domain.Event {
		return domain.QueryIn{Ref: ref, Origin: r.origin, Kind: kind, SN: sn, Target: id}
	})
}

func catalogIn(r *request, m *manscdp.CatalogResponse) (func(domain.Ref) domain.Event, error) {
	return answerIn(m.Header(), func(ref domain.Ref, sn int, _ domain.NodeID) domain.Event {
		ev := domain.CatalogIn{Ref: ref, Origin: r.origin, SN: sn, Sum: m.SumNum}
		for i := range m.Items {
			if it, ok := itemOf(&m.Items[i]); ok {
				ev.Items = append(ev.Items, it)
			}
		}
		return ev
	})
}

// changesIn reads changes; one without a known event is an update. Their SN is the
// sender's own count, which some leave out.
func changesIn(r *request, m *manscdp.CatalogNotify) (func(domain.Ref) domain.Event, error) {
	sn, _ := parseSN(m.SN)
	ev := domain.CatalogIn{Origin: r.origin, SN: sn, Notify: true}
	for i := range m.Items {
		it, ok := itemOf(&m.Items[i])
		if !ok {
			continue
		}
		what, known := eventOf(m.Items[i].Event)
		if !known {
			what = domain.ItemUpdated
		}
		ev.Items, ev.Events = append(ev.Items, it), append(ev.Events, what)
	}
	ev.Sum = len(ev.Items)
	return func(ref domain.Ref) domain.Event { ev.Ref = ref; return ev }, nil
}

func recordsIn(r *request, m *manscdp.RecordInfoResponse) (func(domain.Ref) domain.Event, error) {
	channel, err := domain.ParseCode(m.DeviceID)
	if err != nil {
		return nil, &SyntaxError{0, "DeviceID", "20 digits"}
	}
	return answerIn(m.Header(), func(ref domain.Ref, sn int, _ domain.NodeID) domain.Event {
		ev := domain.RecordsIn{Ref: ref, Origin: r.origin, SN: sn, Sum: m.SumNum, Channel: channel}
		ev.Asker, ev.Owner = parseExtra(m.Extra)
		for i := range m.Records {
			if rec, ok := recordOf(&m.Records[i], channel); ok {
				ev.Records = append(ev.Records, rec)
			}
		}
		return ev
	})
}

// mediaStatusIn reads the end of a playback: of the dialog it came in, else of its
// channel. Other notices than the end mean nothing.
func (t *Transceiver) mediaStatusIn(r *request, m *manscdp.MediaStatus) (func(domain.Ref) domain.Event, error) {
	if m.NotifyType != manscdp.EndOfFile {
		return nil, nil
	}
	channel, err := domain.ParseCode(m.DeviceID)
	if err != nil {
		return nil, &SyntaxError{0, "DeviceID", "20 digits"}
	}
	ev := domain.MediaStatusIn{Origin: r.origin, Channel: channel}
	if c := t.calls.find(r.CallID().Value()); c != nil && c.with(r) {
		// In a dialog From is the channel (the called side of the INVITE): the peer is
		// whose dialog it is. Its address is judged as ever.
		ev.Dialog, ev.Origin.From = c.dialog, c.peer.Code
		ev.Origin.Proved = t.book.proves(time.Now(), c.peer.Code, r.at)
	}
	return func(ref domain.Ref) domain.Event { ev.Ref = ref; return ev }, nil
}

// unserved answers a command that the processor knows nothing of: 200, and a
// response with Result ERROR if the standard wants one (GB/T 28181-2022 clause 9
// and Annex A: every query and configuration, and the controls that are
// acknowledged). Strangers get 403.
func (t *Transceiver) unserved(r *request, m manscdp.Message) {
	if !r.origin.Proved {
		t.refuseFor(r, domain.ErrDenied, "")
		return
	}
	root, cmd := manscdp.NameOf(m)
	wanted := root == manscdp.Query || root == manscdp.Control
	if control, ok := m.(*manscdp.DeviceControl); ok {
		wanted = control.Command != nil && control.Command.Answered()
	}
	t.respond(r, 200, "", nil)
	if !wanted {
		return
	}
	n, ok := t.book.caller(r.origin.From, true)
	if !ok {
		return
	}
	head := manscdp.Head{SN: m.Header().SN, DeviceID: m.Header().DeviceID}
	answer := &manscdp.Unknown{Head: head, Root: manscdp.Response, CmdType: cmd, Result: manscdp.ResultError}
	t.spawn(func(ctx context.Context) { t.message(ctx, n.ref(), answer) })
}
