package rtspserver

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"districtgateway/cmd/encodersim/internal/clip"
)

// Payload types: the dynamic ones cameras like, and the static ones of RFC 3551.
const (
	typeVideo = 96
	typeAAC   = 97
	typePCMA  = 8
)

// StreamConfig describes one profile.
type StreamConfig struct {
	Path  string               // first part of the URL's path, no slash
	Video *clip.Video          // its codec and parameter sets
	Audio *clip.Audio          // nil for none
	Drop  func() bool          // asked for each media packet: lose it?
	Clock func() time.Duration // how wrong the encoder's clock is
}

// A Stream is one profile while it is served. Writing to a stream whose server
// is not running does nothing.
type Stream struct {
	path   string
	drop   func() bool
	clock  func() time.Duration
	joined atomic.Int64 // when a reader last began to play, Unix nanoseconds

	mu    sync.Mutex
	video *clip.Video
	audio *clip.Audio
	lib   *gortsplib.Server // nil while down
	live  *live             // nil while down
}

// live is what exists only while the server runs.
type live struct {
	stream       *gortsplib.ServerStream
	video, audio *medium
}

// NewStream returns a stream, to be given to New.
func NewStream(cfg StreamConfig) *Stream {
	return &Stream{path: cfg.Path, drop: cfg.Drop, clock: cfg.Clock, video: cfg.Video, audio: cfg.Audio}
}

// up puts the stream on a running server.
func (s *Stream) up(lib *gortsplib.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lib = lib
	return s.open()
}

// open makes the description and the packetisers.
func (s *Stream) open() error {
	video, err := newVideo(s.video)
	if err != nil {
		return err
	}
	desc := &description.Session{Medias: []*description.Media{video.media}}
	var audio *medium
	if s.audio != nil {
		if audio, err = newAudio(s.audio); err != nil {
			return err
		}
		desc.Medias = append(desc.Medias, audio.media)
	}
	talk := &format.G711{PayloadTyp: typePCMA, SampleRate: 8000, ChannelCount: 1}
	desc.Medias = append(desc.Medias, &description.Media{
		Type: description.MediaTypeAudio, IsBackChannel: true, Formats: []format.Format{talk},
	})
	stream := &gortsplib.ServerStream{Server: s.lib, Desc: desc}
	if err := stream.Initialize(); err != nil {
		return fmt.Errorf("stream %s: %w", s.path, err)
	}
	s.live = &live{stream: stream, video: video, audio: audio}
	for _, m := range []*medium{video, audio} {
		if m != nil {
			m.ssrc = stream.Stats().Medias[m.media].Formats[m.media.Formats[0]].LocalSSRC
		}
	}
	return nil
}

// down takes the stream off its server.
func (s *Stream) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != nil {
		s.live.stream.Close()
	}
	s.lib, s.live = nil, nil
}

// Describe changes the stream's codecs. Its sessions are closed, since their
// description no longer holds; readers must describe anew.
func (s *Stream) Describe(v *clip.Video) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.video = v
	if s.live == nil {
		return nil
	}
	s.live.stream.Close()
	s.live = nil
	return s.open()
}

// Refresh puts another clip's parameter sets of the same codec into the
// description; sessions stay and learn them from the stream.
func (s *Stream) Refresh(v *clip.Video) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.video = v
	if s.live == nil {
		return
	}
	switch f := s.live.video.media.Formats[0].(type) {
	case *format.H264:
		f.SPS, f.PPS = v.SPS, v.PPS
	case *format.H265:
		f.VPS, f.SPS, f.PPS = v.VPS, v.SPS, v.PPS
	}
	s.live.stream.ReloadDesc()
}

func (s *Stream) current() *gortsplib.ServerStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return nil
	}
	return s.live.stream
}

// reportSoon has a sender report go before each unit for a while: the first thing
// that a new reader gets is to be one, since some players put what came before it
// on a time scale of its own.
func (s *Stream) reportSoon() { s.joined.Store(time.Now().UnixNano()) }

// WriteVideo sends one access unit; ticks are its timestamp less the stream's
// random start, at the instant it is shown. nals is not kept. A unit of another
// codec than the description's is not sent: the description is being changed.
func (s *Stream) WriteVideo(nals [][]byte, h265 bool, ticks int64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != nil && h265 == s.video.H265 {
		s.send(s.live.video, nals, ticks, at)
	}
}

// WriteAudio sends one frame; samples are its timestamp less a random start.
func (s *Stream) WriteAudio(frame []byte, samples int64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != nil && s.live.audio != nil {
		s.send(s.live.audio, [][]byte{frame}, samples, at)
	}
}

// send packetises, loses what is to be lost and reports.
func (s *Stream) send(m *medium, units [][]byte, at int64, wall time.Time) {
	packets, err := m.encode(units)
	if err != nil {
		return // a unit the packetiser refuses is a lost unit
	}
	now := time.Now()
	joined := now.Sub(time.Unix(0, s.joined.Load()))
	if len(packets) > 0 && (joined < reportsFor || now.Sub(m.reported) >= reportEvery) {
		m.reported = now
		s.report(m, packets[0].Timestamp+m.base+uint32(at), wall)
	}
	for _, p := range packets {
		p.Timestamp += m.base + uint32(at)
		m.packets++
		m.octets += uint32(len(p.Payload))
		if s.drop() {
			continue
		}
		// It fails only for a stream being closed.
		_ = s.live.stream.WritePacketRTP(m.media, p)
	}
}

// A medium packetises one elementary stream.
type medium struct {
	media    *description.Media
	encode   func(units [][]byte) ([]*rtp.Packet, error)
	base     uint32 // random start of the timestamps (RFC 3550 section 5.1)
	ssrc     uint32
	packets  uint32
	octets   uint32
	reported time.Time
}

func newMedium(kind description.MediaType, f format.Format, encode func([][]byte) ([]*rtp.Packet, error)) *medium {
	m := &description.Media{Type: kind, Formats: []format.Format{f}}
	return &medium{media: m, encode: encode, base: rand.Uint32()}
}

func newVideo(v *clip.Video) (*medium, error) {
	if v.H265 {
		f := &format.H265{PayloadTyp: typeVideo, VPS: v.VPS, SPS: v.SPS, PPS: v.PPS}
		enc, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		return newMedium(description.MediaTypeVideo, f, enc.Encode), nil
	}
	f := &format.H264{PayloadTyp: typeVideo, SPS: v.SPS, PPS: v.PPS, PacketizationMode: 1}
	enc, err := f.CreateEncoder()
	if err != nil {
		return nil, err
	}
	return newMedium(description.MediaTypeVideo, f, enc.Encode), nil
}

func newAudio(a *clip.Audio) (*medium, error) {
	if a.Coding == clip.AAC {
		return newAAC(a)
	}
	f := &format.G711{PayloadTyp: typePCMA, MULaw: a.Coding == clip.PCMU, SampleRate: a.Rate, ChannelCount: a.Channels}
	switch {
	case a.Rate != 8000 || a.Channels != 1:
		f.PayloadTyp = typeAAC // a dynamic one
	case f.MULaw:
		f.PayloadTyp = 0
	}
	enc, err := f.CreateEncoder()
	if err != nil {
		return nil, err
	}
	return newMedium(description.MediaTypeAudio, f, func(u [][]byte) ([]*rtp.Packet, error) {
		return enc.Encode(u[0])
	}), nil
}

func newAAC(a *clip.Audio) (*medium, error) {
	var config mpeg4audio.AudioSpecificConfig
	if err := config.Unmarshal(a.Config); err != nil {
		return nil, fmt.Errorf("audio configuration: %w", err)
	}
	f := &format.MPEG4Audio{
		PayloadTyp: typeAAC, Config: &config, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
	}
	enc, err := f.CreateEncoder()
	if err != nil {
		return nil, err
	}
	return newMedium(description.MediaTypeAudio, f, enc.Encode), nil
}
