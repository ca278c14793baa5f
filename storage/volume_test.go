package storage

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/media"
)

func TestFootageIsFoundAgain(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "33010200001320000001"}, start, videoTrack(media.H264))
	f.run(25*90, 50)
	f.end()
	r.settle()
	recs, err := r.vol.Recordings(t.Context(), "33010200001320000001", start.Add(-time.Hour), start.Add(time.Hour))
	if err != nil || len(recs) != 1 {
		t.Fatalf("Recordings = %+v, %v", recs, err)
	}
	got := recs[0]
	if !got.Start.Equal(start) || got.End.Sub(start).Round(time.Millisecond) != 90*time.Second || !got.Complete {
		t.Errorf("recording %v to %v (complete %v), want %v and 90 s", got.Start, got.End, got.Complete, start)
	}
	if len(got.Segments) < 2 {
		t.Errorf("%d segments, want at least 2", len(got.Segments))
	}
	for _, s := range got.Segments {
		t.Logf("%v %v %d %v", s.Path(), time.Duration(s.End-s.Start), s.Bytes, s.Cause)
	}
	if _, _, bad, err := r.vol.Check(t.Context()); err != nil || len(bad) > 0 {
		t.Errorf("Check: %v, %v", bad, err)
	}
}

// Sixteen encoders that were given codes in a row end their segments at different
// times, though they began them together.
func TestSegmentsOfChannelsInARowAreStaggered(t *testing.T) {
	const width = 5 * time.Second
	ends := map[time.Duration]int{}
	for n := range 16 {
		d := stagger(fmt.Sprintf("3301060000132%07d", n+1), time.Minute)
		if d < 30*time.Second || d >= time.Minute {
			t.Errorf("channel %d: %s", n, d)
		}
		ends[d/width]++
	}
	for at, n := range ends {
		if n > 6 || len(ends) < 5 {
			t.Errorf("%d of 16 end within 5 s at %s; %v", n, at*width, ends)
		}
	}
}
