package rtsp

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/ps"
	"districtgateway/media/rtp"
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

// A house is a server of streams that the test fills.
type house struct {
	t      *testing.T
	server *Server
	url    string // of channel cam1
	people *people

	mu      sync.Mutex
	streams map[string]*media.Stream
	held    int   // streams acquired and not released
	refusal error // of every stream
}

// channels open what is served.
type channels map[string]media.Opener

// newHouse starts a server with wang, whose password is "right".
func newHouse(t *testing.T, cfg ServerConfig, c channels) *house {
	t.Helper()
	h := &house{t: t, people: &people{all: map[string]string{"wang": "right"}}, streams: map[string]*media.Stream{}}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if h.mu.Lock(); h.held != 0 {
			t.Errorf("%d streams were not released", h.held)
		}
		h.mu.Unlock()
		if n := len(h.server.unisons.all); n != 0 {
			t.Errorf("unisons of %d streams are left", n)
		}
	})
	for path, open := range c {
		s := media.NewStream(media.StreamConfig{Name: path, RingBytes: 1 << 20, SlowLimit: time.Second}, open)
		h.streams[path] = s
		wg.Go(func() { _ = s.Run(ctx) })
	}
	cfg.Listen, cfg.Streams = "127.0.0.1:0", h.acquire
	if cfg.Users == nil {
		cfg.Users = h.people
	}
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
	h.url = "rtsp://" + addr.String() + "/cam1"
	return h
}

func (h *house) acquire(_ context.Context, _, path string) (*media.Stream, func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[path]
	switch {
	case h.refusal != nil:
		return nil, nil, h.refusal
	case s == nil:
		return nil, nil, ErrNotFound
	}
	h.held++
	return s, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held--
	}, nil
}

// watch runs a client's stream of a URL.
func (h *house) watch(url string, udp bool) (*media.Stream, *mediatest.Sink) {
	h.t.Helper()
	s := media.NewStream(media.StreamConfig{Once: true}, func(ctx context.Context) (media.Opened, error) {
		return Open(ctx, Config{URL: url, User: "wang", Password: "right", Transport: over(udp)})
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	h.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	sink := &mediatest.Sink{Oldest: true}
	if err := s.Attach(sink); err != nil {
		h.t.Fatal(err)
	}
	return s, sink
}

// until waits until done, or fails.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !done(); <-time.After(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal(what)
		}
	}
}

// framed is the room before packets that came interleaved.
var framed uint8 = rtp.FrameSize

// A feed fills a stream with numbered pictures, every tenth a key picture.
type feed struct {
	src   *mediatest.Source
	codec media.Codec
	ps    bool
	video mediatest.Packetizer
	next  int
}

func videoFeed(c media.Codec, program bool) *feed {
	f := &feed{codec: c, ps: program, video: mediatest.Packetizer{PayloadType: 98, SSRC: 7, Seq: 65000}}
	o := media.Opened{Front: framed, Tracks: f.tracks()}
	if program {
		o = media.Opened{Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()}
	}
	f.src = mediatest.NewSource(o)
	return f
}

func (f *feed) tracks() []media.Track {
	return []media.Track{{Codec: f.codec, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(f.codec)}}
}

// slice is what tells picture i from others.
func (f *feed) slice(i int) []byte {
	b := mediatest.Slice(f.codec, i%10 == 0, 600+i*397%9000+20000*(1-min(i%10, 1)), byte(i))
	binary.BigEndian.PutUint32(b[4:], 0x11111111+uint32(i)) // no start code
	return b
}

// push delivers n pictures.
func (f *feed) push(n int) {
	for range n {
		nals := [][]byte{f.slice(f.next)}
		if f.next%10 == 0 {
			nals = append(mediatest.Parameters(f.codec), nals...)
		}
		ts := uint32(f.next) * 3600
		if f.ps {
			f.src.Push(0, f.video.Cut(ts, program(f.codec, f.next%10 == 0, ts, nals))...)
		} else {
			f.src.Push(0, f.video.Video(f.codec, ts, nals...)...)
		}
		f.next++
	}
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

// numbers returns the number of each picture that a sink has, and fails on one that
// is not whole.
func (f *feed) numbers(t *testing.T, k *mediatest.Sink) (all []int) {
	t.Helper()
	samples, errs := k.Samples()
	for _, err := range errs {
		t.Error(err)
	}
	for _, s := range samples {
		if !s.Codec.Video() || len(s.NALs) == 0 {
			continue
		}
		nal := s.NALs[len(s.NALs)-1]
		i := int(binary.BigEndian.Uint32(nal[4:]) - 0x11111111)
		if i < 0 || i >= f.next || string(nal) != string(f.slice(i)) {
			t.Fatalf("picture after %v is damaged", all)
		}
		all = append(all, i)
	}
	return all
}

// have returns how many units a sink has.
func have(k *mediatest.Sink) int {
	units, _ := k.Units()
	return len(units)
}

func TestEveryPictureArrivesOnce(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		for _, from := range []string{"frames", "datagrams", "ps"} {
			for _, udp := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/from=%s/udp=%t", c, from, udp), func(t *testing.T) {
					t.Parallel()
					f := videoFeed(c, from == "ps")
					if from == "datagrams" {
						f.src = mediatest.NewSource(media.Opened{Tracks: f.tracks()})
					}
					h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
					f.push(14)
					s, sink := h.watch(h.url, udp)
					until(t, "the key picture in the ring did not arrive at once", func() bool { return have(sink) >= 3 })
					for f.next < 100 {
						f.push(1)
						until(t, "pictures are missing", func() bool { // the last may be open at the client
							return have(sink) >= f.next-10-3
						})
					}
					for i, n := range f.numbers(t, sink) {
						if n != 10+i {
							t.Fatalf("picture %d in place of %d", n, 10+i)
						}
					}
					if st := s.Stats(); st.Lost+st.Duplicates+st.Damaged+st.Malformed+st.Stray != 0 {
						t.Errorf("%+v", st)
					}
					if err := f.src.Err(); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}
