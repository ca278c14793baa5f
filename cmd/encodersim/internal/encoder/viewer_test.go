package encoder

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"districtgateway/cmd/internal/counter"
)

// A frame is one picture as a reader got it.
type frame struct {
	number uint64
	sent   time.Time
	rtp    uint32
	key    bool
	size   int
	params [][]byte // SPS in the picture
}

// A viewer reads one stream of an encoder.
type viewer struct {
	*gortsplib.Client
	desc   *description.Session
	frames chan frame
	sound  chan *rtp.Packet
	report chan *rtcp.SenderReport
}

// watch describes, sets up and plays a stream.
func watch(t *testing.T, e *Encoder, path string, protocol gortsplib.Protocol) *viewer {
	t.Helper()
	v, err := tryWatch(t, e, path, protocol)
	if err != nil {
		t.Fatalf("watch %s: %v", path, err)
	}
	return v
}

func address(t *testing.T, e *Encoder, path, password string) *base.URL {
	t.Helper()
	u, err := base.ParseURL(strings.Replace(e.RTSP(path), "rtsp://", "rtsp://admin:"+password+"@", 1))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func tryWatch(t *testing.T, e *Encoder, path string, protocol gortsplib.Protocol) (*viewer, error) {
	u := address(t, e, path, "secret")
	v := &viewer{
		Client: &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &protocol, RequestBackChannels: true},
		frames: make(chan frame, 4096), sound: make(chan *rtp.Packet, 4096), report: make(chan *rtcp.SenderReport, 4096),
	}
	if err := v.Start(); err != nil {
		return nil, err
	}
	var once sync.Once
	stop := func() { once.Do(v.Close) }
	t.Cleanup(stop)
	err := v.play(u)
	if err != nil {
		stop()
	}
	return v, err
}

func (v *viewer) play(u *base.URL) (err error) {
	if v.desc, _, err = v.Describe(u); err != nil {
		return err
	}
	if err = v.SetupAll(v.desc.BaseURL, v.desc.Medias); err != nil {
		return err
	}
	if err = v.listen(); err != nil {
		return err
	}
	_, err = v.Play(nil)
	return err
}

// listen takes the packets of every medium apart.
func (v *viewer) listen() error {
	var h264 *format.H264
	if m := v.desc.FindFormat(&h264); m != nil {
		dec, err := h264.CreateDecoder()
		if err != nil {
			return err
		}
		v.OnPacketRTP(m, h264, func(p *rtp.Packet) { v.take(p, false, dec.Decode) })
	}
	var h265 *format.H265
	if m := v.desc.FindFormat(&h265); m != nil {
		dec, err := h265.CreateDecoder()
		if err != nil {
			return err
		}
		v.OnPacketRTP(m, h265, func(p *rtp.Packet) { v.take(p, true, dec.Decode) })
	}
	for _, m := range v.desc.Medias {
		if m.Type == description.MediaTypeAudio && !m.IsBackChannel {
			v.OnPacketRTP(m, m.Formats[0], func(p *rtp.Packet) { v.sound <- p })
		}
	}
	v.OnPacketRTCPAny(func(m *description.Media, p rtcp.Packet) {
		if sr, ok := p.(*rtcp.SenderReport); ok && m.Type == description.MediaTypeVideo {
			v.report <- sr
		}
	})
	return nil
}

func (v *viewer) take(p *rtp.Packet, h265 bool, decode func(*rtp.Packet) ([][]byte, error)) {
	nals, err := decode(p)
	if err != nil {
		return // more packets are needed, or some were lost
	}
	f := frame{rtp: p.Timestamp}
	for _, n := range nals {
		f.size += len(n)
		if number, at, ok := counter.Parse(n, h265); ok {
			f.number, f.sent = number, at
		}
		typ := n[0] & 31
		if h265 {
			typ = n[0] >> 1 & 63
		}
		f.key = f.key || !h265 && typ == 5 || h265 && typ >= 16 && typ < 24
		if !h265 && typ == 7 || h265 && typ == 33 {
			f.params = append(f.params, n)
		}
	}
	v.frames <- f
}

// next returns the next picture.
func (v *viewer) next(t *testing.T) frame {
	t.Helper()
	select {
	case f := <-v.frames:
		return f
	case <-time.After(patience):
		t.Fatal("no picture")
		return frame{}
	}
}
