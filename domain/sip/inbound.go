package sip

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

const (
	decisionWait = 5 * time.Second  // for the processor to answer a request
	controlWait  = 30 * time.Second // for a command that goes down to the owner
	maxPendings  = 8192             // requests that wait for it
)

// A request is one received, with what is known of its sender.
type request struct {
	*stack.Request
	tx     *stack.ServerTx
	at     place
	origin domain.Origin
}

// handle takes a request from sipgo, on a goroutine of its own. What it does not
// answer at once waits in pendings or calls.
func (t *Transceiver) handle(req *stack.Request, tx *stack.ServerTx) {
	_, ok := t.begin()
	if !ok {
		tx.Terminate()
		return
	}
	defer t.state.group.Done()
	t.counts.received.Add(1)
	t.serve(req, tx)
	if req.Method == stack.ACK { // an ACK to a 2xx makes a transaction in sipgo; nothing ever ends it
		tx.Terminate()
	}
	r := &request{Request: req, tx: tx}
	if err := t.identify(r); err != nil {
		if req.Method != stack.ACK {
			t.refuse(r, 400, err.Error())
		}
		return
	}
	t.dispatch(r)
}

// serve counts a request until its transaction ends.
func (t *Transceiver) serve(req *stack.Request, tx *stack.ServerTx) {
	from, _ := netip.ParseAddrPort(req.Source())
	host, size := from.Addr().Unmap(), weigh(req)
	t.gate.serving.Add(1)
	t.gate.ledger.add(host, size)
	done := func() {
		t.gate.serving.Add(-1)
		t.gate.ledger.add(host, -size)
	}
	if !tx.OnTerminate(func(string, error) { done() }) {
		done()
	}
}

// identify reads who sent r. The error says which header is missing or wrong.
func (t *Transceiver) identify(r *request) error {
	if r.CallID() == nil || r.CSeq() == nil || r.From() == nil || r.To() == nil {
		return &SyntaxError{0, "request", "From, To, Call-ID and CSeq"}
	}
	if !strings.EqualFold(strings.TrimSpace(string(r.CSeq().MethodName)), string(r.Method)) {
		return &SyntaxError{0, "CSeq", string(r.Method)}
	}
	at, ok := parsePlace(r.Transport() + ":" + r.Source())
	if !ok {
		return fmt.Errorf("source %.60q is no address", r.Source())
	}
	from, err := codeOf(r.From().Address)
	if err != nil {
		return fmt.Errorf("header From: %w", err)
	}
	r.at = at
	r.origin = domain.Origin{From: from, Address: at.String(), Proved: t.book.proves(time.Now(), from, at)}
	return nil
}

func (t *Transceiver) dispatch(r *request) {
	switch r.Method {
	case stack.REGISTER:
		t.registerIn(r)
	case stack.MESSAGE, stack.NOTIFY:
		t.messageIn(r)
	case stack.INVITE:
		t.inviteIn(r)
	case stack.ACK:
		t.ackIn(r)
	case stack.BYE:
		t.byeIn(r)
	case stack.INFO:
		t.infoIn(r)
	case stack.OPTIONS:
		t.cfg.Post(domain.OptionsIn{Origin: r.origin})
		t.respond(r, 200, "", func(res *stack.Response) { add(res, "Allow", allowed) })
	case stack.CANCEL: // sipgo answers one that finds its INVITE
		t.refuse(r, 481, "")
	case stack.SUBSCRIBE:
		t.subscribeIn(r)
	default:
		t.respond(r, 405, "", func(res *stack.Response) { add(res, "Allow", allowed) })
	}
}

// infoIn takes a command to a playback that the peer began (GB/T 28181-2022 clause 9.8):
// 405 where there can be none, as in a live session or from the side that sends.
func (t *Transceiver) infoIn(r *request) {
	c := t.calls.find(r.CallID().Value())
	if c == nil || !c.with(r) || !c.agreed() {
		t.refuse(r, 481, "")
		return
	}
	if c.kind != domain.Playback || c.in == nil {
		t.respond(r, 405, "", func(res *stack.Response) { add(res, "Allow", allowed) })
		return
	}
	if kind := header(r, "Content-Type"); kind != "" && !strings.Contains(strings.ToUpper(kind), "MANSRTSP") {
		t.refuse(r, 415, "want "+mansrtspType)
		return
	}
	command, cseq, err := parseMANSRTSP(r.Body())
	if err != nil {
		t.refuseFor(r, err, "")
		return
	}
	ev := domain.ControlIn{Dialog: c.dialog, Command: command}
	if wait, ok := seconds(header(r, "Expires")); ok && wait > 0 {
		ev.Deadline = time.Now().Add(min(wait, controlWait))
	}
	w := &pending{r: r, wait: controlWait, body: func() (string, []byte) { return mansrtspType, obeyed(cseq) }}
	t.ask(w, func(ref domain.Ref) domain.Event { ev.Ref = ref; return ev })
}

// respond answers r finally or provisionally; no words stand for the usual ones.
func (t *Transceiver) respond(r *request, status int, words string, more func(*stack.Response)) *stack.Response {
	res := t.response(r, status, words)
	if more != nil {
		more(res)
	}
	if err := r.tx.Respond(res); err != nil {
		t.counts.unsent.Add(1)
	}
	return res
}

func (t *Transceiver) response(r *request, status int, words string) *stack.Response {
	if words = clean(words, 128); words == "" {
		words = phrase(status)
	}
	res := stack.NewResponseFromRequest(r.Request, status, words, nil)
	if t.cfg.UserAgent != "" {
		add(res, "User-Agent", t.cfg.UserAgent)
	}
	if r.Method == stack.REGISTER {
		add(res, headerVersion, ourVersion)
	}
	return res
}

// refuse answers r with an error of ours, which names us as the level that refused
// (LIVE-813).
func (t *Transceiver) refuse(r *request, status int, words string) {
	t.respond(r, status, "", t.blame(t.cfg.Self, status, words))
}

// blame adds the level and the words of a refusal to a response.
func (t *Transceiver) blame(level domain.Code, status int, words string) func(*stack.Response) {
	return func(res *stack.Response) {
		if level == "" {
			level = t.cfg.Self
		}
		if words == "" {
			words = phrase(status)
		}
		add(res, headerLevel, string(level))
		add(res, "Warning", "399 "+string(level)+" "+quoted(words))
	}
}

// refuseFor answers r with what err stands for.
func (t *Transceiver) refuseFor(r *request, err error, reason string) {
	status, words, level := statusOf(err)
	if reason != "" {
		words = reason
	}
	t.respond(r, status, words, t.blame(level, status, words))
}

// A pending is a request that waits for the processor.
type pending struct {
	r            *request
	registration *registration                            // of a REGISTER
	subscription *subscription                            // of a SUBSCRIBE
	beat         bool                                     // a keepalive: its source is followed
	wait         time.Duration                            // for the processor; 0: 5 s
	body         func() (contentType string, body []byte) // of the 200; nil: none
	timer        *time.Timer
}

type pendings struct {
	mu      sync.Mutex
	waiting map[domain.Ref]*pending
}

// take removes and returns what waits as ref, or nil.
func (p *pendings) take(ref domain.Ref) *pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.waiting[ref]
	delete(p.waiting, ref)
	if w != nil {
		w.timer.Stop()
	}
	return w
}

func (p *pendings) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.waiting {
		w.timer.Stop()
	}
	clear(p.waiting)
}

// ask hands a request to the processor and keeps it until it is answered: 503 if the
// processor has no room for it, 500 if it does not answer in time.
func (t *Transceiver) ask(w *pending, event func(domain.Ref) domain.Event) {
	ref := domain.Ref(t.next())
	t.pendings.mu.Lock()
	full := len(t.pendings.waiting) >= maxPendings
	if !full {
		w.timer = time.AfterFunc(cmp.Or(w.wait, decisionWait), func() {
			if late := t.pendings.take(ref); late != nil {
				t.refuse(late.r, 500, "no decision in time")
			}
		})
		t.pendings.waiting[ref] = w
	}
	t.pendings.mu.Unlock()
	if !full && t.cfg.Post(event(ref)) {
		return
	}
	t.counts.refused.Add(1)
	if full || t.pendings.take(ref) != nil {
		t.refuse(w.r, 503, "too many requests")
	}
}

func (t *Transceiver) reply(fx domain.Reply) {
	w := t.pendings.take(fx.Ref)
	switch {
	case w == nil:
	case w.registration != nil:
		t.finishRegister(w, domain.ReplyRegister{Ref: fx.Ref, Err: fx.Err})
	case fx.Err != nil:
		t.refuseFor(w.r, fx.Err, fx.Reason)
	default:
		if w.beat {
			t.book.follow(w.r.origin.From, w.r.at)
		}
		t.respond(w.r, 200, fx.Reason, w.more())
	}
}

// more adds what belongs to the 200 besides.
func (w *pending) more() func(*stack.Response) {
	if w.body == nil {
		return nil
	}
	return func(res *stack.Response) {
		kind, body := w.body()
		add(res, "Content-Type", kind)
		res.SetBody(body)
	}
}
