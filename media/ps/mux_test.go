package ps

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

func TestChecksumIsThatOfMPEG2(t *testing.T) {
	if got := crc(crcStart, []byte("123456789")); got != 0x0376E6E7 { // the catalogued check value of CRC-32/MPEG-2
		t.Errorf("crc = %08X", got)
	}
	for n := range crcTable {
		want := uint32(n) << 28
		for range 4 {
			want = want<<1 ^ uint32(int32(want)>>31)&0x04C11DB7
		}
		if crcTable[n] != want {
			t.Errorf("crcTable[%d] = %08X, want %08X", n, crcTable[n], want)
		}
	}
}

// The layouts of ISO/IEC 13818-1, written out bit by bit.
func TestHeadersAreLaidOutAsTheStandardSays(t *testing.T) {
	r := newRig(track264, trackALaw)
	s := sample{Codec: media.H264, Flags: media.UnitKey, PTS: 0x1_2345_6789, DTS: 0x1_2345_0000, NALs: [][]byte{sps264, pps264, {0x65}}}
	got := r.mux(t, s)
	want := unhex("000001ba" + "663454000401" + "0c3503" + "f8" + // SCR 1 2345 0000, extension 0; 200 000; no stuffing
		"000001bb" + "000c" + "861a81" + "04e17f" + "e0f000" + "c0c040" +
		"000001bc" + "0012" + "e0ff" + "0000" + "0008" + "1be00000" + "90c00000" + "fedfb1d7" +
		"000001e0" + "003a" + "84c00a" + "398d15cf13" + "198d150001")
	for _, n := range s.NALs {
		want = append(append(want, 0, 0, 0, 1), n...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pack differs (-want +got):\n%s\n% x", diff, got)
	}
}

func TestTimeStampsReadBack(t *testing.T) {
	for _, v := range []uint64{0, 1, 0x7FFF, 0x8000, 0x3FFF_FFFF, 0x4000_0000, 0x1_2345_6789, 1<<33 - 1} {
		b := appendStamp(nil, 2, v)
		if got := stampAt(b); got != v || b[0]>>4 != 2 || b[0]&b[2]&b[4]&1 != 1 {
			t.Errorf("stampAt(% x) = %x, want %x", b, got, v)
		}
	}
	if got := stampDiff(5, 1<<33-5); got != 10 {
		t.Errorf("over the wrap: %d", got)
	}
	if got := stampDiff(1<<33-5, 5); got != -10 {
		t.Errorf("back over the wrap: %d", got)
	}
}

func TestKeyPictureWithoutParameterSetsGetsThem(t *testing.T) {
	for name, tc := range map[string]struct{ in, want [][]byte }{
		"none":            {[][]byte{{0x65, 1}}, [][]byte{sps264, pps264, {0x65, 1}}},
		"behind the AUD":  {[][]byte{{9, 0xF0}, {6, 1}, {0x65, 1}}, [][]byte{{9, 0xF0}, sps264, pps264, {6, 1}, {0x65, 1}}},
		"one of them":     {[][]byte{pps264, {0x65, 1}}, [][]byte{sps264, pps264, pps264, {0x65, 1}}},
		"has its own":     {[][]byte{sps264, pps264, {0x65, 1}}, [][]byte{sps264, pps264, {0x65, 1}}},
		"not of each P":   {[][]byte{{0x41, 1}}, [][]byte{{0x41, 1}}},
		"empty NAL units": {[][]byte{{0x65, 1}, {0x65}}, [][]byte{sps264, pps264, {0x65, 1}, {0x65}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := sample{Codec: media.H264, NALs: tc.in}
			if tc.in[len(tc.in)-1][0] == 0x65 {
				s.Flags = media.UnitKey
			}
			var want []byte
			for _, n := range tc.want {
				want = append(append(want, 0, 0, 0, 1), n...)
			}
			got := newRig(track264).mux(t, s)
			if !bytes.HasSuffix(got, want) || !bytes.Equal(got[len(got)-len(want)-14:][:4], []byte{0, 0, 1, 0xE0}) {
				t.Errorf("elementary stream\n% x, want\n% x", got, want)
			}
		})
	}
}

func TestMuxRefusesWhatItCannotCarry(t *testing.T) {
	r := newRig(track264, media.Track{Codec: media.AAC}, trackAAC, media.Track{})
	for name, tc := range map[string]struct {
		au   media.AccessUnit
		want error
	}{
		"no such track":    {media.AccessUnit{Track: 4, Codec: media.H264}, ErrTrack},
		"other coding":     {media.AccessUnit{Track: 0, Codec: media.H265}, ErrTrack},
		"unknown coding":   {media.AccessUnit{Track: 3}, ErrTrack},
		"no configuration": {media.AccessUnit{Track: 1, Codec: media.AAC}, ErrConfig},
		"too long":         {media.AccessUnit{Track: 2, Codec: media.AAC, Payload: []media.Range{{Len: 8185}}}, ErrSize},
		"just so long":     {media.AccessUnit{Track: 2, Codec: media.AAC, Payload: []media.Range{{Len: 8184}}}, nil},
	} {
		if err := r.muxer.Mux(&tc.au, &r.image); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		} else if err != nil && (r.image.Size != 0 || len(r.image.Spans) != 0) {
			t.Errorf("%s: the image is not empty", name)
		}
	}
}

func TestSameAccessUnitGivesSameBytes(t *testing.T) {
	r := newRig(track264, trackALaw)
	key, p := r.unit(key264(70_000)), r.unit(delta264(3000))
	var images [2][]byte
	for i := range images {
		if err := r.muxer.Mux(key, &r.image); err != nil {
			t.Fatal(err)
		}
		images[i] = r.image.AppendTo(nil, r.src)
		if err := r.muxer.Mux(p, &r.image); err != nil { // in between
			t.Fatal(err)
		}
	}
	if !bytes.Equal(images[0], images[1]) {
		t.Error("two images of one access unit differ")
	}
}

func TestAdjacentRangesAreOneSpan(t *testing.T) {
	r := newRig(trackALaw)
	a, b := put(r.src, []byte("to")), put(r.src, []byte("gether"))
	if err := r.muxer.Mux(&media.AccessUnit{Codec: media.G711A, Payload: []media.Range{a, b}}, &r.image); err != nil {
		t.Fatal(err)
	}
	if n := len(r.image.Spans); n != 2 || !bytes.HasSuffix(r.image.AppendTo(nil, r.src), []byte("together")) {
		t.Errorf("%d spans", n)
	}
}

func TestMapVersionFollowsTracks(t *testing.T) {
	m := NewMuxer([]media.Track{track264})
	for want := byte(0); want < 40; want++ {
		i := bytes.Index(m.program, mapCode)
		if got := m.program[i+6] & 0x1F; got != want&0x1F {
			t.Fatalf("version %d, want %d", got, want&0x1F)
		}
		if _, ok := parseMap(nil, m.program[i+4:]); !ok {
			t.Fatal("our own map is not believed")
		}
		m.SetTracks([]media.Track{track265})
	}
}

func TestPiecesMakeUpTheImage(t *testing.T) {
	r := newRig(track264)
	want := r.mux(t, key264(5000))
	for size := 1; size <= len(want)+1; size += 1 + size/50 {
		c := r.image.Cut(size)
		n := (len(want) + size - 1) / size
		if c.Pieces() != n {
			t.Fatalf("size %d: %d pieces, want %d", size, c.Pieces(), n)
		}
		var got []byte
		for k := range n {
			if c.Piece() != k {
				t.Fatalf("size %d: at piece %d, want %d", size, c.Piece(), k)
			}
			piece := bytesOf(r, c.Next(nil))
			if len(piece) != min(size, len(want)-len(got)) {
				t.Fatalf("size %d: piece %d has %d bytes", size, k, len(piece))
			}
			again := r.image.Cut(size)
			again.Seek(k)
			if resumed := bytesOf(r, again.Next(nil)); !bytes.Equal(resumed, piece) || again.Piece() != k+1 {
				t.Fatalf("size %d: piece %d is another after Seek", size, k)
			}
			got = append(got, piece...)
		}
		if !bytes.Equal(got, want) || len(c.Next(nil)) != 0 || c.Piece() != n {
			t.Fatalf("size %d: the pieces are not the image", size)
		}
		if c.Seek(n); len(c.Next(nil)) != 0 {
			t.Fatalf("size %d: a piece behind the last", size)
		}
	}
	if c := r.image.Cut(0); c.max != DefaultPayload {
		t.Errorf("default payload %d", c.max)
	}
}

func bytesOf(r *rig, spans []Span) (out []byte) {
	for _, s := range spans {
		out = append(out, r.image.Bytes(s, r.src)...)
	}
	return out
}

func TestAudioConfigSurvivesADTS(t *testing.T) {
	for name, tc := range map[string]struct {
		asc  []byte
		want aacConfig
		ok   bool
	}{
		"LC 44.1 kHz mono":     {[]byte{0x12, 0x08}, aacConfig{2, 4, 1}, true},
		"LC 48 kHz 7.1":        {[]byte{0x11, 0xB8}, aacConfig{2, 3, 7}, true},
		"LC 8 kHz mono":        {[]byte{0x15, 0x88}, aacConfig{2, 11, 1}, true},
		"rate in full":         {unhex("17801f4008"), aacConfig{2, 8, 1}, true},
		"rate ADTS lacks":      {unhex("17801f4088"), aacConfig{}, false},
		"SBR over LC":          {unhex("2b8a0800"), aacConfig{2, 7, 1}, true},
		"channels not said":    {[]byte{0x12, 0x00}, aacConfig{}, false},
		"an object ADTS lacks": {[]byte{0xBA, 0x08}, aacConfig{}, false},
		"reserved rate":        {[]byte{0x16, 0x88}, aacConfig{}, false},
		"half a configuration": {[]byte{0x12}, aacConfig{}, false},
		"nothing":              {nil, aacConfig{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseAudioConfig(tc.asc)
			if ok != tc.ok || ok && got != tc.want {
				t.Fatalf("parseAudioConfig(% x) = %+v, %v", tc.asc, got, ok)
			}
			if !ok {
				return
			}
			if h, ok := parseADTS(got.appendADTS(nil, 1000)); !ok || h != (adtsHeader{got, 7, 1007}) {
				t.Errorf("adts %+v, %v", h, ok)
			}
			if back, ok := parseAudioConfig(got.appendAudioConfig(nil)); !ok || back != got {
				t.Errorf("configuration %+v, %v", back, ok)
			}
		})
	}
}
