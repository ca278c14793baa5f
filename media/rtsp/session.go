package rtsp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/sock"
)

// errTransport reports that the encoder does not know the transport (461).
var errTransport = errors.New("transport refused")

// A session is the conversation with one encoder, until it plays.
type session struct {
	cfg  Config
	conn *net.TCPConn
	in   *bufio.Reader
	url  *base.URL
	auth *digest.Session
	seq  int

	control *base.URL // of the whole stream, once described
	early   []byte    // interleaved frames from before the answer to PLAY

	id      string        // of the RTSP session
	timeout time.Duration // after which the encoder forgets us
	options bool          // it does not know GET_PARAMETER: keep alive by OPTIONS

	tracks []media.Track
	urls   []string // of each track, for RTP-Info
	flows  []*flow
	ports  []udpPorts // UDP: of each track
}

// defaultTimeout is that of RFC 2326 §12.37.
const defaultTimeout = 60 * time.Second

func newSession(cfg Config, c *net.TCPConn, u *base.URL) *session {
	return &session{cfg: cfg, conn: c, in: bufio.NewReader(c), url: u, control: u, timeout: defaultTimeout,
		auth: digest.New(digest.Config{User: cfg.User, Password: cfg.Password, AllowBasic: cfg.Basic})}
}

func (s *session) close() {
	for _, p := range s.ports {
		p.close()
	}
	s.conn.Close()
}

// start goes from OPTIONS to PLAY.
func (s *session) start() (media.Source, error) {
	res, err := s.do(base.Options, s.url, nil)
	if refused := (*statusError)(nil); err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	s.options = err != nil || !offers(res, base.GetParameter)
	list, err := s.describe()
	if err != nil {
		return nil, err
	}
	for i, t := range list {
		if err := s.setup(i, t); err != nil {
			return nil, err
		}
	}
	res, err = s.do(base.Play, s.control, base.Header{"Range": base.HeaderValue{"npt=0.000-"}})
	if err != nil {
		return nil, err
	}
	s.readInfo(res)
	return s.source()
}

func offers(res *base.Response, m base.Method) bool {
	for _, v := range res.Header["Public"] {
		for name := range splitList(v, ",") {
			if strings.EqualFold(name, string(m)) {
				return true
			}
		}
	}
	return false
}

// do sends a request and returns its answer, answering one challenge.
func (s *session) do(m base.Method, u *base.URL, h base.Header) (*base.Response, error) {
	for {
		answer, err := s.auth.Answer(string(m), u.String(), nil)
		if err != nil {
			return nil, err
		}
		res, err := s.exchange(m, u, h, answer.Header)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m, err)
		}
		switch {
		case res.StatusCode == base.StatusOK:
			s.note(res)
			return res, nil
		case res.StatusCode == base.StatusUnauthorized:
			if err := s.auth.Challenge(answer, res.Header["WWW-Authenticate"]); err != nil {
				return nil, fmt.Errorf("%s: %w: %w", m, ErrUnauthorized, err)
			}
		case res.StatusCode == base.StatusUnsupportedTransport:
			return nil, fmt.Errorf("%s: %w", m, errTransport)
		default:
			return nil, &statusError{m, res.StatusCode, res.StatusMessage}
		}
	}
}

// A statusError is an encoder's refusal of a request.
type statusError struct {
	method base.Method
	status base.StatusCode
	reason string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %d %.80s", e.method, e.status, e.reason)
}

// exchange sends one request and reads its answer.
func (s *session) exchange(m base.Method, u *base.URL, h base.Header, auth string) (*base.Response, error) {
	text, err := s.request(m, u, h, auth)
	if err != nil {
		return nil, err
	}
	if err := s.conn.SetDeadline(time.Now().Add(s.cfg.Timeout)); err != nil {
		return nil, err
	}
	if _, err := s.conn.Write(text); err != nil {
		return nil, err
	}
	for {
		res, err := s.next(m == base.Play)
		if err != nil {
			return nil, err
		}
		if res == nil {
			continue
		}
		if seq := res.Header["CSeq"]; len(seq) == 1 && strings.TrimSpace(seq[0]) != strconv.Itoa(s.seq) {
			continue // the answer to something we gave up
		}
		return res, nil
	}
}

// next reads what the encoder sends next: an answer, or something that comes
// between, which gives nil. Frames that come before the answer to PLAY may begin
// with the only key picture for long: they are kept.
func (s *session) next(keep bool) (*base.Response, error) {
	first, err := s.in.Peek(4)
	if err != nil {
		return nil, err
	}
	switch {
	case first[0] == '$':
		return nil, s.passFrame(4+int(first[2])<<8+int(first[3]), keep)
	case first[0] == '\r' || first[0] == '\n':
		_, err := s.in.Discard(1)
		return nil, err
	case string(first) == "RTSP":
		res := new(base.Response)
		return res, res.Unmarshal(s.in)
	}
	var req base.Request
	if err := req.Unmarshal(s.in); err != nil {
		return nil, err
	}
	text, err := s.reply(&req)
	if err != nil {
		return nil, err
	}
	_, err = s.conn.Write(text)
	return nil, err
}

// maxEarly bounds the frames kept from before the answer to PLAY.
const maxEarly = 256 << 10

// passFrame takes an interleaved frame of n bytes.
func (s *session) passFrame(n int, keep bool) error {
	if !keep || len(s.early)+n > maxEarly {
		_, err := s.in.Discard(n)
		return err
	}
	at := len(s.early)
	s.early = append(s.early, make([]byte, n)...)
	_, err := io.ReadFull(s.in, s.early[at:])
	return err
}

// errLeft reports that the encoder ended the session.
var errLeft = errors.New("encoder ended the session")

// reply writes the answer to a request of the encoder. Some ask in order to see
// that we are there; what they announce is found out by the media itself.
func (s *session) reply(req *base.Request) ([]byte, error) {
	res := base.Response{StatusCode: base.StatusNotImplemented, Header: base.Header{}}
	switch req.Method {
	case base.Options, base.GetParameter, base.SetParameter, base.Announce:
		res.StatusCode = base.StatusOK
	case base.Teardown, "REDIRECT":
		return nil, fmt.Errorf("%w: %s", errLeft, req.Method)
	}
	if seq := req.Header["CSeq"]; len(seq) > 0 {
		res.Header["CSeq"] = seq
	}
	if s.id != "" {
		res.Header["Session"] = base.HeaderValue{s.id}
	}
	return res.Marshal()
}

// userAgent is who we say we are.
const userAgent = "DistrictGateway"

// request writes the next request.
func (s *session) request(m base.Method, u *base.URL, h base.Header, auth string) ([]byte, error) {
	s.seq++
	all := base.Header{"CSeq": base.HeaderValue{strconv.Itoa(s.seq)}, "User-Agent": base.HeaderValue{userAgent}}
	for k, v := range h {
		all[k] = v
	}
	if s.id != "" {
		all["Session"] = base.HeaderValue{s.id}
	}
	if auth != "" {
		all["Authorization"] = base.HeaderValue{auth}
	}
	return base.Request{Method: m, URL: u, Header: all}.Marshal()
}

// note keeps the session's id and timeout (RFC 2326 §12.37), as far as they can be
// read.
func (s *session) note(res *base.Response) {
	v := res.Header["Session"]
	if len(v) == 0 {
		return
	}
	id, rest, _ := strings.Cut(v[0], ";")
	if id = strings.TrimSpace(id); id != "" {
		s.id = id
	}
	for p := range splitList(rest, ";") {
		name, value, _ := strings.Cut(p, "=")
		seconds, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if strings.EqualFold(strings.TrimSpace(name), "timeout") && err == nil && seconds > 0 {
			s.timeout = time.Duration(min(seconds, 3600)) * time.Second
		}
	}
}

// setup sets one track up.
func (s *session) setup(i int, t offered) error {
	th := headers.Transport{Profile: headers.TransportProfileAVP, Protocol: headers.TransportProtocolUDP}
	delivery := headers.TransportDeliveryUnicast
	th.Delivery = &delivery
	ids := [2]int{2 * i, 2*i + 1}
	switch s.cfg.Transport {
	case Multicast:
		delivery = headers.TransportDeliveryMulticast
	case UDP:
		p, err := openPorts(s.conn.LocalAddr())
		if err != nil {
			return err
		}
		p.host = s.host()
		s.ports = append(s.ports, p)
		local := int(p.rtp.Local().Port())
		th.ClientPorts = &[2]int{local, local + 1}
	default:
		th.Protocol, th.InterleavedIDs = headers.TransportProtocolTCP, &ids
	}
	res, err := s.do(base.Setup, t.url, base.Header{"Transport": th.Marshal()})
	if err != nil {
		return err
	}
	got, err := transportOf(res.Header["Transport"])
	if err == nil {
		err = s.agree(i, t, got)
	}
	if err != nil {
		return err
	}
	if got.channels != nil {
		ids = *got.channels
	}
	s.tracks, s.urls = append(s.tracks, t.track), append(s.urls, t.url.String())
	s.flows = append(s.flows, &flow{index: i, rate: t.track.ClockRate, pt: t.track.PayloadType, channels: ids, pleas: pleas{fir: t.fir}})
	return nil
}

// agree takes what the answer to SETUP says of the transport, or says that it is
// another than was asked for. If it does not say the encoder's ports, its first datagram
// does.
func (s *session) agree(i int, t offered, got transport) error {
	switch {
	case s.cfg.Transport != TCP && got.channels != nil,
		s.cfg.Transport == TCP && got.channels == nil && got.ports != nil,
		got.unicast && s.cfg.Transport == Multicast, got.multicast && s.cfg.Transport != Multicast:
		return fmt.Errorf("another one than asked for: %w", errTransport)
	case s.cfg.Transport == Multicast:
		return s.join(t.group, got)
	case s.cfg.Transport == UDP && got.ports != nil:
		return s.ports[i].connect(uint16(got.ports[0]), uint16(got.ports[1]))
	}
	return nil
}

// readInfo keeps what RTP-Info says: the timestamps of one common instant.
func (s *session) readInfo(res *base.Response) {
	var told headers.RTPInfo
	if told.Unmarshal(res.Header["RTP-Info"]) != nil {
		return // absent, or of no use
	}
	at := new(instant)
	for i, e := range told {
		if k := s.trackAt(e.URL, i); k >= 0 && e.Timestamp != nil {
			s.flows[k].info = info{*e.Timestamp, at}
		}
	}
}

// trackAt returns the track that an address in RTP-Info names, absolute or not;
// else the one in its place, if there is none or an address that names nothing.
func (s *session) trackAt(url string, place int) int {
	for k, u := range s.urls {
		if url != "" && (u == url || strings.HasSuffix(u, "/"+url)) {
			return k
		}
	}
	if place < len(s.flows) {
		return place
	}
	return -1
}

// source makes the source that takes over the connection.
func (s *session) source() (media.Source, error) {
	if err := s.conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	rest, err := s.in.Peek(s.in.Buffered())
	if err != nil {
		return nil, err
	}
	c, err := sock.NewTCP(s.conn)
	if err != nil {
		return nil, err
	}
	link := &link{session: s, conn: c, rest: append(s.early, rest...), ssrc: rand.Uint32(), prompts: newPrompter(s.cfg.KeyFrame)}
	s.early = nil
	if s.cfg.Transport == TCP {
		return &tcpSource{link: link}, nil
	}
	return &udpSource{link: link}, nil
}
