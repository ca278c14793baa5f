package traffic

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Source is an RTSP server for any number of streams, over TCP only: whatever
// path is asked for is a stream of its own, whose last part is its number. That number decides the
// phase of its pictures, so that streams do not send at the same time.
// Nobody has to log in. It also publishes streams, to servers that take what is sent to
// them. Its methods are called by [Dial]'s client.
type Source struct {
	clip     []unit
	listener net.Listener
	playing  atomic.Int64
	packets  atomic.Uint64
	bytes    atomic.Uint64
	late     atomic.Int64 // nanoseconds
}

func newSource() *Source { return &Source{clip: newClip()} }

// Sent is what a source has sent.
type Sent struct {
	Playing int    // streams being sent now
	Packets uint64 // RTP, of all streams since the start
	Bytes   uint64 // of these, with their headers
	Late    time.Duration
}

// Nothing is the argument or the answer of what needs none.
type Nothing struct{}

// Listen opens the port. It answers with the address.
func (s *Source) Listen(addr string, at *string) (err error) {
	if s.listener != nil {
		return errors.New("listens already")
	}
	if s.listener, err = net.Listen("tcp", addr); err != nil {
		return err
	}
	*at = s.listener.Addr().String()
	go s.accept() // ends with the process
	return nil
}

// Read answers with what has been sent; Late is the worst since the last call.
func (s *Source) Read(_ Nothing, sent *Sent) error {
	*sent = Sent{int(s.playing.Load()), s.packets.Load(), s.bytes.Load(), time.Duration(s.late.Swap(0))}
	return nil
}

// Publish sends streams to servers that have not asked for them: the n-th stream to the n-th
// URL. It answers when all of them are taken; if one is not, none is sent.
func (s *Source) Publish(urls []string, _ *Nothing) error {
	var list []*client
	for _, u := range urls {
		c, err := publish(u)
		if err != nil {
			for _, c := range list {
				c.conn.Close()
			}
			return err
		}
		list = append(list, c)
	}
	for n, c := range list {
		go s.push(c, n) // ends with the connection
	}
	return nil
}

// push sends the n-th stream until the connection ends, and drops the reports that come.
func (s *Source) push(c *client, n int) {
	defer c.conn.Close()
	f := &feed{conn: c.conn, stop: make(chan struct{})}
	defer close(f.stop)
	go s.feed(f, n)
	_, _ = io.Copy(io.Discard, c.in) // a server that goes is heard of by its readers
}

func (s *Source) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_ = s.serve(c) // a server that goes, or says what is not RTSP, is heard of by its readers
		}()
	}
}

// A feed is one connection with a server.
type feed struct {
	conn    net.Conn
	mu      sync.Mutex // answers and pictures are written whole
	stop    chan struct{}
	playing bool
}

// serve answers requests until the connection ends.
func (s *Source) serve(c net.Conn) error {
	f := &feed{conn: c, stop: make(chan struct{})}
	defer close(f.stop)
	in := bufio.NewReader(c)
	for {
		method, url, header, err := readRequest(in)
		if err != nil {
			return err
		}
		status, rest := respond(method, url, header)
		if err := f.answer(header.Get("Cseq"), status, rest); err != nil {
			return err
		}
		switch {
		case method == "TEARDOWN":
			return nil
		case method == "PLAY" && !f.playing:
			f.playing = true
			go s.feed(f, streamNumber(url))
		}
	}
}

// readRequest reads a request, and drops the RTCP packets before it.
func readRequest(in *bufio.Reader) (method, url string, header textproto.MIMEHeader, err error) {
	if err = dropFrames(in); err != nil {
		return "", "", nil, err
	}
	text := textproto.NewReader(in)
	line, err := text.ReadLine()
	if err != nil {
		return "", "", nil, err
	}
	words := strings.Fields(line)
	if len(words) != 3 {
		return "", "", nil, fmt.Errorf("no request: %q", line)
	}
	if header, err = text.ReadMIMEHeader(); err != nil {
		return "", "", nil, err
	}
	n, _ := strconv.Atoi(header.Get("Content-Length")) // absent is none
	_, err = io.CopyN(io.Discard, in, int64(n))
	return words[0], words[1], header, err
}

func dropFrames(in *bufio.Reader) error {
	for {
		head, err := in.Peek(1)
		if err != nil || head[0] != '$' {
			return err
		}
		if head, err = in.Peek(frameSize); err != nil {
			return err
		}
		if _, err := in.Discard(frameSize + int(binary.BigEndian.Uint16(head[2:]))); err != nil {
			return err
		}
	}
}

// respond returns an answer from its first line on, without CSeq.
func respond(method, url string, header textproto.MIMEHeader) (status, rest string) {
	const good = "RTSP/1.0 200 OK\r\n"
	switch method {
	case "OPTIONS":
		return good, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER, SET_PARAMETER\r\n\r\n"
	case "DESCRIBE":
		body := describe()
		return good, fmt.Sprintf("Content-Base: %s/\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", strings.TrimSuffix(url, "/"), len(body), body)
	case "SETUP":
		if !strings.Contains(header.Get("Transport"), "RTP/AVP/TCP") {
			return "RTSP/1.0 461 Unsupported Transport\r\n", "\r\n"
		}
		return good, "Session: 1;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
	case "PLAY", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER":
		return good, "Session: 1\r\n\r\n"
	}
	return "RTSP/1.0 405 Method Not Allowed\r\n", "\r\n"
}

func describe() string {
	var sets []string
	for _, p := range parameters() {
		sets = append(sets, base64.StdEncoding.EncodeToString(p))
	}
	return "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=bench\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 packetization-mode=1;profile-level-id=42c028;sprop-parameter-sets=" + strings.Join(sets, ",") + "\r\na=control:trackID=0\r\n"
}

func (f *feed) answer(seq, status, rest string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := fmt.Fprintf(f.conn, "%sCSeq: %s\r\n%s", status, seq, rest)
	return err
}

// streamNumber reads the number at the end of a URL's path.
func streamNumber(url string) int {
	n, _ := strconv.Atoi(path.Base(strings.TrimSuffix(url, "/"))) // others are 0
	return n
}

// phases is over how many parts of a picture's time streams are spread.
const phases = 16

// feed sends the n-th stream until the connection ends.
func (s *Source) feed(f *feed, n int) {
	s.playing.Add(1)
	defer s.playing.Add(-1)
	state := sending{random: uint32(n)*2654435761 + 1, at: n * 19 % Group}
	next := time.Now().Truncate(interval).Add(interval + interval/phases*time.Duration(n%phases))
	for {
		select {
		case <-f.stop:
			return
		case <-time.After(time.Until(next)):
		}
		if late := time.Since(next); int64(late) > s.late.Load() {
			s.late.Store(int64(late))
		}
		u := &s.clip[state.at]
		wire := state.prepare(u)
		f.mu.Lock()
		_, err := f.conn.Write(wire)
		f.mu.Unlock()
		if err != nil {
			return
		}
		s.packets.Add(uint64(len(u.packets)))
		s.bytes.Add(uint64(len(wire) - frameSize*len(u.packets)))
		state.at = (state.at + 1) % Group
		next = next.Add(interval)
	}
}

// sending is where a feed is.
type sending struct {
	random uint32 // the SSRC
	at     int    // in the clip
	number uint32 // of the next picture
	seq    uint16
	buf    []byte
}

// prepare returns a picture's packets, numbered and marked; valid until the next call.
func (s *sending) prepare(u *unit) []byte {
	s.buf = append(s.buf[:0], u.wire...)
	for _, at := range u.packets {
		binary.BigEndian.PutUint16(s.buf[at+2:], s.seq)
		binary.BigEndian.PutUint32(s.buf[at+4:], s.number*ticks)
		binary.BigEndian.PutUint32(s.buf[at+8:], s.random)
		s.seq++
	}
	mark{s.number, int64(now()), uint32(u.slice)}.put(s.buf[len(s.buf)-markSize:])
	s.number++
	return s.buf
}
