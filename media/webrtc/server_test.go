package webrtc

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/mediatest"
	"districtgateway/media/ps"
)

// people are users and their passwords.
type people struct {
	mu  sync.Mutex
	all map[string]string
}

func (p *people) HA1(user, algorithm string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	password, ok := p.all[user]
	a1 := []byte(user + ":" + defaultRealm + ":" + password)
	if algorithm == "SHA-256" {
		sum := sha256.Sum256(a1)
		return hex.EncodeToString(sum[:]), ok
	}
	sum := md5.Sum(a1)
	return hex.EncodeToString(sum[:]), ok
}

func (p *people) set(user, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[user] = password
}

// A rig is a server of streams that the test fills.
type rig struct {
	t      *testing.T
	server *Server
	base   string // of its addresses
	people *people

	mu      sync.Mutex
	streams map[string]*media.Stream
	held    int // streams acquired and not released
}

// newRig starts a server with wang, whose password is "right", and li, whose is
// "other".
func newRig(t *testing.T, cfg ServerConfig, open map[string]media.Opener) *rig {
	t.Helper()
	h := &rig{t: t, people: &people{all: map[string]string{"wang": "right", "li": "other"}}, streams: map[string]*media.Stream{}}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if n := h.users(); n != 0 {
			t.Errorf("%d streams were not released", n)
		}
	})
	for path, o := range open {
		s := media.NewStream(media.StreamConfig{Name: path, RingBytes: 1 << 20}, o)
		h.streams[path] = s
		wg.Go(func() { _ = s.Run(ctx) })
	}
	cfg.Listen, cfg.Media, cfg.Streams, cfg.Users = "127.0.0.1:0", "127.0.0.1:0", h.acquire, h.people
	var err error
	if h.server, err = NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if err := h.server.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	addr, err := h.server.Addr(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h.base = "http://" + addr.String()
	return h
}

func (h *rig) acquire(_ context.Context, _, path string) (*media.Stream, func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[path]
	if s == nil {
		return nil, nil, ErrNotFound
	}
	h.held++
	return s, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held--
	}, nil
}

// users returns how many streams are in use.
func (h *rig) users() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held
}

// until waits until done, or fails.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !done(); <-time.After(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal(what)
		}
	}
}

// A caller makes requests on one connection.
type caller struct {
	t       *testing.T
	client  *http.Client
	session *digest.Session
	header  http.Header // of all requests besides
}

func newCaller(t *testing.T, user string, password digest.Secret) *caller {
	tr := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	return &caller{t, &http.Client{Transport: tr}, digest.New(digest.Config{User: user, Password: password}), http.Header{}}
}

// A reply is an answer with its body.
type reply struct {
	*http.Response
	text string
}

// ask makes a request, and again with credentials if they are wanted.
func (c *caller) ask(method, address, kind, text string) reply {
	c.t.Helper()
	var res reply
	for range 3 {
		req, err := http.NewRequestWithContext(c.t.Context(), method, address, bytes.NewReader([]byte(text)))
		if err != nil {
			c.t.Fatal(err)
		}
		maps.Copy(req.Header, c.header)
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		a, err := c.session.Answer(method, req.URL.RequestURI(), nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if a.Header != "" {
			req.Header.Set("Authorization", a.Header)
		}
		res.Response, err = c.client.Do(req)
		if err != nil {
			c.t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		res.text = string(b)
		if res.StatusCode != http.StatusUnauthorized || c.session.Challenge(a, res.Header.Values("WWW-Authenticate")) != nil {
			break
		}
	}
	return res
}

// A browser is a peer that takes a stream.
type browser struct {
	t      *testing.T
	pc     *webrtc.PeerConnection
	udp    *net.UDPConn
	mux    ice.UDPMux
	caller *caller
	at     string // of the session
	answer reply
	lost   atomic.Int64 // packets it did not hear
	every  atomic.Int64 // of so many it does not hear one; 0: it hears all

	mu      sync.Mutex
	packets map[webrtc.RTPCodecType][]*rtp.Packet
	ssrc    map[webrtc.RTPCodecType]uint32
	missed  map[uint16]bool
}

// newBrowser makes a peer that knows the codings of an engine; nil: what browsers do.
func newBrowser(t *testing.T, engine *webrtc.MediaEngine) *browser {
	t.Helper()
	return newBrowserBy(t, engine, false)
}

// newBrowserBy makes a peer that goes by UDP or by TCP.
func newBrowserBy(t *testing.T, engine *webrtc.MediaEngine, tcp bool) *browser {
	t.Helper()
	b := &browser{t: t, caller: newCaller(t, "wang", "right"), packets: map[webrtc.RTPCodecType][]*rtp.Packet{},
		ssrc: map[webrtc.RTPCodecType]uint32{}, missed: map[uint16]bool{}}
	if engine == nil {
		engine = &webrtc.MediaEngine{}
		if err := engine.RegisterDefaultCodecs(); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if b.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	_ = b.udp.SetReadBuffer(1 << 20) // as much as may be
	var e webrtc.SettingEngine
	b.mux = webrtc.NewICEUDPMux(nil, hearing{b.udp, b.deaf})
	if tcp {
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	} else {
		e.SetICEUDPMux(b.mux)
	}
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	var registry interceptor.Registry
	if err := webrtc.ConfigureNack(engine, &registry); err != nil {
		t.Fatal(err)
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(&registry))
	if b.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := b.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	b.pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			b.mu.Lock()
			first := len(b.packets[tr.Kind()]) == 0
			b.packets[tr.Kind()] = append(b.packets[tr.Kind()], p)
			b.ssrc[tr.Kind()] = uint32(tr.SSRC())
			b.mu.Unlock()
			if first && tr.Kind() == webrtc.RTPCodecTypeVideo && !begins(p) {
				b.loses()
			}
		}
	})
	return b
}

func (b *browser) close() {
	_ = b.pc.GracefulClose()
	_ = b.mux.Close()
	_ = b.udp.Close()
}

// deaf reports whether the browser does not hear a packet: of pictures, for what is
// lost of sound is not asked for again; and not the last of one, which nobody misses
// before the next comes.
func (b *browser) deaf(p []byte) bool {
	n := b.every.Load()
	if n == 0 || len(p) < 500 || p[0]>>6 != 2 || p[1]&0x80 != 0 || int64(binary.BigEndian.Uint16(p[2:]))%n != 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	seq := binary.BigEndian.Uint16(p[2:])
	if b.missed[seq] {
		return false // the second time it does
	}
	b.missed[seq] = true
	b.lost.Add(1)
	return true
}

// hearing is a socket some of whose packets are not heard.
type hearing struct {
	net.PacketConn
	deaf func(p []byte) bool
}

func (h hearing) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := h.PacketConn.ReadFrom(p)
		if err != nil || !h.deaf(p[:n]) {
			return n, from, err
		}
	}
}

// offer returns what the peer offers.
func (b *browser) offer() string {
	b.t.Helper()
	o, err := b.pc.CreateOffer(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.pc.SetLocalDescription(o); err != nil {
		b.t.Fatal(err)
	}
	return b.pc.LocalDescription().SDP
}

// begin asks for a stream, and returns whether there is a session.
func (b *browser) begin(base, path string) bool {
	b.t.Helper()
	b.answer = b.caller.ask(http.MethodPost, base+"/"+path+"/whep", "application/sdp", b.offer())
	if b.answer.StatusCode != http.StatusCreated {
		return false
	}
	b.at = base + b.answer.Header.Get("Location")
	return true
}

// watch asks for a stream and connects.
func (b *browser) watch(base, path string) {
	b.t.Helper()
	if !b.begin(base, path) {
		b.t.Fatalf("%s: %s", b.answer.Status, b.answer.text)
	}
	b.connect()
}

// connect takes the answer that it has, and waits until it is connected.
func (b *browser) connect() {
	b.t.Helper()
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: b.answer.text}); err != nil {
		b.t.Fatalf("%v in\n%s", err, b.answer.text)
	}
	until(b.t, "not connected", func() bool { return b.pc.ConnectionState() == webrtc.PeerConnectionStateConnected })
}

// begins reports whether a packet holds the first parameter set of a key picture. What
// comes before the browser has its keys is lost to it, and it asks for another.
func begins(p *rtp.Packet) bool {
	return len(p.Payload) > 1 && (p.Payload[0]&0x1F == 7 || p.Payload[0] == 0x40)
}

// got returns the packets of a kind that came so far, in order: those of pictures from
// the first key picture up to the first packet that is still missing. None may have
// come twice.
func (b *browser) got(kind webrtc.RTPCodecType) []*rtp.Packet {
	b.t.Helper()
	b.mu.Lock()
	all := slices.Clone(b.packets[kind])
	b.mu.Unlock()
	slices.SortStableFunc(all, func(x, y *rtp.Packet) int { return int(int16(x.SequenceNumber - y.SequenceNumber)) })
	for i := 1; i < len(all); i++ {
		switch step := all[i].SequenceNumber - all[i-1].SequenceNumber; {
		case step == 0:
			b.t.Fatalf("packet %d came twice", all[i].SequenceNumber)
		case step != 1 && kind == webrtc.RTPCodecTypeVideo:
			all = all[:i]
		}
		if i+1 >= len(all) {
			break
		}
	}
	if kind == webrtc.RTPCodecTypeVideo {
		first := slices.IndexFunc(all, begins)
		if first < 0 {
			return nil
		}
		all = all[first:]
	}
	return all
}

// A feed fills a stream with numbered pictures, every tenth a key picture.
type feed struct {
	src   *mediatest.Source
	codec media.Codec
	bare  bool // parameter sets are told in the tracks alone
	ps    bool
	video mediatest.Packetizer
	audio mediatest.Packetizer
	next  int
}

func newFeed(c media.Codec) *feed {
	f := &feed{codec: c, video: mediatest.Packetizer{PayloadType: 98, SSRC: 7, Seq: 65000}, audio: mediatest.Packetizer{PayloadType: 8}}
	f.src = mediatest.NewSource(media.Opened{Tracks: []media.Track{
		{Codec: c, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(c)},
		{Codec: media.G711A, ClockRate: 8000, PayloadType: 8, Channels: 1},
	}})
	return f
}

// programFeed is of program stream.
func programFeed(c media.Codec) *feed {
	f := newFeed(c)
	f.ps, f.src = true, mediatest.NewSource(media.Opened{Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()})
	return f
}

// slice is what tells picture i from others.
func (f *feed) slice(i int) []byte {
	b := mediatest.Slice(f.codec, i%10 == 0, 600+i*397%9000+20000*(1-min(i%10, 1)), byte(i))
	binary.BigEndian.PutUint32(b[4:], 0x11111111+uint32(i)) // no start code
	return b
}

// push delivers n pictures, and the sound that goes with them.
func (f *feed) push(n int) {
	for range n {
		nals := [][]byte{f.slice(f.next)}
		if f.next%10 == 0 && !f.bare {
			nals = append(mediatest.Parameters(f.codec), nals...)
		}
		ts := uint32(f.next) * 3600
		if f.ps {
			f.src.Push(0, f.video.Cut(ts, program(f.codec, f.next%10 == 0, ts, nals))...)
		} else {
			f.src.Push(0, f.video.Video(f.codec, ts, nals...)...)
			f.src.Push(1, f.audio.Packet(uint32(f.next)*320, false, f.sound(f.next)))
		}
		f.next++
	}
}

// sound is what goes with picture i.
func (f *feed) sound(i int) []byte {
	b := bytes.Repeat([]byte{byte(i)}, 320)
	binary.BigEndian.PutUint32(b, uint32(i))
	return b
}

// program is a pack of program stream with one picture, after ISO/IEC 13818-1 §2.5.
func program(c media.Codec, key bool, ts uint32, nals [][]byte) []byte {
	b := []byte{0, 0, 1, 0xBA, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xF8}
	if key {
		typ := byte(0x1B)
		if c == media.H265 {
			typ = 0x24
		}
		b = append(b, 0, 0, 1, 0xBC, 0, 14, 0xE0, 0xFF, 0, 0, 0, 4, typ, 0xE0, 0, 0, 1, 2, 3, 4)
	}
	pts := []byte{0x21 | byte(ts>>29)&0x0E, byte(ts >> 22), byte(ts>>14) | 1, byte(ts >> 7), byte(ts<<1) | 1}
	pes := append([]byte{0x80, 0x80, 5}, pts...)
	for _, nal := range nals {
		pes = append(append(pes, 0, 0, 0, 1), nal...)
	}
	b = append(b, 0, 0, 1, 0xE0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pes)))
	return append(b, pes...)
}

// pictures returns the NAL units of each picture that arrived whole, and fails on one
// that was not sent so.
func (f *feed) pictures(t *testing.T, packets []*rtp.Packet) (all [][][]byte) {
	t.Helper()
	s := media.NewStream(media.StreamConfig{RingBytes: 8 << 20}, nil)
	s.Adopt(media.Opened{Ordered: true, Tracks: []media.Track{{Codec: f.codec, ClockRate: 90000}}}, time.Unix(0, 0))
	for _, p := range packets {
		b, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.PushRTP(0, mediatest.Put(s, b), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	oldest, next := s.Units()
	for n := oldest; n < next; n++ {
		units, err := s.Unpack(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range units {
			all = append(all, mediatest.Copy(s, &units[i]).NALs)
		}
	}
	return all
}

// numbers returns the numbers of the pictures that arrived.
func (f *feed) numbers(t *testing.T, packets []*rtp.Packet) (all []int) {
	t.Helper()
	for _, nals := range f.pictures(t, packets) {
		nal := nals[len(nals)-1]
		if len(nal) < 8 {
			t.Fatalf("picture after %v has no slice", all)
		}
		i := int(binary.BigEndian.Uint32(nal[4:]) - 0x11111111)
		if i < 0 || i >= f.next || string(nal) != string(f.slice(i)) {
			t.Fatalf("picture after %v is damaged", all)
		}
		all = append(all, i)
	}
	return all
}

// inRow fails unless each number follows the one before.
func inRow(t *testing.T, numbers []int) {
	t.Helper()
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			t.Fatalf("picture %d follows %d of %v", n, numbers[i-1], numbers)
		}
	}
}

func TestEveryPictureAndSoundArrivesOnce(t *testing.T) {
	for name, f := range map[string]*feed{
		"H.264": newFeed(media.H264), "H.265": newFeed(media.H265), "H.264 in program stream": programFeed(media.H264),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": f.src.Open})
			f.push(15)
			b := newBrowser(t, nil)
			b.watch(h.base, "cam1")
			until(t, "no pictures", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= 4 })
			for f.next < 155 {
				before := len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo)))
				f.push(5)
				until(t, "no pictures", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= before+4 })
			}
			packets := b.got(webrtc.RTPCodecTypeVideo)
			numbers := f.numbers(t, packets)
			inRow(t, numbers)
			if numbers[0] != 10 {
				t.Errorf("it begins with picture %d, not with the last key picture", numbers[0])
			}
			for _, p := range packets {
				if len(p.Payload) > maxPayload {
					t.Fatalf("%d bytes of payload", len(p.Payload))
				}
			}
			if f.ps {
				return
			}
			sounds := b.got(webrtc.RTPCodecTypeAudio)
			last := 9
			for _, p := range sounds {
				i := int(binary.BigEndian.Uint32(p.Payload))
				if i <= last || string(p.Payload) != string(f.sound(i)) || p.PayloadType != 8 {
					t.Fatalf("sound %d after %d is not what was sent", i, last)
				}
				last = i
			}
			if len(sounds) < 120 {
				t.Errorf("%d frames of sound", len(sounds))
			}
			if d := b.caller.ask(http.MethodDelete, b.at, "", ""); d.StatusCode != http.StatusOK || h.users() != 0 || h.server.Stats().Open != 0 {
				t.Errorf("after DELETE: %s, %d streams in use, %+v", d.Status, h.users(), h.server.Stats())
			}
		})
	}
}

// goroutines returns how many there are of the packages concerned.
func goroutines() int {
	b := make([]byte, 8<<20)
	b = b[:runtime.Stack(b, true)]
	n := 0
	for g := range bytes.SplitSeq(b, []byte("\n\n")) {
		if bytes.Contains(g, []byte("media/webrtc.(*session)")) || bytes.Contains(g, []byte("pion/dtls")) || bytes.Contains(g, []byte("pion/srtp")) {
			n++
		}
	}
	return n
}
