package media_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A wire is what a network does to packets.
type wire struct {
	loss, twice float64
	late        int // packets one may be late by
}

// carry returns packets as they arrive, and how many were lost. The first of them
// and the last come as they were sent: a receiver cannot know of others.
func (w wire) carry(r *rand.Rand, packets [][]byte, calm int) (out [][]byte, lost int) {
	type slot struct {
		at int
		b  []byte
	}
	var slots []slot
	for i, b := range packets {
		if i < calm || i >= len(packets)-calm {
			slots = append(slots, slot{i, b})
			continue
		}
		if r.Float64() < w.loss {
			lost++
			continue
		}
		at := i + r.IntN(w.late+1)
		slots = append(slots, slot{min(at, len(packets)-calm), b})
		if r.Float64() < w.twice {
			slots = append(slots, slot{at, b})
		}
	}
	slices.SortStableFunc(slots, func(a, b slot) int { return a.at - b.at })
	for _, s := range slots {
		out = append(out, s.b)
	}
	return out, lost
}

// Whatever is lost, doubled or out of order by up to 64 packets, and though sequence
// numbers and timestamps wrap: a picture that is not marked as damaged is what was
// sent, and each loss is counted.
func TestNoPictureIsSilentlyOtherThanItWasSent(t *testing.T) {
	for name, w := range map[string]wire{
		"calm":              {},
		"doubled":           {twice: 0.2},
		"out of order":      {late: 60},
		"lossy":             {loss: 0.02},
		"all of it at once": {loss: 0.02, twice: 0.05, late: 40},
	} {
		for _, c := range []media.Codec{media.H264, media.H265} {
			t.Run(name+" "+c.String(), func(t *testing.T) {
				for seed := range uint64(20) {
					honest(t, c, w, seed)
				}
			})
		}
	}
}

func honest(t *testing.T, c media.Codec, w wire, seed uint64) {
	t.Helper()
	const pictures, begin = 80, uint32(1<<32 - 40*3600)
	random := rand.New(rand.NewPCG(seed, 1))
	r := rtpRig(t, mediatest.VideoTrack(c))
	p := &mediatest.Packetizer{PayloadType: 96, Seq: 65300}
	var packets [][]byte
	sent := map[media.Ticks][][]byte{}
	for i := range pictures {
		nals := mediatest.Picture(c, i%20 == 0, 1000+random.IntN(9000), byte(i))
		sent[media.Ticks(i*3600)] = nals
		packets = append(packets, p.Video(c, begin+uint32(3600*i), nals...)...)
	}
	arriving, lost := w.carry(random, packets, 20)
	r.push(0, arriving...)
	r.s.CloseUnits()
	whole, start := 0, r.units()[0].PTS
	for _, s := range r.samples() {
		if s.Flags&media.UnitDamaged != 0 {
			continue
		}
		whole++
		if !slices.EqualFunc(sent[s.PTS-start], s.NALs, bytes.Equal) {
			t.Fatalf("seed %d: picture at %d is whole, they say:\n%s", seed, s.PTS, cmp.Diff(sent[s.PTS-start], s.NALs))
		}
	}
	st := r.stats()
	if int(st.Lost) != lost || st.Discontinuities != 0 {
		t.Errorf("seed %d: %d lost of %d; %+v", seed, st.Lost, lost, st)
	}
	switch {
	case lost == 0 && whole != pictures, lost > 0 && st.Damaged == 0, whole < pictures/2:
		t.Errorf("seed %d: %d whole and %d damaged of %d pictures; %d packets lost", seed, whole, st.Damaged, pictures, lost)
	}
}
