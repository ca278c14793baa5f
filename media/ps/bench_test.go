package ps

import (
	"math/rand/v2"
	"testing"

	"districtgateway/media"
)

// coded returns n bytes as an entropy coder leaves them: all values are equally
// frequent, but for emulation prevention.
func coded(head string, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	copy(b, unhex(head))
	for i := 2; i < n; i++ {
		if b[i-2]|b[i-1] == 0 && b[i] < 3 {
			b[i] = 3
		}
	}
	b[n-1] |= 0x80
	return b
}

// A picture of 100 packets: 4 slices, and sound behind it.
func benchRig(t testing.TB) (r *rig, video, sound *media.AccessUnit, pack []byte) {
	r = newRig(track264, trackALaw)
	s := key264(10)
	s.NALs = append(s.NALs[:3], coded("6588", 35_000), coded("6501", 35_000), coded("6502", 35_000), coded("6503", 34_000))
	a := audio(media.G711A, 320)
	pack = join(r.mux(t, s), r.mux(t, a))
	video, sound = r.unit(s), r.unit(a)
	if !r.src.Holds(video.NALs[0].Body[0]) {
		t.Fatal("ring too small")
	}
	r.send(pack, DefaultPayload, nil)
	return r, video, sound, pack
}

func (r *rig) muxAndCut(b testing.TB, au *media.AccessUnit, spans []Span) ([]Span, int) {
	if err := r.muxer.Mux(au, &r.image); err != nil {
		b.Fatal(err)
	}
	c := r.image.Cut(0)
	n := 0
	for spans = c.Next(spans[:0]); len(spans) > 0; spans = c.Next(spans[:0]) {
		n++
	}
	return spans, n
}

func (r *rig) unpackOnce(t testing.TB) {
	r.batch.Reset()
	if err := r.x.unpack(r.wire, at90000, &r.batch); err != nil || len(r.batch.Units) != 2 {
		t.Fatal(len(r.batch.Units), err)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	r, video, sound, _ := benchRig(t)
	var spans []Span
	mux := func() {
		spans, _ = r.muxAndCut(t, video, spans)
		spans, _ = r.muxAndCut(t, sound, spans)
	}
	mux()
	if n := testing.AllocsPerRun(20, mux); n != 0 {
		t.Errorf("Mux allocates %v times", n)
	}
	r.unpackOnce(t)
	if n := testing.AllocsPerRun(20, func() { r.unpackOnce(t) }); n != 0 {
		t.Errorf("Unpack allocates %v times", n)
	}
}

func BenchmarkMux(b *testing.B) {
	r, video, _, _ := benchRig(b)
	var spans []Span
	packets := 0
	b.ReportAllocs()
	for b.Loop() {
		spans, packets = r.muxAndCut(b, video, spans)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
	b.SetBytes(int64(r.image.Size))
}

func BenchmarkUnpack(b *testing.B) {
	r, _, _, pack := benchRig(b)
	b.SetBytes(int64(len(pack)))
	b.ReportAllocs()
	for b.Loop() {
		r.unpackOnce(b)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(r.x.in)), "ns/packet")
}
