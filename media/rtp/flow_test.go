package rtp

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A pile keeps packets as they were written.
type pile struct{ packets [][]byte }

func (p *pile) Header(n int) []byte {
	p.packets = append(p.packets, make([]byte, n))
	return p.packets[len(p.packets)-1]
}

func (p *pile) Add(b []byte) {
	last := &p.packets[len(p.packets)-1]
	*last = append(*last, b...)
}

func (p *pile) End() {}

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// stream returns a stream that is driven by hand.
func stream(tracks ...media.Track) *media.Stream {
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, nil)
	s.Adopt(media.Opened{Tracks: tracks, Ordered: true}, epoch)
	return s
}

// push delivers packets, and what is whole becomes a unit.
func push(t testing.TB, s *media.Stream, packets [][]byte) {
	t.Helper()
	for _, b := range packets {
		if err := s.PushRTP(0, mediatest.Put(s, b), epoch); err != nil {
			t.Fatal(err)
		}
	}
	s.CloseUnits()
}

// samples returns every access unit, without what differs between two streams.
func samples(t testing.TB, s *media.Stream) (all []mediatest.Sample) {
	t.Helper()
	oldest, next := s.Units()
	for n := oldest; n < next; n++ {
		units, err := s.Unpack(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range units {
			all = append(all, mediatest.Copy(s, &units[i]))
		}
	}
	return all
}

// again writes everything s holds by f and returns what arrives from that.
func again(t testing.TB, s *media.Stream, f *Flow, cut bool) (*media.Stream, [][]byte) {
	t.Helper()
	var out pile
	oldest, next := s.Units()
	for n := oldest; n < next; n++ {
		if !cut {
			f.Forward(s, s.Unit(n), &out)
			continue
		}
		units, err := s.Unpack(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range units {
			f.Packetize(s.Ring(), &units[i], &out)
		}
	}
	track := s.Tracks()[0]
	track.PayloadType = f.PayloadType
	to := stream(track)
	push(t, to, out.packets)
	return to, out.packets
}

func TestWhatIsSentAgainIsWhatCame(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		for _, size := range []int{4, 1399, 1400, 1401, 2798, 2799, 2800, 90000} {
			for _, cut := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/cut=%t", c, size, cut), func(t *testing.T) {
					s := stream(mediatest.VideoTrack(c))
					p := mediatest.Packetizer{PayloadType: 96, MTU: 700}
					for i := range 3 {
						push(t, s, p.Video(c, uint32(3600*i), mediatest.Picture(c, i == 0, size, byte(i))...))
					}
					f := Flow{Codec: c, Rate: 90000, PayloadType: 99, SSRC: 5, Seq: 65530}
					to, packets := again(t, s, &f, cut)
					if diff := cmp.Diff(samples(t, s), samples(t, to), cmp.Comparer(bytes.Equal)); diff != "" {
						t.Error(diff)
					}
					checkPackets(t, &f, packets)
				})
			}
		}
	}
}

// Pictures that are shown in another order than they are decoded in keep both orders,
// whether they are sent on as they came or cut anew.
func TestReorderedPicturesAreSentInTheirOrder(t *testing.T) {
	order := []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8}
	for _, cut := range []bool{false, true} {
		s := stream(mediatest.VideoTrack(media.H264))
		p := mediatest.Packetizer{PayloadType: 96}
		for i, at := range order {
			push(t, s, p.Video(media.H264, uint32(3600*at), mediatest.Picture(media.H264, i == 0, 2000, byte(i))...))
		}
		f := Flow{Codec: media.H264, Rate: 90000, PayloadType: 99, Seq: 65530}
		to, _ := again(t, s, &f, cut)
		got := samples(t, to)
		if diff := cmp.Diff(samples(t, s), got, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Errorf("cut=%t: %s", cut, diff)
		}
		for i := range got {
			if want := media.Ticks(3600 * order[i]); got[i].PTS-got[0].PTS != want || i > 3 && got[i].DTS > got[i].PTS {
				t.Errorf("cut=%t: picture %d is shown at %d and decoded at %d, want %d", cut, i, got[i].PTS, got[i].DTS, want)
			}
		}
	}
}

// checkPackets checks size and numbers of packets, and that f counted them.
func checkPackets(t *testing.T, f *Flow, packets [][]byte) {
	t.Helper()
	octets := 0
	for i, b := range packets {
		if len(b) > HeaderSize+MaxPayload {
			t.Errorf("packet of %d bytes", len(b))
		}
		octets += len(b) - HeaderSize
		if seq := uint16(b[2])<<8 | uint16(b[3]); seq != 65530+uint16(i) {
			t.Errorf("packet %d has number %d", i, seq)
		}
	}
	if int(f.Packets) != len(packets) || int(f.Octets) != octets {
		t.Errorf("%d packets and %d octets counted as %d and %d", len(packets), octets, f.Packets, f.Octets)
	}
}

func TestSoundSentAgainIsWhatCame(t *testing.T) {
	frames := [][]byte{bytes.Repeat([]byte{1}, 300), bytes.Repeat([]byte{2}, 8191), bytes.Repeat([]byte{3}, 1396), bytes.Repeat([]byte{4}, 1397)}
	aac := media.Track{Codec: media.AAC, ClockRate: 16000, PayloadType: 97, Channels: 1, Parameters: [][]byte{{0x14, 0x08}}}
	s := stream(aac)
	p := mediatest.Packetizer{PayloadType: 97, MTU: 60000}
	push(t, s, [][]byte{p.AAC(0, frames[0], frames[2])})
	push(t, s, p.AACFragments(4096, frames[1]))
	push(t, s, [][]byte{p.AAC(8192, frames[3])})
	f := Flow{Codec: media.AAC, Rate: 16000, PayloadType: 98, Seq: 65530}
	to, packets := again(t, s, &f, true)
	if diff := cmp.Diff(samples(t, s), samples(t, to), cmp.Comparer(bytes.Equal)); diff != "" {
		t.Error(diff)
	}
	checkPackets(t, &f, packets)
	if to, _ := again(t, s, &Flow{Codec: media.AAC, Rate: 16000, PayloadType: 98}, false); len(samples(t, to)) != 4 {
		t.Error("forwarded sound differs")
	}
}

func TestSamplesAreCutAtTheirTime(t *testing.T) {
	s := stream(media.Track{Codec: media.G711A, PayloadType: 8, ClockRate: 8000})
	p := mediatest.Packetizer{PayloadType: 8}
	push(t, s, [][]byte{p.Packet(800, true, bytes.Repeat([]byte{5}, 3000))})
	f := Flow{Codec: media.G711A, Rate: 8000, PayloadType: 8, Seq: 65530}
	_, packets := again(t, s, &f, true)
	checkPackets(t, &f, packets)
	var times []uint32
	for _, b := range packets {
		times = append(times, uint32(b[6])<<8|uint32(b[7]))
	}
	if diff := cmp.Diff([]uint32{times[0], times[0] + 1400, times[0] + 2800}, times); diff != "" {
		t.Error(diff)
	}
}

func TestMissingPacketsStayMissing(t *testing.T) {
	s := stream(mediatest.VideoTrack(media.H264))
	p := mediatest.Packetizer{PayloadType: 96}
	packets := p.Video(media.H264, 0, mediatest.Picture(media.H264, true, 9000, 1)...)
	lost := len(packets) - 3
	push(t, s, append(packets[:lost:lost], packets[lost+1:]...))
	f := Flow{Codec: media.H264, Rate: 90000, PayloadType: 96}
	to, sent := again(t, s, &f, false)
	if st := s.Unit(0); st.Flags&media.UnitDamaged == 0 {
		t.Fatal("nothing is missing") // the fault was not injected
	}
	if got := to.Unit(0); got.Flags&media.UnitDamaged == 0 || len(sent) != len(packets)-1 {
		t.Errorf("the far end cannot see it: %+v", got)
	}
}

func TestReportsAreReadByOthers(t *testing.T) {
	f := Flow{Rate: 8000, SSRC: 7, Packets: 3, Octets: 480}
	wall := time.Date(2026, 3, 1, 8, 0, 0, 500_000_000, time.UTC)
	b := make([]byte, GoodbyeSize)
	f.Goodbye(b, 0x0123456789abcdef, Instant{wall, 2 * media.TicksPerSecond})
	packets, err := rtcp.Unmarshal(b)
	if err != nil || len(packets) != 3 {
		t.Fatal(err, packets)
	}
	want := &rtcp.SenderReport{SSRC: 7, NTPTime: uint64(wall.Unix()+2208988800)<<32 | 1<<31, RTPTime: 16000, PacketCount: 3, OctetCount: 480}
	if diff := cmp.Diff(want, packets[0]); diff != "" {
		t.Error(diff)
	}
	if err := rtcp.CompoundPacket(packets[:2]).Validate(); err != nil {
		t.Error(err)
	}
	name, err := rtcp.CompoundPacket(packets[:2]).CNAME()
	if bye, ok := packets[2].(*rtcp.Goodbye); err != nil || name != "0123456789abcdef" || !ok || bye.Sources[0] != 7 {
		t.Errorf("%q, %v, %v", name, err, packets[2])
	}
	short := make([]byte, ReportSize)
	f.Report(short, 1, Instant{wall, 0})
	if packets, err := rtcp.Unmarshal(short); err != nil || len(packets) != 2 {
		t.Error(err, packets)
	}
}

// still is a writer that keeps nothing.
type still struct{ mem [64]byte }

func (w *still) Header(n int) []byte { return w.mem[:n] }
func (w *still) Add([]byte)          {}
func (w *still) End()                {}

func TestPacketsAreWrittenWithoutAllocation(t *testing.T) {
	s := stream(mediatest.VideoTrack(media.H265))
	p := mediatest.Packetizer{PayloadType: 96}
	push(t, s, p.Video(media.H265, 0, mediatest.Picture(media.H265, true, 90000, 1)...))
	units, err := s.Unpack(0)
	if err != nil {
		t.Fatal(err)
	}
	f, w := Flow{Codec: media.H265, Rate: 90000}, Writer(&still{})
	if n := testing.AllocsPerRun(100, func() {
		f.Packetize(s.Ring(), &units[0], w)
		f.Forward(s, s.Unit(0), w)
	}); n != 0 {
		t.Errorf("%v allocations a picture", n)
	}
	if f.Packets < 100*100 {
		t.Errorf("%d packets", f.Packets)
	}
}
