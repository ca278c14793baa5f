package media_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

func TestTimestampThatNeverChangesIsReplaced(t *testing.T) {
	r := psRig(t)
	p := &mediatest.Packetizer{PayloadType: 96, NoMarker: true, MTU: 500}
	for i := range 100 {
		r.push(0, p.Cut(1234, pack(media.H264, i%25 == 0, mediatest.Slice(media.H264, i%25 == 0, 1500, 1)))...)
		r.later(frameTime)
	}
	units := r.units()
	if len(units) < 70 {
		t.Fatalf("%d units of 100 pictures", len(units))
	}
	for i := 2; i < len(units); i++ {
		if d := units[i].PTS - units[i-1].PTS; d != 3600 {
			t.Errorf("unit %d comes %d ticks after the one before", i, d)
		}
	}
}

func TestProgramStreamKeysAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		codec  media.Codec
		tables bool
		nals   [][]byte
		mtu    int
		want   string
	}{
		"H.264 IDR":                       {media.H264, true, mediatest.Picture(media.H264, true, 900, 1), 1200, "K."},
		"H.265 IDR":                       {media.H265, true, mediatest.Picture(media.H265, true, 900, 1), 1200, "K."},
		"IDR without tables":              {media.H264, false, mediatest.Picture(media.H264, true, 900, 1), 1200, "K."},
		"H.265 IDR without tables":        {media.H265, false, mediatest.Picture(media.H265, true, 900, 1), 1200, "K."},
		"tables before every picture":     {media.H264, true, [][]byte{mediatest.Slice(media.H264, false, 900, 1)}, 1200, "."},
		"others":                          {media.H264, false, [][]byte{mediatest.Slice(media.H264, false, 900, 1)}, 1200, "."},
		"start codes across packets":      {media.H264, true, mediatest.Picture(media.H264, true, 900, 1), 7, "K."},
		"across packets, H.265":           {media.H265, true, mediatest.Picture(media.H265, true, 900, 1), 5, "K."},
		"others across packets":           {media.H264, true, [][]byte{mediatest.Slice(media.H264, false, 900, 1)}, 5, "."},
		"after a long message":            {media.H264, true, slices.Concat(mediatest.Parameters(media.H264), [][]byte{append([]byte{6}, make01(3000)...), mediatest.Slice(media.H264, true, 900, 1)}), 1200, "K."},
		"others after a long message":     {media.H264, true, [][]byte{append([]byte{6}, make01(3000)...), mediatest.Slice(media.H264, false, 900, 1)}, 1200, "."},
		"tables and no slice to be seen":  {media.H264, true, [][]byte{append([]byte{6}, make01(3000)...)}, 1200, "K."},
		"nothing and no slice to be seen": {media.H264, false, [][]byte{append([]byte{6}, make01(3000)...)}, 1200, "."},
	} {
		t.Run(name, func(t *testing.T) {
			r := psRig(t)
			r.s.SetTracks([]media.Track{{Codec: tc.codec}})
			p := &mediatest.Packetizer{PayloadType: 96, MTU: tc.mtu}
			r.push(0, p.Cut(0, pack(tc.codec, tc.tables, tc.nals...))...)
			r.s.CloseUnits()
			if got := flags(r.units()); got != tc.want {
				t.Errorf("unit %s, want %s", got, tc.want)
			}
		})
	}
}

// make01 returns n bytes without a start code.
func make01(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) | 0x40
	}
	return b
}

func TestProgramStreamTellsItsTracks(t *testing.T) {
	r := psRig(t)
	p := &mediatest.Packetizer{PayloadType: 96, MTU: 4000}
	for i := range 4 {
		r.push(0, p.Cut(uint32(3600*i), pack(media.H265, i == 1, mediatest.Picture(media.H265, i == 1, 900, 1)...))...)
		r.later(frameTime)
	}
	r.s.CloseUnits()
	tracks := r.s.Tracks()
	if len(tracks) != 1 || tracks[0].Codec != media.H265 {
		t.Fatalf("tracks %+v", tracks)
	}
	if diff := cmp.Diff(mediatest.Parameters(media.H265), tracks[0].Parameters); diff != "" {
		t.Errorf("parameter sets (-want +got):\n%s", diff)
	}
	if got, want := flags(r.units()), ".K..."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
}

func TestProgramStreamTellsThatParametersChange(t *testing.T) {
	r := psRig(t)
	p := &mediatest.Packetizer{PayloadType: 96, MTU: 4000}
	key := mediatest.Slice(media.H264, true, 900, 1)
	for i, sets := range [][][]byte{mediatest.Parameters(media.H264), mediatest.Parameters(media.H264), mediatest.OtherParameters(media.H264)} {
		r.push(0, p.Cut(uint32(3600*i), pack(media.H264, true, append(slices.Clone(sets), key)...))...)
	}
	r.s.CloseUnits()
	if got, want := flags(r.units()), "K.K.KJ."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
	if a := r.samples()[2]; a.Flags&media.UnitDiscontinuity == 0 {
		t.Error("the access unit does not tell")
	}
	if diff := cmp.Diff(mediatest.OtherParameters(media.H264), r.s.Tracks()[0].Parameters); diff != "" {
		t.Errorf("parameter sets (-want +got):\n%s", diff)
	}
}

// A camera that sends its sound as plain RTP among the packets of the program
// stream does not spoil the pictures.
func TestSoundAmongProgramStreamIsLeftOut(t *testing.T) {
	r := psRig(t)
	p := &mediatest.Packetizer{PayloadType: 96, SSRC: 5, MTU: 400}
	sound := &mediatest.Packetizer{PayloadType: 8, SSRC: 5, Seq: 999}
	for i := range 5 {
		for _, b := range p.Cut(uint32(3600*i), pack(media.H264, i == 0, mediatest.Picture(media.H264, i == 0, 1500, 1)...)) {
			r.push(0, b)
			if err := r.s.PushRTP(0, mediatest.Put(r.s, sound.Packet(0, false, make([]byte, 160))), r.now); err == nil {
				t.Fatal("sound was taken for program stream")
			}
		}
		r.later(frameTime)
	}
	r.s.CloseUnits()
	if got, want := flags(r.units()), "K....."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
}
