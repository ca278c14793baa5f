package storage

import (
	"syscall"
	"testing"
	"time"

	"districtgateway/media"
)

// BenchmarkRecord records pictures of 20 kB in 14 packets: 4 Mbit/s at 25 a second.
// It reports the process's processor time per gigabit.
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
	ring := media.NewRing(make([]byte, 8<<20), false)
	rec.bind(ring)
	rec.setTracks([]media.Track{videoTrack(media.H264)}, 1)
	ranges := make([]media.Range, 14)
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
		for len(rec.free) < 5 {
			time.Sleep(time.Millisecond)
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
