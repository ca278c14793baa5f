package rtp

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/sock"
)

// TestLateJoinerCatchesUpWithoutBursts simulates a consumer that begins with a
// group of four seconds in the ring.
func TestLateJoinerCatchesUpWithoutBursts(t *testing.T) {
	const datagram = 1412
	group := 4 * time.Second
	for _, mbits := range []int{1, 4, 16, 50, 100} {
		for _, late := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond} {
			if mbits > 16 && late > time.Millisecond {
				continue // bursts are bounded, so that an owner this late carries no more
			}
			t.Run(fmt.Sprintf("%dMbit, owner %s late", mbits, late), func(t *testing.T) {
				rate := float64(mbits) * 1e6 / 8
				p := Pacer{rate: pacedSpeed * rate}
				var b sock.Batch
				for range 2000 {
					b.Add(make([]byte, datagram))
					b.End()
				}
				behind, now := rate*group.Seconds(), time.Unix(1000, 0)
				for at, every := time.Duration(0), time.Duration(0); at < 3*time.Second; at += every {
					limit, wait := p.Allow(now.Add(at), &b, 0)
					every = wait + late
					limit = min(limit, int(behind/datagram))
					for i := range limit {
						p.Spend(b.Size(i))
					}
					if n := limit * datagram; n > pacedBurst+datagram {
						t.Fatalf("burst of %d bytes", n)
					}
					behind += rate*every.Seconds() - float64(limit*datagram)
				}
				if lag := behind / rate; lag > 0.5 {
					t.Errorf("%.2f s behind after 3 s", lag)
				}
			})
		}
	}
}

func TestPacerIsNeverStuck(t *testing.T) {
	for name, p := range map[string]Pacer{
		"fresh":         {},
		"deep in debt":  {tokens: -1 << 20},
		"clock set":     {filled: time.Unix(2000, 0), tokens: -1000},
		"nothing known": {rate: 0, tokens: -pacedBurst},
	} {
		var b sock.Batch
		b.Add(make([]byte, 1400))
		b.End()
		now := time.Unix(1000, 0)
		limit, wait := p.Allow(now, &b, 0)
		for i := 0; limit == 0 && i < 1000; i++ {
			now = now.Add(wait)
			limit, wait = p.Allow(now, &b, 0)
		}
		if limit != 1 {
			t.Errorf("%s: nothing may be sent for %s", name, now.Sub(time.Unix(1000, 0)))
		}
	}
}

func TestPacerFollowsWhatArrivesNotOnlyWhatTheRecordingSays(t *testing.T) {
	s := media.NewStream(media.StreamConfig{}, nil)
	now := time.Unix(1000, 0)
	s.Adopt(media.Opened{Carriage: media.CarriageFrames, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}}, now)
	var p Pacer
	for i := range 400 { // 8 times as fast as it was recorded: 2 MB a second
		b := mediatest.Lengths(mediatest.Slice(media.H264, i%25 == 0, 10000, 1))
		wall := int64(i) * int64(40*time.Millisecond)
		err := s.PushFrame(media.Frame{Range: mediatest.Put(s, b), Key: i%25 == 0, Wall: wall,
			PTS: media.Ticks(i) * 3600, DTS: media.Ticks(i) * 3600})
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Millisecond)
		if i%25 == 0 {
			p.Measure(s, now)
		}
	}
	if arrives := 10000.0 / 0.005; p.rate < 4*arrives {
		t.Errorf("paced at %.1f MB/s what arrives at %.1f MB/s", p.rate/1e6, arrives/1e6)
	}
}
