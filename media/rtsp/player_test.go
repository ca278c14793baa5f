package rtsp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media/digest"
)

// A player is the far end of a connection, and says what the test tells it.
type player struct {
	t    *testing.T
	url  string
	conn net.Conn
	in   *bufio.Reader
	seq  int
	id   string
	auth *digest.Session

	frames [][]byte // interleaved frames that came before answers, channel first
}

// dial connects to a house as wang.
func (h *house) dial() *player {
	h.t.Helper()
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(h.url, "rtsp://"), "/cam1"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return &player{t: h.t, url: h.url, conn: c, in: bufio.NewReader(c),
		auth: digest.New(digest.Config{User: "wang", Password: "right"})}
}

// say sends a request and does not wait for its answer. Headers are lines.
func (p *player) say(m base.Method, url string, headers ...string) {
	p.t.Helper()
	p.seq++
	a, err := p.auth.Answer(string(m), url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	text := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n", m, url, p.seq)
	if a.Header != "" {
		text += "Authorization: " + a.Header + "\r\n"
	}
	if p.id != "" && !strings.Contains(strings.Join(headers, ""), "Session:") {
		text += "Session: " + p.id + "\r\n"
	}
	for _, line := range headers {
		text += line + "\r\n"
	}
	if _, err := io.WriteString(p.conn, text+"\r\n"); err != nil {
		p.t.Fatal(err)
	}
}

// next reads the next frame, or the next answer.
func (p *player) next() (frame []byte, res *base.Response, err error) {
	first, err := p.in.Peek(4)
	if err != nil {
		return nil, nil, err
	}
	if first[0] != '$' {
		res = new(base.Response)
		return nil, res, res.Unmarshal(p.in)
	}
	frame = make([]byte, 4+int(first[2])<<8+int(first[3]))
	_, err = io.ReadFull(p.in, frame)
	return append(frame[1:2:2], frame[4:]...), nil, err
}

// answer reads up to the next answer, and keeps the frames that come before.
func (p *player) answer() *base.Response {
	p.t.Helper()
	for {
		frame, res, err := p.next()
		switch {
		case err != nil:
			p.t.Fatal(err)
		case res == nil:
			p.frames = append(p.frames, frame)
			continue
		}
		if seq := res.Header["CSeq"]; len(seq) != 1 || seq[0] != fmt.Sprint(p.seq) {
			p.t.Fatalf("answer to %s, not to %d", seq, p.seq)
		}
		if s := res.Header["Session"]; len(s) == 1 {
			p.id, _, _ = strings.Cut(s[0], ";")
		}
		return res
	}
}

// ask sends a request and returns the answer, answering one challenge.
func (p *player) ask(m base.Method, url string, headers ...string) *base.Response {
	p.t.Helper()
	p.say(m, url, headers...)
	res := p.answer()
	if res.StatusCode == base.StatusUnauthorized && p.auth.Challenge(digest.Answer{}, res.Header["WWW-Authenticate"]) == nil {
		p.say(m, url, headers...)
		res = p.answer()
	}
	return res
}

// must asks, and fails unless the answer is 200.
func (p *player) must(m base.Method, url string, headers ...string) *base.Response {
	p.t.Helper()
	res := p.ask(m, url, headers...)
	if res.StatusCode != base.StatusOK {
		p.t.Fatalf("%s: %d %s", m, res.StatusCode, res.StatusMessage)
	}
	return res
}

// interleave is a Transport that most use.
const interleave = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"

// play starts the first track, interleaved.
func (p *player) play() *base.Response {
	p.t.Helper()
	p.must(base.Describe, p.url)
	p.must(base.Setup, p.url+"/trackID=0", interleave)
	return p.must(base.Play, p.url)
}

// closed reads until the connection ends, and fails if it does not.
func (p *player) closed() {
	p.t.Helper()
	for {
		frame, _, err := p.next()
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || isTimeout(err) {
				p.t.Errorf("the connection ends with %v", err)
			}
			return
		}
		if frame != nil {
			p.frames = append(p.frames, frame)
		}
	}
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}
