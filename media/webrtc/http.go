package webrtc

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"districtgateway/media/digest"
)

// Media types (RFC 9725 §4.2, RFC 8840 §9).
const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// errBusy reports that there is no room for one session more, or for one more of a user.
var errBusy = errors.New("too many viewers, or too many by this user")

// retryAfter is what a viewer is told who may come again, in seconds.
const retryAfter = "5"

// A door is the server's side of one connection: its nonces are good on that alone.
type door struct {
	gate digest.Gate
	from netip.Addr
}

// doorKey is the key of a connection's door in the context of its requests.
type doorKey struct{}

// welcome gives a connection its door.
func (s *Server) welcome(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, doorKey{}, &door{digest.Gate{Realm: s.cfg.Realm, HA1: s.ha1}, addressOf(c)})
}

// A place is what a path names: the page of a stream, its WHEP endpoint, a session
// there, or the camera of a channel.
type place struct {
	stream   string
	endpoint bool
	session  string
	camera   bool
}

// placeOf reads a path: /CHANNEL or /CHANNEL/sub, and below that whep and whep/NAME;
// /CHANNEL/ptz is a camera.
func placeOf(path string) (place, bool) {
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	p := place{}
	for i, w := range words {
		if w != "whep" {
			continue
		}
		p.endpoint = true
		if rest := words[i+1:]; len(rest) == 1 && rest[0] != "" {
			p.session = rest[0]
		} else if len(rest) > 0 {
			return place{}, false
		}
		words = words[:i]
		break
	}
	if p.camera = !p.endpoint && len(words) == 2 && words[1] == "ptz"; p.camera {
		words = words[:1]
	}
	p.stream = strings.Join(words, "/")
	return p, p.stream != "" && len(words) <= 2
}

// ServeHTTP answers a request.
func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.let() {
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
		return
	}
	defer h.inside.Done()
	p, ok := placeOf(r.URL.Path)
	ok = ok && (!p.camera || h.srv.cfg.Cameras != nil)
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	switch {
	case !ok && !h.atList(r):
		http.NotFound(w, r)
		return
	case p.endpoint:
		foreign(head)
	}
	if r.Method == http.MethodOptions && p.endpoint {
		head.Set("Accept-Post", typeSDP)
		head.Set("Allow", methodsAt(p))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	who, admitted := h.srv.admit(w, r)
	if !admitted {
		return
	}
	switch looks := r.Method == http.MethodGet || r.Method == http.MethodHead; {
	case !ok && looks:
		h.list(w, r)
	case p.camera && (looks || r.Method == http.MethodPost):
		h.move(w, r, Move{User: who.User, Channel: p.stream})
	case !p.endpoint && !p.camera && looks:
		h.srv.pages.play(w)
	case p.endpoint && p.session == "" && r.Method == http.MethodPost:
		h.begin(w, r, request{who: who, path: p.stream})
	case p.session != "" && r.Method == http.MethodDelete:
		h.end(w, p, who)
	case p.session != "" && r.Method == http.MethodPatch:
		h.trickle(w, r, h.srv.session(p.session, who.User))
	default:
		head.Set("Allow", methodsAt(p))
		http.Error(w, "this address takes "+methodsAt(p), http.StatusMethodNotAllowed)
	}
}

// atList reports whether a request is for the list of channels.
func (h *house) atList(r *http.Request) bool {
	return r.URL.Path == "/" && h.srv.cfg.Channels != nil
}

// list answers with the channels that there are.
func (h *house) list(w http.ResponseWriter, r *http.Request) {
	all, err := h.channels(time.Now())
	if err != nil {
		refuse(w, err)
		return
	}
	h.srv.pages.show(w, all, r.FormValue("q"))
}

// channels returns what there is to watch, as of a second ago at most: whoever asks and
// however often, it is put together once in that time, which takes the domain a while
// where there are many.
func (h *house) channels(now time.Time) ([]Channel, error) {
	c := &h.catalogue
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.After(now) {
		return c.all, c.err
	}
	c.all, c.err = h.srv.cfg.Channels(h.ctx)
	c.until = time.Now().Add(listEvery)
	return c.all, c.err
}

// methodsAt are those of a place.
func methodsAt(p place) string {
	switch {
	case p.session != "":
		return "DELETE, PATCH, OPTIONS"
	case p.endpoint:
		return "POST, OPTIONS"
	case p.camera:
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}

// foreign lets players on pages of others speak WHEP (draft-ietf-wish-whep §4.2):
// without what a browser knows of our users, since any origin is named.
func foreign(head http.Header) {
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Access-Control-Allow-Methods", "POST, DELETE, PATCH, OPTIONS")
	head.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	head.Set("Access-Control-Expose-Headers", "Location, ETag, Retry-After, WWW-Authenticate, X-Gateway-Profile, X-Gateway-Left-Out")
}

// admit finds out who asks; false: he has been refused.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (digest.Credential, bool) {
	d, given, now := r.Context().Value(doorKey{}).(*door), r.Header.Get("Authorization"), time.Now()
	if given != "" && s.strikes.Out(d.from, now) {
		http.Error(w, "too many wrong passwords", http.StatusForbidden)
		return digest.Credential{}, false
	}
	who, err := d.gate.Admit(given, r.Method, now)
	switch {
	case err == nil && !sameTarget(who.URI, r):
		http.Error(w, "credentials for another address", http.StatusBadRequest)
		return digest.Credential{}, false
	case err == nil:
		return who, true
	case errors.Is(err, digest.ErrWrong):
		s.strikes.Add(d.from, now)
		s.cfg.Log.Info("viewer refused", "from", d.from, "err", err)
	}
	for _, c := range d.gate.Challenge(errors.Is(err, digest.ErrStale), now) {
		w.Header().Add("WWW-Authenticate", c)
	}
	http.Error(w, "user and password are needed (HTTP digest)", http.StatusUnauthorized)
	return digest.Credential{}, false
}

// sameTarget reports whether credentials are for what is asked for (RFC 7616 §3.4.6).
func sameTarget(uri string, r *http.Request) bool {
	u, err := url.Parse(uri)
	return err == nil && u.EscapedPath() == r.URL.EscapedPath() && u.RawQuery == r.URL.RawQuery
}

// body reads what is sent, of one media type and so many bytes at most; "": it was refused.
func body(w http.ResponseWriter, r *http.Request, want string, most int64) string {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		http.Error(w, "want Content-Type "+want, http.StatusUnsupportedMediaType)
		return ""
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	switch tooLong := (&http.MaxBytesError{}); {
	case errors.As(err, &tooLong):
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return ""
	case err != nil || len(b) == 0:
		http.Error(w, "want a body", http.StatusBadRequest)
		return ""
	}
	return string(b)
}

// begin answers an offer by a session.
func (h *house) begin(w http.ResponseWriter, r *http.Request, q request) {
	text := body(w, r, typeSDP, maxOffer)
	if text == "" {
		return
	}
	var err error
	if q.offer, err = parseOffer(text); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q.local = localOf(r)
	v, answer, err := h.open(r.Context(), q)
	if err != nil {
		h.srv.cfg.Log.Info("viewer got no stream", "user", q.who.User, "stream", q.path, "err", err)
		refuse(w, err)
		return
	}
	head := w.Header()
	head.Set("Content-Type", typeSDP)
	head.Set("Location", (&url.URL{Path: "/" + q.path + "/whep/" + v.id}).EscapedPath())
	head.Set("ETag", v.etag)
	head.Set("Accept-Patch", typeFragment)
	if v.path != q.path {
		head.Set("X-Gateway-Profile", strings.TrimPrefix(v.path, q.path+"/"))
	}
	if v.leftOut != "" {
		head.Set("X-Gateway-Left-Out", v.leftOut)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // who has gone does not connect, either
}

// localOf returns the address of ours that a request came to.
func localOf(r *http.Request) netip.Addr {
	a, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if a == nil {
		return netip.Addr{}
	}
	return a.AddrPort().Addr().Unmap()
}

// refuse says why there is no session, or a camera was not moved, in words for people.
func refuse(w http.ResponseWriter, err error) {
	damaged, refusal := &SyntaxError{}, &Refusal{}
	status := http.StatusServiceUnavailable
	switch {
	case errors.As(err, &refusal):
		status = refusal.Status
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ErrForbidden):
		status = http.StatusForbidden
	case errors.Is(err, errNothingFits):
		status = http.StatusNotAcceptable
	case errors.Is(err, errReordered):
		status = http.StatusUnprocessableEntity
	case errors.As(err, &damaged), errors.Is(err, errAgreement):
		status = http.StatusBadRequest
	default:
		w.Header().Set("Retry-After", retryAfter)
	}
	http.Error(w, err.Error(), status)
}

// end ends a session, and answers when nothing is left of it.
func (h *house) end(w http.ResponseWriter, p place, who digest.Credential) {
	v := h.srv.session(p.session, who.User)
	if v == nil {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	v.leave()
	<-v.ended
	w.WriteHeader(http.StatusOK)
}

// trickle takes more candidates of a browser's: there is no use for them, since an
// ICE-lite agent waits to be asked (RFC 8445 §2.5). Other credentials would mean to
// begin anew, which a new session is for (RFC 9725 §4.3.3).
func (h *house) trickle(w http.ResponseWriter, r *http.Request, v *session) {
	text := body(w, r, typeFragment, maxOffer)
	switch match := cmp.Or(r.Header.Get("If-Match"), "*"); {
	case text == "":
	case v == nil:
		http.Error(w, "no such session", http.StatusNotFound)
	case match != "*" && match != v.etag:
		http.Error(w, "another ICE session", http.StatusPreconditionFailed)
	case restarts(text, v.ufrag):
		http.Error(w, "ICE cannot be restarted: begin a new session", http.StatusUnprocessableEntity)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// restarts reports whether a fragment brings other ICE credentials than a session's.
func restarts(fragment, ufrag string) bool {
	lines := bufio.NewScanner(strings.NewReader(fragment))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "a=ice-ufrag:"); ok && strings.TrimSpace(value) != ufrag {
			return true
		}
	}
	return false
}

// A request is what a browser wants, and who it is for.
type request struct {
	who   digest.Credential
	path  string
	offer *offer
	local netip.Addr // address of ours that it came to
}

// open makes a session, and has it run. Where the main stream does not suit the
// browser, the sub stream is tried.
func (h *house) open(ctx context.Context, q request) (v *session, answer string, err error) {
	if !h.srv.seats.Enter(q.who.User) {
		return nil, "", errBusy
	}
	sits := false
	defer func() {
		if !sits { // for a panic, too
			h.srv.seats.Leave(q.who.User)
		}
	}()
	if v, answer, err = h.make(ctx, q, q.path); err != nil {
		if whole := !strings.Contains(q.path, "/"); whole && (errors.Is(err, errNothingFits) || errors.Is(err, errReordered)) {
			var err2 error
			if v, answer, err2 = h.make(ctx, q, q.path+"/sub"); err2 == nil {
				err = nil
			}
		}
	}
	if err == nil && !h.let() {
		v.undo()
		err = errBusy
	}
	if err != nil {
		return nil, "", err
	}
	sits = true
	h.srv.enter(v)
	go func() {
		defer h.inside.Done()
		defer h.srv.seats.Leave(q.who.User)
		v.run(h.ctx)
	}()
	return v, answer, nil
}

// readyWithin bounds the wait for a stream that is to be shown.
const readyWithin = 15 * time.Second

// make makes a session of one stream.
func (h *house) make(ctx context.Context, q request, path string) (v *session, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	s, release, err := h.srv.cfg.Streams(ctx, q.who.User, path)
	if err != nil {
		return nil, "", err
	}
	made := false
	defer func() {
		if !made { // for a panic, too
			release()
		}
	}()
	t, err := tasteOf(ctx, s)
	if err != nil {
		return nil, "", fmt.Errorf("no picture comes from it: %w", err)
	}
	if t.reordered {
		return nil, "", errReordered
	}
	c, err := q.offer.choose(t.tracks)
	if err != nil {
		return nil, "", err
	}
	b, err := h.ports.berth(q.local)
	if err != nil {
		return nil, "", err
	}
	if v, err = newSession(h.srv, c, b); err != nil {
		return nil, "", err
	}
	v.who, v.path, v.stream, v.release = q.who, path, s, release
	v.ufrag = q.offer.sections[c.tracks[0].section].peer.ufrag
	own, err := v.agree(ctx, q.offer.describe(c))
	if err != nil {
		_ = v.pc.GracefulClose() // nobody was told of it
		return nil, "", err
	}
	var besides []string
	for _, a := range h.srv.cfg.Addresses {
		besides = append(besides, a.String())
	}
	answer = q.offer.answer(c, own, besides)
	made = true
	return v, answer, nil
}
