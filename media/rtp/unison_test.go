package rtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mirror"
)

// interleaved returns a stream whose packets come in frames of a connection, in memory of
// a kind.
func interleaved(cfg media.StreamConfig, track media.Track, mapped bool) *media.Stream {
	if mapped {
		cfg.Memory = mirror.New
	}
	s := media.NewStream(cfg, nil)
	s.Adopt(media.Opened{Tracks: []media.Track{track}, Ordered: true, Front: FrameSize}, epoch)
	return s
}

// pushFramed delivers packets of one picture.
func pushFramed(t testing.TB, s *media.Stream, packets [][]byte) {
	t.Helper()
	for _, b := range packets {
		if err := s.PushRTP(0, mediatest.PutFramed(s, b), epoch); err != nil {
			t.Fatal(err)
		}
	}
	s.CloseUnits()
}

// sung returns what a connection gets of unit n in unison, nil if it gets nothing.
func sung(s *media.Stream, n *Unison, unit uint64) (b []byte) {
	r := n.Passage(s, s.Unit(unit))
	if r == nil {
		return nil
	}
	for _, g := range r.ranges {
		b = append(b, s.Ring().Bytes(g)...)
	}
	return b
}

// alone returns what a connection gets of unit n by headers of its own.
func alone(s *media.Stream, f *Flow, channel byte, unit uint64) (b []byte) {
	var out pile
	f.Forward(s, s.Unit(unit), &out)
	for _, p := range out.packets {
		b = append(b, '$', channel)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

// extended gives a packet a header extension and a source list, and padded some
// padding.
func extended(b []byte) []byte {
	out := append([]byte{b[0] | 0x11}, b[1:HeaderSize]...)
	return append(append(out, 1, 2, 3, 4, 0xBE, 0xDE, 0, 1, 5, 6, 7, 8), b[HeaderSize:]...)
}

func padded(b []byte) []byte {
	return append(append([]byte{b[0] | 0x20}, b[1:]...), 0, 0, 3)
}

func TestUnisonMakesThePacketsThatEachWouldMake(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		for _, codec := range []media.Codec{media.H264, media.H265} {
			t.Run(fmt.Sprintf("%s/mapped=%t", codec, mapped), func(t *testing.T) {
				s := interleaved(media.StreamConfig{RingBytes: 1 << 20}, mediatest.VideoTrack(codec), mapped)
				p := mediatest.Packetizer{PayloadType: 96}
				for i, size := range []int{9000, 4, 1399, 30000, 20000, 700} {
					packets := p.Video(codec, uint32(3600*i), mediatest.Picture(codec, i == 0, size, byte(i))...)
					switch i {
					case 3: // one is lost
						packets = append(packets[:7:7], packets[8:]...)
					case 4:
						packets[2], packets[4] = extended(packets[2]), padded(packets[4])
					}
					pushFramed(t, s, packets)
				}
				before := samples(t, s)
				f := Flow{Codec: codec, Rate: 90000, PayloadType: 99, SSRC: 5, Seq: 65530}
				n := NewUnison(f, 6)
				want := make([][]byte, 6)
				numbers := f
				for unit := range uint64(6) {
					want[unit] = alone(s, &f, 6, unit)
					if got := sung(s, n, unit); !bytes.Equal(got, want[unit]) {
						t.Fatalf("unit %d differs: %d bytes, want %d", unit, len(got), len(want[unit]))
					}
				}
				if s.Unit(3).Flags&media.UnitDamaged == 0 {
					t.Error("nothing was lost") // the fault was not injected
				}
				for unit := range uint64(6) { // for another connection, later
					first := numbers.Seq
					counted := numbers
					alone(s, &numbers, 6, unit)
					r := n.Passage(s, s.Unit(unit))
					if r.First != first || r.Next != numbers.Seq || counted.Packets+r.Packets != numbers.Packets || counted.Octets+r.Octets != numbers.Octets {
						t.Errorf("unit %d: %d to %d, %d packets, %d octets", unit, r.First, r.Next, r.Packets, r.Octets)
					}
					if got := n.From(s, 0, unit); got != first {
						t.Errorf("from unit %d on the first number is %d, want %d", unit, got, first)
					}
					if got := sung(s, n, unit); !bytes.Equal(got, want[unit]) {
						t.Errorf("unit %d is not the same again", unit)
					}
				}
				if got := n.From(s, 0, 6); got != numbers.Seq {
					t.Errorf("the next number is %d, want %d", got, numbers.Seq)
				}
				if diff := cmp.Diff(before, samples(t, s), cmp.Comparer(bytes.Equal)); diff != "" {
					t.Errorf("what others read of the ring is not what it was: %s", diff)
				}
			})
		}
	}
}

// A picture that came as one run of memory is one for each connection.
func TestUnisonIsOneRunOfMemory(t *testing.T) {
	s := interleaved(media.StreamConfig{RingBytes: 1 << 20}, mediatest.VideoTrack(media.H264), true)
	p := mediatest.Packetizer{PayloadType: 96}
	pushFramed(t, s, p.Video(media.H264, 0, mediatest.Picture(media.H264, true, 90000, 1)...))
	n := NewUnison(Flow{Codec: media.H264, Rate: 90000}, 0)
	if r := n.Passage(s, s.Unit(0)); len(r.ranges) != 1 || r.Packets < 60 {
		t.Errorf("%d packets in %d runs", r.Packets, len(r.ranges))
	}
}

// What was not made in its turn is not given out as if it were: its packets still have
// the headers they came with.
func TestUnisonGivesNothingThatItDidNotMake(t *testing.T) {
	s := interleaved(media.StreamConfig{RingBytes: 1 << 20}, mediatest.VideoTrack(media.H264), false)
	p := mediatest.Packetizer{PayloadType: 96}
	picture := func(i int) [][]byte {
		return p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, 5000, byte(i))...)
	}
	for i := range 6 {
		pushFramed(t, s, picture(i))
	}
	n := NewUnison(Flow{Codec: media.H264, Rate: 90000, Seq: 100}, 0)
	if sung(s, n, 1) == nil || sung(s, n, 2) == nil {
		t.Fatal("nothing was made")
	}
	end := n.Passage(s, s.Unit(2)).Next
	if sung(s, n, 0) != nil {
		t.Error("what is older was given out")
	}
	if r := n.Passage(s, s.Unit(5)); r == nil || r.First != end {
		t.Errorf("numbers do not go on: %+v, want %d", r, end)
	}
	for unit := range uint64(5) {
		if sung(s, n, unit) != nil {
			t.Errorf("unit %d was given out after a gap", unit)
		}
	}
	if n.From(s, 0, 0) != n.flow.Seq {
		t.Error("a number was read of a packet that was not made")
	}
	for _, b := range picture(6) { // these have no room
		if err := s.PushRTP(0, mediatest.Put(s, b), epoch); err != nil {
			t.Fatal(err)
		}
	}
	s.CloseUnits()
	s.Adopt(media.Opened{Tracks: s.Tracks(), Ordered: true}, epoch)
	push(t, s, picture(7))
	if sung(s, n, 7) != nil {
		t.Error("packets were made where there is no room")
	}
}

// Positions and numbers go on when the ring grows, and so does what was made.
func TestUnisonGoesOnInARingThatGrows(t *testing.T) {
	s := interleaved(media.StreamConfig{RingBytes: 64 << 10, RingMax: 1 << 20}, mediatest.VideoTrack(media.H264), true)
	p := mediatest.Packetizer{PayloadType: 96}
	f := Flow{Codec: media.H264, Rate: 90000, Seq: 9}
	n, now, size := NewUnison(f, 0), epoch, s.Ring().Size()
	for i := range uint64(60) {
		pushFramed(t, s, p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i%10 == 0, 9000, byte(i))...))
		want := alone(s, &f, 0, i)
		if got := sung(s, n, i); !bytes.Equal(got, want) {
			t.Fatalf("unit %d in a ring of %d: %d bytes, want %d", i, s.Ring().Size(), len(got), len(want))
		}
		next := n.Passage(s, s.Unit(i)).First
		now = now.Add(400 * 1e6)
		s.Flush(now)
		if i > 0 && s.Held(s.Unit(i-1)) {
			if before := n.Passage(s, s.Unit(i-1)); before == nil || before.Next != next {
				t.Fatalf("unit %d is not there any more in a ring of %d", i-1, s.Ring().Size())
			}
		}
	}
	if s.Ring().Size() == size {
		t.Error("the ring did not grow")
	}
}

func TestUnisonMakesWithoutAllocation(t *testing.T) {
	s := interleaved(media.StreamConfig{RingBytes: 1 << 20}, mediatest.VideoTrack(media.H265), true)
	p := mediatest.Packetizer{PayloadType: 96}
	for i := range uint32(8) {
		pushFramed(t, s, p.Video(media.H265, 3600*i, mediatest.Picture(media.H265, true, 9000, 1)...))
	}
	n := NewUnison(Flow{Codec: media.H265, Rate: 90000}, 0)
	unit := uint64(0)
	if allocs := testing.AllocsPerRun(6, func() {
		if n.Passage(s, s.Unit(unit)) == nil {
			t.Error("nothing")
		}
		unit++
	}); allocs != 0 {
		t.Errorf("%v allocations a picture", allocs)
	}
}

// What comes out of order by UDP lies so: of two units the later one may lie before.
func TestUnisonKnowsWhatItMadeOfWhatCameOutOfOrder(t *testing.T) {
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, nil)
	s.Adopt(media.Opened{Tracks: []media.Track{{Codec: media.G711A, ClockRate: 8000, PayloadType: 8}}}, epoch)
	p := mediatest.Packetizer{PayloadType: 8}
	var packets [][]byte
	for i := range 3 {
		packets = append(packets, extended(p.Packet(uint32(160*i), true, bytes.Repeat([]byte{byte(i)}, 160))))
	}
	push(t, s, [][]byte{packets[0], packets[2], packets[1]})
	f := Flow{Codec: media.G711A, Rate: 8000, PayloadType: 8, Seq: 7}
	n := NewUnison(f, 0)
	for _, unit := range []uint64{0, 1} {
		if got := sung(s, n, unit); !bytes.Equal(got, alone(s, &f, 0, unit)) {
			t.Fatalf("unit %d: % X", unit, got)
		}
	}
	if got := n.From(s, 0, 2); got != f.Seq {
		t.Errorf("the next number is %d, want %d", got, f.Seq)
	}
	if got, want := sung(s, n, 2), alone(s, &f, 0, 2); got != nil && !bytes.Equal(got, want) {
		t.Errorf("was given out and not made: % X", got[:room])
	}
}
