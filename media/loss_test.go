package media_test

import (
	"slices"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A key picture of which the beginning is missing is damaged, though what is left
// of it looks whole.
func TestKeyPictureWithoutItsBeginningIsDamaged(t *testing.T) {
	later := mediatest.Slice(media.H264, true, 500, 1)
	later[1] = 0x40 // not the first slice
	big := mediatest.Slice(media.H264, true, 3000, 1)
	fragments := mediatest.Fragment(media.H264, big, 1200)
	fragments[1][2] = 0x90 // looks like a first slice, but is none
	for name, payloads := range map[string][][]byte{
		"slice":    {mediatest.Slice(media.H264, true, 500, 1), later},
		"fragment": fragments,
	} {
		t.Run(name, func(t *testing.T) {
			r := rtpRig(t, mediatest.VideoTrack(media.H264))
			p := &mediatest.Packetizer{PayloadType: 96}
			group(r, p, 0, 4)
			packets := p.Packets(4*3600, payloads...)
			r.push(0, packets[1:]...)
			r.later(time.Second)
			r.s.Flush(r.now)
			u := r.units()[len(r.units())-1]
			if u.Flags&media.UnitDamaged == 0 {
				t.Errorf("units %s, want the last damaged", flags(r.units()))
			}
		})
	}
}

// A packet that waits for one before it, while the ring goes round, is lost, and
// what has come to lie in its place is not taken for it.
func TestPacketOverwrittenWhileItWaitsIsLost(t *testing.T) {
	r := newRig(t, media.StreamConfig{RingBytes: 64 << 10}, media.Opened{
		Tracks: []media.Track{mediatest.VideoTrack(media.H264), {Codec: media.G711A, PayloadType: 8}},
	})
	video, audio := &mediatest.Packetizer{PayloadType: 96}, &mediatest.Packetizer{PayloadType: 8}
	group(r, video, 0, 4)
	packets := video.Video(media.H264, 4*3600, mediatest.Slice(media.H264, false, 3000, 4))
	r.push(0, packets[0], packets[2])
	for i := range 100 {
		r.push(1, audio.Packet(uint32(800*i), false, make([]byte, 800)))
	}
	r.later(100 * time.Millisecond)
	r.s.Flush(r.now)
	r.push(0, video.Video(media.H264, 5*3600, mediatest.Slice(media.H264, false, 500, 5))...)
	if st := r.stats(); st.Lost != 2 {
		t.Errorf("%d lost, want the one that never came and the one that waited for it", st.Lost)
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
		"swapped":                {func(p [][]byte) [][]byte { p[6], p[7] = p[7], p[6]; return p }, "K.....", media.StreamStats{Reordered: 1}},
		"pictures swapped":       {func(p [][]byte) [][]byte { return slices.Concat(p[:5], p[8:11], p[5:8], p[11:]) }, "K.....", media.StreamStats{Reordered: 3}},
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
			if st.Lost != tc.stats.Lost || st.Duplicates != tc.stats.Duplicates || st.Reordered != tc.stats.Reordered || st.Late != 0 {
				t.Errorf("lost %d, duplicates %d, reordered %d, late %d; want %+v", st.Lost, st.Duplicates, st.Reordered, st.Late, tc.stats)
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
	group(r, p, 0, 4)
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
	group(r, p, 0, 4)
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
			group(r, p, 0, 5)
			group(r, &next, 3_000_000_000, 5)
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

func TestMalformedPacketsAreDroppedAndCounted(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, 0, 3)
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

// A unit is held while all of its packets are, whichever of them came first.
func TestUnitOfReorderedPacketsIsHeldWhole(t *testing.T) {
	r := newRig(t, media.StreamConfig{RingBytes: 64 << 10}, media.Opened{
		Tracks: []media.Track{mediatest.VideoTrack(media.H264), {Codec: media.G711A, PayloadType: 8}},
	})
	video, audio := &mediatest.Packetizer{PayloadType: 96}, &mediatest.Packetizer{PayloadType: 8}
	group(r, video, 0, 2)
	packets := video.Video(media.H264, 2*3600, mediatest.Slice(media.H264, false, 3000, 4))
	r.push(0, packets[2], packets[1], packets[0])
	r.s.CloseUnits()
	n := uint64(len(r.units()) - 1)
	steps := 0
	for r.s.Held(r.s.Unit(n)) {
		for p := r.s.Unit(n).First; p < r.s.Unit(n).End; p++ {
			if !r.s.Ring().Holds(r.s.Packet(0, p).Range) {
				t.Fatalf("held, but packet %d was overwritten", p)
			}
		}
		if steps++; steps > 10000 {
			t.Fatal("held for ever")
		}
		r.push(1, audio.Packet(uint32(400*steps), false, make([]byte, 400)))
	}
}
