package ps

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// Pictures that follow one another without regard to packets, as multiplexers
// for discs write them: each packet has the stamp of the first picture that
// begins in it, or none.
func TestReadTellsPicturesApartByTheirSlices(t *testing.T) {
	for name, tc := range map[string]struct {
		track media.Track
		units [][][]byte
	}{
		"H.264": {track264, [][][]byte{
			{sps264, pps264, nal("0605", 9), nal("6588", 60)},
			{nal("419a", 20), nal("4101", 30)},
			{nal("019e", 5)},
			{{9, 0xF0}, nal("419b", 40)},
			{{9, 0x10}, sps264, pps264, nal("6588", 33), nal("6544", 3)},
		}},
		"H.265": {track265, [][][]byte{
			{vps265, sps265, pps265, nal("2801af", 60)},
			{nal("0201d0", 20), nal("020155", 30)},
			{nal("0001e0", 5)},
			{{0x46, 1, 0x50}, nal("0201d1", 40)},
			{vps265, sps265, pps265, nal("4e0105", 12), nal("2801af", 12)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for size := 5; size < 400; size += 1 + size/20 { // a start code lies in two packets at most
				stream, want := disc(tc.track.Codec, tc.units, size)
				p := Read(stream)
				if p.Fault != nil {
					t.Fatalf("packets of %d: %v", size, p.Fault)
				}
				if diff := cmp.Diff(want, samples(flat(stream), p.Units), cmp.Comparer(bytes.Equal)); diff != "" {
					t.Fatalf("packets of %d: access units differ (-want +got):\n%s", size, diff)
				}
				if diff := cmp.Diff([]media.Track{tc.track}, p.Tracks); diff != "" {
					t.Fatalf("tracks differ (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// disc writes units into packets of size bytes, and returns how they should be
// read: the first one's time is just before the wrap.
func disc(c media.Codec, units [][][]byte, size int) (stream []byte, want []sample) {
	const first = int64(1<<33 - 4000)
	type start struct{ at, unit int }
	var es []byte
	var starts []start
	for i, nals := range units {
		starts = append(starts, start{len(es), i})
		es = append(es, annexB(nals...)...)
		want = append(want, sample{Codec: c, NALs: nals})
	}
	for i := range want {
		if i == 0 || i == 4 {
			want[i].Flags = media.UnitKey
		}
	}
	stream = join(stream, packHeader)
	now := first
	for at := 0; at < len(es); at += size {
		pts := int64(-1)
		n := min(size, len(es)-at)
		for i := 0; len(starts) > 0 && starts[0].at < at+n; i++ {
			if i == 0 { // the first that begins here
				now = first + int64(starts[0].unit)*3600
				pts = now & stampMask
			}
			want[starts[0].unit].PTS, want[starts[0].unit].DTS = media.Ticks(now), media.Ticks(now)
			starts = starts[1:]
		}
		stream = join(stream, packet(0xE0, pts, false, es[at:at+n]...))
	}
	return join(stream, []byte{0, 0, 1, idEnd}), want
}

func TestReadNamesTheFirstFault(t *testing.T) {
	pack := newRig(track264).mux(t, key264(30))
	p := Read(join(pack, []byte("rubbish"), pack))
	if p.Fault == nil || len(p.Units) != 2 {
		t.Errorf("%d access units, fault %v", len(p.Units), p.Fault)
	}
	if p = Read(nil); p.Fault != nil || p.Units != nil || p.Tracks != nil {
		t.Errorf("of nothing: %+v", p)
	}
}
