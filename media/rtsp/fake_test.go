package rtsp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/sock"
)

// A fake is an encoder that does what the test tells it, right or wrong.
type fake struct {
	t     *testing.T
	url   string
	conn  net.Conn // of the one session
	heard chan base.Request
	// script gives what is sent for a request, "{seq}" being its number, instead of
	// the usual answer. Called on the encoder's goroutine.
	script func(req *base.Request) (text string, ok bool)
	seen   map[base.Method]int
	mute   bool   // it plays, but no datagram arrives
	port   uint16 // UDP: where the first track is wanted
}

const (
	fakeSDP = sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\nm=audio 0 RTP/AVP 8\r\na=control:a\r\n"
	answer  = "RTSP/1.0 200 OK\r\nCSeq: {seq}\r\n"
)

// newFake starts an encoder for one connection after the other.
func newFake(t *testing.T, script func(f *fake, req *base.Request) (string, bool)) *fake {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, url: "rtsp://" + l.Addr().String() + "/main", heard: make(chan base.Request, 100), seen: map[base.Method]int{}}
	f.script = func(req *base.Request) (string, bool) { return script(f, req) }
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(f.heard)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.conn = c
			f.serve(bufio.NewReader(c))
			c.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		ended := make(chan struct{})
		go func() { wg.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Error("the client left its connection open")
		}
	})
	return f
}

// usual is the answer of an encoder that behaves.
func usual(req *base.Request) string {
	switch req.Method {
	case base.Options:
		return answer + "Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n\r\n"
	case base.Describe:
		return answer + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(fakeSDP), fakeSDP)
	case base.Setup:
		return answer + "Session: 4711 ; Timeout = 1\r\nTransport: " + req.Header["Transport"][0] + "\r\n\r\n"
	}
	return answer + "\r\n"
}

// serve answers requests until the connection ends. What the gateway says besides
// is handed to the test as a request with the method of its first word.
func (f *fake) serve(in *bufio.Reader) {
	for {
		first, err := in.Peek(4)
		if err != nil {
			return
		}
		switch {
		case first[0] == '$':
			_, err = io.CopyN(io.Discard, in, 4+int64(first[2])<<8+int64(first[3]))
		case string(first) == "RTSP":
			var res base.Response
			err = res.Unmarshal(in)
			f.heard <- base.Request{Method: base.Method(fmt.Sprintf("RTSP/1.0 %d", res.StatusCode)), Header: res.Header}
		default:
			err = f.answer(in)
		}
		if err != nil {
			return
		}
	}
}

func (f *fake) answer(in *bufio.Reader) error {
	var req base.Request
	if err := req.Unmarshal(in); err != nil {
		return err
	}
	text, ok := f.script(&req)
	if !ok {
		text = usual(&req)
	}
	f.seen[req.Method]++
	f.heard <- req
	if _, port, udp := strings.Cut(strings.Join(req.Header["Transport"], ""), "client_port="); udp && f.port == 0 {
		_, _ = fmt.Sscanf(port, "%d", &f.port)
	}
	if req.Method == base.Play && f.port != 0 && !f.mute {
		f.datagram()
	}
	_, err := io.WriteString(f.conn, strings.ReplaceAll(text, "{seq}", req.Header["CSeq"][0]))
	return err
}

// datagram sends the first datagram of the first track.
func (f *fake) datagram() {
	c, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", f.port))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer c.Close()
	_, _ = c.Write((&mediatest.Packetizer{PayloadType: 96, SSRC: 1}).Packet(0, true, []byte{9, 0x10}))
}

// await returns the next request of a method.
func (f *fake) await(m base.Method) base.Request {
	f.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case req, ok := <-f.heard:
			if !ok {
				f.t.Fatalf("connection ended before %s", m)
			}
			if req.Method == m {
				return req
			}
		case <-limit:
			f.t.Fatalf("no %s came", m)
		}
	}
}

// watch runs a stream of the fake; done tells why it ended.
func (f *fake) watch(udp bool) (s *media.Stream, stop func(), done chan error) {
	cfg := config(f.url)
	cfg.Transport = over(udp)
	s = media.NewStream(media.StreamConfig{Once: true}, func(ctx context.Context) (media.Opened, error) { return Open(ctx, cfg) })
	ctx, cancel := context.WithCancel(f.t.Context())
	done = make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	f.t.Cleanup(cancel)
	return s, cancel, done
}

// interleaved is one RTP packet among RTSP.
func interleaved(channel byte, p []byte) string {
	return string([]byte{'$', channel, byte(len(p) >> 8), byte(len(p))}) + string(p)
}

// keyPicture is one key picture as interleaved frames.
func keyPicture(channel byte, ts uint32) string {
	p := mediatest.Packetizer{PayloadType: 96, SSRC: 1, Seq: uint16(ts / 100)}
	var b strings.Builder
	nals := append(mediatest.Parameters(media.H264), mediatest.Slice(media.H264, true, 3000, 1))
	for _, packet := range p.Video(media.H264, ts, nals...) {
		b.WriteString(interleaved(channel, packet))
	}
	return b.String()
}

func TestKeepaliveIsRepeatedWithTheNewNonce(t *testing.T) {
	for _, udp := range []bool{false, true} {
		t.Run(fmt.Sprintf("udp=%t", udp), func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(f *fake, req *base.Request) (string, bool) {
				nonce := "first"
				if f.seen[base.GetParameter] > 0 {
					nonce = "second"
				}
				if req.Method == base.GetParameter && f.seen[base.GetParameter] == 0 {
					nonce = "none of them is good"
				}
				if auth := req.Header["Authorization"]; len(auth) == 1 && strings.Contains(auth[0], `nonce="`+nonce+`"`) {
					return "", false
				}
				if req.Method == base.GetParameter {
					nonce = "second"
				}
				return "RTSP/1.0 401 Unauthorized\r\nCSeq: {seq}\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"" + nonce + "\"\r\n\r\n", true
			})
			_, stop, done := f.watch(udp)
			f.await(base.Play)
			f.await(base.GetParameter)
			if auth := f.await(base.GetParameter).Header["Authorization"]; len(auth) != 1 || !strings.Contains(auth[0], `nonce="second"`) {
				t.Errorf("repeated with %s", auth)
			}
			f.await(base.GetParameter) // and it goes on
			stop()
			<-done
		})
	}
}

func TestKeepaliveThatIsNotKnownIsExchanged(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(_ *fake, req *base.Request) (string, bool) {
		return "RTSP/1.0 501 Not Implemented\r\nCSeq: {seq}\r\n\r\n", req.Method == base.GetParameter
	})
	f.watch(false)
	f.await(base.GetParameter)
	f.await(base.Options)
	f.await(base.Options)
}

func TestLostSessionEndsTheSourceAtOnce(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(_ *fake, req *base.Request) (string, bool) {
		return "RTSP/1.0 454 Session Not Found\r\nCSeq: {seq}\r\n\r\n", req.Method == base.GetParameter
	})
	_, _, done := f.watch(true)
	if err := <-done; !errors.Is(err, errLeft) {
		t.Errorf("ended with %v", err)
	}
}

func TestEncoderThatAsksIsAnswered(t *testing.T) {
	for _, udp := range []bool{false, true} {
		for method, want := range map[string]base.Method{
			"OPTIONS": "RTSP/1.0 200", "GET_PARAMETER": "RTSP/1.0 200", "SET_PARAMETER": "RTSP/1.0 200", "ANNOUNCE": "RTSP/1.0 200", "PLAY_NOTIFY": "RTSP/1.0 501",
		} {
			ask := method + " rtsp://127.0.0.1/main RTSP/1.0\r\nCSeq: 77\r\nContent-Length: 4\r\n\r\nabcd"
			for at, place := range map[base.Method]func(usual string) string{
				base.Setup: func(usual string) string { return ask + usual },          // before an answer
				base.Play:  func(usual string) string { return usual + "\r\n" + ask }, // among media
			} {
				f := newFake(t, func(_ *fake, req *base.Request) (string, bool) { return place(usual(req)), req.Method == at })
				_, stop, done := f.watch(udp)
				if seq := f.await(want).Header["CSeq"]; len(seq) != 1 || seq[0] != "77" {
					t.Errorf("%s at %s: answer to %s", method, at, seq)
				}
				stop()
				<-done
			}
		}
	}
}

func TestEncoderThatLeavesEndsTheSource(t *testing.T) {
	t.Parallel()
	for _, last := range []string{
		"TEARDOWN rtsp://127.0.0.1/main RTSP/1.0\r\nCSeq: 1\r\n\r\n", "REDIRECT rtsp://127.0.0.1/main RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://10.0.0.1/\r\n\r\n", "",
	} {
		for _, udp := range []bool{false, true} {
			f := newFake(t, func(f *fake, req *base.Request) (string, bool) {
				if req.Method == base.GetParameter {
					f.conn.Close()
				}
				return usual(req) + last, req.Method == base.Play
			})
			_, _, done := f.watch(udp)
			if err := <-done; err == nil || last != "" && !errors.Is(err, errLeft) || last == "" && !strings.Contains(err.Error(), "clos") && !strings.Contains(err.Error(), "reset") {
				t.Errorf("after %.8q: %v", last, err)
			}
		}
	}
}

func TestFramesBeforeTheAnswerToPlayAreKept(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(_ *fake, req *base.Request) (string, bool) {
		switch req.Method {
		case base.Play:
			return keyPicture(0, 9000) + usual(req), true
		case base.GetParameter: // later than nothing: the picture must be there without
			return usual(req), true
		}
		return "", false
	})
	s, _, _ := f.watch(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Error(err)
	}
}

func TestChannelsAreThoseTheEncoderNames(t *testing.T) {
	for name, channels := range map[string][2]string{
		"others than asked for": {"10-11", "20-21"},
		"the same for all":      {"0-1", "0-1"},
		"none":                  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			sound := mediatest.Packetizer{PayloadType: 8, SSRC: 2}
			video, audio := byte(0), byte(2)
			f := newFake(t, func(f *fake, req *base.Request) (string, bool) {
				switch k := f.seen[base.Setup]; {
				case req.Method == base.Setup && channels[k] == "":
					return answer + "Session: 1\r\n\r\n", true
				case req.Method == base.Setup:
					fmt.Sscanf(channels[k], "%d", map[int]*byte{0: &video, 1: &audio}[k])
					return answer + "Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=" + channels[k] + "\r\n\r\n", true
				case req.Method == base.Play:
					text := usual(req)
					for i := range uint32(3) {
						text += keyPicture(video, 9000*(i+1)) + interleaved(audio, sound.Packet(800*i, true, make([]byte, 320)))
					}
					return text, true
				}
				return "", false
			})
			s, _, _ := f.watch(false)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := s.WaitReady(ctx); err != nil {
				t.Fatal(err)
			}
			sink := &mediatest.Sink{Oldest: true}
			if err := s.Attach(sink); err != nil {
				t.Fatal(err)
			}
			for video, audio := 0, 0; video < 2 || audio < 2; video, audio = count(t, sink) {
				if ctx.Err() != nil {
					t.Fatalf("%d pictures, %d sounds", video, audio)
				}
				<-time.After(time.Millisecond)
			}
		})
	}
}

// An encoder that plays by UDP through a firewall that lets nothing pass is taken by
// TCP after a few seconds, and its UDP session is ended.
func TestSilenceByUDPFallsBackToTCP(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake, req *base.Request) (string, bool) {
		if req.Method == base.Play && f.seen[base.Play] == 1 {
			return usual(req) + keyPicture(0, 9000) + keyPicture(0, 18000), true
		}
		return "", false
	})
	f.mute = true
	var text bytes.Buffer
	cfg := config(f.url)
	cfg.Transport, cfg.Log = UDP, slog.New(slog.NewTextHandler(&text, nil))
	s := media.NewStream(media.StreamConfig{Once: true}, func(ctx context.Context) (media.Opened, error) { return Open(ctx, cfg) })
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if tr := f.await(base.Setup).Header["Transport"]; len(tr) != 1 || !strings.Contains(tr[0], "client_port") {
		t.Errorf("asks for %s first", tr)
	}
	f.await(base.Play)
	f.await(base.Teardown)
	if tr := f.await(base.Setup).Header["Transport"]; len(tr) != 1 || !strings.Contains(tr[0], "interleaved") {
		t.Errorf("asks for %s then", tr)
	}
	if err := s.WaitReady(ctx); err != nil {
		t.Error(err)
	}
	if !s.State().Ordered {
		t.Error("the state does not tell that TCP runs")
	}
	cancel()
	<-done
	if n := strings.Count(text.String(), errSilentUDP.Error()); n != 1 {
		t.Errorf("logged %d times: %s", n, &text)
	}
}

// Datagrams of others do not pass for the encoder's.
func TestStrangersDatagramIsNoArrival(t *testing.T) {
	t.Parallel()
	ports, err := openPorts(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ports.close()
	ports.host = netip.MustParseAddr("127.0.0.1")
	u := &udpSource{link: &link{session: &session{ports: []udpPorts{ports}}}}
	send := func(from string) {
		c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(ports.rtp.Local()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte(from))
	}
	send("127.0.0.2")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if u.arrives(ctx) {
		t.Error("a stranger's datagram was taken for the encoder's")
	}
	send("127.0.0.2")
	send("127.0.0.1")
	if !u.arrives(t.Context()) {
		t.Error("the encoder's datagram was not seen")
	}
	var b [20]byte
	if n, err := ports.rtp.Receive(b[:], true, time.Now().Add(time.Second)); err != nil || string(b[:n]) != "127.0.0.1" {
		t.Errorf("then came %q, %v: it was to stay", b[:n], err)
	}
}

func TestEncoderWithoutOptionsIsOpened(t *testing.T) {
	f := newFake(t, func(f *fake, req *base.Request) (string, bool) {
		return "RTSP/1.0 405 Method Not Allowed\r\nCSeq: {seq}\r\n\r\n", req.Method == base.Options && f.seen[base.Options] == 0
	})
	f.watch(false)
	f.await(base.Play)
}

func TestOpeningThatIsGivenUpLeavesNothingOpen(t *testing.T) {
	for n := range 300 {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			f := newFake(t, func(_ *fake, req *base.Request) (string, bool) {
				if req.Method == base.Play {
					time.AfterFunc(time.Duration(n)*time.Microsecond, cancel) // before, while and after its answer is read
				}
				return "", false
			})
			if o, err := open(ctx, withDefaults(config(f.url))); err == nil {
				o.Source.Close()
			}
		})
	}
}

func TestTeardownIsSaid(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(*fake, *base.Request) (string, bool) { return "", false })
	_, stop, done := f.watch(false)
	f.await(base.Play)
	f.await(base.GetParameter)
	stop()
	<-done
	if id := f.await(base.Teardown).Header["Session"]; len(id) != 1 || id[0] != "4711" {
		t.Errorf("session %s", id)
	}
}

func TestTransportThatIsNotTheOneAskedForIsExchanged(t *testing.T) {
	f := newFake(t, func(_ *fake, req *base.Request) (string, bool) {
		return answer + "Session: 1\r\nTransport: RTP/AVP;unicast;client_port=1-2;server_port=3-4\r\n\r\n", req.Method == base.Setup
	})
	cfg := config(f.url)
	_, err := open(t.Context(), withDefaults(cfg))
	if !errors.Is(err, errTransport) {
		t.Errorf("got %v", err)
	}
}

func TestSessionHeaderIsReadLeniently(t *testing.T) {
	for text, want := range map[string]session{
		"12":                     {id: "12", timeout: defaultTimeout},
		"12;timeout=30":          {id: "12", timeout: 30 * time.Second},
		" 12 ; Timeout = 30 ":    {id: "12", timeout: 30 * time.Second},
		"12;timeout=0":           {id: "12", timeout: defaultTimeout},
		"12;timeout=-5":          {id: "12", timeout: defaultTimeout},
		"12;timeout=99999999999": {id: "12", timeout: time.Hour},
		"12;timeout":             {id: "12", timeout: defaultTimeout},
		";timeout=x":             {id: "before", timeout: defaultTimeout},
	} {
		s := session{id: "before", timeout: defaultTimeout}
		s.note(&base.Response{Header: base.Header{"Session": {text}}})
		if s.id != want.id || s.timeout != want.timeout {
			t.Errorf("%q: id %q, timeout %s", text, s.id, s.timeout)
		}
	}
}

func TestFirstDatagramTellsPortsThatSetupDidNot(t *testing.T) {
	open := func(host string) *sock.UDP {
		u, err := sock.ListenUDP(netip.AddrPortFrom(netip.MustParseAddr(host), 0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Close() })
		return u
	}
	p := udpPorts{rtp: open("127.0.0.1"), rtcp: open("127.0.0.1"), host: netip.MustParseAddr("127.0.0.1")}
	encoder, stranger := open("127.0.0.1"), open("127.0.0.2")
	arrives := func(from *sock.UDP) {
		t.Helper()
		var b sock.Batch
		b.Add([]byte("x"))
		b.End()
		if err := from.Connect(p.rtp.Local()); err != nil {
			t.Fatal(err)
		}
		if _, err := from.Send(&b, 0, 1); err != nil {
			t.Fatal(err)
		}
		if n, err := p.rtp.Receive(make([]byte, 9), true, time.Now().Add(5*time.Second)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if arrives(stranger); p.admits() {
		t.Error("a stranger was taken for the encoder")
	}
	if arrives(encoder); !p.admits() || !p.connected {
		t.Error("the encoder was not admitted")
	}
}

func TestInfoIsMatchedByAddress(t *testing.T) {
	s := session{urls: []string{"rtsp://h/main/v", "rtsp://h/main/a"}, flows: []*flow{{}, {}}}
	s.readInfo(&base.Response{Header: base.Header{"RTP-Info": {"url=rtsp://h/main/a;seq=1;rtptime=8, url=v;seq=2;rtptime=90"}}})
	if v, a := s.flows[0].info, s.flows[1].info; v.timestamp != 90 || a.timestamp != 8 || v.at == nil || v.at != a.at {
		t.Errorf("%+v and %+v", v, a)
	}
}

// TestFlowsBeginTogetherByInfo: an encoder sends the sound of a second before the first
// picture. By RTP-Info they belong together all the same.
func TestFlowsBeginTogetherByInfo(t *testing.T) {
	for name, tc := range map[string]struct {
		told uint32 // for the pictures
		want media.Ticks
	}{
		"told right": {5000, 0},
		"nonsense":   {5000 + 1<<30, 90000}, // then by arrival
	} {
		t.Run(name, func(t *testing.T) {
			s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, nil)
			now := time.Unix(1e9, 0)
			s.Adopt(media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264), {Codec: media.G711A, ClockRate: 8000, PayloadType: 8, Channels: 1}}}, now)
			at := new(instant)
			video := &flow{index: 0, rate: 90000, pt: 96, info: info{tc.told, at}}
			sound := &flow{index: 1, rate: 8000, pt: 8, info: info{700, at}}
			v, a := mediatest.Packetizer{PayloadType: 96}, mediatest.Packetizer{PayloadType: 8}
			for i := range uint32(50) {
				sound.push(s, mediatest.Put(s, a.Packet(700+160*i, false, make([]byte, 160))), now)
				now = now.Add(20 * time.Millisecond)
			}
			for i := range uint32(3) {
				for _, b := range v.Video(media.H264, 5000+3600*i, mediatest.Picture(media.H264, i == 0, 500, 1)...) {
					video.push(s, mediatest.Put(s, b), now)
				}
			}
			s.CloseUnits()
			first := map[uint8]media.Ticks{}
			for n, next := s.Units(); n < next; n++ {
				if u := s.Unit(n); first[u.Flow] == 0 {
					first[u.Flow] = u.PTS + 1 // 0: none came
				}
			}
			if got := first[0] - first[1]; got != tc.want {
				t.Errorf("the first picture is %s after the first sound, want %s", got.Duration(), tc.want.Duration())
			}
		})
	}
}
