package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/domain/sip"
)

// TestMain is also the child process of a volume, as the daemon is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == volumeRole {
		os.Exit(volumeCommand())
	}
	os.Exit(m.Run())
}

// await polls until what other goroutines or processes bring about.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !done(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

const (
	cityCode     = "33010000002000000001"
	districtCode = "33010600002000000001"
)

// A running is a whole daemon in this process, on loopback.
type running struct {
	*gateway
	t      *testing.T
	client *api.Client
	sip    string // its address
	stop   func()
}

// launch starts one with a configuration and a state directory. Changes are of what
// no file can say.
func launch(t *testing.T, dir, id, text string, changes ...func(*config.File)) *running {
	t.Helper()
	head := fmt.Sprintf("[server]\nid = %q\nstate = %q\nlisten = \"127.0.0.1:1\"\n[discovery]\nenabled = false\n", id, dir)
	file, err := config.Parse([]byte(head + text))
	if err != nil {
		t.Fatal(err)
	}
	file.Server.Listen = "127.0.0.1:0" // any
	for _, change := range changes {
		change(&file)
	}
	g, err := wire(t.Context(), file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	r := &running{gateway: g, t: t, client: api.NewClient(file.Server.ControlSocket())}
	r.stop = func() {
		r.client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	at, err := g.sip.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.sip = at.String()
	await(t, "it answers", func() bool { return r.client.Get(t.Context(), api.PathVersion, nil, &api.Version{}) == nil })
	return r
}

// peer returns the first neighbour.
func (r *running) peer() api.Peer {
	r.t.Helper()
	var all []api.Peer
	if err := r.client.Get(r.t.Context(), api.PathPeers, nil, &all); err != nil || len(all) != 1 {
		r.t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

func (r *running) join() {
	r.t.Helper()
	var p api.Peer
	if err := r.client.Post(r.t.Context(), api.PathJoin+cityCode, nil, &p); err != nil || p.State != "online" {
		r.t.Fatalf("%+v, %v", p, err)
	}
}

// stateDir is short enough for a Unix socket in it.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
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

// A product is a server that a test plays: it says yes to all that it is asked, and
// announces nothing beyond the standard unless its configuration says so.
type product struct {
	*sip.Transceiver
	t        *testing.T
	at       netip.AddrPort
	events   chan domain.Event // but for answers
	answered chan domain.Answered
	tag      domain.Tag
}

func newProduct(t *testing.T, cfg sip.Config) *product {
	t.Helper()
	p := &product{t: t, events: make(chan domain.Event, 1024), answered: make(chan domain.Answered, 16)}
	cfg.Listen, cfg.Log = netip.MustParseAddrPort("127.0.0.1:0"), slog.New(slog.DiscardHandler)
	cfg.Post = func(ev domain.Event) bool {
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
	p.Transceiver, err = sip.New(cfg)
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
	a := p.tryAsk(request)
	if a.Status != 200 {
		p.t.Fatalf("%+v", a)
	}
	return a
}

// tryAsk sends a request and returns its answer, whatever that is.
func (p *product) tryAsk(request func(domain.Tag) domain.Effect) domain.Answered {
	p.t.Helper()
	p.tag++
	p.Send(request(p.tag))
	select {
	case a := <-p.answered:
		if a.Tag != p.tag {
			p.t.Fatalf("answer %+v to request %d", a, p.tag)
		}
		return a
	case <-time.After(40 * time.Second):
		p.t.Fatal("no answer")
		return domain.Answered{}
	}
}
