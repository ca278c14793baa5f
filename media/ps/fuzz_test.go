package ps

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest/cost"
)

// FuzzUnpack lets anything be the program stream, in packets of any size of
// which some are missing. What comes out lies in what went in, in order, and is
// the same whenever it is asked for again.
func FuzzUnpack(f *testing.F) {
	adts, _ := aacFrames(20, 5)
	r := newRig(track264, trackAAC)
	for _, seed := range [][]byte{
		r.mux(f, key264(50)),
		join(packHeader, map264, packet(0xE0, 90000, true, key...), packet(0xC0, 90000, true, alaw...)),
		join(packHeader, packet(0xE0, 90000, false, key[:70]...), packet(0xE0, 93600, false, key[70:]...), packet(0xC0, 1, false, adts...)),
		join(packHeader, broken(map264, 18), packet(0xBD, 1, true, 1, 2), packet(0xE0, -1, false, annexB(vps265, sps265, pps265)...)),
		unhex("000001ba2100010001801b91000001e00009ffff60050f0000016721"),
	} {
		f.Add(seed, uint16(100), uint64(0))
		f.Add(seed, uint16(7), uint64(0x10))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint16, lost uint64) {
		if len(stream) > 16<<10 {
			t.Skip()
		}
		r := newRig()
		r.send(stream, int(size)%2000+1, func(i int) bool { return i < 64 && lost>>i&1 != 0 })
		cost.Bound(t, func() { r.receive(at90000) })
		checkRanges(t, r.batch.Units, r.x.in)
		r.receive(at90000) // now everything is known that the unit tells
		again, _ := r.receive(at90000)
		once, _ := r.receive(at90000)
		if diff := cmp.Diff(again, once, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Errorf("the same unit reads differently (-first +second):\n%s", diff)
		}
	})
}

// checkRanges verifies that all ranges of units lie inside in.
func checkRanges(t *testing.T, units []media.AccessUnit, in []piece) {
	t.Helper()
	inside := func(g media.Range) bool {
		for _, p := range in {
			if g.Len > 0 && g.Off >= p.Off && g.End() <= p.End() {
				return true
			}
		}
		return false
	}
	check := func(ranges []media.Range) (size uint32) {
		for _, g := range ranges {
			if size += g.Len; !inside(g) {
				t.Errorf("range %v is outside the unit", g)
			}
		}
		return size
	}
	for _, a := range units {
		check(a.Payload)
		if a.Codec.Video() != (len(a.NALs) > 0) || a.Codec.Video() == (len(a.Payload) > 0) {
			t.Errorf("access unit of %v with %d NAL units and %d ranges", a.Codec, len(a.NALs), len(a.Payload))
		}
		for _, n := range a.NALs {
			if size := check(n.Body); size != n.Size || size == 0 {
				t.Errorf("NAL unit of %d bytes says %d", size, n.Size)
			}
		}
	}
}

// FuzzRead lets anything be a file of program stream.
func FuzzRead(f *testing.F) {
	r := newRig(track265, trackALaw)
	f.Add(join(r.mux(f, key265(50)), r.mux(f, key265(50)), r.mux(f, audio(media.G711A, 30))))
	f.Add(unhex("000001ba2100010001801b91000001e00009ffff60050f0000016721"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Program
		cost.Bound(t, func() { p = Read(data) })
		checkRanges(t, p.Units, []piece{{Range: media.Range{Len: uint32(len(data))}}})
		for _, a := range p.Units {
			if int(a.Track) >= len(p.Tracks) {
				t.Errorf("access unit of track %d of %d", a.Track, len(p.Tracks))
			}
		}
	})
}

// FuzzRoundTrip muxes a picture of any two NAL units and reads it back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{0x06, 5, 1}, []byte{0x65, 0x88, 0x84}, int64(1<<33-5), int64(1<<33), uint16(3))
	f.Add([]byte{0x41}, []byte{0x41, 0, 0, 3, 1}, int64(0), int64(0), uint16(1400))
	f.Fuzz(func(t *testing.T, a, b []byte, pts, dts int64, size uint16) {
		s := sample{Codec: media.H264, PTS: media.Ticks(pts), DTS: media.Ticks(dts)}
		for _, n := range [][]byte{a, b} {
			if len(n) == 0 || len(n) > 20_000 || n[0]&0x80 != 0 || n[len(n)-1] == 0 || bytes.Contains(n, startCode[1:]) {
				t.Skip() // not a NAL unit
			}
			if typ := n[0] & 31; typ == 5 || typ == 7 || typ == 8 || n[0] == 0x40 || n[0] == 0x42 {
				t.Skip() // what changes flags and tracks has tests of its own
			}
			s.NALs = append(s.NALs, n)
		}
		r := newRig(track264)
		r.key(t, key264(20))
		r.send(r.mux(t, s), int(size)%2000+1, nil)
		got, err := r.receive(media.Unit{PTS: s.PTS, DTS: s.PTS})
		lag := stampDiff(stampOf(s.PTS), stampOf(s.DTS))
		if s.DTS = s.PTS; lag > 0 && lag <= strayTicks {
			s.DTS -= lag
		}
		if diff := cmp.Diff([]sample{s}, got, cmp.Comparer(bytes.Equal)); diff != "" || err != nil {
			t.Errorf("error %v, access units differ (-want +got):\n%s", err, diff)
		}
	})
}

// What is made to be expensive costs memory in proportion to the input at most.
func TestHostileStreamsStayCheap(t *testing.T) {
	const size = 256 << 10
	repeat := func(b ...byte) []byte { return bytes.Repeat(b, size/len(b)) }
	open := packet(0xE0, 90000, true, key...)
	for name, in := range map[string][]byte{
		"zeros":              join(open, repeat(0)),
		"ones":               join(open, repeat(1)),
		"start codes":        join(open, repeat(0, 0, 1)),
		"shortest NAL units": join(open, repeat(0, 0, 1, 0x41)),
		"parameter sets":     join(open, repeat(0, 0, 1, 0x67, 0, 0, 1, 0x68)),
		"changing coding":    join(open, repeat(0, 0, 1, 0x40, 1, 0, 0, 1, 0x67, 1)),
		"packets of nothing": repeat(packet(0xE0, 1, false)...),
		"pictures":           join(packHeader, map264, packet(0xE0, 90000, false, key...), alternating(size)),
		"sounds":             join(packHeader, map264, packet(0xE0, 90000, false, key...), repeat(packet(0xC0, 7, false, 1)...)),
		"many streams":       everyStream(size),
		"maps":               repeat(map264...),
		"broken maps":        repeat(0, 0, 1, idMap, 3, 0xFA),
		"pack headers":       repeat(0, 0, 1, idPack),
		"no length":          repeat(0, 0, 1, 0xBD, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOf(1 << 20)
			r.send(in, 1400, nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			r.receive(at90000)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			got := after.TotalAlloc - before.TotalAlloc
			t.Logf("%v, %d bytes", took, got)
			if got > 8<<20 {
				t.Errorf("allocated %d bytes for %d", got, len(in))
			}
			checkRanges(t, r.batch.Units, r.x.in)
		})
	}
}

// alternating is pictures of one short NAL unit each.
func alternating(size int) (out []byte) {
	for i := int64(0); len(out) < size; i++ {
		out = append(out, packet(0xE0, i%2, false, 0, 0, 1, 0x41)...)
	}
	return out
}

// everyStream is packets of every stream there can be.
func everyStream(size int) (out []byte) {
	for id := byte(idAudioFirst); len(out) < size; id = max(idAudioFirst, (id+1)%(idVideoLast+1)) {
		out = append(out, packet(id, 90000, false, key...)...)
	}
	return out
}
