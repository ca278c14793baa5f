package media_test

import (
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A reader walks units and their bytes as sinks do, and keeps nothing.
type reader struct {
	cursor media.Cursor
	bytes  int
	units  int
}

func (k *reader) Flush(s *media.Stream, _ time.Time) (time.Time, error) {
	for {
		n, ok := k.cursor.Next(s)
		if !ok {
			return time.Time{}, nil
		}
		k.units++
		units, err := s.Unpack(n)
		if err != nil {
			return time.Time{}, err
		}
		for i := range units {
			for j := range units[i].NALs {
				k.bytes += int(units[i].NALs[j].Size)
			}
		}
	}
}
func (k *reader) Close(error) {}

// From packets over units and access units to sinks nothing is allocated once the
// arrays have grown.
func TestNothingIsAllocatedInSteadyState(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		t.Run(c.String(), func(t *testing.T) {
			r := rtpRig(t, mediatest.VideoTrack(c), media.Track{Codec: media.AAC, ClockRate: 16000, PayloadType: 97})
			p := &mediatest.Packetizer{PayloadType: 96}
			audio := &mediatest.Packetizer{PayloadType: 97}
			sinks := []*reader{{}, {}, {}}
			for _, k := range sinks {
				if err := r.s.Attach(k); err != nil {
					t.Fatal(err)
				}
			}
			// One group, packetised once and replayed with other numbers and times.
			var packets [][]byte
			for i := range 10 {
				packets = append(packets, p.Video(c, uint32(3600*i), mediatest.Picture(c, i == 0, 8000, byte(i))...)...)
			}
			packets[20], packets[21] = packets[21], packets[20] // and one swapped
			sound := audio.AAC(0, make([]byte, 100), make([]byte, 90))
			lap := 0
			play := func() {
				for _, b := range packets {
					renumber(b, uint16(lap*len(packets)), uint32(lap*36000))
					r.push(0, b)
					renumber(b, -uint16(lap*len(packets)), -uint32(lap*36000))
				}
				renumber(sound, 1, 6400)
				r.push(1, sound)
				lap++
				r.later(10 * frameTime)
				r.s.Flush(r.now)
			}
			play()
			play()
			before := sinks[2].units
			if n := testing.AllocsPerRun(20, play); n != 0 {
				t.Errorf("%v allocations for %d packets", n, len(packets)+1)
			}
			if n := sinks[2].units - before; n < 21*11 {
				t.Errorf("the sink saw %d units of %d", n, 21*11)
			}
			if st := r.stats(); st.Lost+st.Damaged+st.Malformed != 0 || st.Discontinuities != 0 {
				t.Errorf("not a steady state: %+v", st)
			}
		})
	}
}

// renumber moves a packet's sequence number and timestamp.
func renumber(b []byte, seq uint16, ts uint32) {
	seq += uint16(b[2])<<8 | uint16(b[3])
	b[2], b[3] = byte(seq>>8), byte(seq)
	ts += uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])
	b[4], b[5], b[6], b[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
}

func BenchmarkPacketToThreeSinks(b *testing.B) {
	r := rtpRig(b, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	for range 3 {
		if err := r.s.Attach(&reader{}); err != nil {
			b.Fatal(err)
		}
	}
	var packets [][]byte
	for i := range 50 {
		size := 14000 // 4 Mbit/s and a larger key picture
		if i == 0 {
			size = 120000
		}
		packets = append(packets, p.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, size, byte(i))...)...)
	}
	b.ReportAllocs()
	i, lap := 0, 0
	for b.Loop() {
		pk := packets[i]
		renumber(pk, uint16(lap*len(packets)), uint32(lap*180000))
		if err := r.s.PushRTP(0, mediatest.Put(r.s, pk), r.now); err != nil {
			b.Fatal(err)
		}
		if pk[1]&0x80 != 0 {
			r.later(frameTime)
			r.s.Flush(r.now)
		}
		renumber(pk, -uint16(lap*len(packets)), -uint32(lap*180000))
		if i++; i == len(packets) {
			i, lap = 0, lap+1
		}
	}
}
