package ps

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"districtgateway/media"
)

// unhex is for tables.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Parameter sets of real encoders.
var (
	sps264 = unhex("6764001eacd940a02ff97011000003000100000300320f162d96")
	pps264 = unhex("68ebe3cb22c0")
	vps265 = unhex("40010c01ffff01600000030090000003000003003f959809")
	sps265 = unhex("42010101600000030090000003000003003fa00502016965959a4932bc05a02000000300200000030321")
	pps265 = unhex("4401c172b46240")
	asc44k = []byte{0x12, 0x08} // AAC-LC, 44.1 kHz, one channel
)

// Tracks of each coding.
var (
	track264  = media.Track{Codec: media.H264, ClockRate: 90000, Parameters: [][]byte{sps264, pps264}}
	track265  = media.Track{Codec: media.H265, ClockRate: 90000, Parameters: [][]byte{vps265, sps265, pps265}}
	trackALaw = media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1}
	trackULaw = media.Track{Codec: media.G711U, ClockRate: 8000, Channels: 1}
	trackAAC  = media.Track{Codec: media.AAC, ClockRate: 44100, Channels: 1, Parameters: [][]byte{asc44k}}
)

// noise returns n bytes of what a NAL unit can hold after its header: runs of
// zeros, but no start code, and no zero at the end.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, n)
	zeros := 0
	for i := range b {
		b[i] = byte(r.Uint32())
		if r.Uint32()%8 == 0 {
			b[i] = byte(r.Uint32() % 4)
		}
		if zeros >= 2 && b[i] < 3 {
			b[i] = 3
		}
		if zeros++; b[i] != 0 {
			zeros = 0
		}
	}
	if n > 0 {
		b[n-1] |= 0x80
	}
	return b
}

// nal returns a NAL unit of n bytes that begins with head.
func nal(head string, n int) []byte {
	h := unhex(head)
	return append(h, noise(uint64(n), max(0, n-len(h)))...)
}

// A sample is an access unit with its bytes.
type sample struct {
	Track   uint8
	Codec   media.Codec
	Flags   media.UnitFlags
	PTS     media.Ticks
	DTS     media.Ticks
	NALs    [][]byte
	Payload []byte
}

// A rig has an encoder's ring at one end and a receiver's at the other.
type rig struct {
	src    *media.Ring
	muxer  *Muxer
	image  Image
	wire   *media.Ring
	x      *Unpacker
	batch  media.Batch
	tracks []media.Track // as the unpacker told them
	told   int           // how often
}

func newRig(tracks ...media.Track) *rig { return newRigOf(256<<10, tracks...) }

// newRigOf makes a rig whose rings have size bytes.
func newRigOf(size int, tracks ...media.Track) *rig {
	return &rig{src: newRing(size), muxer: NewMuxer(tracks), wire: newRing(size), x: NewUnpacker()}
}

func newRing(size int) *media.Ring { return media.NewRing(make([]byte, 2*size), false) }

func put(r *media.Ring, b []byte) media.Range {
	copy(r.Reserve(len(b)), b)
	return r.Commit(len(b))
}

// unit puts s into the encoder's ring, in pieces of at most 1000 bytes that are
// not adjacent.
func (r *rig) unit(s sample) *media.AccessUnit {
	au := &media.AccessUnit{Track: s.Track, Codec: s.Codec, Flags: s.Flags, PTS: s.PTS, DTS: s.DTS}
	split := func(b []byte) (out []media.Range) {
		for len(b) > 0 {
			n := min(len(b), 1000)
			out = append(out, put(r.src, b[:n]))
			put(r.src, []byte("between"))
			b = b[n:]
		}
		return out
	}
	for _, b := range s.NALs {
		n := media.NAL{Type: media.NALType(s.Codec, b[0]), Size: uint32(len(b))}
		if len(b) > 2 { // as RFC 6184 and 7798 fragments have it
			n.HeadLen = uint8(copy(n.Head[:], b[:1]))
			b = b[1:]
		}
		n.Body = split(b)
		au.NALs = append(au.NALs, n)
	}
	au.Payload = split(s.Payload)
	return au
}

// mux returns the pack of s.
func (r *rig) mux(t testing.TB, s sample) []byte {
	t.Helper()
	if err := r.muxer.Mux(r.unit(s), &r.image); err != nil {
		t.Fatalf("mux: %v", err)
	}
	out := r.image.AppendTo(nil, r.src)
	if len(out) != r.image.Size {
		t.Fatalf("image of %d bytes says %d", len(out), r.image.Size)
	}
	return out
}

// send puts stream into the receiver's ring as packets of at most size payload
// bytes, but for those that lose says.
func (r *rig) send(stream []byte, size int, lose func(i int) bool) {
	r.x.in = r.x.in[:0]
	hole := false
	for i := 0; len(stream) > 0; i++ {
		n := min(size, len(stream))
		if lose != nil && lose(i) {
			hole = true
		} else {
			put(r.wire, make([]byte, 12)) // RTP header
			r.x.in = append(r.x.in, piece{put(r.wire, stream[:n]), hole && len(r.x.in) > 0})
			hole = false
		}
		stream = stream[n:]
	}
}

// receive unpacks what was sent as u.
func (r *rig) receive(u media.Unit) ([]sample, error) {
	r.batch.Reset()
	err := r.x.unpack(r.wire, u, &r.batch)
	if p := &r.x.demuxer.program; p.changed {
		p.changed, r.tracks = false, p.tracks
		r.told++
	}
	return samples(r.wire, r.batch.Units), err
}

// samples collects the bytes of units.
func samples(mem memory, units []media.AccessUnit) []sample {
	var out []sample
	for i := range units {
		a := &units[i]
		s := sample{Track: a.Track, Codec: a.Codec, Flags: a.Flags, PTS: a.PTS, DTS: a.DTS}
		for _, n := range a.NALs {
			b := append([]byte(nil), n.Head[:n.HeadLen]...)
			for _, g := range n.Body {
				b = append(b, mem.Bytes(g)...)
			}
			if len(b) != int(n.Size) || n.Type != media.NALType(a.Codec, b[0]) {
				b = nil // cannot be equal to anything
			}
			s.NALs = append(s.NALs, b)
		}
		for _, g := range a.Payload {
			s.Payload = append(s.Payload, mem.Bytes(g)...)
		}
		out = append(out, s)
	}
	return out
}

// key264 and so on are small access units; those of video are on track 0, those
// of audio on track 1.
func key264(n int) sample {
	return sample{Codec: media.H264, Flags: media.UnitKey, PTS: 90000, DTS: 90000,
		NALs: [][]byte{{9, 0xF0}, sps264, pps264, nal("0605", 40), nal("6588", n)}}
}

func delta264(n int) sample {
	return sample{Codec: media.H264, PTS: 97200, DTS: 93600, NALs: [][]byte{nal("419a", n), nal("4101", n)}}
}

func key265(n int) sample {
	return sample{Codec: media.H265, Flags: media.UnitKey, PTS: 90000, DTS: 90000,
		NALs: [][]byte{vps265, sps265, pps265, nal("2801af", n)}}
}

func audio(c media.Codec, n int) sample {
	return sample{Track: 1, Codec: c, PTS: 90000, DTS: 90000, Payload: noise(7, n)}
}
