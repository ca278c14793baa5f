package main

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/sip"
)

const (
	secondCode = domain.Code("33010700002000000001")
	madeUp     = domain.Code("33019900001320000009")
)

// everything asks for all there is to ask about an id, and returns the answers without
// their tags.
func (p *product) everything(id domain.Code) (answers []domain.Answered) {
	p.t.Helper()
	probe := func(request func(domain.Tag) domain.Effect) {
		a := p.tryAsk(request)
		a.Tag = 0
		answers = append(answers, a)
	}
	ref, in := domain.PeerRef{Code: cityCode, Role: domain.Upper}, domain.Range{From: time.Unix(1_772_000_000, 0), To: time.Unix(1_772_003_600, 0)}
	for _, kind := range []domain.QueryKind{domain.QueryCatalog, domain.QueryDeviceInfo, domain.QueryDeviceStatus, domain.QueryRecords} {
		probe(func(tag domain.Tag) domain.Effect {
			return domain.Query{Tag: tag, Peer: ref, Kind: kind, SN: int(tag), Target: domain.NodeID(id), Range: in}
		})
	}
	for _, kind := range []domain.Kind{domain.Live, domain.Playback} {
		probe(func(tag domain.Tag) domain.Effect {
			return domain.Invite{Tag: tag, Peer: ref, Channel: id, Kind: kind, Range: in, Stream: fmt.Sprintf("%s:%d", id, tag),
				Deadline: time.Now().Add(10 * time.Second), Offer: domain.Endpoint{Host: "127.0.0.1", Port: 29000, SSRC: 1}}
		})
	}
	return answers
}

// TestLowerLearnsNothingOfAnotherOnTheWire: what another lower has, and whether that
// exists, is kept from a lower that is registered beside it.
func TestLowerLearnsNothingOfAnotherOnTheWire(t *testing.T) {
	city := launch(t, stateDir(t), cityCode, fmt.Sprintf("[[lower]]\nid = %q\npassword = \"hidden-1\"\n[[lower]]\nid = %q\npassword = \"hidden-2\"\n",
		districtCode, secondCode))
	defer city.stop()
	district := launch(t, stateDir(t), districtCode, fmt.Sprintf("[[upper]]\nid = %q\naddress = %q\npassword = \"hidden-1\"\n"+
		"[[encoder]]\nid = %q\nrtsp = \"rtsp://127.0.0.1:9/x\"\n[record]\nenabled = false\n", cityCode, city.sip, camera1))
	defer district.stop()
	await(t, "the city knows the district's channel", func() bool { return city.channel(camera1).Owner == districtCode })
	p := newProduct(t, sip.Config{Self: secondCode, Caps: 0xFF,
		Peers: []sip.Peer{{Code: cityCode, Role: domain.Upper, Address: city.sip, Password: "hidden-2"}}})
	p.ask(func(tag domain.Tag) domain.Effect {
		return domain.Register{Tag: tag, Peer: cityCode, Expires: time.Hour, Caps: 0xFF}
	})
	nothing := p.everything(madeUp)
	for i, a := range nothing {
		if a.Status != 403 || a.Reason != "Forbidden" || a.Level != cityCode {
			t.Errorf("request %d: %+v, want 403 of the city", i, a)
		}
	}
	for _, id := range []domain.Code{districtCode, camera1} {
		for i, a := range p.everything(id) {
			if fmt.Sprint(a) != fmt.Sprint(nothing[i]) {
				t.Errorf("request %d of %s is answered %+v, of what is not there %+v", i, id, a, nothing[i])
			}
		}
	}
	for len(p.events) > 0 {
		switch ev := (<-p.events).(type) {
		case domain.KeepaliveIn, domain.OptionsIn, domain.QueryIn: // of what is its own
		default:
			t.Errorf("it was told %+v", ev)
		}
	}
}
