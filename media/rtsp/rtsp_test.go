package rtsp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mediatest/cost"
)

// A server is an RTSP server that nobody here wrote, with one stream of H.264 and
// G.711A behind digest authentication.
type server struct {
	rtsp   *gortsplib.Server
	stream *gortsplib.ServerStream
	desc   *description.Session
	reject bool // every password is wrong
	lazy   bool // a key picture comes only when it is asked for
	asked  atomic.Bool
}

func (s *server) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if s.reject || !ctx.Conn.VerifyCredentials(ctx.Request, "admin", "right") {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	return &base.Response{StatusCode: base.StatusOK}, s.stream, nil
}

func (s *server) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, s.stream, nil
}

func (s *server) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	ctx.Session.OnPacketRTCPAny(func(_ *description.Media, p rtcp.Packet) {
		if _, ok := p.(*rtcp.PictureLossIndication); ok {
			s.asked.Store(true)
		}
	})
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// serve starts a server and returns it with the address of its stream.
func serve(t *testing.T, methods ...auth.VerifyMethod) (*server, string) {
	t.Helper()
	sets := mediatest.Parameters(media.H264)
	s := &server{desc: &description.Session{Medias: []*description.Media{
		{Type: description.MediaTypeVideo, Formats: []format.Format{&format.H264{PayloadTyp: 96, SPS: sets[0], PPS: sets[1], PacketizationMode: 1}}},
		{Type: description.MediaTypeAudio, Formats: []format.Format{&format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}}},
	}}}
	addr := s.start(t, methods)
	t.Cleanup(s.rtsp.Close)
	s.stream = &gortsplib.ServerStream{Server: s.rtsp, Desc: s.desc}
	if err := s.stream.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stream.Close)
	return s, "rtsp://" + addr + "/main"
}

// start starts the server on ports that are free.
func (s *server) start(t *testing.T, methods []auth.VerifyMethod) (addr string) {
	t.Helper()
	var err error
	for range 50 {
		var l net.Listener
		if l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		port := 20000 + 2*rand.N(6000)
		s.rtsp = &gortsplib.Server{Handler: s, AuthMethods: methods, RTSPAddress: l.Addr().String(),
			Listen:         func(string, string) (net.Listener, error) { return l, nil },
			UDPRTPAddress:  fmt.Sprintf("127.0.0.1:%d", port),
			UDPRTCPAddress: fmt.Sprintf("127.0.0.1:%d", port+1)}
		if err = s.rtsp.Start(); err == nil {
			return l.Addr().String()
		}
		l.Close()
	}
	t.Fatal(err)
	return ""
}

// play sends pictures and sound until ctx ends.
func (s *server) play(ctx context.Context) {
	video, audio := &mediatest.Packetizer{PayloadType: 96, SSRC: 1}, &mediatest.Packetizer{PayloadType: 8, SSRC: 2}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		for _, b := range video.Video(media.H264, uint32(i)*3600, mediatest.Slice(media.H264, s.asked.Swap(false) || !s.lazy && i%10 == 0, 3000, byte(i))) {
			s.write(0, b)
		}
		s.write(1, audio.Packet(uint32(i)*320, true, make([]byte, 320)))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *server) write(i int, b []byte) {
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil {
		panic(err)
	}
	_ = s.stream.WritePacketRTP(s.desc.Medias[i], &p)
}

// over names a transport of unicast.
func over(udp bool) Transport {
	if udp {
		return UDP
	}
	return TCP
}

func config(url string) Config { return Config{URL: url, User: "admin", Password: "right"} }

func TestEncoderStreamArrives(t *testing.T) {
	for name, methods := range map[string][]auth.VerifyMethod{
		"MD5": {auth.VerifyMethodDigestMD5}, "SHA-256": {auth.VerifyMethodDigestSHA256},
	} {
		for _, udp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/udp=%t", name, udp), func(t *testing.T) {
				t.Parallel()
				srv, url := serve(t, methods...)
				cfg := config(url)
				cfg.Transport = over(udp)
				s := media.NewStream(media.StreamConfig{}, func(ctx context.Context) (media.Opened, error) { return Open(ctx, cfg) })
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				var wg sync.WaitGroup
				defer wg.Wait()
				defer cancel()
				wg.Go(func() { _ = s.Run(ctx) })
				wg.Go(func() { srv.play(ctx) })
				if err := s.WaitReady(ctx); err != nil {
					t.Fatal(err, s.State().Err)
				}
				sink := &mediatest.Sink{}
				if err := s.Attach(sink); err != nil {
					t.Fatal(err)
				}
				video, audio := 0, 0
				for video < 50 || audio < 50 {
					if ctx.Err() != nil {
						t.Fatalf("%d pictures, %d sounds", video, audio)
					}
					video, audio = count(t, sink)
					<-time.After(10 * time.Millisecond)
				}
				if st := s.Stats(); st.Lost+st.Malformed+st.Damaged != 0 {
					t.Errorf("%+v", st)
				}
			})
		}
	}
}

// count returns how many pictures and sounds a sink has.
func count(t *testing.T, k *mediatest.Sink) (video, audio int) {
	t.Helper()
	samples, _ := k.Samples()
	for _, s := range samples {
		if s.Codec == media.H264 {
			video++
		} else if s.Codec == media.G711A && len(s.Audio) == 320 {
			audio++
		}
	}
	return video, audio
}

func TestWrongPasswordIsSaidAtOnce(t *testing.T) {
	srv, url := serve(t, auth.VerifyMethodDigestMD5)
	srv.reject = true
	if _, err := Open(t.Context(), config(url)); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0") // accepts, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, config("rtsp://"+l.Addr().String()+"/")); err == nil {
		t.Error("opened")
	}
	if _, err := Open(t.Context(), config("http://127.0.0.1/")); err == nil {
		t.Error("opened a web address")
	}
}

// messages also seed the fuzzer.
var messages = map[string]struct {
	text string
	want int
	bad  bool
}{
	"answer":      {"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n$", 28, false},
	"with a body": {"RTSP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab$", 40, false},
	"half":        {"RTSP/1.0 200 OK\r\nCSeq", 0, false},
	"half a body": {"RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nab", 0, false},
	"junk":        {"\x00\x01", 0, true},
	"absurd":      {"X\r\nContent-Length: 99999999999999999999\r\n\r\n", 0, true},
	"negative":    {"X\r\nContent-Length: -1\r\n\r\n", 0, true},
}

func TestMessagesAmongMediaArePassedOver(t *testing.T) {
	for name, tc := range messages {
		t.Run(name, func(t *testing.T) {
			if n, err := passOver([]byte(tc.text)); n != tc.want || (err != nil) != tc.bad {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	if _, err := passOver(make([]byte, maxMessage+1)); err == nil {
		t.Error("endless text was waited for")
	}
}

func FuzzPassOver(f *testing.F) {
	for _, tc := range messages {
		f.Add([]byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var n int
		var err error
		cost.Bound(t, func() { n, err = passOver(b) })
		if n < 0 || n > len(b) || err != nil && n != 0 {
			t.Errorf("%d of %d, %v", n, len(b), err)
		}
	})
}

func TestReceiverReportTellsLoss(t *testing.T) {
	f := flow{}
	for _, seq := range []uint16{65534, 65535, 1, 2} { // 0 was lost, at the wrap
		f.count(seq, 9)
	}
	var b [reportBytes]byte
	f.report(b[:], 7, time.Unix(0, 0))
	if lost, fraction, top := b[15], b[12], f.top; lost != 1 || fraction != 51 || top != 65538 {
		t.Errorf("lost %d, fraction %d/256, highest %d", lost, fraction, top)
	}
}
