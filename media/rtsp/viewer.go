package rtsp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media/digest"
	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

// Limits of patience with a viewer, and of what one may send.
const (
	admitWithin    = 10 * time.Second // from connecting to the right password
	sessionTimeout = 60 * time.Second // without a request, or a report by UDP
	readyWithin    = 10 * time.Second // for the stream of a DESCRIBE
	lookEvery      = 5 * time.Second  // at whether the viewer may still watch
	maxWrong       = 3                // passwords on one connection
	maxRequest     = 16 << 10         // bytes; also of an interleaved frame
	usualRequest   = 2 << 10          // bytes; memory grows only for those who need it
)

// Why a connection ends.
var (
	errIdle      = errors.New("viewer asks for nothing")
	errStranger  = errors.New("viewer did not say who it is in time")
	errGuessing  = errors.New("viewer guesses passwords")
	errRevoked   = errors.New("user may not watch any more")
	errNotRead   = errors.New("viewer does not read its answers")
	errTooLong   = errors.New("request too long")
	errBadAnswer = errors.New("answer cannot be written")
)

// A viewer is one connection, and whoever watches by it. Its goroutine reads. Until
// the session plays it writes, too; from then on the owner of the stream does.
type viewer struct {
	srv  *Server
	conn *sock.TCP
	from netip.Addr
	gate digest.Gate

	who   digest.Credential // last admitted; no user: none was
	wrong int               // passwords
	limit time.Time         // when it is cut, unless it plays

	buf  []byte // what was read and not dealt with
	have int
	out  sock.Vector

	id      string // of the RTSP session; empty: none
	offer   *offer // nil: none described
	playout *playout
	leaving bool // after what was answered
}

func newViewer(s *Server, conn *sock.TCP) *viewer {
	return &viewer{srv: s, conn: conn, from: conn.Remote().Addr().Unmap(), gate: digest.Gate{Realm: s.cfg.Realm, HA1: s.ha1},
		limit: time.Now().Add(admitWithin), buf: make([]byte, usualRequest)}
}

// run serves the connection until it ends, and then leaves its stream. It returns
// why it ended.
func (v *viewer) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, v.conn.Wake)
	defer stop()
	defer v.forget()
	for ctx.Err() == nil {
		n, err := v.conn.Receive(v.buf[v.have:], true, time.Now().Add(lookEvery))
		if err != nil {
			return err
		}
		v.have += n
		if err := v.consume(ctx); err != nil {
			return err
		}
		if err := v.look(time.Now()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// forget leaves the stream.
func (v *viewer) forget() {
	if v.playout != nil {
		v.offer.stream.Detach(v.playout)
		v.offer.release()
	} else if v.offer != nil {
		v.offer.close()
	}
	v.offer, v.playout, v.id = nil, nil, ""
}

// look ends what has lasted too long.
func (v *viewer) look(now time.Time) error {
	switch {
	case v.who.User == "" && now.After(v.limit):
		return errStranger
	case v.playout == nil && now.After(v.limit):
		return errIdle
	case v.who.User == "":
		return nil
	}
	if ha1, ok := v.srv.ha1(v.who.User, v.who.Algorithm); !ok || ha1 != v.who.HA1 {
		return errRevoked
	}
	return nil
}

// consume deals with every whole message that was read.
func (v *viewer) consume(ctx context.Context) error {
	at := 0
	for at < v.have && !v.leaving {
		n, err := v.message(ctx, v.buf[at:v.have])
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		at += n
	}
	v.have = copy(v.buf, v.buf[at:v.have])
	switch {
	case v.have < len(v.buf):
		return nil
	case len(v.buf) < maxRequest:
		v.buf = append(v.buf, make([]byte, len(v.buf))...)
		return nil
	}
	return errors.Join(errTooLong, v.answer(&base.Response{StatusCode: base.StatusRequestEntityTooLarge, Header: base.Header{}}))
}

// message deals with the message at the beginning of b and returns its length; 0 if
// it is not whole yet. What a viewer sends in frames are reports: over a
// connection they tell nothing that it does not, but that a key frame is wanted.
func (v *viewer) message(ctx context.Context, b []byte) (int, error) {
	switch {
	case b[0] == '\r' || b[0] == '\n':
		return 1, nil
	case b[0] == '$' && len(b) < 4:
		return 0, nil
	case b[0] == '$':
		n := 4 + int(b[2])<<8 + int(b[3])
		if n > maxRequest {
			return 0, errTooLong
		}
		if n > len(b) {
			return 0, nil
		}
		if v.playout != nil && rtp.WantsKey(b[4:n]) {
			v.offer.stream.AskKey()
		}
		return n, nil
	}
	n, err := passOver(b)
	if n == 0 || err != nil {
		return 0, err
	}
	return n, v.request(ctx, b[:n])
}

// request answers one request. One that cannot be read ends the connection: nobody
// knows where the next one begins.
func (v *viewer) request(ctx context.Context, b []byte) error {
	var req base.Request
	if err := req.Unmarshal(bufio.NewReaderSize(bytes.NewReader(b), 512)); err != nil {
		return errors.Join(fmt.Errorf("request: %w", err), v.answer(&base.Response{StatusCode: base.StatusBadRequest, Header: base.Header{}}))
	}
	now := time.Now()
	if v.who.User != "" {
		v.limit = now.Add(sessionTimeout)
	}
	if v.playout != nil {
		v.playout.touch(now)
	}
	res := v.respond(ctx, &req)
	if res == nil {
		return nil // the owner of the stream answers
	}
	if res.Header == nil {
		res.Header = base.Header{}
	}
	if seq, ok := sequence(&req); ok {
		res.Header["CSeq"] = base.HeaderValue{seq}
	}
	if err := v.answer(res); err != nil {
		return err
	}
	if v.wrong >= maxWrong {
		return errGuessing
	}
	return nil
}

// sequence returns the request's number as it is to be repeated.
func sequence(req *base.Request) (string, bool) {
	h := req.Header["CSeq"]
	if len(h) != 1 {
		return "", false
	}
	n, err := strconv.ParseUint(h[0], 10, 32)
	return strconv.FormatUint(n, 10), err == nil
}

// answer sends an answer, or has it sent.
func (v *viewer) answer(res *base.Response) error {
	text, err := res.Marshal()
	if err != nil {
		return fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if v.playout != nil {
		return v.playout.say(text, v.leaving)
	}
	v.out.Reset()
	v.out.Add(text)
	if err := v.conn.Send(&v.out); err != nil {
		return err
	}
	if v.out.Len() > 0 {
		return errNotRead
	}
	return nil
}
