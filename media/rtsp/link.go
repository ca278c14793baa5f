package rtsp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media/digest"
	"districtgateway/media/sock"
)

// A link is the control connection of a stream that plays: it keeps the session
// alive and deals with what the encoder says meanwhile.
type link struct {
	session *session
	conn    *sock.TCP
	rest    []byte // read and not yet looked at
	out     sock.Vector
	about   string // address of requests
	ssrc    uint32 // of our receiver reports
	prompts *prompter
	asked   struct {
		method base.Method
		seq    int // of the keepalive
		answer digest.Answer
	}

	alive  time.Time // when the session is to be kept alive next
	report time.Time // when receiver reports were last sent
	pulse
}

// keepAlive sends what keeps the session alive at the encoder, when it is time.
func (l *link) keepAlive(now time.Time) error {
	if !l.alive.IsZero() && now.Before(l.alive) {
		return nil
	}
	first := l.alive.IsZero()
	// Between a third and a half of what the encoder waits for: sessions that began
	// together are not kept alive together.
	third := l.session.timeout / 3
	l.alive = now.Add(third + rand.N(third/2))
	if first {
		return nil
	}
	return l.ask()
}

// ask sends a keepalive.
func (l *link) ask() error {
	m := base.GetParameter
	if l.session.options {
		m = base.Options
	}
	text, answer, err := l.message(m)
	if err != nil {
		return err
	}
	l.asked.method, l.asked.seq, l.asked.answer = m, l.session.seq, answer
	return l.write(text)
}

// message writes a request with a fresh Authorization. It is written by hand, since
// the library makes a map and two strings of every line, and this goes on for ever.
func (l *link) message(m base.Method) ([]byte, digest.Answer, error) {
	s := l.session
	if l.about == "" {
		l.about = s.control.String()
	}
	answer, err := s.auth.Answer(string(m), l.about, nil)
	if err != nil {
		return nil, answer, err
	}
	s.seq++
	text := append(make([]byte, 0, 1024), m...)
	text = append(append(text, ' '), l.about...)
	text = strconv.AppendInt(append(text, " RTSP/1.0\r\nCSeq: "...), int64(s.seq), 10)
	text = append(append(text, "\r\nUser-Agent: "...), userAgent...)
	if s.id != "" {
		text = append(append(text, "\r\nSession: "...), s.id...)
	}
	if answer.Header != "" {
		text = append(append(text, "\r\nAuthorization: "...), answer.Header...)
	}
	return append(text, "\r\n\r\n"...), answer, nil
}

// handle deals with one whole message of the encoder. One that cannot be read is
// passed over, and so is word that all is well, which is what nearly all say.
func (l *link) handle(b []byte) error {
	if bytes.HasPrefix(b, []byte("RTSP/1.0 200 ")) {
		return nil
	}
	in := bufio.NewReader(bytes.NewReader(b))
	if bytes.HasPrefix(b, []byte("RTSP/")) {
		var res base.Response
		if res.Unmarshal(in) != nil {
			return nil
		}
		return l.answered(&res)
	}
	var req base.Request
	if req.Unmarshal(in) != nil {
		return nil
	}
	text, err := l.session.reply(&req)
	if err != nil {
		return err
	}
	return l.write(text)
}

// answered deals with the answer to a keepalive: one refused because its nonce has
// expired is sent again with the new one, or the session would expire too.
func (l *link) answered(res *base.Response) error {
	if seq := res.Header["CSeq"]; len(seq) != 1 || strings.TrimSpace(seq[0]) != strconv.Itoa(l.asked.seq) {
		return nil
	}
	switch res.StatusCode {
	case base.StatusUnauthorized:
		if err := l.session.auth.Challenge(l.asked.answer, res.Header["WWW-Authenticate"]); err != nil {
			return fmt.Errorf("keepalive: %w: %w", ErrUnauthorized, err)
		}
		return l.ask()
	case base.StatusSessionNotFound:
		return fmt.Errorf("%w: %d %.80s", errLeft, res.StatusCode, res.StatusMessage)
	case base.StatusOK:
	default:
		if l.asked.method == base.GetParameter { // from now on by what every encoder knows
			l.session.options = true
			return l.ask()
		}
	}
	return nil
}

// write sends a message whole, or leaves the rest for the next call. A connection
// that takes nothing for as long as a session lives is broken anyway.
func (l *link) write(text []byte) error {
	if l.out.Len() == 0 {
		l.out.Reset()
	}
	l.out.Add(text)
	return l.conn.Send(&l.out)
}

// flush goes on with what write left.
func (l *link) flush() error {
	if l.out.Len() == 0 {
		return nil
	}
	return l.conn.Send(&l.out)
}

// reportDue reports whether receiver reports are to be sent now.
func (l *link) reportDue(now time.Time) bool {
	if l.report.IsZero() {
		l.report = now
	}
	if now.Sub(l.report) < reportEvery {
		return false
	}
	l.report = now
	return true
}

// maxMessage bounds an RTSP message among media.
const maxMessage = 64 << 10

// passOver returns how many bytes at the beginning of b are a whole RTSP message
// (an answer to a keepalive, or a request of the encoder); 0 if it is not whole
// yet. Every message begins with a letter.
func passOver(b []byte) (int, error) {
	if len(b) > 0 && (b[0] < 'A' || b[0] > 'Z') {
		return 0, fmt.Errorf("%#x begins neither RTP nor an RTSP message", b[0])
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxMessage {
			return 0, fmt.Errorf("%d bytes are neither RTP nor an RTSP message", len(b))
		}
		return 0, nil
	}
	size := end + 4
	for line := range bytes.SplitSeq(b[:end], []byte("\r\n")) {
		k, v, ok := bytes.Cut(line, []byte(":"))
		if !ok || !bytes.EqualFold(bytes.TrimSpace(k), []byte("Content-Length")) {
			continue
		}
		n, err := strconv.Atoi(string(bytes.TrimSpace(v)))
		if err != nil || n < 0 || n > maxMessage {
			return 0, fmt.Errorf("content length %.16q of an RTSP message", v)
		}
		size += n
	}
	if len(b) < size {
		return 0, nil
	}
	return size, nil
}

// control deals with what is left in rest, where no media comes between (UDP).
func (l *link) control() error {
	for len(l.rest) > 0 {
		if l.rest[0] == '\r' || l.rest[0] == '\n' {
			l.rest = l.rest[1:]
			continue
		}
		n, err := passOver(l.rest)
		if n == 0 || err != nil {
			return err
		}
		if err := l.handle(l.rest[:n]); err != nil {
			return err
		}
		l.rest = l.rest[n:]
	}
	l.rest = nil
	return nil
}

// closed says who ended a connection.
func closed(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("encoder closed the connection: %w", err)
	}
	return err
}

// teardown tells the encoder that we leave, as far as that goes without waiting.
func (l *link) teardown() {
	if text, _, err := l.message(base.Teardown); err == nil {
		_ = l.write(text) // it is a courtesy
	}
	l.conn.Close()
	l.session.close()
	l.prompts.close()
}
