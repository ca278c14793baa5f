package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/domain/sip"
)

// A product is a server of another maker: it announces nothing beyond the standard, and
// says yes to all that it is asked.
type product struct {
	*sip.Transceiver
	t        *testing.T
	at       netip.AddrPort
	events   chan domain.Event // but for answers
	answered chan domain.Answered
	tag      domain.Tag
}

func newProduct(t *testing.T, self domain.Code, peer sip.Peer) *product {
	t.Helper()
	p := &product{t: t, events: make(chan domain.Event, 1024), answered: make(chan domain.Answered, 16)}
	post := func(ev domain.Event) bool {
		if a, ok := ev.(domain.Answered); ok {
			p.answered <- a
			return true
		}
		switch ev := ev.(type) {
		case domain.RegisterIn:
			p.Answer(domain.ReplyRegister{Ref: ev.Ref, Expires: ev.Expires})
		case domain.SubscribeIn:
			p.Answer(domain.ReplySubscribe{Ref: ev.Ref, Expires: ev.Expires})
		case domain.KeepaliveIn:
			p.Answer(domain.Reply{Ref: ev.Ref})
		case domain.QueryIn:
			p.Answer(domain.Reply{Ref: ev.Ref})
		case domain.CatalogIn:
			p.Answer(domain.Reply{Ref: ev.Ref})
		}
		p.events <- ev // after the answer, by which it knows where a lower is and what a dialog is
		return true
	}
	var err error
	p.Transceiver, err = sip.New(sip.Config{Self: self, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Post: post,
		Peers: []sip.Peer{peer}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if p.at, err = p.Addr(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// hear returns the next event of a type that is wanted, passing over others.
func hear[E domain.Event](p *product, wanted func(E) bool) E {
	p.t.Helper()
	late := time.After(40 * time.Second)
	for {
		select {
		case ev := <-p.events:
			if e, ok := ev.(E); ok && wanted(e) {
				return e
			}
		case <-late:
			var none E
			p.t.Fatalf("no %T", none)
			return none
		}
	}
}

// ask sends a request, which must be accepted.
func (p *product) ask(request func(domain.Tag) domain.Effect) domain.Answered {
	p.t.Helper()
	p.tag++
	p.Send(request(p.tag))
	select {
	case a := <-p.answered:
		if a.Status != 200 || a.Tag != p.tag {
			p.t.Fatalf("%+v", a)
		}
		return a
	case <-time.After(40 * time.Second):
		p.t.Fatal("no answer")
		return domain.Answered{}
	}
}

// channel returns what the daemon shows of a channel, if it does.
func (r *running) channel(id domain.Code) (c api.Channel) {
	r.t.Helper()
	var all []api.Channel
	if err := r.client.Get(r.t.Context(), api.PathChannels, nil, &all); err != nil {
		r.t.Fatal(err)
	}
	for _, c := range all {
		if c.ID == string(id) {
			return c
		}
	}
	return c
}

// TestStandardUpperSubscribesAtTheDaemon: it is told what is off, and what becomes of it.
func TestStandardUpperSubscribesAtTheDaemon(t *testing.T) {
	lower := domain.PeerRef{Code: districtCode, Role: domain.Lower}
	up := newProduct(t, cityCode, sip.Peer{Code: districtCode, Role: domain.Lower, Password: "hidden-1"})
	district := launch(t, stateDir(t), districtCode, fmt.Sprintf("[[upper]]\nid = %q\naddress = %q\npassword = \"hidden-1\"\n"+
		"[[encoder]]\nid = %q\nrtsp = \"rtsp://127.0.0.1:9/x\"\n[record]\nenabled = false\n", cityCode, up.at, camera1))
	defer district.stop()
	hear(up, func(domain.RegisterIn) bool { return true })
	district.until("it knows its channel", func() bool { return district.channel(camera1).ID != "" })
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
	low := newProduct(t, secondCode, sip.Peer{Code: cityCode, Role: domain.Upper, Address: city.sip, Password: "hidden-2"})
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
