package ps

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// A line sends packs to a stream as a camera does: GB/T 28181-2022 Annex C.
type line struct {
	s    *media.Stream
	seq  uint16
	now  time.Time
	lose map[uint16]bool
}

func newLine() *line {
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, nil)
	l := &line{s: s, now: time.Unix(1_700_000_000, 0)}
	s.Adopt(media.Opened{Carriage: media.CarriagePS, Unpacker: NewUnpacker()}, l.now)
	return l
}

// send delivers pack in packets of at most size bytes, all stamped ts.
func (l *line) send(t testing.TB, pack []byte, size int, ts uint32) {
	t.Helper()
	for len(pack) > 0 {
		n := min(size, len(pack))
		b := []byte{0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
		if n == len(pack) {
			b[1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[2:], l.seq)
		binary.BigEndian.PutUint32(b[4:], ts)
		if !l.lose[l.seq] {
			if err := l.s.PushRTP(0, put(l.s.Ring(), append(b, pack[:n]...)), l.now); err != nil {
				t.Fatal(err)
			}
		}
		l.seq++
		pack = pack[n:]
	}
	l.now = l.now.Add(40 * time.Millisecond)
}

// all unpacks every unit the stream holds and counts those of no use.
func (l *line) all() (out []sample, useless int) {
	l.s.CloseUnits()
	oldest, next := l.s.Units()
	for n := oldest; n < next; n++ {
		units, err := l.s.Unpack(n)
		if err != nil {
			useless++
		}
		out = append(out, samples(l.s.Ring(), units)...)
	}
	return out, useless
}

func TestStreamUnpacksWhatTheMuxerSends(t *testing.T) {
	for _, size := range []int{60, 537, 1400} {
		r, l := newRig(track264, trackAAC), newLine()
		var want []sample
		for i := range 10 {
			v, a := delta264(2000+i), audio(media.AAC, 300)
			if i%5 == 0 {
				v = key264(20_000)
			}
			at := media.Ticks(i) * 3600
			v.PTS, v.DTS, a.PTS, a.DTS = at+7200, at, at+2000, at+2000
			l.send(t, r.mux(t, v), size, uint32(v.PTS))
			l.send(t, r.mux(t, a), size, uint32(a.PTS))
			want = append(want, v, a)
		}
		got, useless := l.all()
		if len(got) != len(want) || useless != 0 {
			t.Fatalf("%d access units, want %d; %d useless units", len(got), len(want), useless)
		}
		shift := got[0].PTS - want[0].PTS // the stream's time has an origin of its own
		for i := range want {
			want[i].PTS, want[i].DTS = want[i].PTS+shift, want[i].DTS+shift
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Fatalf("packets of %d: access units differ (-want +got):\n%s", size, diff)
		}
		if diff := cmp.Diff([]media.Track{track264, trackAAC}, l.s.Tracks()); diff != "" {
			t.Errorf("tracks differ (-want +got):\n%s", diff)
		}
	}
}

func TestStreamFlagsWhatALostPacketDamages(t *testing.T) {
	r := newRig(track264)
	slices := func() sample {
		s := key264(5000)
		s.NALs = append(s.NALs, nal("6544", 3000), nal("6522", 3000))
		return s
	}
	sent := slices().NALs
	packets := (len(r.mux(t, slices())) + 1399) / 1400
	for lost := range packets {
		l := newLine()
		l.send(t, r.mux(t, slices()), 1400, 0)
		l.lose = map[uint16]bool{l.seq + uint16(lost): true}
		for i := range 3 {
			s := slices()
			s.PTS, s.DTS = media.Ticks(i+1)*3600, media.Ticks(i+1)*3600
			l.send(t, r.mux(t, s), 1400, uint32(s.PTS))
		}
		got, damaged := l.all()
		whole := 0
		for _, s := range got {
			if s.Flags&media.UnitDamaged != 0 {
				damaged++
			} else if cmp.Equal(s.NALs, sent, cmp.Comparer(bytes.Equal)) {
				whole++
			}
			for _, n := range s.NALs {
				if !contains(sent, n) {
					t.Errorf("packet %d of %d lost: NAL unit of %d bytes was not sent", lost, packets, len(n))
				}
			}
		}
		// When the end of a picture is missing the stream may doubt the next.
		if whole < 2 || whole > 3 || whole+damaged != 4 {
			t.Errorf("packet %d of %d lost: %d whole, %d damaged", lost, packets, whole, damaged)
		}
	}
}
