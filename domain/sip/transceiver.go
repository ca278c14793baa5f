package sip

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

const ourVersion = "3.0" // X-GB-Ver: GB/T 28181-2022

// A Transceiver is the [domain.Transceiver] for SIP. Its methods may be called from
// any goroutine.
type Transceiver struct {
	cfg      Config
	log      *slog.Logger
	net      sockets
	book     *book
	gate     *gate
	counts   *counts
	pendings pendings
	calls    calls
	subs     subscriptions
	enrol    map[domain.Code]*enrolment
	number   atomic.Uint64 // given out last: Ref, Dialog, SN, CSeq
	ready    chan struct{} // closed when wires are open

	mu    sync.Mutex
	state lifecycle
	wires *wires // set before ready is closed
}

// A lifecycle is whether goroutines may start, and what they wait for. [Transceiver.mu] guards it
// but for group.
type lifecycle struct {
	ctx   context.Context // nil: not running
	ended bool
	group sync.WaitGroup
}

// New returns a transceiver that starts nothing. The error joins every fault of cfg.
func New(cfg Config) (*Transceiver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tune()
	if cfg.MaxTransactions == 0 {
		cfg.MaxTransactions = 16384 + 64*len(cfg.Peers)
	}
	t := &Transceiver{cfg: cfg, log: cfg.Log, net: systemSockets(), book: newBook(cfg), counts: new(counts),
		enrol: make(map[domain.Code]*enrolment), ready: make(chan struct{})}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.cfg.UserAgent = clean(cfg.UserAgent, 64)
	t.gate = &gate{book: t.book, turnstile: newTurnstile(cfg.Self.Realm()),
		strangers: newLimiter[netip.Addr](strangerRate, strangerBurst), failures: newLimiter[culprit](failureRate, failureBurst),
		suspects: newLimiter[domain.Code](suspectRate, 1),
		parser:   stack.NewParser(func(p *stack.Parser) { p.MaxMessageLength = maxMessage + maxHead }),
		agent:    t.cfg.UserAgent, ledger: newLedger(), turns: newTurns(), most: int64(cfg.MaxTransactions), counts: t.counts}
	t.pendings.waiting = make(map[domain.Ref]*pending)
	t.calls.init()
	t.subs.init()
	for _, p := range cfg.Peers {
		if p.Role == domain.Upper {
			t.enrol[p.Code] = &enrolment{}
		}
	}
	return t, nil
}

// Run listens on UDP and TCP and carries messages until ctx ends or a socket
// fails. It owns every goroutine, and returns when the last has gone; requests still
// unanswered then are told as Answered without a status. It runs once.
func (t *Transceiver) Run(ctx context.Context) error {
	w, err := t.open()
	if err != nil {
		return fmt.Errorf("listen on %s: %w", t.cfg.Listen, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.mu.Lock()
	t.state.ctx, t.wires = ctx, w
	t.mu.Unlock()
	t.log.Info("signalling started", "address", w.at.String())
	var announce sync.WaitGroup
	announce.Go(func() { t.announce(ctx, w) })
	err = w.serve(ctx, t.drain)
	cancel() // a socket may have failed
	announce.Wait()
	return err
}

// announce lets requests go once sipgo knows the sockets; earlier it would open others.
func (t *Transceiver) announce(ctx context.Context, w *wires) {
	for _, known := range []chan struct{}{w.packets.reading, w.streams.ready} {
		select {
		case <-known:
		case <-ctx.Done():
			return
		}
	}
	close(t.ready)
	t.resolve()
}

// resolve finds out where the uppers are that are configured by name. One that was
// left is never registered with, and has to be known when it speaks (KA-506).
func (t *Transceiver) resolve() {
	for _, p := range t.cfg.Peers {
		if n, _ := t.book.find(p.ref()); p.Role != domain.Upper || n.at.addr.IsValid() {
			continue
		}
		t.spawn(func(ctx context.Context) {
			if _, err := t.book.locate(ctx, p.ref(), false); err != nil {
				t.log.Warn("upper cannot be found", "peer", string(p.Code), "err", err)
			}
		})
	}
}

// drain ends what begin let in: no more of it, and what is under way sees its
// context end.
func (t *Transceiver) drain() {
	t.mu.Lock()
	t.state.ended = true
	t.mu.Unlock()
	t.pendings.drop()
	t.state.group.Wait()
}

// Addr returns where Run listens, waiting until it does. The error is ctx's.
func (t *Transceiver) Addr(ctx context.Context) (netip.AddrPort, error) {
	select {
	case <-t.ready:
		return t.wires.at, nil
	case <-ctx.Done():
		return netip.AddrPort{}, ctx.Err()
	}
}

// listening reports whether requests can go.
func (t *Transceiver) listening() bool {
	select {
	case <-t.ready:
		return true
	default:
		return false
	}
}

// begin enters what Run waits for, and reports false when it has ended or not begun.
func (t *Transceiver) begin() (context.Context, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.ctx == nil || t.state.ended {
		return nil, false
	}
	t.state.group.Add(1)
	return t.state.ctx, true
}

// spawn runs f on a goroutine that Run waits for; f is to end with its context. It
// reports false if Run does not run.
func (t *Transceiver) spawn(f func(context.Context)) bool {
	ctx, ok := t.begin()
	if ok {
		go func() {
			defer t.state.group.Done()
			f(ctx)
		}()
	}
	return ok
}

func (t *Transceiver) next() uint64 { return t.number.Add(1) }

// Send performs a request effect, Register to SendMediaStatus. It does not block;
// the outcome is posted as domain.Answered.
func (t *Transceiver) Send(fx domain.Effect) {
	tag, work := t.plan(fx)
	if work == nil {
		return
	}
	sent := t.spawn(func(ctx context.Context) {
		select {
		case <-t.ready:
			t.cfg.Post(work(ctx))
		case <-ctx.Done():
			t.cfg.Post(failed(tag, errStopped))
		}
	})
	if !sent {
		t.cfg.Post(failed(tag, errStopped))
	}
}

// plan returns what an effect takes to be done. A call is entered at once, so that
// what follows in the same step finds it.
func (t *Transceiver) plan(fx domain.Effect) (domain.Tag, func(context.Context) domain.Answered) {
	type work = func(context.Context) domain.Answered
	switch fx := fx.(type) {
	case domain.Register:
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.register(ctx, fx) }
	case domain.Probe:
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.probe(ctx, fx) }
	case domain.SendCatalog:
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.sendCatalog(ctx, fx) }
	case domain.SendRecords:
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.sendRecords(ctx, fx) }
	case domain.SendChanges:
		s := t.subs.get(fx.Dialog)
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.sendChanges(ctx, fx, s) }
	case domain.Subscribe:
		return fx.Tag, t.subscribe(fx)
	case domain.EndSubscription:
		t.endSubscription(fx)
		return 0, nil
	case domain.Keepalive:
		return fx.Tag, t.single(fx.Tag, fx.Peer, t.keepalive(fx))
	case domain.Query:
		return fx.Tag, t.query(fx)
	case domain.SendInfo:
		return fx.Tag, t.single(fx.Tag, fx.Peer, infoResponse(fx))
	case domain.SendState:
		return fx.Tag, t.single(fx.Tag, fx.Peer, stateResponse(fx))
	case domain.Invite:
		c := t.newOutgoing(fx)
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.invite(ctx, c, fx) }
	case domain.Bye:
		return fx.Tag, t.bye(fx)
	case domain.Control:
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.control(ctx, fx) }
	case domain.AskKeyFrame:
		return fx.Tag, t.single(fx.Tag, fx.Peer, keyFrameOrder(fx))
	case domain.AskPTZ:
		return fx.Tag, t.askPTZ(fx)
	case domain.SendMediaStatus:
		return fx.Tag, func(ctx context.Context) domain.Answered { return t.mediaStatus(ctx, fx) }
	case domain.Cancel:
		t.cancel(fx.Invite)
		return 0, nil
	}
	t.log.Error("effect is none of the transceiver's", "effect", fmt.Sprintf("%T", fx))
	return 0, work(nil)
}

// Answer performs an answer effect, Reply to RefuseInvite. It does not block. An
// answer to what was answered already, or given up by its sender, does nothing.
func (t *Transceiver) Answer(fx domain.Effect) {
	switch fx := fx.(type) {
	case domain.Reply:
		t.reply(fx)
	case domain.ReplyRegister:
		t.replyRegister(fx)
	case domain.ReplySubscribe:
		t.replySubscribe(fx)
	case domain.AnswerInvite:
		t.answerInvite(fx)
	case domain.RefuseInvite:
		t.refuseInvite(fx)
	default:
		t.log.Error("effect is none of the transceiver's", "effect", fmt.Sprintf("%T", fx))
	}
}

// failed is the outcome of a request that got no answer.
func failed(tag domain.Tag, err error) domain.Answered {
	return domain.Answered{Tag: tag, Reason: err.Error()}
}

// local returns the address that we tell peers towards to; before Run, the one that
// is configured.
func (t *Transceiver) local(to netip.AddrPort) netip.AddrPort {
	at := t.cfg.Listen
	t.mu.Lock()
	if t.wires != nil {
		at = t.wires.at
	}
	t.mu.Unlock()
	switch {
	case t.cfg.Address.IsValid():
		return netip.AddrPortFrom(t.cfg.Address, at.Port())
	case !at.Addr().IsUnspecified():
		return at
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)) // sends nothing, asks the routes
	if err != nil {
		return at
	}
	defer c.Close()
	if own, ok := addrPort(c.LocalAddr()); ok {
		return netip.AddrPortFrom(own.Addr(), at.Port())
	}
	return at
}

// Stats are counts since New.
type Stats struct {
	Received   uint64 // requests served
	Sent       uint64 // requests sent, without retransmissions
	Challenged uint64 // registrations answered 401 without a transaction
	Failed     uint64 // registrations with wrong credentials
	Strangers  uint64 // other requests of unknown hosts, answered 403
	Limited    uint64 // messages or connections over a rate or limit, dropped
	Dropped    uint64 // messages dropped because too many were being served
	Refused    uint64 // events that the processor had no room for
	Junk       uint64 // what was no SIP
	Unsent     uint64 // answers that could not be written
	Serving    int64  // transactions now
}

type counts struct {
	received, sent, challenged, failed, strangers, limited, dropped, refused, junk, unsent atomic.Uint64
}

// Stats returns what was counted.
func (t *Transceiver) Stats() Stats {
	c := t.counts
	return Stats{c.received.Load(), c.sent.Load(), c.challenged.Load(), c.failed.Load(), c.strangers.Load(),
		c.limited.Load(), c.dropped.Load(), c.refused.Load(), c.junk.Load(), c.unsent.Load(), t.gate.serving.Load()}
}

// until is a timer's channel, nil for no instant.
func until(at time.Time) (<-chan time.Time, func()) {
	if at.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(at))
	return timer.C, func() { timer.Stop() }
}
