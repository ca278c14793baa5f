package webrtc

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// showing starts a rig with one stream, and a browser that has pictures 10 to 14 of it.
func showing(t *testing.T, f *feed, cfg ServerConfig) (*rig, *browser) {
	t.Helper()
	h := newRig(t, cfg, map[string]media.Opener{"cam1": f.src.Open})
	f.push(15)
	b := newBrowser(t, nil)
	b.watch(h.base, "cam1")
	until(t, "no pictures", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= 5 })
	return h, b
}

func TestParameterSetsGoBeforeEachKeyPicture(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	f.bare = true
	_, b := showing(t, f, ServerConfig{})
	f.push(20)
	until(t, "no pictures", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= 25 })
	for i, nals := range f.pictures(t, b.got(webrtc.RTPCodecTypeVideo)) {
		want := [][]byte{f.slice(10 + i)}
		if i%10 == 0 {
			want = append(slices.Clone(mediatest.Parameters(media.H264)), want...)
		}
		if d := cmp.Diff(want, nals); d != "" {
			t.Errorf("picture %d: %s", 10+i, d)
		}
	}
}

// keys counts the key pictures that arrived.
func (f *feed) keys(t *testing.T, b *browser) (n int) {
	for _, i := range f.numbers(t, b.got(webrtc.RTPCodecTypeVideo)) {
		if i%10 == 0 {
			n++
		}
	}
	return n
}

// loses has a browser tell that it has lost a picture.
func (b *browser) loses() {
	b.t.Helper()
	b.mu.Lock()
	ssrc := b.ssrc[webrtc.RTPCodecTypeVideo]
	b.mu.Unlock()
	if err := b.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}}); err != nil {
		b.t.Fatal(err)
	}
}

func TestPictureLossIsAnsweredByTheLastKeyPicture(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	_, b := showing(t, f, ServerConfig{})
	b.loses()
	until(t, "no key picture", func() bool { return f.keys(t, b) >= 2 })
	until(t, "not all after it", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= 10 })
	f.push(2)
	until(t, "it does not go on", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= 12 })
	packets := b.got(webrtc.RTPCodecTypeVideo)
	if got := f.numbers(t, packets); !slices.Equal(got, []int{10, 11, 12, 13, 14, 10, 11, 12, 13, 14, 15, 16}) {
		t.Errorf("pictures %v", got)
	}
	for i := 1; i < len(packets); i++ {
		p, was := packets[i], packets[i-1]
		if p.SequenceNumber != was.SequenceNumber+1 || int32(p.Timestamp-was.Timestamp) < 0 {
			t.Fatalf("packet %d at %d follows %d at %d", p.SequenceNumber, p.Timestamp, was.SequenceNumber, was.Timestamp)
		}
	}
	sounds := b.got(webrtc.RTPCodecTypeAudio)
	for i := 1; i < len(sounds); i++ {
		if binary.BigEndian.Uint32(sounds[i].Payload) <= binary.BigEndian.Uint32(sounds[i-1].Payload) {
			t.Fatal("sound is heard twice")
		}
	}
}

func TestPictureLossLongAfterAKeyPictureAsksTheEncoder(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	_, b := showing(t, f, ServerConfig{})
	last := f.next - 1
	for i := range 30 { // more than a second without a key picture
		nal := mediatest.Slice(media.H264, false, 700, byte(i))
		f.src.Push(0, f.video.Video(media.H264, uint32(last+1+i)*3600, nal)...)
	}
	if _, _, asked := f.src.Counts(); asked != 0 {
		t.Fatalf("asked %d times before", asked)
	}
	b.loses()
	until(t, "the encoder is not asked", func() bool { _, _, asked := f.src.Counts(); return asked > 0 })
}

func TestMissedPacketsAreSentAgain(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	_, b := showing(t, f, ServerConfig{})
	b.every.Store(3)
	for f.next < 60 {
		f.push(5)
		until(t, "what is missed does not come", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= f.next-10 })
	}
	t.Logf("%d packets were missed", b.lost.Load())
	if b.lost.Load() < 20 {
		t.Error("nothing was missed")
	}
}

func TestBrowserThatUDPDoesNotReachWatchesByTCP(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	h := newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": f.src.Open})
	f.push(15)
	b := newBrowserBy(t, nil, true)
	// The port that was free for UDP may be somebody else's by TCP: then another server has to do.
	for b.begin(h.base, "cam1") && !strings.Contains(b.answer.text, "tcptype passive") {
		f = newFeed(media.H264)
		h = newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": f.src.Open})
		f.push(15)
		b = newBrowserBy(t, nil, true)
	}
	b.connect()
	pair, err := b.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil || pair.Remote.Protocol != webrtc.ICEProtocolTCP {
		t.Fatalf("%v, %v", pair, err)
	}
	until(t, "no pictures", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= 5 })
	f.push(20)
	until(t, "no more pictures", func() bool { return len(f.numbers(t, b.got(webrtc.RTPCodecTypeVideo))) >= 25 })
	until(t, "it is not counted", func() bool { return len(h.streams["cam1"].Stats().Consumers.Now) == 1 })
	if k := h.streams["cam1"].Stats().Consumers.Now[0]; k.Kind != "webrtc tcp" || !strings.HasPrefix(k.Name, "wang 127.0.0.1:") {
		t.Errorf("it is called %q %q", k.Kind, k.Name)
	}
	inRow(t, f.numbers(t, b.got(webrtc.RTPCodecTypeVideo)))
}

func TestSlowViewerLosesPicturesAndResumesAtAKeyPicture(t *testing.T) {
	f := newFeed(media.H264)
	s := media.NewStream(media.StreamConfig{RingBytes: 256 << 10}, f.src.Open)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = s.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	l := newLane(0, chosen{track: media.Track{Codec: media.H264, ClockRate: 90000}, format: format{typ: 102, name: "H264"}})
	p := newPlayout(far{name: "slow"}, s, []*lane{l})
	f.push(11)
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(p); err != nil {
		t.Fatal(err)
	}
	full := func() bool {
		p.out.queue.mu.Lock()
		defer p.out.queue.mu.Unlock()
		return p.out.queue.head-p.out.queue.tail == slotCount
	}
	for !full() { // nobody takes anything
		f.push(5)
		until(t, "the owner waits", func() bool { return s.Stats().Units+1 >= uint64(f.next) })
	}
	f.push(400)
	until(t, "the owner waits for the viewer", func() bool { return s.Stats().Units+1 >= uint64(2*f.next-2) })
	var got []uint16
	b := make([]byte, slotSize)
	var keys, others int
	take := func() bool {
		for {
			tg, ok := p.out.queue.take(b)
			if !ok {
				break
			}
			if tg.report {
				continue
			}
			got = append(got, binary.BigEndian.Uint16(b[2:]))
			switch b[12] & 0x1F {
			case 7:
				keys++
			case 1, 28:
				others++
			}
		}
		return len(got) > 2*slotCount
	}
	until(t, "it does not go on", func() bool { f.push(1); return take() })
	for i := 1; i < len(got); i++ {
		if got[i] != got[i-1]+1 {
			t.Fatalf("packet %d follows %d: what was left out must not look lost", got[i], got[i-1])
		}
	}
	s.Detach(p)
	st := p.SinkStats()
	t.Logf("%+v, %d key pictures", st, keys)
	if st.Copied == 0 || st.Copied != st.Bytes {
		t.Errorf("%d of %d bytes copied: all that a browser gets is", st.Copied, st.Bytes)
	}
	if st.Dropped+st.Lapped == 0 || keys < 2 {
		t.Error("nothing was left out, or no key picture came")
	}
}

func TestViewerThatTakesNothingIsCut(t *testing.T) {
	f := newFeed(media.H264)
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20, SlowLimit: 300 * time.Millisecond}, f.src.Open)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = s.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	l := newLane(0, chosen{track: media.Track{Codec: media.H264, ClockRate: 90000}, format: format{typ: 102, name: "H264"}})
	p := newPlayout(far{name: "still"}, s, []*lane{l})
	f.push(30)
	if err := s.Attach(p); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case err := <-p.over:
			if !errors.Is(err, media.ErrSlow) {
				t.Error(err)
			}
			return
		case <-time.After(10 * time.Millisecond):
			f.push(1)
		}
	}
}

func TestVanishedBrowserLeavesNothing(t *testing.T) {
	f := newFeed(media.H264)
	h, b := showing(t, f, ServerConfig{})
	s := h.streams["cam1"]
	until(t, "not counted", func() bool { return len(s.Stats().Consumers.Now) == 1 })
	if name := s.Stats().Consumers.Now[0].Name; !strings.HasPrefix(name, "wang 127.0.0.1:") {
		t.Errorf("it is called %q", name)
	}
	b.udp.Close() // without a word
	until(t, "it is still served", func() bool { return h.server.Stats().Open == 0 && h.users() == 0 })
	until(t, "it is not counted as cut", func() bool { return s.Stats().Consumers.Cut == 1 })
	if last := s.Stats().Consumers.Last; last[0].Kind != "webrtc udp" || !errors.Is(last[0].Why, errGone) {
		t.Errorf("cut: %+v", last)
	}
	b.close()
	until(t, "goroutines are left", func() bool { return goroutines() == 0 })
	h.server.mu.Lock()
	defer h.server.mu.Unlock()
	if n := len(h.server.sessions); n != 0 {
		t.Errorf("%d sessions are known", n)
	}
}

// A viewer who goes of his own accord is none of those that were cut.
func TestBrowserThatSaysGoodbyeIsNotCut(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	h, b := showing(t, f, ServerConfig{})
	if d := b.caller.ask(http.MethodDelete, b.at, "", ""); d.StatusCode != http.StatusOK {
		t.Fatal(d.Status)
	}
	if n := h.streams["cam1"].Stats().Consumers; n.Cut != 0 || len(n.Last) != 0 {
		t.Errorf("cut: %+v", n.Last)
	}
}

func TestBrowserThatNeverConnectsGivesUpItsSeat(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	h := newRig(t, ServerConfig{Limit: 1}, map[string]media.Opener{"cam1": f.src.Open})
	f.push(11)
	b := newBrowser(t, nil)
	if !b.begin(h.base, "cam1") {
		t.Fatal(b.answer.text)
	}
	other := newBrowser(t, nil)
	if other.begin(h.base, "cam1") || other.answer.StatusCode != http.StatusServiceUnavailable || other.answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", other.answer.Status)
	}
	if st := h.server.Stats(); st != (ServerStats{Open: 1, Declined: 1}) {
		t.Errorf("%+v", st)
	}
	until(t, "it keeps its seat", func() bool { return h.server.Stats().Open == 0 && h.users() == 0 })
}

// One user does not take every seat: half of them are left for others.
func TestOneUserHasHalfOfTheSeats(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	h := newRig(t, ServerConfig{Limit: 4}, map[string]media.Opener{"cam1": f.src.Open})
	f.push(11)
	for i := range 3 {
		b := newBrowser(t, nil)
		if seated := b.begin(h.base, "cam1"); seated != (i < 2) {
			t.Errorf("session %d of a user: %s", i, b.answer.Status)
		}
	}
	other := newBrowser(t, nil)
	other.caller = newCaller(t, "li", "other")
	if !other.begin(h.base, "cam1") {
		t.Errorf("another user: %s %s", other.answer.Status, other.answer.text)
	}
	until(t, "they keep their seats", func() bool { return h.server.Stats().Open == 0 })
}

func TestUserWhoMayNotWatchAnyMoreIsCut(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	h, b := showing(t, f, ServerConfig{})
	h.people.set("wang", "changed")
	until(t, "he still watches", func() bool { return h.server.Stats().Open == 0 })
	until(t, "the browser is not told", func() bool { return b.pc.ConnectionState() == webrtc.PeerConnectionStateClosed })
}

// A bomb is a way to a browser that panics.
type bomb struct{ webrtc.TrackLocalWriter }

func (bomb) WriteRTP(*rtp.Header, []byte) (int, error) { panic("at a packet") }

func TestPanicCostsOneSessionAlone(t *testing.T) {
	t.Parallel()
	f := newFeed(media.H264)
	h, other := showing(t, f, ServerConfig{})
	b := newBrowser(t, nil)
	b.watch(h.base, "cam1")
	h.server.mu.Lock()
	v := h.server.sessions[b.at[strings.LastIndexByte(b.at, '/')+1:]]
	h.server.mu.Unlock()
	v.lanes[0].mu.Lock()
	v.lanes[0].out = bomb{}
	v.lanes[0].mu.Unlock()
	f.push(1)
	until(t, "it does not end", func() bool { return h.server.Stats().Open == 1 && h.users() == 1 })
	f.push(9)
	until(t, "another has no more pictures", func() bool { return len(f.numbers(t, other.got(webrtc.RTPCodecTypeVideo))) >= 15 })
}

func TestPanicOnTheWayToASessionCostsNoSeat(t *testing.T) {
	released := 0
	s, err := NewServer(ServerConfig{Limit: 1, Streams: func(context.Context, string, string) (*media.Stream, func(), error) {
		return nil, func() { released++ }, nil // no stream is more than the server expects
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{srv: s, ctx: t.Context(), ports: &ports{}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nothing panicked")
			}
		}()
		_, _, _ = h.open(t.Context(), request{path: "cam1"})
	}()
	if st := s.Stats(); st.Open != 0 || released != 1 {
		t.Errorf("%+v, released %d times", st, released)
	}
}

// silentSets are parameter sets that say nothing of the order of pictures: 640×368,
// main profile, no usability information.
func silentSets() [][]byte {
	return [][]byte{{0x67, 0x4D, 0, 0x1F, 0xF4, 0x05, 0x01, 0x7C, 0x80}, mediatest.Parameters(media.H264)[1]}
}

// reordered delivers pictures as with one B picture between two others.
func (f *feed) reordered(n int) {
	for i := range n {
		shown := i
		if i > 0 {
			shown = i + 1 - 2*((i+1)%2) // 0 2 1 4 3 6 5
		}
		nals := [][]byte{f.slice(10 + i%9 + 1)}
		if i == 0 {
			nals = append(silentSets(), f.slice(0))
		}
		f.src.Push(0, f.video.Video(f.codec, uint32(shown)*3600, nals...)...)
	}
}

func TestReorderedPicturesAreRefusedOrTheSubStreamIsGiven(t *testing.T) {
	t.Parallel()
	if info, err := media.ParseSPS(media.H264, silentSets()[0]); err != nil || info.ReorderDepth >= 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	main, same, sub := newFeed(media.H264), newFeed(media.H264), newFeed(media.H264)
	h := newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": main.src.Open, "cam2": same.src.Open, "cam2/sub": sub.src.Open})
	main.reordered(30)
	same.reordered(30)
	sub.push(30)
	if b := newBrowser(t, nil); !b.begin(h.base, "cam2") || b.answer.Header.Get("X-Gateway-Profile") != "sub" {
		t.Errorf("%s %s %v", b.answer.Status, b.answer.text, b.answer.Header)
	}
	b := newBrowser(t, nil)
	if b.begin(h.base, "cam1") || b.answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(b.answer.text, "B pictures") {
		t.Errorf("%s %s", b.answer.Status, b.answer.text)
	}
}

func TestWhatSuitsNotIsRefusedOrTheSubStreamIsGiven(t *testing.T) {
	t.Parallel()
	main, sub := newFeed(media.H265), newFeed(media.H264)
	h := newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": main.src.Open, "cam2": newSame(main), "cam2/sub": sub.src.Open})
	main.push(11)
	sub.push(11)
	b := newBrowser(t, little(t))
	if b.begin(h.base, "cam1") || b.answer.StatusCode != http.StatusNotAcceptable || !strings.Contains(b.answer.text, "H.265") {
		t.Errorf("%s %s", b.answer.Status, b.answer.text)
	}
	b = newBrowser(t, little(t))
	if !b.begin(h.base, "cam2") || b.answer.Header.Get("X-Gateway-Profile") != "sub" || !strings.Contains(b.answer.Header.Get("X-Gateway-Left-Out"), "G.711A") {
		t.Errorf("%s %s %v", b.answer.Status, b.answer.text, b.answer.Header)
	}
}

// newSame makes a source that announces what another does and delivers nothing but
// its first pictures.
func newSame(f *feed) media.Opener {
	again := newFeed(f.codec)
	again.push(11)
	return again.src.Open
}

// little returns the codings of a browser that knows H.264 and G.711U.
func little(t *testing.T) *webrtc.MediaEngine {
	t.Helper()
	var engine webrtc.MediaEngine
	if err := engine.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 102, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264,
		ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}}, webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	if err := engine.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 0, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU,
		ClockRate: 8000}}, webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	return &engine
}
