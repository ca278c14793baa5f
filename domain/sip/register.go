package sip

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

// An enrolment is our registration at one upper: its Call-ID is kept and its CSeq
// grows from one REGISTER to the next (RFC 3261 clause 10.2).
type enrolment struct {
	mu     sync.Mutex // held while a REGISTER is under way: two at once confuse registrars
	callID string
	cseq   uint32
	from   address
}

func (t *Transceiver) register(ctx context.Context, fx domain.Register) domain.Answered {
	e := t.enrol[fx.Peer]
	if e == nil {
		return failed(fx.Tag, errUnknown)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	ref := domain.PeerRef{Code: fx.Peer, Role: domain.Upper}
	n, err := t.book.locate(ctx, ref, true)
	if err == nil {
		err = t.connect(ctx, n.at, true)
	}
	var res *stack.Response
	if err == nil {
		res, err = t.enroll(ctx, e, n, fx)
	}
	a := answered(fx.Tag, fx.Peer, res, err)
	if err != nil {
		return a
	}
	a.Version = parseVersion(header(res, headerVersion))
	t.book.heard(ref, a.Version)
	if res.IsSuccess() {
		a.Expires = granted(res, fx.Expires)
		a.Caps = parseCaps(header(res, headerCaps)) & fx.Caps & t.cfg.Caps
	} else if res.StatusCode/100 == 4 {
		e.callID = "" // a registrar may hold it against us
	}
	return a
}

// enroll sends REGISTER, and again with credentials when it is challenged; a second
// time only if the challenge had grown stale.
func (t *Transceiver) enroll(ctx context.Context, e *enrolment, n neighbour, fx domain.Register) (*stack.Response, error) {
	credentials := ""
	for try := 0; ; try++ {
		res, err := t.deliver(ctx, n, func() *stack.Request {
			req := t.enrolRequest(e, n, fx)
			if credentials != "" {
				add(req, "Authorization", credentials)
			}
			return req
		})
		if err != nil || res.StatusCode != 401 || try == 2 {
			return res, err
		}
		challenge := header(res, "WWW-Authenticate")
		if c, err := parseDigest(challenge); try > 0 && (err != nil || !strings.EqualFold(c["stale"], "true")) {
			return res, nil
		}
		uri := uriOf(n.cfg.Code, n.at.addr)
		credentials, err = authorize(challenge, string(stack.REGISTER), uri.String(), login{n.cfg.user(t.cfg.Self), n.cfg.Password})
		if err != nil {
			return nil, err
		}
	}
}

func (t *Transceiver) enrolRequest(e *enrolment, n neighbour, fx domain.Register) *stack.Request {
	if e.callID == "" {
		e.callID, e.cseq = token(12), 0
		e.from = address{user: t.cfg.Self, tag: token(8), realm: n.cfg.Code.Realm()} // of the registrar
	}
	e.cseq++
	d := t.draft(stack.REGISTER, n.at, n.cfg.Code)
	d.from, d.target, d.callID, d.cseq = e.from, address{user: t.cfg.Self, realm: e.from.realm}, e.callID, e.cseq
	req := t.request(d, nil, "")
	add(req, "Expires", wholeSeconds(fx.Expires))
	add(req, headerVersion, ourVersion)
	if caps := formatCaps(fx.Caps & t.cfg.Caps); caps != "" {
		add(req, headerCaps, caps)
	}
	if t.cfg.Instance != "" {
		add(req, headerInstance, clean(t.cfg.Instance, 64))
	}
	if t.cfg.Name != "" {
		add(req, headerName, url.QueryEscape(clean(t.cfg.Name, 128)))
	}
	if fx.Leaving {
		add(req, headerLeave, "1")
	}
	if fx.Force {
		add(req, headerForce, "1")
	}
	return req
}

// granted reads how long a registration lasts: the header, the Contact's parameter,
// else as asked.
func granted(res *stack.Response, asked time.Duration) time.Duration {
	if d, ok := seconds(header(res, "Expires")); ok {
		return d
	}
	if c := res.Contact(); c != nil {
		if v, ok := c.Params.Get("expires"); ok {
			if d, ok := seconds(v); ok {
				return d
			}
		}
	}
	return asked
}
