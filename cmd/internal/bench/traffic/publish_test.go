package traffic

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
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
)

// A recorder is a server that takes one stream a connection.
type recorder struct {
	net.Listener
	refuse base.Method // that it forbids for the stream b; empty for none
}

func newRecorder(t *testing.T) *recorder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &recorder{Listener: l}
}

func (r *recorder) url(path string) string { return fmt.Sprintf("rtsp://%s/live/%s", r.Addr(), path) }

// A recording is a stream that a recorder takes, after RECORD.
type recording struct {
	net.Conn
	in   *bufio.Reader
	path string
}

// take lets the next stream in.
func (r *recorder) take(t *testing.T) *recording {
	t.Helper()
	conn, err := r.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // of TCP
	rec := &recording{Conn: conn, in: bufio.NewReader(conn)}
	for _, method := range []base.Method{base.Options, base.Announce, base.Setup, base.Record} {
		good, err := r.answer(rec, method)
		if err != nil {
			t.Fatal(err)
		}
		if !good {
			break
		}
	}
	return rec
}

// answer reads a request, which has to have the method, and answers it; good unless it is forbidden.
func (r *recorder) answer(rec *recording, method base.Method) (good bool, err error) {
	var q base.Request
	if err := q.Unmarshal(rec.in); err != nil {
		return false, err
	}
	a := base.Response{StatusCode: base.StatusOK, Header: base.Header{"CSeq": q.Header["CSeq"]}}
	rec.path = strings.TrimSuffix(q.URL.Path, "/trackID=0")
	if q.Method == r.refuse && rec.path == "/live/b" {
		a.StatusCode = base.StatusForbidden
	}
	if err := check(q, method, &a); err != nil {
		return false, err
	}
	text, err := a.Marshal()
	if err != nil {
		return false, err
	}
	_, err = rec.Write(text)
	return a.StatusCode == base.StatusOK, err
}

// check says what is wrong with a request, and completes its answer.
func check(q base.Request, want base.Method, answer *base.Response) error {
	if q.Method != want {
		return fmt.Errorf("%s, want %s", q.Method, want)
	}
	switch q.Method {
	case base.Announce:
		text, err := sdpunmarshaler.Unmarshal(q.Body)
		if err != nil {
			return err
		}
		var d description.Session
		if err := d.Unmarshal2(text); err != nil {
			return err
		}
		if len(d.Medias) != 1 || d.Medias[0].Type != description.MediaTypeVideo {
			return fmt.Errorf("announced %+v", d.Medias)
		}
	case base.Setup:
		var tr headers.Transport
		if err := tr.Unmarshal(q.Header["Transport"]); err != nil {
			return err
		}
		if tr.Mode == nil || *tr.Mode != headers.TransportModeRecord || tr.InterleavedIDs == nil {
			return fmt.Errorf("transport %q", q.Header["Transport"])
		}
		answer.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"}
		answer.Header["Session"] = base.HeaderValue{"7;timeout=60"}
	case base.Record:
		if len(q.Header["Session"]) != 1 || q.Header["Session"][0] != "7" {
			return fmt.Errorf("session %q", q.Header["Session"])
		}
	}
	return nil
}

// pictures reads so many pictures, and returns how they were and the SSRC.
func (r *recording) pictures(n uint64) (t tally, ssrc [4]byte, err error) {
	for marker := uint64(0); marker < n; {
		var f base.InterleavedFrame
		if err := f.Unmarshal(r.in); err != nil {
			return t, ssrc, err
		}
		if len(f.Payload) < rtpHeader || f.Channel != 0 || t.Packets == 0 && (f.Payload[2] != 0 || f.Payload[3] != 0) {
			return t, ssrc, fmt.Errorf("packet %d has channel %d and begins with %x", t.Packets, f.Channel, f.Payload[:min(rtpHeader, len(f.Payload))])
		}
		copy(ssrc[:], f.Payload[8:])
		marker += uint64(f.Payload[1] >> 7)
		t.add(f.Payload, now())
	}
	return t, ssrc, nil
}

// await waits until so many streams are being sent, and what was received is counted as sent.
func await(t *testing.T, c *Client, playing int, received Totals) {
	for deadline := time.Now().Add(20 * time.Second); ; {
		sent, err := c.Sent(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v sent, want %d streams and %+v: %v", sent, playing, received, err)
		}
		if sent.Playing == playing && sent.Packets >= received.Packets && sent.Bytes >= received.Bytes {
			return
		}
	}
}

func TestAServerThatIsPublishedToGetsEveryPacketInOrder(t *testing.T) {
	r, c := newRecorder(t), serveTraffic(t)
	published := make(chan error, 1)
	go func() { published <- c.Publish(t.Context(), []string{r.url("a"), r.url("b")}) }()
	var list []*recording
	for range 2 {
		list = append(list, r.take(t))
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	const n = 4
	var sum Totals
	ssrcs := map[[4]byte]bool{}
	for i, rec := range list {
		got, ssrc, err := rec.pictures(n)
		if err != nil || !got.Whole() || got.Pictures != n || got.number != n {
			t.Errorf("stream %d: %+v, up to picture %d: %v", i, got.Totals, got.number, err)
		}
		sum, ssrcs[ssrc] = sum.Plus(got.Totals), true
	}
	if list[0].path != "/live/a" || list[1].path != "/live/b" || len(ssrcs) != 2 {
		t.Errorf("%s and %s have %d streams", list[0].path, list[1].path, len(ssrcs))
	}
	await(t, c, 2, sum)
	list[0].Close()
	await(t, c, 1, sum)
}

func TestNothingIsPublishedIfOneStreamIsRefused(t *testing.T) {
	for _, method := range []base.Method{base.Options, base.Announce, base.Setup, base.Record} {
		r, c := newRecorder(t), serveTraffic(t)
		r.refuse = method
		published := make(chan error, 1)
		go func() { published <- c.Publish(t.Context(), []string{r.url("a"), r.url("b")}) }()
		first := r.take(t)
		r.take(t)
		if err := <-published; err == nil || !strings.Contains(err.Error(), r.url("b")+": "+string(method)+": status 403") {
			t.Errorf("%s is refused: %v", method, err)
		}
		if b, err := first.in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s is refused; the other stream does not end, but goes on with %q: %v", method, b, err)
		}
		await(t, c, 0, Totals{})
	}
}

func TestWhoIsNotThereToBePublishedToIsNamed(t *testing.T) {
	r, c := newRecorder(t), serveTraffic(t)
	r.Close()
	if err := c.Publish(t.Context(), []string{r.url("a")}); err == nil || !strings.Contains(err.Error(), r.Addr().String()) {
		t.Errorf("published to nobody: %v", err)
	}
}
