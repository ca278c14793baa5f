package relay

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"districtgateway/media/mediatest"
)

func TestEveryPictureArrivesOnceAndInOrder(t *testing.T) {
	for _, tr := range []Transport{UDP, TCPPassive, TCPActive} {
		for _, elementary := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/elementary=%t", tr, elementary), func(t *testing.T) {
				t.Parallel()
				from, src := encoder(t)
				sender, to := session(t, tr, elementary)
				sink := &mediatest.Sink{Oldest: true}
				if err := to.Attach(sink); err != nil {
					t.Fatal(err)
				}
				if err := from.Attach(sender); err != nil {
					t.Fatal(err)
				}
				pour(t, src, sink)
				// The last picture is complete only when the next begins: it is not waited for.
				wait(t, "pictures did not arrive", func() bool {
					units, _ := sink.Units()
					return len(units) >= pictures-1
				})
				for i, got := range lastSlices(t, sink) {
					if !bytes.Equal(got, picture(i)) {
						t.Fatalf("picture %d: %d bytes, want %d", i, len(got), len(picture(i)))
					}
				}
				wait(t, "the sender did not count what it sent", func() bool {
					st := sinkStats(from)
					return st.Units >= pictures && st.Packets > st.Units && st.Dropped+st.Lapped == 0
				})
			})
		}
	}
}

// TestMiddleLevelPassesPicturesOn relays a received stream once more.
func TestMiddleLevelPassesPicturesOn(t *testing.T) {
	from, src := encoder(t)
	first, middle := session(t, TCPPassive, false)
	if err := from.Attach(first); err != nil {
		t.Fatal(err)
	}
	second, top := session(t, UDP, false)
	sink := &mediatest.Sink{Oldest: true}
	if err := errors.Join(top.Attach(sink), middle.Attach(second)); err != nil {
		t.Fatal(err)
	}
	pour(t, src, sink)
	wait(t, "pictures did not arrive", func() bool {
		units, _ := sink.Units()
		return len(units) >= pictures-2
	})
	for i, got := range lastSlices(t, sink) {
		if !bytes.Equal(got, picture(i)) {
			t.Fatalf("picture %d differs", i)
		}
	}
}
