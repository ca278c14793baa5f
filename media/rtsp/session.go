package rtsp

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
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
	return &session{cfg: cfg, conn: c, in: bufio.NewReader(c), url: u, timeout: defaultTimeout,
		auth: digest.New(digest.Config{User: cfg.User, Password: cfg.Password, AllowBasic: true})}
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
	if err != nil {
		return nil, err
	}
	s.options = !offers(res, base.GetParameter)
	list, err := s.describe()
	if err != nil {
		return nil, err
	}
	for i, t := range list {
		if err := s.setup(i, t); err != nil {
			return nil, err
		}
	}
	res, err = s.do(base.Play, s.url, base.Header{"Range": base.HeaderValue{"npt=0.000-"}})
	if err != nil {
		return nil, err
	}
	s.readInfo(res)
	return s.source()
}

func offers(res *base.Response, m base.Method) bool {
	for _, v := range res.Header["Public"] {
		for name := range splitList(v) {
			if name == string(m) {
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
			return res, s.note(res)
		case res.StatusCode == base.StatusUnauthorized:
			if err := s.auth.Challenge(answer, res.Header["WWW-Authenticate"]); err != nil {
				return nil, fmt.Errorf("%s: %w: %w", m, ErrUnauthorized, err)
			}
		case res.StatusCode == base.StatusUnsupportedTransport:
			return nil, fmt.Errorf("%s: %w", m, errTransport)
		default:
			return nil, fmt.Errorf("%s: %d %.80s", m, res.StatusCode, res.StatusMessage)
		}
	}
}

// exchange sends one request and reads its answer, passing over interleaved
// frames, which some encoders send before they have answered PLAY.
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
		first, err := s.in.Peek(4)
		if err != nil {
			return nil, err
		}
		if first[0] == '$' {
			if _, err := s.in.Discard(4 + int(first[2])<<8 + int(first[3])); err != nil {
				return nil, err
			}
			continue
		}
		var res base.Response
		if err := res.Unmarshal(s.in); err != nil {
			return nil, err
		}
		if seq := res.Header["CSeq"]; len(seq) == 1 && seq[0] != strconv.Itoa(s.seq) {
			continue // the answer to something we gave up
		}
		return &res, nil
	}
}

// request writes the next request.
func (s *session) request(m base.Method, u *base.URL, h base.Header, auth string) ([]byte, error) {
	s.seq++
	all := base.Header{"CSeq": base.HeaderValue{strconv.Itoa(s.seq)}, "User-Agent": base.HeaderValue{"DistrictGateway"}}
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

// note keeps the session's id and timeout.
func (s *session) note(res *base.Response) error {
	v := res.Header["Session"]
	if len(v) == 0 {
		return nil
	}
	var h headers.Session
	if err := h.Unmarshal(v); err != nil {
		return fmt.Errorf("session header: %w", err)
	}
	s.id = h.Session
	if h.Timeout != nil && *h.Timeout > 0 {
		s.timeout = min(time.Duration(min(*h.Timeout, 3600))*time.Second, time.Hour)
	}
	return nil
}

// setup sets one track up.
func (s *session) setup(i int, t offered) error {
	th := headers.Transport{Profile: headers.TransportProfileAVP}
	unicast := headers.TransportDeliveryUnicast
	th.Delivery = &unicast
	ids := [2]int{2 * i, 2*i + 1}
	if s.cfg.UDP {
		p, err := openPorts(s.conn.LocalAddr())
		if err != nil {
			return err
		}
		s.ports = append(s.ports, p)
		local := int(p.rtp.Local().Port())
		th.Protocol, th.ClientPorts = headers.TransportProtocolUDP, &[2]int{local, local + 1}
	} else {
		th.Protocol, th.InterleavedIDs = headers.TransportProtocolTCP, &ids
	}
	res, err := s.do(base.Setup, t.url, base.Header{"Transport": th.Marshal()})
	if err != nil {
		return err
	}
	var got headers.Transport
	if err := got.Unmarshal(res.Header["Transport"]); err != nil {
		return fmt.Errorf("transport header: %w", err)
	}
	if s.cfg.UDP {
		if err := s.connectPorts(i, got); err != nil {
			return err
		}
	} else if got.InterleavedIDs != nil {
		ids = *got.InterleavedIDs
	}
	s.tracks, s.urls = append(s.tracks, t.track), append(s.urls, t.url.String())
	s.flows = append(s.flows, &flow{index: i, rate: t.track.ClockRate, pt: t.track.PayloadType, channels: ids})
	return nil
}

// connectPorts fixes where RTP and RTCP of a track come from.
func (s *session) connectPorts(i int, got headers.Transport) error {
	if got.ServerPorts == nil {
		return nil // from anywhere, then
	}
	host := s.conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	for k, u := range []*sock.UDP{s.ports[i].rtp, s.ports[i].rtcp} {
		port := got.ServerPorts[k]
		if port <= 0 || port > 65535 {
			return fmt.Errorf("server port %d: want 1 to 65535", port)
		}
		if err := u.Connect(netip.AddrPortFrom(host, uint16(port))); err != nil {
			return err
		}
	}
	return nil
}

// readInfo keeps what RTP-Info says: the timestamps of one common instant.
func (s *session) readInfo(res *base.Response) {
	var info headers.RTPInfo
	if info.Unmarshal(res.Header["RTP-Info"]) != nil || len(info) != len(s.flows) {
		return // absent, or of no use
	}
	for i, e := range info {
		if e.Timestamp != nil {
			s.flows[i].info, s.flows[i].hasInfo = *e.Timestamp, true
		}
	}
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
	link := &link{session: s, conn: c, rest: append([]byte(nil), rest...), ssrc: rand.Uint32()}
	if s.cfg.UDP {
		return &udpSource{link: link}, nil
	}
	return &tcpSource{link: link}, nil
}
