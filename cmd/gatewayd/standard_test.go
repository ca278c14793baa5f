package main

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/sip"
)

// TestStandardUpperSubscribesAtTheDaemon: it is told what is off, and what becomes of it.
func TestStandardUpperSubscribesAtTheDaemon(t *testing.T) {
	lower := domain.PeerRef{Code: districtCode, Role: domain.Lower}
	up := newProduct(t, sip.Config{Self: cityCode,
		Peers: []sip.Peer{{Code: districtCode, Role: domain.Lower, Password: "hidden-1"}}})
	district := launch(t, stateDir(t), districtCode, fmt.Sprintf("[[upper]]\nid = %q\naddress = %q\npassword = \"hidden-1\"\n"+
		"[[encoder]]\nid = %q\nrtsp = \"rtsp://127.0.0.1:9/x\"\n[record]\nenabled = false\n", cityCode, up.at, camera1))
	defer district.stop()
	hear(up, func(domain.RegisterIn) bool { return true })
	await(t, "it knows its channel", func() bool { return district.channel(camera1).ID != "" })
	up.ask(func(tag domain.Tag) domain.Effect {
		return domain.Query{Tag: tag, Peer: lower, Kind: domain.QueryCatalog, SN: 7, Target: districtCode}
	})
	hear(up, func(in domain.CatalogIn) bool { return !in.Notify && in.SN == 7 })
	a := up.ask(func(tag domain.Tag) domain.Effect {
		return domain.Subscribe{Tag: tag, Peer: lower, Target: districtCode, Expires: time.Minute}
	})
	in := hear(up, func(in domain.CatalogIn) bool { return in.Notify })
	if a.Expires != time.Minute || len(in.Items) != 1 || in.Items[0].ID != domain.NodeID(camera1) || in.Events[0] != domain.ItemOff {
		t.Errorf("%+v %+v", a, in)
	}
	up.ask(func(tag domain.Tag) domain.Effect {
		return domain.Subscribe{Tag: tag, Dialog: domain.Dialog(a.Tag), Peer: lower, Target: districtCode}
	})
	if over := hear(up, func(domain.SubscriptionOver) bool { return true }); over.Dialog != domain.Dialog(a.Tag) {
		t.Errorf("%+v", over)
	}
}

// TestDaemonSubscribesAtAStandardLower: once it has read what that has; what changes is
// shown at once.
func TestDaemonSubscribesAtAStandardLower(t *testing.T) {
	city := launch(t, stateDir(t), cityCode, fmt.Sprintf("[[lower]]\nid = %q\npassword = \"hidden-2\"\n", secondCode))
	defer city.stop()
	upper := domain.PeerRef{Code: cityCode, Role: domain.Upper}
	low := newProduct(t, sip.Config{Self: secondCode,
		Peers: []sip.Peer{{Code: cityCode, Role: domain.Upper, Address: city.sip, Password: "hidden-2"}}})
	low.ask(func(tag domain.Tag) domain.Effect {
		return domain.Register{Tag: tag, Peer: cityCode, Expires: time.Hour}
	})
	query := hear(low, func(in domain.QueryIn) bool { return in.Kind == domain.QueryCatalog })
	it := domain.Item{ID: domain.NodeID(camera1), Name: "gate", Status: domain.StatusOn, Region: "330107", Grassroots: "001203"}
	low.ask(func(tag domain.Tag) domain.Effect {
		return domain.SendCatalog{Tag: tag, Peer: upper, SN: query.SN, Target: query.Target, Items: []domain.Item{it}}
	})
	sub := hear(low, func(domain.SubscribeIn) bool { return true })
	if c := city.channel(camera1); !c.Online || c.Fifth != "330107001203" || sub.Expires != 10*time.Minute {
		t.Errorf("%+v %+v", c, sub)
	}
	low.ask(func(tag domain.Tag) domain.Effect {
		return domain.SendChanges{Tag: tag, Peer: upper, Target: sub.Target, Dialog: sub.Dialog, Left: time.Minute,
			Items: []domain.Item{{ID: it.ID}}, Events: []domain.ItemEvent{domain.ItemOff}}
	})
	if c := city.channel(camera1); c.Online || c.Name != "gate" {
		t.Errorf("%+v", c)
	}
}
