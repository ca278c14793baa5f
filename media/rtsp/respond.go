package rtsp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media"
	"districtgateway/media/digest"
)

// methods are what a viewer may ask for.
const methods = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER, SET_PARAMETER"

// status is an answer of nothing but its status.
func status(code base.StatusCode) *base.Response { return &base.Response{StatusCode: code} }

// respond returns the answer to a request; nil: the owner of the stream gives it.
func (v *viewer) respond(ctx context.Context, req *base.Request) *base.Response {
	if _, ok := sequence(req); !ok {
		return status(base.StatusBadRequest)
	}
	if wanted := req.Header["Require"]; len(wanted) > 0 {
		return &base.Response{StatusCode: base.StatusOptionNotSupported, Header: base.Header{"Unsupported": wanted[:1]}}
	}
	if req.Method == base.Options {
		return &base.Response{StatusCode: base.StatusOK, Header: base.Header{"Public": {methods}}}
	}
	if refused := v.admit(req, time.Now()); refused != nil {
		return refused
	}
	return v.perform(ctx, req)
}

// perform does what an admitted request asks for.
func (v *viewer) perform(ctx context.Context, req *base.Request) *base.Response {
	if id, ok := sessionOf(req); ok && id != v.id {
		return status(base.StatusSessionNotFound)
	}
	switch req.Method {
	case base.Describe:
		return v.describe(ctx, req)
	case base.Setup:
		return v.setup(ctx, req)
	case base.Play:
		return v.play(req)
	case base.Teardown:
		return v.teardown()
	case base.GetParameter, base.SetParameter:
		return v.inSession(status(base.StatusOK))
	}
	return &base.Response{StatusCode: base.StatusMethodNotAllowed, Header: base.Header{"Allow": {methods}}}
}

// sessionOf returns the session that a request names, if it names one.
func sessionOf(req *base.Request) (string, bool) {
	h := req.Header["Session"]
	if len(h) == 0 {
		return "", false
	}
	id, _, _ := strings.Cut(h[0], ";")
	return strings.TrimSpace(id), true
}

// inSession adds the session to an answer.
func (v *viewer) inSession(res *base.Response) *base.Response {
	if v.id == "" {
		return res
	}
	if res.Header == nil {
		res.Header = base.Header{}
	}
	res.Header["Session"] = base.HeaderValue{fmt.Sprintf("%s;timeout=%d", v.id, int(sessionTimeout/time.Second))}
	return res
}

// admit returns the refusal of a request whose sender may not make it.
func (v *viewer) admit(req *base.Request, now time.Time) *base.Response {
	given := ""
	if h := req.Header["Authorization"]; len(h) == 1 {
		given = h[0]
	}
	if given != "" && v.srv.strikes.Out(v.from, now) {
		return status(base.StatusForbidden)
	}
	who, err := v.gate.Admit(given, string(req.Method), now)
	switch {
	case err == nil && !sameStream(who.URI, req.URL):
		return status(base.StatusBadRequest)
	case err == nil:
		if v.who.User == "" {
			v.limit = now.Add(sessionTimeout)
		}
		v.who = who
		return nil
	case errors.Is(err, digest.ErrWrong):
		v.wrong++
		v.srv.strikes.Add(v.from, now)
		v.srv.cfg.Log.Info("viewer refused", "from", v.from, "err", err)
	}
	return &base.Response{StatusCode: base.StatusUnauthorized,
		Header: base.Header{"WWW-Authenticate": v.gate.Challenge(errors.Is(err, digest.ErrStale), now)}}
}

// statusOf is the status of a stream that cannot be had.
func statusOf(err error) *base.Response {
	switch {
	case errors.Is(err, ErrNotFound):
		return status(base.StatusNotFound)
	case errors.Is(err, ErrForbidden):
		return status(base.StatusForbidden)
	}
	return &base.Response{StatusCode: base.StatusServiceUnavailable, StatusMessage: reasonOf(err)}
}

// maxReason bounds the words of a refusal, in bytes.
const maxReason = 160

// reasonOf returns why a stream cannot be had, on one line.
func reasonOf(err error) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, err.Error())
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}

// want makes path the stream that the viewer is offered, and waits until there is
// something to show.
func (v *viewer) want(ctx context.Context, path string) error {
	if v.offer != nil && v.offer.path == path {
		return nil
	}
	v.forget()
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	s, release, err := v.srv.cfg.Streams(ctx, v.who.User, path)
	if err != nil {
		return err
	}
	if err := s.WaitReady(ctx); err != nil {
		release()
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("nothing to show within %s: %w", readyWithin, err)
		}
		return err
	}
	taste(ctx, s)
	o := newOffer(path, s, release, &v.srv.unisons)
	if o.empty() {
		o.close()
		return media.ErrNoTracks
	}
	v.offer = o
	return nil
}

// describe tells what a stream is.
func (v *viewer) describe(ctx context.Context, req *base.Request) *base.Response {
	a, ok := addressOf(req.URL)
	switch {
	case !ok:
		return status(base.StatusNotFound)
	case v.id != "":
		return status(base.StatusMethodNotValidInThisState)
	}
	if v.offer != nil {
		v.forget() // as it is now
	}
	if err := v.want(ctx, a.path); err != nil {
		v.srv.cfg.Log.Info("viewer got no stream", "from", v.from, "user", v.who.User, "stream", a.path, "err", err)
		return statusOf(err)
	}
	return &base.Response{StatusCode: base.StatusOK, Body: v.offer.describe(v.conn.Local().Addr().Unmap()), Header: base.Header{
		"Content-Type": {"application/sdp"}, "Content-Base": {v.whole(req) + "/"},
	}}
}

// whole returns the address of the whole stream, by the host that the viewer
// knows.
func (v *viewer) whole(req *base.Request) string {
	return "rtsp://" + req.URL.Host + "/" + v.offer.path
}

// setup prepares the way of one track.
func (v *viewer) setup(ctx context.Context, req *base.Request) *base.Response {
	a, ok := addressOf(req.URL)
	switch {
	case !ok:
		return status(base.StatusNotFound)
	case v.playout != nil, v.id != "" && v.offer.path != a.path:
		return status(base.StatusMethodNotValidInThisState)
	}
	if err := v.want(ctx, a.path); err != nil {
		return statusOf(err)
	}
	if a.track < 0 {
		a.track = v.offer.only()
	}
	switch {
	case a.track < 0:
		return status(base.StatusAggregateOperationNotAllowed)
	case !v.offer.offered(a.track):
		return status(base.StatusNotFound)
	case v.offer.lane(a.track) != nil:
		return status(base.StatusMethodNotValidInThisState)
	}
	t, err := choice(req.Header["Transport"], v.from)
	if err != nil {
		return status(base.StatusUnsupportedTransport)
	}
	l, err := v.offer.prepare(a.track, t, v.conn, &v.srv.ports)
	switch {
	case errors.Is(err, errNoTransport):
		return status(base.StatusUnsupportedTransport)
	case err != nil:
		v.srv.cfg.Log.Warn("viewer got no ports", "from", v.from, "err", err)
		return status(base.StatusServiceUnavailable)
	}
	l.url = fmt.Sprintf("%s/%s%d", v.whole(req), trackControl, l.track)
	v.offer.lanes = append(v.offer.lanes, l)
	if v.id == "" {
		v.id = rand.Text()
	}
	return v.inSession(&base.Response{StatusCode: base.StatusOK, Header: base.Header{"Transport": l.transport(t)}})
}

// play starts what was set up. The answer is given with the first picture, whose
// time it tells.
func (v *viewer) play(req *base.Request) *base.Response {
	_, named := sessionOf(req)
	switch {
	case v.id == "":
		return status(base.StatusMethodNotValidInThisState)
	case !named:
		return status(base.StatusSessionNotFound)
	case v.playout != nil: // some keep their session alive so
		return v.inSession(status(base.StatusOK))
	}
	if a, ok := addressOf(req.URL); !ok || a.path != v.offer.path {
		return status(base.StatusNotFound)
	}
	o := v.offer
	p := newPlayout(o, v.conn, fmt.Sprintf("%s %s", v.who.User, v.conn.Remote()))
	seq, _ := sequence(req)
	res := v.inSession(&base.Response{StatusCode: base.StatusOK, Header: base.Header{"CSeq": {seq}, "Range": {"npt=now-"}}})
	p.hello = func(at media.Ticks) []byte {
		res.Header["RTP-Info"] = base.HeaderValue{o.info(at)}
		text, err := res.Marshal()
		if err != nil {
			return nil // nothing in it cannot be written
		}
		return text
	}
	if err := o.stream.Attach(p); err != nil {
		return statusOf(err)
	}
	v.playout = p
	v.srv.cfg.Log.Info("viewer watches", "from", v.from, "user", v.who.User, "stream", o.path, "udp", o.lanes[0].ports != nil)
	return nil
}

// info tells the first number of each track, and its timestamp of one common
// instant (RFC 2326 §12.33).
func (o *offer) info(at media.Ticks) string {
	var parts []string
	for _, l := range o.lanes {
		parts = append(parts, fmt.Sprintf("url=%s;seq=%d;rtptime=%d", l.url, l.flow.Seq, l.time(at)))
	}
	return strings.Join(parts, ",")
}

// teardown ends the session. One that plays ends with its connection.
func (v *viewer) teardown() *base.Response {
	if v.id == "" {
		return status(base.StatusSessionNotFound)
	}
	if v.playout != nil {
		v.leaving = true
		return status(base.StatusOK)
	}
	v.forget()
	return status(base.StatusOK)
}
