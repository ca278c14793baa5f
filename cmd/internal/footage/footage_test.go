package footage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// Parameter sets of real streams.
var (
	sps264 = []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	pps264 = []byte{0x68, 0xcb, 0x8c, 0xb2}
	vps265 = []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x7b, 0x18, 0xb0, 0x24}
	sps265 = []byte{0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x7b, 0xa0, 0x07, 0x82, 0x00, 0x88, 0x7d, 0xb6, 0x71, 0x8b, 0x92, 0x44, 0x80, 0x53, 0x88, 0x88, 0x92, 0xcf, 0x24, 0xa6, 0x92, 0x72, 0xc9, 0x12, 0x49, 0x22, 0xdc, 0x91, 0xaa, 0x48, 0xfc, 0xa2, 0x23, 0xff, 0x00, 0x01, 0x00, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x01}
	pps265 = []byte{0x44, 0x01, 0xc0, 0x25, 0x2f, 0x05, 0x32, 0x40}
)

var aac = &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{Type: 2, SampleRate: 16000, ChannelConfig: 1}}

// sized puts lengths before NAL units.
func sized(units ...[]byte) (b []byte) {
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(u))), u...)
	}
	return b
}

// boxesOf lets the MP4 library write what w describes.
func boxesOf(w interface{ Marshal(io.WriteSeeker) error }) []byte {
	var b seekablebuffer.Buffer
	if err := w.Marshal(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func initOf(video codecs.Codec) []byte {
	return boxesOf(&fmp4.Init{Tracks: []*fmp4.InitTrack{
		{ID: 1, TimeScale: 90000, Codec: video}, {ID: 2, TimeScale: 16000, Codec: aac},
	}})
}

// partOf is one fragment: a key picture, one that refers to it, and a frame of sound.
func partOf(seq uint32, key, other []byte) []byte {
	at := uint64(seq) * 7200
	return boxesOf(&fmp4.Part{SequenceNumber: seq, Tracks: []*fmp4.PartTrack{
		{ID: 1, BaseTime: at, Samples: []*fmp4.Sample{
			{Duration: 3600, Payload: key}, {Duration: 3600, PTSOffset: 900, IsNonSyncSample: true, Payload: other},
		}},
		{ID: 2, BaseTime: at * 16000 / 90000, Samples: []*fmp4.Sample{{Duration: 1024, Payload: []byte("sound")}}},
	}})
}

var (
	idr264 = sized([]byte{6, 1, 1, 0x80}, []byte{0x65, 1, 2, 3})
	p264   = sized([]byte{0x41, 9})
	idr265 = sized([]byte{19 << 1, 1, 2, 3})
	p265   = sized([]byte{1 << 1, 1, 7})
)

func footage264() []byte {
	b := initOf(&codecs.H264{SPS: sps264, PPS: pps264})
	b = append(b, box4("free", "padding")...)
	b = append(b, partOf(0, idr264, p264)...)
	b = append(b, box4("uuid", "0123456789abcdefextra")...)
	return append(b, partOf(1, idr264, p264)...)
}

func footage265() []byte {
	return append(initOf(&codecs.H265{VPS: vps265, SPS: sps265, PPS: pps265}), partOf(0, idr265, p265)...)
}

// box4 is a box with a text as its body.
func box4(kind, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}

func all(r io.Reader) (list []Sample, err error) {
	in := NewReader(r)
	for {
		s, err := in.Next()
		if err != nil {
			return list, err
		}
		list = append(list, s)
	}
}

func TestSamplesComeAsTheyWereWritten(t *testing.T) {
	list, err := all(iotest.OneByteReader(bytes.NewReader(footage264())))
	if !errors.Is(err, io.EOF) {
		t.Fatalf("error %v", err)
	}
	type row struct {
		Codec    media.Codec
		DTS, PTS time.Duration
		Duration time.Duration
		Key, Dec bool
		Data     string
	}
	var got []row
	for _, s := range list {
		got = append(got, row{s.Track.Codec, s.DTS, s.PTS, s.Duration, s.Key, s.Decodable(), string(s.Data)})
	}
	const ms = time.Millisecond
	want := []row{
		{media.H264, 0, 0, 40 * ms, true, true, string(idr264)},
		{media.H264, 40 * ms, 50 * ms, 40 * ms, false, false, string(p264)},
		{media.AAC, 0, 0, 64 * ms, true, false, "sound"},
		{media.H264, 80 * ms, 80 * ms, 40 * ms, true, true, string(idr264)},
		{media.H264, 120 * ms, 130 * ms, 40 * ms, false, false, string(p264)},
		{media.AAC, 80 * ms, 80 * ms, 64 * ms, true, false, "sound"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("samples differ (-want +got):\n%s", d)
	}
	units, err := list[0].NALs()
	if d := cmp.Diff([][]byte{{6, 1, 1, 0x80}, {0x65, 1, 2, 3}}, units); err != nil || d != "" {
		t.Errorf("NAL units: %v\n%s", err, d)
	}
	if d := cmp.Diff([][]byte{sps264, pps264}, list[0].Track.Parameters); d != "" {
		t.Errorf("parameter sets differ:\n%s", d)
	}
}

func TestHEVCIsReadToo(t *testing.T) {
	list, err := all(bytes.NewReader(footage265()))
	if !errors.Is(err, io.EOF) || len(list) != 3 {
		t.Fatalf("%d samples, %v", len(list), err)
	}
	if s := list[0]; s.Track.Codec != media.H265 || !s.Decodable() || list[1].Decodable() {
		t.Errorf("codec %v, decodable %v, then %v", s.Track.Codec, s.Decodable(), list[1].Decodable())
	}
	if d := cmp.Diff([][]byte{vps265, sps265, pps265}, list[0].Track.Parameters); d != "" {
		t.Errorf("parameter sets differ:\n%s", d)
	}
}

// A sample must not wait for bytes behind it: the first picture would be late.
func TestSampleIsThereWithItsLastByte(t *testing.T) {
	b := footage264()
	end := bytes.Index(b, idr264) + len(idr264)
	late := errors.New("read on")
	r := NewReader(io.MultiReader(bytes.NewReader(b[:end]), iotest.ErrReader(late)))
	s, err := r.Next()
	if err != nil || !s.Decodable() {
		t.Fatalf("first sample %+v, %v", s, err)
	}
	if _, err := r.Next(); !errors.Is(err, late) {
		t.Errorf("second sample: %v, want the reader's error", err)
	}
}

// ends returns where each box of b ends, and where each mdat does.
func ends(b []byte) (boxes, fragments map[int]bool) {
	boxes, fragments = map[int]bool{0: true}, map[int]bool{}
	at, announced := 0, false
	for at < len(b) {
		kind := string(b[at+4 : at+8])
		at += int(binary.BigEndian.Uint32(b[at:]))
		announced = kind == "moof"
		boxes[at] = !announced
		fragments[at] = kind == "mdat"
	}
	return boxes, fragments
}

func TestEveryCutIsNoticed(t *testing.T) {
	b := footage264()
	boxes, fragments := ends(b)
	whole, n := int64(0), 0
	for cut := range len(b) + 1 {
		if fragments[cut] {
			whole = int64(cut)
			n++
		}
		_, err := all(bytes.NewReader(b[:cut]))
		want := io.ErrUnexpectedEOF
		if boxes[cut] {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("cut at %d of %d: %v, want %v", cut, len(b), err, want)
		}
		var m Meter
		for i := range cut {
			m.Write(b[i : i+1])
		}
		if m.Whole() != whole || m.Fragments() != n || m.Length() != time.Duration(n)*80*time.Millisecond {
			t.Errorf("cut at %d: %d bytes whole in %d fragments of %s, want %d in %d",
				cut, m.Whole(), m.Fragments(), m.Length(), whole, n)
		}
	}
}

// damage returns footage with the bytes behind the first occurrence of a box type replaced.
func damage(kind string, skip int, with ...byte) []byte {
	b := footage264()
	at := bytes.Index(b, []byte(kind)) + 4 + skip
	copy(b[at:], with)
	return b
}

// fault words a fault at a place behind the first occurrence of a box type.
func fault(kind string, skip int, want string) string {
	at := bytes.Index(footage264(), []byte(kind)) + 4 + skip
	return (&SyntaxError{int64(at), want}).Error()
}

// damaged also seeds the fuzzer.
var damaged = map[string]struct {
	in   []byte
	want string
}{
	"no MP4":                {[]byte("HTTP/1.1 200 OK\r\n"), ""},
	"impossible size":       {[]byte("\x00\x00\x00\x07moov"), "MP4 at byte 0: want a box with a possible size"},
	"moof first":            {partOf(0, idr264, p264), "MP4 at byte 0: want moov before moof"},
	"head too large":        {[]byte("\x7f\xff\xff\xffmoovxxxx"), "MP4 at byte 0: want a moov or moof of 4 MiB at most"},
	"size beyond the world": {[]byte("\x00\x00\x00\x01free\x7f\xff\xff\xff\xff\xff\xff\xff"), "MP4 at byte 0: want a box with a possible size"},
	"unknown track":         {damage("tfhd", 4, 0, 0, 0, 9), fault("tfhd", 4, "a track that moov announced")},
	"no time scale":         {damage("mdhd", 12, 0, 0, 0, 0), fault("moov", 0, "a time scale for each track")},
	"too many samples":      {damage("trun", 4, 0xff, 0xff, 0xff, 0xff), fault("trun", 4, "65536 samples at most")},
	"samples elsewhere":     {damage("trun", 8, 0x7f, 0xff, 0xff, 0xff), ""},
	"samples overlap":       {damage("trun", 8, 0, 0, 0, 0), ""},
	"mdat too short":        {damage("mdat", -8, 0, 0, 0, 9), fault("mdat", 0, "mdat with the samples of its moof")},
}

func TestDamageIsNamed(t *testing.T) {
	for name, tc := range damaged {
		t.Run(name, func(t *testing.T) {
			list, err := all(bytes.NewReader(tc.in))
			se := (*SyntaxError)(nil)
			if tc.want == "" {
				if err == nil || errors.Is(err, io.EOF) {
					t.Errorf("%d samples, error %v", len(list), err)
				}
				return
			}
			if !errors.As(err, &se) || err.Error() != tc.want {
				t.Errorf("%d samples, error %q, want %q", len(list), err, tc.want)
			}
		})
	}
}

func TestNALUnitsBeyondTheSampleAreAnError(t *testing.T) {
	s := Sample{Track: &Track{Codec: media.H264, lengthSize: 4}, Data: []byte{0, 0, 0, 5, 1, 2}}
	if units, err := s.NALs(); err == nil {
		t.Errorf("NALs = %v", units)
	}
	s.Track = &Track{Codec: media.AAC}
	if units, err := s.NALs(); err == nil {
		t.Errorf("NALs of sound = %v", units)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(footage264())
	f.Add(footage265())
	for _, tc := range damaged {
		f.Add(tc.in)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := all(bytes.NewReader(b))
		for _, s := range list {
			s.Decodable()
		}
		var m Meter
		for i := 0; i < len(b); i += 7 {
			m.Write(b[i:min(i+7, len(b))])
		}
		if m.Length() < 0 || m.Whole() > int64(len(b)) {
			t.Errorf("%s in %d of %d bytes", m.Length(), m.Whole(), len(b))
		}
		if _, err := all(bytes.NewReader(b[:m.Whole()])); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes are said to be whole, but reading them ends with: %v", m.Whole(), err)
		}
	})
}
