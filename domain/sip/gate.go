package sip

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"sync/atomic"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
)

const (
	strangerRate  = 200 // messages a second from one host that prove nothing yet
	strangerBurst = 400
	failureRate   = 0.2 // wrong passwords a second for one id from one host
	failureBurst  = 10
)

// A gate stands in front of sipgo's transport. It lets in what is of a host where a
// peer is, and registrations that answer a challenge of ours; everybody else is
// answered from the message alone, at a bounded rate. It keeps no state of
// strangers but their rates.
type gate struct {
	book      *book
	turnstile *turnstile
	strangers *limiter[netip.Addr]
	failures  *limiter[culprit]
	suspects  *limiter[domain.Code] // notes of suspect commands
	parser    *stack.Parser
	agent     string
	ledger    *ledger
	turns     *turns
	most      int64 // transactions
	serving   atomic.Int64
	shut      atomic.Bool
	counts    *counts
}

// A culprit is who gave a wrong password.
type culprit struct {
	host netip.Addr
	code domain.Code
}

// A visit is where a message comes from and how to answer it statelessly.
type visit struct {
	at    place
	write func([]byte) error
}

// admit returns the message to let in, mended, or false. It shares memory with raw.
func (g *gate) admit(raw []byte, v visit) ([]byte, bool) {
	raw = bytes.TrimLeft(raw, "\r\n\x00 \t")
	if len(raw) == 0 || g.shut.Load() {
		return nil, false // keeps a NAT open
	}
	msg, ok := mend(raw)
	if !ok {
		g.counts.junk.Add(1)
		return nil, false
	}
	known := g.book.knows(v.at.addr.Addr())
	if bytes.HasPrefix(msg, []byte("SIP/")) {
		return msg, known
	}
	if known && !hasMethod(msg, "REGISTER") {
		ok := g.room(msg, v)
		if ok {
			g.turns.enter(v.at.addr.Addr(), msg)
		}
		return msg, ok
	}
	if g.stranger(msg, v) {
		return msg, g.room(msg, v)
	}
	return nil, false
}

func hasMethod(msg []byte, method string) bool {
	return len(msg) > len(method) && bytes.EqualFold(msg[:len(method)], []byte(method)) && msg[len(method)] == ' '
}

// room bounds the memory that transactions hold.
func (g *gate) room(msg []byte, v visit) bool {
	if g.serving.Load() < g.most && g.ledger.fits(v.at.addr.Addr(), len(msg)) {
		return true
	}
	g.counts.dropped.Add(1)
	return false
}

// stranger lets a credible registration in and answers anything else.
func (g *gate) stranger(msg []byte, v visit) bool {
	now, host := time.Now(), v.at.addr.Addr()
	if !g.strangers.allow(now, host) {
		g.counts.limited.Add(1)
		return false
	}
	parsed, err := g.parser.ParseSIP(msg)
	req, ok := parsed.(*stack.Request)
	if err != nil || !ok || req.Via() == nil || req.CSeq() == nil || req.CallID() == nil || req.From() == nil || req.To() == nil {
		g.counts.junk.Add(1)
		return false
	}
	req.SetTransport(v.at.network)
	req.SetSource(v.at.addr.String())
	switch req.Method {
	case stack.REGISTER:
		fresh, ours := g.credible(now, req, host)
		if fresh {
			return true
		}
		g.counts.challenged.Add(1)
		g.answer(req, v, 401, func(res *stack.Response) {
			add(res, "WWW-Authenticate", g.turnstile.challenge(now, host, ours))
		})
	case stack.OPTIONS:
		g.answer(req, v, 200, func(res *stack.Response) { add(res, "Allow", allowed) })
	case stack.ACK:
	default:
		g.counts.strangers.Add(1)
		g.answer(req, v, 403, nil)
	}
	return false
}

// credible reports whether a REGISTER answers a challenge of ours to that host.
func (g *gate) credible(now time.Time, req *stack.Request, host netip.Addr) (fresh, ours bool) {
	p, err := parseDigest(header(req, "Authorization"))
	if err != nil {
		return false, false
	}
	return g.turnstile.fresh(now, p["nonce"], host)
}

// answer answers a request without a transaction (RFC 3261 clause 8.2.7): the tag of
// a repeated request is the same.
func (g *gate) answer(req *stack.Request, v visit, status int, more func(*stack.Response)) {
	tagged := req.To().Params.Has("tag")
	res := stack.NewResponseFromRequest(req, status, phrase(status), nil)
	if !tagged {
		m := hmac.New(sha256.New, g.turnstile.key[:])
		m.Write([]byte(req.CallID().Value() + req.CSeq().Value() + req.Via().Value()))
		res.To().Params.Add("tag", hex.EncodeToString(m.Sum(nil)[:8]))
	}
	add(res, headerVersion, ourVersion)
	if g.agent != "" {
		add(res, "User-Agent", g.agent)
	}
	if more != nil {
		more(res)
	}
	if err := v.write([]byte(res.String())); err != nil {
		g.counts.unsent.Add(1)
	}
}
