package media_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

const frameTime = 40 * time.Millisecond

// group pushes a key picture and n-1 others, 40 ms apart, and returns the packets
// of each.
func group(r *rig, p *mediatest.Packetizer, c media.Codec, ts uint32, n int) (pictures [][][]byte) {
	for i := range n {
		packets := p.Video(c, ts+uint32(3600*i), mediatest.Picture(c, i == 0, 3000, byte(i))...)
		r.push(0, packets...)
		r.later(frameTime)
		pictures = append(pictures, packets)
	}
	return pictures
}

func TestUnitsFollowPictures(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		t.Run(c.String(), func(t *testing.T) {
			r := rtpRig(t, mediatest.VideoTrack(c))
			p := &mediatest.Packetizer{PayloadType: 96, SSRC: 7, Seq: 65530}
			pictures := group(r, p, c, 1<<32-5000, 6)
			r.s.CloseUnits()
			first := uint64(0)
			for i, u := range r.units() {
				want := media.Unit{
					First: first, End: first + uint64(len(pictures[i])),
					PTS: media.Ticks(3600 * i), DTS: media.Ticks(3600 * i),
					Wall: epoch.Add(time.Duration(i) * frameTime).UnixNano(),
				}
				if i == 0 {
					want.Flags = media.UnitKey
				}
				if diff := cmp.Diff(want, u, cmpopts.IgnoreUnexported(media.Unit{})); diff != "" {
					t.Errorf("unit %d (-want +got):\n%s", i, diff)
				}
				first = u.End
			}
			if n := len(r.units()); n != 6 {
				t.Errorf("%d units, want 6", n)
			}
			if diff := cmp.Diff(mediatest.Parameters(c), r.s.Tracks()[0].Parameters); diff != "" {
				t.Errorf("parameter sets (-want +got):\n%s", diff)
			}
		})
	}
}

// A marker is believed after two pictures that it ended: from then on a unit is
// complete with its last packet.
func TestMarkerSparesAPictureOfDelay(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	done := []int{}
	for i := range 5 {
		r.push(0, p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, 3000, 1)...)...)
		done = append(done, len(r.units()))
		r.later(frameTime)
	}
	if want := []int{0, 1, 3, 4, 5}; !slices.Equal(done, want) {
		t.Errorf("units complete after each picture: %v, want %v", done, want)
	}
}

// A sender that marks every packet does not get its pictures cut, save the one on
// which it is found out.
func TestMarkerOnEveryPacketIsNotBelieved(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	for i := range 20 {
		for _, b := range mediatest.Fragment(media.H264, mediatest.Slice(media.H264, i%10 == 0, 3000, 1), 1200) {
			r.push(0, p.Packet(uint32(3600*i), true, b))
		}
		r.later(frameTime)
	}
	r.s.CloseUnits()
	if n := len(r.units()); n != 20 {
		t.Errorf("%d units of 20 pictures", n)
	}
}

// After markers were right for long, one that is wrong costs one picture.
func TestMarkerThatBecomesWrongIsDistrusted(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, media.H264, 0, 10)
	for i := 10; i < 20; i++ {
		for _, b := range mediatest.Fragment(media.H264, mediatest.Slice(media.H264, false, 3000, 1), 1200) {
			r.push(0, p.Packet(uint32(3600*i), true, b))
		}
		r.later(frameTime)
	}
	r.s.CloseUnits()
	if n := len(r.units()); n != 21 {
		t.Errorf("%d units of 20 pictures of which one was cut in two", n)
	}
}

func TestUnitWithoutMarkerEndsAfterAWait(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96, NoMarker: true}
	r.push(0, p.Video(media.H264, 0, mediatest.Picture(media.H264, true, 3000, 1)...)...)
	r.later(99 * time.Millisecond)
	again := r.s.Flush(r.now)
	if n := len(r.units()); n != 0 {
		t.Fatalf("%d units after 99 ms", n)
	}
	if want := epoch.Add(100 * time.Millisecond); !again.Equal(want) {
		t.Errorf("wants to look again %v, want %v", again, want)
	}
	r.later(time.Millisecond)
	r.s.Flush(r.now)
	if n := len(r.units()); n != 1 {
		t.Errorf("%d units after 100 ms", n)
	}
}

// flags tells units by their flags: K key, D damaged, J jump, and a dot.
func flags(units []media.Unit) string {
	b := ""
	for _, u := range units {
		if u.Key() {
			b += "K"
		}
		if u.Flags&media.UnitDamaged != 0 {
			b += "D"
		}
		if u.Flags&media.UnitDiscontinuity != 0 {
			b += "J"
		}
		b += "."
	}
	return b
}

// Each case delivers the packets of five pictures, three packets each (five for the
// key picture with its parameter sets), in some way.
func TestLossDuplicationAndReordering(t *testing.T) {
	for name, tc := range map[string]struct {
		do    func([][]byte) [][]byte
		flags string
		stats media.StreamStats
	}{
		"as sent":                {func(p [][]byte) [][]byte { return p }, "K.....", media.StreamStats{}},
		"doubled":                {func(p [][]byte) [][]byte { return slices.Concat(p[:6], p[4:]) }, "K.....", media.StreamStats{Duplicates: 2}},
		"swapped":                {func(p [][]byte) [][]byte { p[6], p[7] = p[7], p[6]; return p }, "K.....", media.StreamStats{}},
		"pictures swapped":       {func(p [][]byte) [][]byte { return slices.Concat(p[:5], p[8:11], p[5:8], p[11:]) }, "K.....", media.StreamStats{}},
		"one lost in the middle": {func(p [][]byte) [][]byte { return slices.Delete(p, 6, 7) }, "K.D....", media.StreamStats{Lost: 1}},
		"first of a picture":     {func(p [][]byte) [][]byte { return slices.Delete(p, 5, 6) }, "K.D....", media.StreamStats{Lost: 1}},
		"last of a picture":      {func(p [][]byte) [][]byte { return slices.Delete(p, 7, 8) }, "K.D.D...", media.StreamStats{Lost: 1}},
		"a whole picture":        {func(p [][]byte) [][]byte { return slices.Delete(p, 5, 8) }, "K.D...", media.StreamStats{Lost: 3}},
		"within the key picture": {func(p [][]byte) [][]byte { return slices.Delete(p, 3, 4) }, "KD.....", media.StreamStats{Lost: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := rtpRig(t, mediatest.VideoTrack(media.H264))
			p := &mediatest.Packetizer{PayloadType: 96, Seq: 65533}
			var packets [][]byte
			for i := range 5 {
				packets = append(packets, p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, 3000, byte(i))...)...)
			}
			sent := tc.do(packets)
			r.push(0, sent...)
			r.later(time.Second)
			r.s.Flush(r.now) // gives up what is missing
			r.later(time.Second)
			st := r.stats()
			if got := flags(r.units()); got != tc.flags {
				t.Errorf("units %s, want %s", got, tc.flags)
			}
			if st.Lost != tc.stats.Lost || st.Duplicates != tc.stats.Duplicates || st.Late != 0 {
				t.Errorf("lost %d, duplicates %d, late %d; want %d, %d, 0", st.Lost, st.Duplicates, st.Late, tc.stats.Lost, tc.stats.Duplicates)
			}
			if st.Packets != uint64(len(sent)) {
				t.Errorf("%d packets counted, %d sent", st.Packets, len(sent))
			}
		})
	}
}

func TestMissingPacketIsWaitedFor100ms(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, media.H264, 0, 4)
	packets := p.Video(media.H264, 4*3600, mediatest.Slice(media.H264, false, 3000, 4))
	r.push(0, packets[0], packets[2])
	if again := r.s.Flush(r.now); !again.Equal(r.now.Add(100 * time.Millisecond)) {
		t.Errorf("looks again in %v", again.Sub(r.now))
	}
	if got, want := flags(r.units()), "K...."; got != want {
		t.Fatalf("units %s while waiting, want %s", got, want)
	}
	r.later(100 * time.Millisecond)
	r.s.Flush(r.now)
	r.push(0, packets[1])
	if st := r.stats(); st.Late != 1 || st.Lost != 1 {
		t.Errorf("late %d, lost %d; want 1, 1", st.Late, st.Lost)
	}
	if got, want := flags(r.units()), "K....D."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
}

func TestOrderedTransportDoesNotWait(t *testing.T) {
	r := newRig(t, media.StreamConfig{}, media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}, Ordered: true})
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, media.H264, 0, 4)
	packets := p.Video(media.H264, 4*3600, mediatest.Slice(media.H264, false, 3000, 4))
	r.push(0, packets[0], packets[2])
	if got, want := flags(r.units()), "K....D."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
}

func TestSenderThatBeginsAnewIsFollowed(t *testing.T) {
	for name, next := range map[string]mediatest.Packetizer{
		"another SSRC":     {PayloadType: 96, SSRC: 99, Seq: 4},
		"another sequence": {PayloadType: 96, SSRC: 1, Seq: 30000},
	} {
		t.Run(name, func(t *testing.T) {
			r := rtpRig(t, mediatest.VideoTrack(media.H264))
			p := &mediatest.Packetizer{PayloadType: 96, SSRC: 1}
			group(r, p, media.H264, 0, 5)
			group(r, &next, media.H264, 3_000_000_000, 5)
			r.s.CloseUnits()
			if got, want := flags(r.units()), "K.....KJ....."; got != want {
				t.Errorf("units %s, want %s", got, want)
			}
			units := r.units()
			for i := 1; i < len(units); i++ {
				if d := units[i].PTS - units[i-1].PTS; d < 3500 || d > 3700 {
					t.Errorf("unit %d comes %d ticks after the one before", i, d)
				}
			}
		})
	}
}

func TestStrayPacketsChangeNothing(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96, SSRC: 1}
	other := &mediatest.Packetizer{PayloadType: 96, SSRC: 2, Seq: 500}
	for i := range 5 {
		r.push(0, p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, 3000, 1)...)...)
		r.push(0, other.Packet(77, true, []byte{0x41, 0x9A, 1}))
		r.later(frameTime)
		r.push(0, p.Packet(uint32(3600*i), true, []byte{0x06, 5, 1, 1}))
	}
	r.s.CloseUnits()
	for _, u := range r.units() {
		if u.Flags&(media.UnitDamaged|media.UnitDiscontinuity) != 0 {
			t.Errorf("units %s", flags(r.units()))
			break
		}
	}
	if st := r.stats(); st.Stray != 5 {
		t.Errorf("%d strays counted, want 5", st.Stray)
	}
}

func TestTimestampJumpIsADiscontinuity(t *testing.T) {
	for name, jump := range map[string]uint32{
		"forward":  3600 * 1000,
		"backward": 1<<32 - 3600*100,
		"half way": 1 << 31,
	} {
		t.Run(name, func(t *testing.T) {
			r := rtpRig(t, mediatest.VideoTrack(media.H264))
			p := &mediatest.Packetizer{PayloadType: 96}
			group(r, p, media.H264, 0, 4)
			group(r, p, media.H264, 4*3600+jump, 4)
			r.s.CloseUnits()
			if got, want := flags(r.units()), "K....KJ...."; got != want {
				t.Errorf("units %s, want %s", got, want)
			}
			for i, u := range r.units() {
				if want := media.Ticks(3600 * i); u.PTS != want || u.DTS != want {
					t.Errorf("unit %d at %d/%d, want %d", i, u.PTS, u.DTS, want)
				}
			}
		})
	}
}

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

// I P B B in decoding order, with no depth announced: the first groups teach it.
func TestReorderedPicturesGetDecodingTimes(t *testing.T) {
	r := rtpRig(t, media.Track{Codec: media.H264, ClockRate: 90000, PayloadType: 96})
	p := &mediatest.Packetizer{PayloadType: 96}
	order := []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11}
	for i, at := range order {
		r.push(0, p.Video(media.H264, uint32(3600*at), mediatest.Slice(media.H264, i == 0, 2000, 1))...)
		r.later(frameTime)
	}
	r.s.CloseUnits()
	units := r.units()
	for i, u := range units {
		if u.PTS != media.Ticks(3600*order[i]) {
			t.Errorf("unit %d shown at %d", i, u.PTS)
		}
		if i > 0 && u.DTS <= units[i-1].DTS {
			t.Errorf("unit %d decoded at %d, the one before at %d", i, u.DTS, units[i-1].DTS)
		}
		if i > 3 && u.DTS > u.PTS {
			t.Errorf("unit %d decoded at %d, shown at %d", i, u.DTS, u.PTS)
		}
	}
	if len(units) != len(order) {
		t.Errorf("%d units of %d pictures", len(units), len(order))
	}
}

func TestParameterSetsThatChangeAreADiscontinuity(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		for _, how := range []string{"alone", "aggregated"} {
			t.Run(c.String()+" "+how, func(t *testing.T) {
				r := rtpRig(t, mediatest.VideoTrack(c))
				p := &mediatest.Packetizer{PayloadType: 96}
				group(r, p, c, 0, 3)
				version := r.s.TrackVersion()
				group(r, p, c, 3*3600, 3) // the same again changes nothing
				if r.s.TrackVersion() != version {
					t.Errorf("version went from %d to %d without a change", version, r.s.TrackVersion())
				}
				other := mediatest.OtherParameters(c)
				key := mediatest.Slice(c, true, 2000, 1)
				payloads := append(slices.Clone(other), mediatest.Fragment(c, key, 1200)...)
				if how == "aggregated" {
					payloads = append([][]byte{mediatest.Aggregate(c, other...)}, mediatest.Fragment(c, key, 1200)...)
				}
				r.push(0, p.Packets(6*3600, payloads...)...)
				r.s.CloseUnits()
				if got, want := flags(r.units()), "K...K...KJ."; got != want {
					t.Errorf("units %s, want %s", got, want)
				}
				if diff := cmp.Diff(other, r.s.Tracks()[0].Parameters); diff != "" {
					t.Errorf("parameter sets (-want +got):\n%s", diff)
				}
				if r.s.TrackVersion() == version {
					t.Error("version did not change")
				}
			})
		}
	}
}

func TestCodecChangeIsADiscontinuity(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, media.H264, 0, 4)
	r.s.CloseUnits()
	old := r.units()[0]
	r.s.SetTracks([]media.Track{mediatest.VideoTrack(media.H265)})
	if r.s.Held(old) {
		t.Error("a unit of the old codec is still held")
	}
	group(r, p, media.H265, 4*3600, 4)
	r.s.CloseUnits()
	if got, want := flags(r.units()), "KJ...."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
	for _, a := range r.samples() {
		if a.Codec != media.H265 {
			t.Errorf("a sample of %s", a.Codec)
		}
	}
}

func TestIntraPictureWithParameterSetsIsAKey(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	i := mediatest.Slice(media.H264, false, 500, 1)
	i[1] = 0x88 // first_mb_in_slice 0, slice_type I
	r.push(0, p.Video(media.H264, 0, append(mediatest.Parameters(media.H264), i)...)...)
	r.push(0, p.Video(media.H264, 3600, i)...)
	r.push(0, p.Video(media.H264, 7200, mediatest.Slice(media.H264, false, 500, 1))...)
	r.s.CloseUnits()
	if got, want := flags(r.units()), "K..."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
}

func TestMalformedPacketsAreDroppedAndCounted(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, media.H264, 0, 3)
	other := mediatest.Packetizer{PayloadType: 69}
	bad := [][]byte{{}, {0x80}, []byte("\x00\x01 STUN or anything"), other.Packet(1, false, []byte{1, 2})}
	for _, b := range bad {
		if err := r.s.PushRTP(0, mediatest.Put(r.s, b), r.now); err == nil {
			t.Errorf("PushRTP(%X) took it", b)
		}
	}
	whole := p.Packet(3*3600, true, mediatest.Slice(media.H264, false, 100, 1))
	for _, g := range []media.Range{{Off: 1 << 40, Len: 20}, {Off: 0, Len: 1 << 30}} {
		if err := r.s.PushRTP(0, g, r.now); err == nil {
			t.Errorf("PushRTP of %v took it", g)
		}
	}
	if err := r.s.PushRTP(5, mediatest.Put(r.s, whole), r.now); err == nil {
		t.Error("PushRTP of an unknown flow took it")
	}
	r.push(0, whole)
	r.s.CloseUnits()
	if st := r.stats(); st.Malformed != uint64(len(bad))+3 || st.Units != 4 || st.Damaged != 0 {
		t.Errorf("malformed %d, units %d, damaged %d", st.Malformed, st.Units, st.Damaged)
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

func TestEndlessPictureIsCut(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96, NoMarker: true}
	for range 3000 {
		r.push(0, p.Packet(0, false, mediatest.Slice(media.H264, false, 1000, 1)))
	}
	r.s.CloseUnits()
	for i, u := range r.units() {
		if u.Flags&media.UnitDamaged == 0 && i == 0 {
			t.Errorf("units %s, want each that was cut damaged", flags(r.units()))
		}
		if u.End-u.First > 2048 {
			t.Errorf("a unit of %d packets", u.End-u.First)
		}
	}
	if _, next := r.s.Units(); next < 2 {
		t.Errorf("%d units of 3 MB in a ring of 1 MiB", next)
	}
}

func TestAudioFlowIsAlignedToVideo(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264), media.Track{Codec: media.G711A, ClockRate: 8000, PayloadType: 8, Channels: 1})
	video := &mediatest.Packetizer{PayloadType: 96}
	audio := &mediatest.Packetizer{PayloadType: 8}
	group(r, video, media.H264, 5000, 3) // 120 ms
	r.push(1, audio.Packet(777, false, make([]byte, 160)))
	r.s.SetClock(1, 777, 20000)
	r.later(20 * time.Millisecond)
	r.push(1, audio.Packet(777+160, false, make([]byte, 160)))
	var got []media.Ticks
	for _, u := range r.units() {
		if u.Flow == 1 {
			got = append(got, u.PTS)
		}
	}
	// The first by its arrival, 80 ms after the last complete picture (at 3600), the
	// second by what the clock was told.
	if want := []media.Ticks{10800, 20000 + 1800}; !slices.Equal(got, want) {
		t.Errorf("sound at %v, want %v", got, want)
	}
}

func TestPaddingOnlyPacketsBelongToNothing(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	for i := range 4 {
		r.push(0, p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, 3000, 1)...)...)
		r.push(0, p.Packet(uint32(3600*i), false, nil), p.Packet(uint32(3600*i+1), false, nil))
		if i == 3 && len(r.units()) != 4 {
			t.Errorf("padding spoilt the trust in markers: %d units of 4 complete", len(r.units()))
		}
	}
	r.s.CloseUnits()
	if got, want := flags(r.units()), "K...."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
	if st := r.stats(); st.Lost != 0 {
		t.Errorf("%d lost", st.Lost)
	}
}
