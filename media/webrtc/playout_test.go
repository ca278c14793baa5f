package webrtc

import (
	"encoding/binary"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/sock"
)

// byHand returns a stream that is driven by hand and a playout of its pictures.
func byHand(t *testing.T) (*media.Stream, *playout) {
	t.Helper()
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, nil)
	track := mediatest.VideoTrack(media.H264)
	track.Parameters = mediatest.Parameters(media.H264)
	s.Adopt(media.Opened{Tracks: []media.Track{track}, Ordered: true}, time.Unix(1000, 0))
	l := newLane(0, chosen{track: track, format: format{typ: 102, name: "H264"}})
	p := newPlayout(far{name: "by hand"}, s, []*lane{l})
	if err := s.Attach(p); err != nil {
		t.Fatal(err)
	}
	return s, p
}

// drain takes everything out of a queue, and returns how many packets that was.
func drain(q *queue, b []byte) (n int) {
	for {
		if _, ok := q.take(b); !ok {
			return n
		}
		n++
	}
}

func TestOwnerAllocatesNothingPerPacket(t *testing.T) {
	s, p := byHand(t)
	var video mediatest.Packetizer
	video.PayloadType = 96
	var script [][]byte // of 50 pictures
	for i := range 50 {
		script = append(script, video.Video(media.H264, uint32(i)*3600, mediatest.Slice(media.H264, i%25 == 0, 9000, byte(i)))...)
	}
	now, packets, b := time.Unix(1000, 0), 0, make([]byte, slotSize)
	round := func() {
		for _, packet := range script {
			now = now.Add(5 * time.Millisecond)
			_ = s.PushRTP(0, mediatest.Put(s, packet), now)
			s.Flush(now)
			packets += drain(p.out.queue, b)
		}
	}
	round()
	packets = 0
	const rounds = 5
	allocs := testing.AllocsPerRun(rounds, round)
	each := float64(packets) / (rounds + 1)
	t.Logf("%.0f objects for %.0f packets", allocs, each)
	if each < 100 || allocs > each/100 {
		t.Error("want less than one in 100 packets")
	}
}

func TestPicturesOfThePastRushBy(t *testing.T) {
	s, p := byHand(t)
	video := mediatest.Packetizer{PayloadType: 96}
	now := time.Unix(1000, 0)
	push := func(i int) {
		now = now.Add(40 * time.Millisecond)
		for _, packet := range video.Video(media.H264, uint32(i)*3600, mediatest.Slice(media.H264, i == 0, 500, byte(i))) {
			_ = s.PushRTP(0, mediatest.Put(s, packet), now)
		}
	}
	for i := range 40 { // 1.6 s
		push(i)
	}
	stamps := func() (all []uint32) {
		b := make([]byte, slotSize)
		for range 50 { // the pacer wants time
			now = now.Add(time.Millisecond)
			s.Flush(now)
			for {
				tg, ok := p.out.queue.take(b)
				if !ok {
					break
				}
				if !tg.report && b[12]&0x1F < 7 {
					all = append(all, uint32(b[4])<<24|uint32(b[5])<<16|uint32(b[6])<<8|uint32(b[7]))
				}
			}
		}
		return all
	}
	past := stamps()
	if len(past) != 40 || past[39]-past[0] > 50*90 {
		t.Fatalf("%d pictures of the past at %v: want them within 50 ms", len(past), past)
	}
	push(40)
	push(41)
	live := stamps()
	if len(live) != 2 || live[1]-live[0] != 3600 || live[0]-past[39] < 3600-90 || live[0]-past[39] > 3600+90 {
		t.Errorf("live at %v after %d", live, past[39])
	}
}

// TestNoMoreIsSentAgainThanAnew: whatever a browser says it misses.
func TestNoMoreIsSentAgainThanAnew(t *testing.T) {
	v, q := &session{lost: newLosses()}, newQueue()
	b := make([]byte, slotSize)
	anew, again, told := 0, 0, 0
	for n := range 2000 {
		var batch sock.Batch
		p := make([]byte, 100)
		binary.BigEndian.PutUint16(p[2:], uint16(n))
		batch.Add(p)
		batch.End()
		q.put(&batch, 0, tag{unit: uint64(n)})
		for range 50 {
			for back := range 17 {
				v.lost.add(loss{0, uint16(n - 1 - back)})
				told++
			}
			for {
				sent, ok := v.next(q, b)
				if !ok {
					break
				}
				if sent.unit == uint64(n) {
					anew++
				} else {
					again++
				}
			}
		}
	}
	if anew != 2000 || again < 1000 || again > anew+maxLosses {
		t.Errorf("of %d that are missed %d are sent again, and %d anew", told, again, anew)
	}
}
