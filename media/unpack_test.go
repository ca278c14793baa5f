package media_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// payloadsOf cuts NAL units for RTP in several ways, each to be put together again.
func payloadsOf(c media.Codec, nals [][]byte) map[string][][]byte {
	one := [][]byte{}
	for _, nal := range nals {
		one = append(one, mediatest.Fragment(c, nal, 1200)...)
	}
	small := [][]byte{}
	for _, nal := range nals {
		small = append(small, mediatest.Fragment(c, nal, 11)...)
	}
	last := len(nals) - 1
	return map[string][][]byte{
		"single and fragments": one,
		"small fragments":      small,
		"aggregated":           append([][]byte{mediatest.Aggregate(c, nals[:last]...)}, mediatest.Fragment(c, nals[last], 1200)...),
	}
}

func TestUnpackGivesBackTheNALUnits(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		nals := mediatest.Picture(c, true, 5000, 9)
		for name, payloads := range payloadsOf(c, nals) {
			t.Run(c.String()+" "+name, func(t *testing.T) {
				r := rtpRig(t, mediatest.VideoTrack(c))
				p := &mediatest.Packetizer{PayloadType: 96}
				r.push(0, p.Packets(3600, payloads...)...)
				r.s.CloseUnits()
				want := []mediatest.Sample{{Codec: c, Flags: media.UnitKey, NALs: nals}}
				if diff := cmp.Diff(want, r.samples()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				units, err := r.s.Unpack(0)
				if err != nil {
					t.Fatal(err)
				}
				for i, nal := range units[0].NALs {
					if int(nal.Size) != len(nals[i]) || nal.Type != media.NALType(c, nals[i][0]) {
						t.Errorf("NAL unit %d: size %d type %d; want %d, %d", i, nal.Size, nal.Type, len(nals[i]), media.NALType(c, nals[i][0]))
					}
				}
			})
		}
	}
}

// The header of a fragmented NAL unit is rebuilt bit by bit (RFC 6184 §5.8, RFC
// 7798 §4.4.3).
func TestUnpackRebuildsHeaders(t *testing.T) {
	for c, heads := range map[media.Codec][][]byte{
		media.H264: {{0x65}, {0x01}, {0xF4}, {0x17}},
		media.H265: {{38, 1}, {2, 3}, {0x80 | 40<<1 | 1, 0xFA}},
	} {
		for _, head := range heads {
			nal := append(slices.Clone(head), bytes.Repeat([]byte{0x91}, 300)...)
			r := rtpRig(t, mediatest.VideoTrack(c))
			p := &mediatest.Packetizer{PayloadType: 96, MTU: 100}
			r.push(0, p.Video(c, 0, nal)...)
			r.s.CloseUnits()
			got := r.samples()
			if len(got) != 1 || len(got[0].NALs) != 1 || !bytes.Equal(got[0].NALs[0], nal) {
				t.Errorf("%s: header %X: got %+v", c, head, got)
			}
		}
	}
}

// A NAL unit of which a fragment is missing is left out; the others stay, and the
// access unit says that it is damaged.
func TestUnpackLeavesOutWhatIsIncomplete(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		whole, broken := mediatest.Slice(c, false, 500, 1), mediatest.Slice(c, false, 5000, 2)
		fragments := mediatest.Fragment(c, broken, 1200)
		for name, missing := range map[string]int{"first": 0, "middle": 2, "last": len(fragments) - 1} {
			t.Run(c.String()+" "+name, func(t *testing.T) {
				r := rtpRig(t, mediatest.VideoTrack(c))
				p := &mediatest.Packetizer{PayloadType: 96}
				packets := p.Packets(0, append([][]byte{whole}, fragments...)...)
				packets = append(packets, p.Packet(0, true, whole))
				r.push(0, append(packets[:missing+1:missing+1], packets[missing+2:]...)...)
				r.s.CloseUnits()
				want := []mediatest.Sample{{Codec: c, Flags: media.UnitDamaged, NALs: [][]byte{whole, whole}}}
				if diff := cmp.Diff(want, r.samples()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestUnpackSurvivesDamagedStructures(t *testing.T) {
	for name, payload := range map[string][]byte{
		"aggregate beyond its end":   {24, 0, 200, 0x41, 0x9A},
		"aggregate of nothing":       {24, 0, 0},
		"aggregate cut in a length":  {24, 0, 2, 0x41, 0x9A, 0},
		"fragment without a payload": {0x7C, 0x85},
		"interleaved":                {25, 0, 0, 0, 2, 0x41, 0x9A},
		"reserved":                   {31, 1, 2},
		"type 0":                     {0, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := rtpRig(t, mediatest.VideoTrack(media.H264))
			p := &mediatest.Packetizer{PayloadType: 96}
			whole := mediatest.Slice(media.H264, false, 100, 1)
			r.push(0, p.Packets(0, whole, payload)...)
			r.s.CloseUnits()
			got := r.samples()
			if len(got) != 1 || got[0].Flags&media.UnitDamaged == 0 || !bytes.Equal(got[0].NALs[0], whole) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestUnpackAAC(t *testing.T) {
	track := media.Track{Codec: media.AAC, ClockRate: 8000, PayloadType: 102, Channels: 1, Parameters: [][]byte{{0x15, 0x88}}}
	a, b, c := bytes.Repeat([]byte{1}, 100), bytes.Repeat([]byte{2}, 50), bytes.Repeat([]byte{3}, 2000)
	r := rtpRig(t, track)
	p := &mediatest.Packetizer{PayloadType: 102, MTU: 700, NoMarker: true}
	r.push(0, p.AAC(0, a, b))
	r.push(0, p.AACFragments(2048, c)...)
	r.push(0, p.AAC(3072, a))
	frame := media.Ticks(1024 * 90000 / 8000)
	want := []mediatest.Sample{
		{Codec: media.AAC, Audio: a},
		{Codec: media.AAC, PTS: frame, DTS: frame, Audio: b},
		{Codec: media.AAC, PTS: 2 * frame, DTS: 2 * frame, Audio: c},
		{Codec: media.AAC, PTS: 3 * frame, DTS: 3 * frame, Audio: a},
	}
	if diff := cmp.Diff(want, r.samples()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnpackG711(t *testing.T) {
	r := rtpRig(t, media.Track{Codec: media.G711U, PayloadType: 0, Channels: 1})
	p := &mediatest.Packetizer{}
	samples := bytes.Repeat([]byte{7}, 160)
	r.push(0, p.Packet(0, false, samples), p.Packet(160, false, samples))
	want := []mediatest.Sample{
		{Codec: media.G711U, Audio: samples},
		{Codec: media.G711U, PTS: 1800, DTS: 1800, Audio: samples},
	}
	if diff := cmp.Diff(want, r.samples()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnpackFrames(t *testing.T) {
	r := newRig(t, media.StreamConfig{}, media.Opened{
		Carriage: media.CarriageFrames,
		Tracks:   []media.Track{{Codec: media.H265}, {Codec: media.AAC, ClockRate: 16000}},
	})
	nals := mediatest.Picture(media.H265, true, 3000, 1)
	frame := func(f media.Frame, b []byte) {
		t.Helper()
		f.Range = mediatest.Put(r.s, b)
		if err := r.s.PushFrame(f); err != nil {
			t.Error(err)
		}
	}
	frame(media.Frame{PTS: 9000, DTS: 5400, Wall: 42, Key: true}, mediatest.Lengths(nals...))
	frame(media.Frame{Track: 1, PTS: 5500, DTS: 5500}, []byte{1, 2, 3})
	frame(media.Frame{PTS: 9500, DTS: 9000, Discontinuity: true}, append(mediatest.Lengths(nals[0]), 0, 0, 9, 9, 1))
	want := []mediatest.Sample{
		{Codec: media.H265, Flags: media.UnitKey, PTS: 9000, DTS: 5400, NALs: nals},
		{Track: 1, Codec: media.AAC, PTS: 5500, DTS: 5500, Audio: []byte{1, 2, 3}},
		{Codec: media.H265, Flags: media.UnitDamaged | media.UnitDiscontinuity, PTS: 9500, DTS: 9000, NALs: nals[:1]},
	}
	if diff := cmp.Diff(want, r.samples()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.units()[0].Wall != 42 {
		t.Errorf("wall clock %d", r.units()[0].Wall)
	}
	for _, f := range []media.Frame{{Track: 2, Range: media.Range{Len: 1}}, {}, {Range: media.Range{Off: 1 << 40, Len: 3}}} {
		if err := r.s.PushFrame(f); err == nil {
			t.Errorf("PushFrame(%+v) took it", f)
		}
	}
}

func TestUnpackOfAnOverwrittenUnitIsRefused(t *testing.T) {
	r := newRig(t, media.StreamConfig{RingBytes: 64 << 10}, media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, 0, 3)
	if _, err := r.s.Unpack(0); err != nil {
		t.Fatal(err)
	}
	group(r, p, 3*3600, 40)
	for _, n := range []uint64{0, 1 << 40} {
		if _, err := r.s.Unpack(n); !errors.Is(err, media.ErrNotHeld) {
			t.Errorf("Unpack(%d): %v, want ErrNotHeld", n, err)
		}
	}
	if oldest, next := r.s.Units(); oldest == 0 || !r.s.Held(r.s.Unit(oldest)) || next-oldest < 5 {
		t.Errorf("units %d to %d", oldest, next)
	}
}

// A panic of an unpacker is the error of that unit.
func TestUnpackerThatPanicsCostsItsUnit(t *testing.T) {
	r := newRig(t, media.StreamConfig{}, media.Opened{Carriage: media.CarriagePS, Unpacker: panicker{}})
	p := &mediatest.Packetizer{PayloadType: 96}
	r.push(0, p.Cut(0, pack(media.H264, true, mediatest.Slice(media.H264, true, 500, 1)))...)
	r.s.CloseUnits()
	if _, err := r.s.Unpack(0); err == nil {
		t.Error("no error")
	}
	if st := r.stats(); st.Panics != 1 {
		t.Errorf("%d panics counted; the unit is unpacked once and remembered", st.Panics)
	}
}

type panicker struct{}

func (panicker) Unpack(*media.Stream, media.Unit, *media.Batch) error { panic("damaged map") }

func TestBatchTrimsAndDrops(t *testing.T) {
	var b media.Batch
	b.Begin(media.AccessUnit{Codec: media.H264})
	b.BeginNAL(7)
	b.Append(media.Range{Off: 0, Len: 10})
	b.Append(media.Range{Off: 10, Len: 5}) // continues
	b.Append(media.Range{Off: 100, Len: 2})
	b.Trim(4)
	b.BeginNAL(1, 0x41)
	b.Append(media.Range{Off: 200, Len: 9})
	b.DropNAL()
	b.BeginNAL(5, 0x65)
	b.Append(media.Range{Off: 300, Len: 9})
	b.Begin(media.AccessUnit{Codec: media.AAC})
	b.Append(media.Range{Off: 400, Len: 3})
	b.Trim(9)
	b.Append(media.Range{Off: 500, Len: 4})
	b.Begin(media.AccessUnit{Codec: media.H265})
	b.BeginNAL(1)
	b.DropUnit()
	want := []media.AccessUnit{
		{Codec: media.H264, NALs: []media.NAL{
			{Type: 7, Size: 13, Body: []media.Range{{Off: 0, Len: 13}}},
			{Head: [2]byte{0x65}, HeadLen: 1, Type: 5, Size: 10, Body: []media.Range{{Off: 300, Len: 9}}},
		}},
		{Codec: media.AAC, Payload: []media.Range{{Off: 500, Len: 4}}},
	}
	if diff := cmp.Diff(want, b.Units); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
