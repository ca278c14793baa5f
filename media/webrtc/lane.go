package webrtc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"districtgateway/media"
	"districtgateway/media/rtp"
)

// A lane is one track on its way to a browser. It is what the library calls a
// [webrtc.TrackLocal].
type lane struct {
	number     uint8
	track      int      // index of it in the stream
	flow       rtp.Flow // the owner's, once there is a playout
	parameters [][]byte // likewise
	codec      webrtc.RTPCodecParameters
	sender     *webrtc.RTPSender

	mu  sync.Mutex
	out webrtc.TrackLocalWriter // nil: not bound
}

// newLane makes the lane of what was chosen.
func newLane(number uint8, c chosen) *lane {
	return &lane{
		number: number, track: c.index, parameters: c.track.Parameters,
		flow: rtp.Flow{Codec: c.track.Codec, Rate: c.track.ClockRate, PayloadType: c.format.typ, Limit: maxPayload},
		codec: webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(c.format.typ), RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: c.mime(), ClockRate: uint32(c.format.rate), SDPFmtpLine: c.format.params, RTCPFeedback: feedbackOf(c.track.Codec)}},
	}
}

// mime returns the name of the coding as the library has it.
func (c chosen) mime() string {
	if c.track.Codec.Video() {
		return "video/" + c.format.name
	}
	return "audio/" + c.format.name
}

// feedback is what a browser may tell of the pictures (RFC 4585, RFC 5104).
func feedback() []webrtc.RTCPFeedback {
	return []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
}

func feedbackOf(c media.Codec) []webrtc.RTCPFeedback {
	if c.Video() {
		return feedback()
	}
	return nil
}

// kind is that of the lane's section.
func (l *lane) kind() webrtc.RTPCodecType {
	if l.flow.Codec.Video() {
		return webrtc.RTPCodecTypeVideo
	}
	return webrtc.RTPCodecTypeAudio
}

// errOtherCodec reports a library that agreed on something else than was chosen.
var errOtherCodec = errors.New("another coding was agreed")

// Bind and the methods after it are those of [webrtc.TrackLocal].
func (l *lane) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, codec := range c.CodecParameters() {
		if codec.PayloadType == l.codec.PayloadType {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.out = c.WriteStream()
			return codec, nil
		}
	}
	return webrtc.RTPCodecParameters{}, errOtherCodec
}

func (l *lane) Unbind(webrtc.TrackLocalContext) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = nil
	return nil
}

func (l *lane) ID() string                { return l.kind().String() }
func (l *lane) RID() string               { return "" }
func (l *lane) StreamID() string          { return "gateway" } // one for all lanes: picture and sound belong together
func (l *lane) Kind() webrtc.RTPCodecType { return l.kind() }

// errUnbound reports a lane whose way is not, or no more, open.
var errUnbound = errors.New("nothing can be sent")

// write encrypts and sends one packet of our own writing.
func (l *lane) write(p []byte) error {
	l.mu.Lock()
	out := l.out
	l.mu.Unlock()
	if out == nil {
		return errUnbound
	}
	h := pionrtp.Header{Version: 2, Marker: p[1]&0x80 != 0, PayloadType: p[1] & 0x7F,
		SequenceNumber: binary.BigEndian.Uint16(p[2:]), Timestamp: binary.BigEndian.Uint32(p[4:]), SSRC: binary.BigEndian.Uint32(p[8:])}
	_, err := out.WriteRTP(&h, p[rtp.HeaderSize:])
	return err
}

// hear reads what the browser reports of the lane, until that is closed.
func (l *lane) hear(p *playout, lost *losses) error {
	for {
		packets, _, err := l.sender.ReadRTCP()
		if err != nil {
			return fmt.Errorf("reports: %w", err)
		}
		for _, r := range packets {
			l.heed(r, p, lost)
		}
	}
}

// heed does what a report asks for.
func (l *lane) heed(r rtcp.Packet, p *playout, lost *losses) {
	switch r := r.(type) {
	case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
		p.wantKey()
	case *rtcp.TransportLayerNack:
		for _, pair := range r.Nacks {
			pair.Range(func(seq uint16) bool { return lost.add(loss{l.number, seq}) })
		}
	}
}

// A loss is a packet that a browser misses.
type loss struct {
	lane uint8
	seq  uint16
}

// maxLosses bounds the packets that wait to be sent again, and those that may be so at
// once.
const maxLosses = 256

// losses are packets to be sent again. In the long run no more are than are sent anew:
// a report of 4 bytes may name 17 packets, and is believed whatever it names.
type losses struct {
	more   chan struct{}
	mu     sync.Mutex
	list   []loss
	credit int // packets that may be sent again
}

func newLosses() *losses { return &losses{more: make(chan struct{}, 1), credit: maxLosses} }

// earn notes that a packet was sent anew.
func (k *losses) earn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.credit = min(k.credit+1, maxLosses)
}

// add notes one; false: too many wait.
func (k *losses) add(l loss) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.list) >= maxLosses {
		return false
	}
	k.list = append(k.list, l)
	select {
	case k.more <- struct{}{}:
	default: // it is known
	}
	return true
}

// take returns the next one that may be sent.
func (k *losses) take() (l loss, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.credit == 0 {
		k.list = k.list[:0] // what is still missed then is told again
	}
	if len(k.list) == 0 {
		return loss{}, false
	}
	last := len(k.list) - 1
	l, k.list = k.list[last], k.list[:last]
	k.credit--
	return l, true
}
