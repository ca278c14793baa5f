package ps

import (
	"encoding/binary"
	"errors"

	"districtgateway/media"
)

// Errors of [Muxer.Mux].
var (
	ErrTrack  = errors.New("access unit of a track that is not in the program")
	ErrConfig = errors.New("aac track without a usable audio configuration")
	ErrSize   = errors.New("aac frame too long for adts")
)

// maxPES is the most payload we put into one PES packet, below the 65 535 that
// PES_packet_length can state.
const maxPES = 65_000

// A Muxer describes access units as packs of program stream. There is one for
// each outgoing stream; it is used by that stream's owner only. Mux does not
// change it.
type Muxer struct {
	out       []outStream // by track
	program   []byte      // system header and program stream map
	version   byte        // of the map, modulo 32
	audioOnly bool
}

// An outStream is what one track becomes.
type outStream struct {
	id    byte // stream_id; 0 if the track cannot be carried
	track media.Track
	aac   aacConfig
	aacOK bool
}

// NewMuxer makes a muxer for tracks. Tracks it cannot carry, for their coding or
// because they are more than 8, are left out of the program.
func NewMuxer(tracks []media.Track) *Muxer {
	m := new(Muxer)
	m.program = m.build(tracks)
	return m
}

// SetTracks changes the tracks and, with them, the version of the program stream
// map. Streams that were there keep their stream_id if they keep their place.
func (m *Muxer) SetTracks(tracks []media.Track) {
	m.version++
	m.program = m.build(tracks)
}

func (m *Muxer) build(tracks []media.Track) []byte {
	m.out, m.audioOnly = m.out[:0], true
	var lines []mapping
	video, audio := byte(idVideoFirst), byte(idAudioFirst)
	for _, t := range tracks {
		o := outStream{track: t}
		switch {
		case typeOf(t.Codec) == 0 || len(lines) == maxStreams:
		case t.Codec.Video():
			o.id, video, m.audioOnly = video, video+1, false
		default:
			o.id, audio = audio, audio+1
		}
		if t.Codec == media.AAC && len(t.Parameters) > 0 {
			o.aac, o.aacOK = parseAudioConfig(t.Parameters[0])
		}
		if o.id != 0 {
			lines = append(lines, mapping{o.id, typeOf(t.Codec)})
		}
		m.out = append(m.out, o)
	}
	return appendMap(appendSystem(nil, lines), lines, m.version)
}

// Mux makes img the pack of au: pack header, before a key picture system header
// and program stream map, then PES packets. A key picture that lacks parameter
// sets gets the track's. In a program without video every pack has the map,
// since any can be a receiver's first. The same access unit and tracks give the
// same bytes. The errors are [ErrTrack], [ErrConfig] and [ErrSize]; img is then
// empty.
func (m *Muxer) Mux(au *media.AccessUnit, img *Image) error {
	img.reset()
	if int(au.Track) >= len(m.out) || m.out[au.Track].id == 0 || m.out[au.Track].track.Codec != au.Codec {
		return ErrTrack
	}
	o := &m.out[au.Track]
	size, err := o.check(au)
	if err != nil {
		return err
	}
	img.header = appendPack(img.header, stampOf(au.DTS))
	if m.audioOnly || au.Codec.Video() && au.Key() {
		img.header = append(img.header, m.program...)
	}
	w := pesWriter{img: img, id: o.id, pts: stampOf(au.PTS), dts: stampOf(au.DTS)}
	if au.Codec.Video() {
		o.video(&w, au)
	} else {
		o.audio(&w, au, size)
	}
	img.seal()
	return nil
}

// check returns how many bytes an audio frame has, and whether it can be carried.
func (o *outStream) check(au *media.AccessUnit) (size int, err error) {
	for _, g := range au.Payload {
		size += int(g.Len)
	}
	switch {
	case au.Codec != media.AAC:
		return size, nil
	case !o.aacOK:
		return 0, ErrConfig
	case size+adtsSize > adtsMax:
		return 0, ErrSize
	}
	return size, nil
}

func (o *outStream) audio(w *pesWriter, au *media.AccessUnit, size int) {
	w.rest = size
	var adts [adtsSize]byte
	if au.Codec == media.AAC {
		w.rest += adtsSize
		w.write(o.aac.appendADTS(adts[:0], size))
	}
	for _, g := range au.Payload {
		w.ring(g)
	}
}

// startCode precedes every NAL unit (ITU-T H.264 Annex B, H.265 Annex B).
var startCode = []byte{0, 0, 0, 1}

func (o *outStream) video(w *pesWriter, au *media.AccessUnit) {
	var extra [][]byte
	if au.Key() && !hasParameters(au) {
		extra = o.track.Parameters
	}
	for _, p := range extra {
		w.rest += len(startCode) + len(p)
	}
	for i := range au.NALs {
		w.rest += len(startCode) + nalSize(&au.NALs[i])
	}
	delimiters := 0 // stay in front of everything (ITU-T H.264 §7.4.1.2.3)
	for delimiters < len(au.NALs) && au.NALs[delimiters].Type == delimiterType(au.Codec) {
		delimiters++
	}
	w.nals(au.NALs[:delimiters])
	for _, p := range extra {
		w.write(startCode)
		w.write(p)
	}
	w.nals(au.NALs[delimiters:])
}

// nalSize adds up n rather than believe n.Size: PES lengths must be true.
func nalSize(n *media.NAL) int {
	size := int(n.HeadLen)
	for _, g := range n.Body {
		size += int(g.Len)
	}
	return size
}

// hasParameters reports whether au has every kind of parameter set its coding needs.
func hasParameters(au *media.AccessUnit) bool {
	need := parameterTypes(au.Codec)
	var have uint64
	for i := range au.NALs {
		have |= 1 << (au.NALs[i].Type & 63)
	}
	return have&need == need
}

// parameterTypes is the set, by bits, of the NAL unit types a decoder needs
// first: SPS and PPS of H.264; VPS, SPS and PPS of H.265.
func parameterTypes(c media.Codec) uint64 {
	if c == media.H265 {
		return 1<<32 | 1<<33 | 1<<34
	}
	return 1<<7 | 1<<8
}

// delimiterType is the NAL unit type of an access unit delimiter.
func delimiterType(c media.Codec) uint8 {
	if c == media.H265 {
		return 35
	}
	return 9
}

// A pesWriter lays an elementary stream of rest bytes into PES packets.
type pesWriter struct {
	img      *Image
	id       byte
	pts, dts uint64
	rest     int  // bytes of the access unit still to come
	room     int  // of them, bytes that go into the open packet
	begun    bool // the first packet, which has the time stamps, is out
}

func (w *pesWriter) nals(nals []media.NAL) {
	for i := range nals {
		n := &nals[i]
		w.write(startCode)
		w.write(n.Head[:n.HeadLen])
		for _, g := range n.Body {
			w.ring(g)
		}
	}
}

// write puts b, which is not in the ring, into the stream.
func (w *pesWriter) write(b []byte) {
	for len(b) > 0 {
		n := w.claim(len(b))
		w.img.header = append(w.img.header, b[:n]...)
		b = b[n:]
	}
}

// ring puts g into the stream.
func (w *pesWriter) ring(g media.Range) {
	for g.Len > 0 {
		n := uint32(w.claim(int(g.Len)))
		w.img.seal()
		w.img.add(media.Range{Off: g.Off, Len: n})
		g.Off, g.Len = g.Off+uint64(n), g.Len-n
	}
}

// claim takes up to n bytes of room, opening a packet if there is none.
func (w *pesWriter) claim(n int) int {
	if w.room == 0 {
		w.open()
	}
	n = min(n, w.room)
	w.room -= n
	w.rest -= n
	return n
}

// open appends the header of the next PES packet (§2.4.3.6).
func (w *pesWriter) open() {
	w.room = min(w.rest, maxPES)
	fields, flags, align := 0, byte(0), byte(0)
	if !w.begun {
		fields, flags, align = 5, 0x80, 4
		if w.dts != w.pts {
			fields, flags = 10, 0xC0
		}
	}
	h := append(w.img.header, 0, 0, 1, w.id)
	h = binary.BigEndian.AppendUint16(h, uint16(3+fields+w.room))
	h = append(h, 0x80|align, flags, byte(fields))
	if flags != 0 {
		h = appendStamp(h, flags>>6, w.pts)
	}
	if flags == 0xC0 {
		h = appendStamp(h, 1, w.dts)
	}
	w.img.header, w.begun = h, true
}
