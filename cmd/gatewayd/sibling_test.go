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

const (
	secondCode = domain.Code("33010700002000000001")
	madeUp     = domain.Code("33019900001320000009")
)

// A prober is a lower that is registered, and asks its upper for what lowers do not ask.
type prober struct {
	*sip.Transceiver
	t        *testing.T
	answered chan domain.Answered
	told     chan domain.Event // whatever else came
	tag      domain.Tag
}

func probing(t *testing.T, upper string) *prober {
	t.Helper()
	p := &prober{t: t, answered: make(chan domain.Answered, 16), told: make(chan domain.Event, 1024)}
	post := func(ev domain.Event) bool {
		switch ev := ev.(type) {
		case domain.Answered:
			p.answered <- ev
		case domain.KeepaliveIn:
			p.Answer(domain.Reply{Ref: ev.Ref})
		case domain.QueryIn: // of its own catalogue
			p.Answer(domain.Reply{Ref: ev.Ref})
		case domain.OptionsIn:
		default:
			p.told <- ev
		}
		return true
	}
	var err error
	p.Transceiver, err = sip.New(sip.Config{Self: secondCode, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Caps: 0xFF, Post: post,
		Peers: []sip.Peer{{Code: cityCode, Role: domain.Upper, Address: upper, Password: "hidden-2"}}, Log: slog.New(slog.DiscardHandler)})
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
	if _, err := p.Addr(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := p.ask(func(tag domain.Tag) domain.Effect {
		return domain.Register{Tag: tag, Peer: cityCode, Expires: time.Hour, Caps: 0xFF}
	}); a.Status != 200 {
		t.Fatalf("register: %+v", a)
	}
	return p
}

// ask sends a request and returns its answer without its tag.
func (p *prober) ask(request func(domain.Tag) domain.Effect) domain.Answered {
	p.t.Helper()
	p.tag++
	p.Send(request(p.tag))
	select {
	case a := <-p.answered:
		if a.Tag != p.tag {
			p.t.Fatalf("answer %+v to request %d", a, p.tag)
		}
		a.Tag = 0
		return a
	case <-time.After(40 * time.Second):
		p.t.Fatal("no answer")
		return domain.Answered{}
	}
}

// everything asks for all there is to ask about an id, and returns the answers.
func (p *prober) everything(id domain.Code) (answers []domain.Answered) {
	p.t.Helper()
	ref, in := domain.PeerRef{Code: cityCode, Role: domain.Upper}, domain.Range{From: time.Unix(1_772_000_000, 0), To: time.Unix(1_772_003_600, 0)}
	for _, kind := range []domain.QueryKind{domain.QueryCatalog, domain.QueryDeviceInfo, domain.QueryDeviceStatus, domain.QueryRecords} {
		answers = append(answers, p.ask(func(tag domain.Tag) domain.Effect {
			return domain.Query{Tag: tag, Peer: ref, Kind: kind, SN: int(tag), Target: domain.NodeID(id), Range: in}
		}))
	}
	for _, kind := range []domain.Kind{domain.Live, domain.Playback} {
		answers = append(answers, p.ask(func(tag domain.Tag) domain.Effect {
			return domain.Invite{Tag: tag, Peer: ref, Channel: id, Kind: kind, Range: in, Stream: fmt.Sprintf("%s:%d", id, tag),
				Deadline: time.Now().Add(10 * time.Second), Offer: domain.Endpoint{Host: "127.0.0.1", Port: 29000, SSRC: 1}}
		}))
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
	await(t, "the city knows the district's channel", func() bool {
		var all []api.Channel
		err := city.client.Get(t.Context(), api.PathChannels, nil, &all)
		for _, c := range all {
			if c.ID == string(camera1) && c.Owner == districtCode {
				return true
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return false
	})
	p := probing(t, city.sip)
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
	select {
	case ev := <-p.told:
		t.Errorf("it was told %+v", ev)
	default:
	}
}
