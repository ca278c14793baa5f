package domain_test

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

const nobody = domain.Code("33019900001320000009") // has no owner anywhere

// siblings is a city with two districts, one of which asks for what the other has.
func siblings(t *testing.T) (*levels, *domaintest.Node) {
	l := newLevels(8)
	second := l.Add(secondID)
	l.Join(second, l.city)
	second.Devices(camera("33010300001320000001", "hall"))
	l.city.Keep = true
	online(t, l)
	l.Run(time.Minute)
	return l, second
}

// TestLowerLearnsNothingOfAnother: whatever a registered lower asks its upper for, it
// is refused in the same words, whether that exists or not, and nothing else happens.
func TestLowerLearnsNothingOfAnother(t *testing.T) {
	l, second := siblings(t)
	from := domain.Origin{From: second.Code, Address: "udp:10.0.0.4:5060", Proved: true}
	if got := l.city.Link(secondID, domain.Lower); got.State != domain.LinkOnline || got.Address != from.Address {
		t.Fatalf("not registered: %+v", got)
	}
	ref := domain.Ref(1 << 40)
	for _, id := range []domain.Code{nobody, districtID, gate, "33010200001110000001", "33010200002150000001", cityID, provinceID, secondID, "33010300001320000001"} {
		for _, kind := range []domain.QueryKind{domain.QueryCatalog, domain.QueryDeviceInfo, domain.QueryDeviceStatus, domain.QueryRecords} {
			ref++
			ev := domain.QueryIn{Ref: ref, Origin: from, Kind: kind, SN: 7, Target: domain.NodeID(id), Range: morning}
			if out := l.city.Core().Step(l.Now, ev); fmt.Sprint(out) != fmt.Sprint([]domain.Effect{domain.Reply{Ref: ref, Err: domain.ErrDenied}}) {
				t.Errorf("query %d of %s: %+v", kind, id, out)
			}
		}
		for _, kind := range []domain.Kind{domain.Live, domain.Playback, domain.Download, domain.Talk} {
			ev := domain.InviteIn{Dialog: 1 << 40, Origin: from, Channel: id, Kind: kind, Range: morning, Offer: domain.Endpoint{Host: "10.0.0.4", Port: 9000}}
			if out := l.city.Core().Step(l.Now, ev); fmt.Sprint(out) != fmt.Sprint([]domain.Effect{domain.RefuseInvite{Dialog: 1 << 40, Err: domain.ErrDenied}}) {
				t.Errorf("%s of %s: %+v", kind, id, out)
			}
		}
	}
	for _, id := range []domain.Code{"", nobody, districtID, gate, cityID, secondID} {
		ref++
		ev := domain.SubscribeIn{Ref: ref, Dialog: 1 << 41, Origin: from, Target: domain.NodeID(id), Expires: time.Minute}
		if out := l.city.Core().Step(l.Now, ev); fmt.Sprint(out) != fmt.Sprint([]domain.Effect{domain.ReplySubscribe{Ref: ref, Err: domain.ErrDenied}}) {
			t.Errorf("subscription to %s: %+v", id, out)
		}
	}
	l.Run(time.Minute)
	shown := 0
	for _, fx := range l.city.Effects {
		switch told(fx) {
		case second.Code:
			t.Errorf("the city told it %+v", fx)
		case provinceID:
			shown++
		}
	}
	if shown == 0 {
		t.Error("the city told its upper nothing")
	}
}

// told returns whom an effect tells something of the catalogue or of recordings.
func told(fx domain.Effect) domain.Code {
	switch fx := fx.(type) {
	case domain.SendCatalog:
		return fx.Peer.Code
	case domain.SendChanges:
		return fx.Peer.Code
	case domain.SendRecords:
		return fx.Peer.Code
	case domain.SendInfo:
		return fx.Peer.Code
	case domain.SendState:
		return fx.Peer.Code
	case domain.Invite:
		return fx.Peer.Code
	}
	return ""
}
