package traffic

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/icholy/digest"
)

// handshake bounds how long a server may take until it plays.
const handshake = 20 * time.Second

// A client asks a server for one stream by RTSP.
type client struct {
	conn      net.Conn
	in        *bufio.Reader
	login     *url.Userinfo
	challenge *digest.Challenge // nil as long as the server has asked for nothing
	seq       int
	session   string
	early     []byte // frames that came between answers
}

// A link is a stream that plays.
type link struct {
	conn net.Conn // RTSP and, over TCP, media
	left []byte   // read from conn already
	rtp  *net.UDPConn
	rtcp *net.UDPConn
}

func (l *link) close() {
	l.conn.Close()
	if l.rtp != nil {
		l.rtp.Close()
		l.rtcp.Close()
	}
}

// connect makes a connection to a stream's server, on which everything has to be agreed
// within the time of a handshake. It returns the stream's URL without the login, too.
func connect(stream string) (c *client, bare string, err error) {
	u, err := url.Parse(stream)
	if err != nil {
		return nil, "", err
	}
	conn, err := dialer().Dial("tcp", u.Host)
	if err != nil {
		return nil, "", err
	}
	c = &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), login: u.User}
	u.User = nil
	_ = conn.SetDeadline(time.Now().Add(handshake)) // a TCP connection has deadlines
	return c, u.String(), nil
}

// play asks a server for a stream and returns when it plays.
func play(stream string, udp bool) (*link, error) {
	c, at, err := connect(stream)
	if err != nil {
		return nil, err
	}
	l := &link{conn: c.conn}
	if err := c.start(at, l, udp); err != nil {
		l.close()
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	_ = c.conn.SetDeadline(time.Time{})
	rest, _ := c.in.Peek(c.in.Buffered()) // what is buffered can be had
	l.left = append(c.early, rest...)
	return l, nil
}

// publish asks a server to take a stream and returns when it wants the packets.
func publish(stream string) (*client, error) {
	c, at, err := connect(stream)
	if err != nil {
		return nil, err
	}
	if err := c.record(at); err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	_ = c.conn.SetDeadline(time.Time{})
	return c, nil
}

// overTCP is the transport of media on the connection of the requests.
const overTCP = "RTP/AVP/TCP;unicast;interleaved=0-1"

// start walks through DESCRIBE, SETUP and PLAY.
func (c *client) start(stream string, l *link, udp bool) error {
	header, sdp, err := c.ask("DESCRIBE", stream, "Accept: application/sdp\r\n", "")
	if err != nil {
		return err
	}
	base := header.Get("Content-Base")
	if base == "" {
		base = stream
	}
	transport := overTCP
	if udp {
		if err := l.ports(); err != nil {
			return err
		}
		port := l.rtp.LocalAddr().(*net.UDPAddr).Port
		transport = fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d", port, port+1)
	}
	if err := c.setup(trackOf(base, string(sdp)), transport); err != nil {
		return err
	}
	_, _, err = c.ask("PLAY", base, "Range: npt=0.000-\r\n", "")
	return err
}

// record walks through OPTIONS, ANNOUNCE, SETUP and RECORD (RFC 2326 §10.3, §10.11).
func (c *client) record(stream string) error {
	if _, _, err := c.ask("OPTIONS", stream, "", ""); err != nil {
		return err
	}
	sdp := describe()
	if _, _, err := c.ask("ANNOUNCE", stream, "Content-Type: application/sdp\r\n", sdp); err != nil {
		return err
	}
	if err := c.setup(trackOf(stream, sdp), overTCP+";mode=record"); err != nil {
		return err
	}
	_, _, err := c.ask("RECORD", stream, "Range: npt=0.000-\r\n", "")
	return err
}

// setup agrees on a transport, and with it on a session.
func (c *client) setup(track, transport string) error {
	header, _, err := c.ask("SETUP", track, "Transport: "+transport+"\r\n", "")
	if err != nil {
		return err
	}
	c.session, _, _ = strings.Cut(header.Get("Session"), ";")
	got, tcp := header.Get("Transport"), strings.Contains(transport, "TCP")
	if tcp != strings.Contains(got, "TCP") || tcp && !strings.Contains(got, "interleaved=0-1") {
		return fmt.Errorf("transport %q", got)
	}
	return nil
}

// trackOf returns the URL of the first video track of a description (RFC 2326 §C.1.1).
func trackOf(base, sdp string) string {
	_, video, _ := strings.Cut(sdp, "m=video")
	control := ""
	for line := range strings.Lines(video) {
		if strings.HasPrefix(line, "m=") {
			break
		}
		if v, ok := strings.CutPrefix(line, "a=control:"); ok {
			control = strings.TrimSpace(v)
		}
	}
	switch {
	case strings.Contains(control, "://"):
		return control
	case control == "" || control == "*":
		return base
	}
	return strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(control, "/")
}

// ports opens two UDP ports, the first even (RFC 3550 §11), at the address that
// the server sees already.
func (l *link) ports() error {
	ip := l.conn.LocalAddr().(*net.TCPAddr).IP
	for range 100 {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
		if err != nil {
			return err
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip, Port: port + 1})
		if port%2 == 0 && err == nil {
			l.rtp, l.rtcp = a, b
			return widen(a)
		}
		a.Close()
		if err == nil {
			b.Close()
		}
	}
	return errors.New("no two UDP ports beside each other")
}

// ask sends a request, once more with a password if the server wants one.
func (c *client) ask(method, target, headers, content string) (textproto.MIMEHeader, []byte, error) {
	for {
		status, header, body, err := c.exchange(method, target, headers, content)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", method, err)
		case status == 401 && c.challenge == nil && c.login != nil:
			if c.challenge, err = digest.FindChallenge(map[string][]string{"Www-Authenticate": header["Www-Authenticate"]}); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", method, err)
			}
		case status != 200:
			return nil, nil, fmt.Errorf("%s: status %d", method, status)
		default:
			return header, body, nil
		}
	}
}

func (c *client) exchange(method, target, headers, content string) (status int, header textproto.MIMEHeader, body []byte, err error) {
	c.seq++
	request := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n%s", method, target, c.seq, headers)
	if c.session != "" {
		request += "Session: " + c.session + "\r\n"
	}
	if c.challenge != nil {
		password, _ := c.login.Password()
		cred, err := digest.Digest(c.challenge, digest.Options{Method: method, URI: target, Username: c.login.Username(), Password: password, Count: c.seq})
		if err != nil {
			return 0, nil, nil, err
		}
		request += "Authorization: " + cred.String() + "\r\n"
	}
	if content != "" {
		request += fmt.Sprintf("Content-Length: %d\r\n", len(content))
	}
	if _, err := io.WriteString(c.conn, request+"\r\n"+content); err != nil {
		return 0, nil, nil, err
	}
	return c.response()
}

func (c *client) response() (status int, header textproto.MIMEHeader, body []byte, err error) {
	if err := c.keepFrames(); err != nil {
		return 0, nil, nil, err
	}
	text := textproto.NewReader(c.in)
	line, err := text.ReadLine()
	if err != nil {
		return 0, nil, nil, err
	}
	words := strings.Fields(line)
	if len(words) < 2 || !strings.HasPrefix(line, "RTSP/1.0 ") {
		return 0, nil, nil, fmt.Errorf("no answer: %q", line)
	}
	if status, err = strconv.Atoi(words[1]); err != nil {
		return 0, nil, nil, err
	}
	if header, err = text.ReadMIMEHeader(); err != nil {
		return 0, nil, nil, err
	}
	n, _ := strconv.Atoi(header.Get("Content-Length")) // absent is none
	body = make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	return status, header, body, err
}

// keepFrames sets media aside that comes before an answer.
func (c *client) keepFrames() error {
	for {
		head, err := c.in.Peek(1)
		if err != nil || head[0] != '$' {
			return err
		}
		if head, err = c.in.Peek(frameSize); err != nil {
			return err
		}
		frame := make([]byte, frameSize+int(binary.BigEndian.Uint16(head[2:])))
		if _, err := io.ReadFull(c.in, frame); err != nil {
			return err
		}
		c.early = append(c.early, frame...)
	}
}
