package sip

import (
	"strings"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

// A registration is what a REGISTER that proved itself asks for.
type registration struct {
	code    domain.Code
	at      place
	callID  string
	cseq    uint32
	expires time.Duration
	version domain.Version
}

// registerIn verifies a REGISTER and tells the processor. The gate challenged it
// before; a wrong password and an unknown id are both 403, in the same time.
func (t *Transceiver) registerIn(r *request) {
	now, host := time.Now(), r.at.addr.Addr()
	p, err := parseDigest(header(r, "Authorization"))
	if err != nil {
		t.challenge(r, now, false)
		return
	}
	if fresh, ours := t.gate.turnstile.fresh(now, p["nonce"], host); !fresh {
		t.challenge(r, now, ours)
		return
	}
	n, known := t.book.find(domain.PeerRef{Code: r.origin.From, Role: domain.Lower})
	password, user := "", string(r.origin.From)
	if known {
		password, user = string(n.cfg.Password), n.cfg.user(t.cfg.Self)
	}
	right := verify(p, string(stack.REGISTER), password)
	who := culprit{host, r.origin.From}
	locked := t.gate.failures.empty(now, who)
	if !known || !right || p["username"] != user || locked {
		t.gate.failures.allow(now, who)
		t.counts.failed.Add(1)
		t.log.Warn("registration refused", "peer", string(r.origin.From), "address", r.origin.Address,
			"known", known, "locked", locked)
		t.refuse(r, 403, "")
		return
	}
	if !t.gate.turnstile.use(now, p) {
		t.challenge(r, now, true)
		return
	}
	t.proven(r, now)
}

// challenge answers 401 within a transaction: the gate let in what was fresh then.
func (t *Transceiver) challenge(r *request, now time.Time, stale bool) {
	t.counts.challenged.Add(1)
	t.respond(r, 401, "", func(res *stack.Response) {
		add(res, "WWW-Authenticate", t.gate.turnstile.challenge(now, r.at.addr.Addr(), stale))
	})
}

// proven passes on a REGISTER with right credentials.
func (t *Transceiver) proven(r *request, now time.Time) {
	expires, ok := expiresOf(r.Request)
	if !ok {
		t.refuse(r, 400, "Expires: want seconds")
		return
	}
	in := &registration{code: r.origin.From, at: r.at, callID: r.CallID().Value(), cseq: r.CSeq().SeqNo,
		expires: expires, version: parseVersion(header(r, headerVersion))}
	if t.book.outdated(in, now) {
		t.refuse(r, 400, "CSeq: overtaken by a later REGISTER")
		return
	}
	origin := r.origin
	origin.Proved = true
	t.ask(&pending{r: r, registration: in}, func(ref domain.Ref) domain.Event {
		return domain.RegisterIn{Ref: ref, Origin: origin, Expires: expires, Version: in.version,
			Name: parseName(header(r, headerName)), Instance: clean(header(r, headerInstance), 64), Run: clean(in.callID, 64), // RFC 3261 §10.2.4
			Caps:    parseCaps(header(r, headerCaps)),
			Leaving: header(r, headerLeave) == "1", Force: header(r, headerForce) == "1"}
	})
}

// expiresOf reads how long a registration is to last: the header, or the parameter
// of the Contact that some devices send instead. Without either there is none.
func expiresOf(r *stack.Request) (time.Duration, bool) {
	if v := header(r, "Expires"); v != "" {
		return seconds(v)
	}
	contact := r.Contact()
	if contact == nil {
		return 0, false
	}
	for _, params := range []stack.HeaderParams{contact.Params, contact.Address.UriParams} {
		for _, kv := range params {
			if strings.EqualFold(kv.K, "expires") {
				return seconds(kv.V)
			}
		}
	}
	return 0, false
}

func (t *Transceiver) replyRegister(fx domain.ReplyRegister) {
	if w := t.pendings.take(fx.Ref); w != nil && w.registration != nil {
		t.finishRegister(w, fx)
	}
}

// finishRegister answers a REGISTER, and remembers where the lower is before it is
// told, since it may speak at once.
func (t *Transceiver) finishRegister(w *pending, fx domain.ReplyRegister) {
	if fx.Err != nil {
		status, words, level := statusOf(fx.Err)
		t.respond(w.r, status, "", func(res *stack.Response) {
			t.blame(level, status, words)(res)
			if fx.RetryAfter > 0 {
				add(res, "Retry-After", wholeSeconds(fx.RetryAfter))
			}
		})
		return
	}
	now, in := time.Now(), w.registration
	t.book.register(in, now, fx.Expires)
	t.respond(w.r, 200, "", func(res *stack.Response) {
		granted := fx.Expires
		if in.expires == 0 {
			granted = 0
		}
		if c := w.r.Contact(); c != nil {
			c = c.Clone()
			if c.Params.Has("expires") {
				c.Params.Add("expires", wholeSeconds(granted))
			}
			res.AppendHeader(c)
		}
		add(res, "Expires", wholeSeconds(granted))
		if !t.cfg.NoDate {
			add(res, "Date", date(now))
		}
		if caps := formatCaps(fx.Caps); caps != "" {
			add(res, headerCaps, caps)
		}
	})
}
