package storage

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mirror"
)

// BenchmarkRecord records pictures of 20 kB in 14 packets: 4 Mbit/s at 25 a second, out of a
// ring that is mapped as the gateway's are. It reports the process's processor time per gigabit.
func BenchmarkRecord(b *testing.B) {
	procs := new(processes)
	vol, err := OpenVolume(b.Context(), config(b.TempDir(), procs))
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- vol.Run(b.Context()) }()
	rec, err := NewRecorder(vol, RecorderConfig{Channel: "cam"})
	if err != nil {
		b.Fatal(err)
	}
	memory, mirrored, unmap, err := mirror.New(4 << 20)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { // its context has ended
		if err := errors.Join(<-done, unmap()); err != nil {
			b.Error(err)
		}
	})
	ring := media.NewRing(memory, mirrored)
	rec.bind(ring)
	rec.setTracks([]media.Track{videoTrack(media.H264)}, 1)
	ranges, spare := make([]media.Range, 14), make([]*job, 0, 5)
	dts, now := media.Ticks(0), time.Now()
	before := processorTime(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for k := range ranges {
			ring.Reserve(1430)
			ranges[k] = ring.Commit(1430)
		}
		au := media.AccessUnit{Codec: media.H264, DTS: dts, PTS: dts, NALs: []media.NAL{{Size: 14 * 1430, Body: ranges}}}
		if i%50 == 0 {
			au.Flags = media.UnitKey
		}
		u := media.Unit{Wall: now.UnixNano()}
		rec.take(&u, &au, now)
		dts, now = dts+3600, now.Add(40*time.Millisecond)
		if len(rec.free) < cap(spare) { // what it cannot take would be lost
			for len(spare) < cap(spare) {
				spare = append(spare, <-rec.free)
			}
			for _, j := range spare {
				rec.free <- j
			}
			spare = spare[:0]
		}
	}
	gbit := float64(b.N) * 14 * 1430 * 8 / 1e9
	b.ReportMetric((processorTime(b)-before).Seconds()/gbit, "cpu-s/Gbit")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
