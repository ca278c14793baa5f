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
func group(r *rig, p *mediatest.Packetizer, ts uint32, n int) (pictures [][][]byte) {
	c := r.s.Tracks()[0].Codec
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
			pictures := group(r, p, 1<<32-5000, 6)
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
	group(r, p, 0, 10)
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

// The first picture of a sender is waited for as if a marker came, the next one is
// not once a picture ended without.
func TestUnitWithoutMarkerEndsAfterAWait(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96, NoMarker: true}
	for i, tc := range []struct {
		wait   time.Duration
		before int // units complete until it is over
	}{{time.Second, 0}, {time.Second, 1}, {100 * time.Millisecond, 3}} {
		if i == 2 {
			r.push(0, p.Video(media.H264, 2*3600, mediatest.Picture(media.H264, false, 3000, 1)...)...)
			r.push(0, p.Video(media.H264, 3*3600, mediatest.Picture(media.H264, false, 3000, 1)...)...)
		} else {
			r.push(0, p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, 3000, 1)...)...)
		}
		came := r.now
		r.later(tc.wait - time.Millisecond)
		again := r.s.Flush(r.now)
		if n := len(r.units()); n != tc.before {
			t.Fatalf("picture %d: %d units a moment before the wait is over, want %d", i, n, tc.before)
		}
		if want := came.Add(tc.wait); !again.Equal(want) {
			t.Errorf("picture %d: wants to look again %v after it came, want %v", i, again.Sub(came), tc.wait)
		}
		r.later(time.Millisecond)
		r.s.Flush(r.now)
		if n := len(r.units()); n != tc.before+1 {
			t.Errorf("picture %d: %d units after %s, want %d", i, n, tc.wait, tc.before+1)
		}
	}
}

// Who joins in the middle of a picture does not get the rest of it as one, even as a key
// picture: what begins after that is whole.
func TestPictureJoinedInItsMiddleIsNone(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		later := mediatest.Slice(c, true, 500, 2)
		later[map[media.Codec]int{media.H264: 1, media.H265: 2}[c]] &^= 0x80 // not the first slice of its picture
		for name, key := range map[string][][]byte{
			"a slice":       mediatest.Fragment(c, mediatest.Slice(c, true, 3000, 1), 1200)[1:],
			"a later slice": append(mediatest.Fragment(c, mediatest.Slice(c, true, 3000, 1), 1200)[2:], later),
			"what comes before": append(mediatest.Fragment(c, append([]byte{map[media.Codec]byte{media.H264: 6, media.H265: 39 << 1}[c], 1}, make([]byte, 3000)...), 1200)[1:],
				mediatest.Fragment(c, mediatest.Slice(c, true, 3000, 1), 1200)...),
		} {
			r := rtpRig(t, mediatest.VideoTrack(c))
			p := &mediatest.Packetizer{PayloadType: 96}
			r.push(0, p.Packets(0, key...)...)
			group(r, p, 3600, 2)
			r.s.CloseUnits()
			want := "K.."
			if name == "what comes before" {
				want = "K.K.."
			}
			if got := flags(r.units()); got != want {
				t.Errorf("%s, %s: units %s, want %s", c, name, got, want)
			}
			for i, a := range r.samples() {
				if a.Flags&media.UnitDamaged != 0 {
					t.Errorf("%s, %s: sample %d is damaged", c, name, i)
				}
			}
		}
	}
}

// What comes before a picture waits for it: alone it would take the decoding time
// that the picture needs.
func TestDelimiterAwaitsItsPicture(t *testing.T) {
	for c, delimiter := range map[media.Codec][]byte{media.H264: {9, 0xF0}, media.H265: {35 << 1, 1, 0x50}} {
		r := rtpRig(t, mediatest.VideoTrack(c))
		p := &mediatest.Packetizer{PayloadType: 96, NoMarker: true}
		r.push(0, p.Video(c, 0, delimiter)...)
		r.later(3 * time.Second)
		r.s.Flush(r.now)
		if n := len(r.units()); n != 0 {
			t.Errorf("%s: %d units of a delimiter alone", c, n)
		}
		r.push(0, p.Video(c, 0, mediatest.Picture(c, true, 3000, 1)...)...)
		r.s.CloseUnits()
		if u := r.units(); flags(u) != "K." || u[0].DTS != u[0].PTS {
			t.Errorf("%s: units %s, the first decoded at %d and shown at %d", c, flags(u), u[0].DTS, u[0].PTS)
		}
	}
}

// A picture that was given up too early: what comes of it later is no picture of
// its own, no place to start at, and is shown no earlier than it is decoded; the
// pictures after it are as they would be without.
func TestRestOfACutPictureIsDamaged(t *testing.T) {
	times := func(cut bool) (got string, units []media.Unit) {
		r := rtpRig(t, media.Track{Codec: media.H264, ClockRate: 90000, PayloadType: 96})
		p := &mediatest.Packetizer{PayloadType: 96, NoMarker: true}
		for i, at := range []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11} {
			packets := p.Video(media.H264, uint32(3600*at), mediatest.Slice(media.H264, i == 0 || i == 7, 3000, byte(i)))
			r.push(0, packets[0])
			if cut && i > 3 {
				r.later(frameTime + 100*time.Millisecond)
				r.s.Flush(r.now)
			}
			r.push(0, packets[1:]...)
			r.later(frameTime)
		}
		r.s.CloseUnits()
		for i, u := range r.units() {
			if i > 0 && u.DTS <= r.units()[i-1].DTS || i > 8 && u.DTS > u.PTS {
				t.Errorf("cut=%t: unit %d decoded at %d, shown at %d, the one before decoded at %d", cut, i, u.DTS, u.PTS, r.units()[i-1].DTS)
			}
		}
		return flags(r.units()), r.units()
	}
	want, whole := times(false)
	got, units := times(true)
	if want != "K.......K......" || got != "K...."+".D..D..D."+"K.D."+".D..D..D..D..D." {
		t.Errorf("units %s, and %s where some were cut", want, got)
	}
	for i, u := range units[4:] {
		if w := whole[4+i/2]; i%2 == 0 && u.PTS != w.PTS {
			t.Errorf("unit %d shown at %d, want %d", i, u.PTS, w.PTS)
		}
	}
}

// Where markers are right, one that is missing yet is worth waiting for: a slow
// link must not cut pictures in two.
func TestPictureThatStallsIsNotCut(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, 0, 4)
	packets := p.Video(media.H264, 4*3600, mediatest.Slice(media.H264, false, 3000, 4))
	for _, b := range packets {
		r.push(0, b)
		r.later(900 * time.Millisecond)
		r.s.Flush(r.now)
	}
	if got, want := flags(r.units()), "K....."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
	packets = p.Video(media.H264, 100*3600, mediatest.Slice(media.H264, false, 3000, 5))
	r.push(0, packets[0])
	r.later(time.Second)
	r.s.Flush(r.now)
	if n := len(r.units()); n != 6 {
		t.Errorf("%d units after a second without the rest", n)
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
			group(r, p, 0, 4)
			group(r, p, 4*3600+jump, 4)
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

// Another source goes on after the latest picture of the one before, also where
// that was ahead of the last one received.
func TestAnotherSourceGoesOnAfterEverything(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	for _, at := range []uint32{0, 4, 2, 1} { // decoding order
		r.push(0, p.Video(media.H264, 3600*at, mediatest.Slice(media.H264, at == 0, 1000, 1))...)
	}
	r.s.Adopt(media.Opened{Tracks: []media.Track{mediatest.VideoTrack(media.H264)}}, r.now)
	r.push(0, p.Video(media.H264, 77, mediatest.Slice(media.H264, true, 1000, 1))...)
	r.s.CloseUnits()
	units := r.units()
	if last := units[len(units)-1]; last.PTS <= 4*3600 || flags(units) != "K....KJ." {
		t.Errorf("units %s, the last at %d", flags(units), last.PTS)
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
				group(r, p, 0, 3)
				version := r.s.TrackVersion()
				group(r, p, 3*3600, 3) // the same again changes nothing
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
	group(r, p, 0, 4)
	r.s.CloseUnits()
	old := r.units()[0]
	r.s.SetTracks([]media.Track{mediatest.VideoTrack(media.H265)})
	if r.s.Held(old) {
		t.Error("a unit of the old codec is still held")
	}
	group(r, p, 4*3600, 4)
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
	group(r, video, 5000, 3) // 120 ms
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
		if i == 3 && len(r.units()) != 4 {
			t.Errorf("padding spoilt the trust in markers: %d units of 4 complete", len(r.units()))
		}
		r.push(0, p.Packet(uint32(3600*i), false, nil), p.Packet(uint32(3600*i+1), false, nil))
	}
	r.s.CloseUnits()
	if got, want := flags(r.units()), "K...."; got != want {
		t.Errorf("units %s, want %s", got, want)
	}
	if st := r.stats(); st.Lost != 0 {
		t.Errorf("%d lost", st.Lost)
	}
}

// What stands before a packet belongs to its unit: what the frame's room is used for
// is held as long as the packet.
func TestRoomBeforeAPacketIsHeldWithIt(t *testing.T) {
	for _, front := range []uint8{0, 4} {
		r := newRig(t, media.StreamConfig{RingBytes: 64 << 10},
			media.Opened{Front: front, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}})
		p := mediatest.Packetizer{PayloadType: 96}
		b := p.Video(media.H264, 0, mediatest.Slice(media.H264, true, 1000, 1))[0]
		if err := r.s.PushRTP(0, mediatest.PutFramed(r.s, b), r.now); err != nil {
			t.Fatal(err)
		}
		r.s.CloseUnits()
		u, left := r.s.Unit(0), r.s.Ring().Size()-int(r.s.Ring().Head())
		if got := r.s.Packet(0, 0).Front; got != front {
			t.Errorf("room of %d, want %d", got, front)
		}
		for _, over := range []int{0, 1, 4, 5} {
			r.s.Ring().Reserve(left + over)
			if held, want := r.s.Held(u), over <= 4-int(front); held != want {
				t.Errorf("held=%t with room of %d, when %d bytes are overwritten", held, front, over)
			}
		}
	}
}
