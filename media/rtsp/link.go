package rtsp

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media/sock"
)

// A link is the control connection of a stream that plays: it keeps the session
// alive and passes over what the encoder answers to that.
type link struct {
	session *session
	conn    *sock.TCP
	rest    []byte // read before the source took over
	out     sock.Vector
	ssrc    uint32 // of our receiver reports

	alive   time.Time // when the session was last kept alive
	report  time.Time // when receiver reports were last sent
	packets uint64    // pushed so far
	seen    uint64    // packets at heard
	heard   time.Time // when packets was last seen to grow
}

// watch notes progress, and returns an error once there was none for too long.
func (l *link) watch(now time.Time) error {
	if l.packets != l.seen || l.heard.IsZero() {
		l.seen, l.heard = l.packets, now
	}
	if silent := now.Sub(l.heard); silent > silenceLimit {
		return fmt.Errorf("%w for %s", ErrSilent, silent.Round(time.Second))
	}
	return nil
}

// keepAlive sends what keeps the session alive at the encoder, when it is time.
func (l *link) keepAlive(now time.Time) error {
	if l.alive.IsZero() {
		l.alive = now
	}
	if now.Sub(l.alive) < l.session.timeout/2 {
		return nil
	}
	l.alive = now
	m := base.GetParameter
	if l.session.options {
		m = base.Options
	}
	text, err := l.message(m)
	if err != nil {
		return err
	}
	return l.write(text)
}

// message writes a request with a fresh Authorization.
func (l *link) message(m base.Method) ([]byte, error) {
	answer, err := l.session.auth.Answer(string(m), l.session.url.String(), nil)
	if err != nil {
		return nil, err
	}
	return l.session.request(m, l.session.url, nil, answer.Header)
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
// (an answer to a keepalive, or a request of the encoder, which is not served);
// 0 if it is not whole yet.
func passOver(b []byte) (int, error) {
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

// teardown tells the encoder that we leave, as far as that goes without waiting.
func (l *link) teardown() {
	if text, err := l.message(base.Teardown); err == nil {
		_ = l.write(text) // it is a courtesy
	}
	l.session.close()
}
