package storage

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// readAll reads p to its end and returns the number of samples and discontinuities.
func readAll(t *testing.T, p *Playback) (samples, jumps int) {
	t.Helper()
	last := map[uint8]media.Ticks{}
	var buf []byte
	for {
		s, err := p.Next(buf[:0])
		if errors.Is(err, io.EOF) {
			return samples, jumps
		}
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := last[s.Track]; ok && s.DTS <= at {
			t.Fatalf("sample %d: decoding time %d after %d", samples, s.DTS, at)
		}
		if s.Discontinuity {
			jumps++
		}
		last[s.Track] = s.DTS
		samples++
		buf = s.Data
	}
}

func TestPlaybackGoesOverSegmentsAndHoles(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 4 * time.Second}, start, videoTrack(media.H264),
		media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1})
	f.run(250, 25)
	f.tick(media.TicksOf(30 * time.Second))
	f.run(250, 25)
	f.end()
	r.settle()
	p, err := r.vol.OpenPlayback(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if samples, jumps := readAll(t, p); samples != 1000 || jumps != 2 {
		t.Errorf("%d samples, %d discontinuities, want 1000 and 2", samples, jumps)
	}
	gaps, err := r.vol.Gaps(t.Context(), "cam", start, start.Add(50*time.Second))
	want := []Gap{{start.Add(10 * time.Second).UnixNano(), start.Add(40 * time.Second).UnixNano(), CauseEncoder}}
	if d := cmp.Diff(want, roundGaps(gaps)); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
}

// roundGaps rounds to a hundredth of a second: clocks slew.
func roundGaps(gaps []Gap) []Gap {
	for i := range gaps {
		gaps[i].From = time.Unix(0, gaps[i].From).Round(10 * time.Millisecond).UnixNano()
		gaps[i].To = time.Unix(0, gaps[i].To).Round(10 * time.Millisecond).UnixNano()
	}
	return gaps
}

func TestPlaybackBeginsAtTheKeyFrameBefore(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam", Segment: 20 * time.Second}, start, videoTrack(media.H264))
	f.run(25*30, 60) // a key frame every 2.4 s
	f.drain()
	await(t, "footage durable", func() bool {
		recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
		return err == nil && len(recs) == 1 && recs[0].End.Sub(start) >= 29*time.Second
	})
	for _, at := range []time.Duration{0, time.Second, 2400 * time.Millisecond, 5 * time.Second, 11 * time.Second, 28 * time.Second} {
		p, err := r.vol.OpenPlayback(t.Context(), "cam", start.Add(at), start.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Next(nil)
		want := start.Add(at / (2400 * time.Millisecond) * 2400 * time.Millisecond)
		if d := time.Unix(0, s.Wall).Sub(want).Abs(); err != nil || !s.Key || d > 20*time.Millisecond {
			t.Errorf("from %v: begins at %v (key %v, %v), want %v", at, time.Unix(0, s.Wall).UTC(), s.Key, err, want)
		}
		p.Close()
	}
	f.end()
}

func TestReorderedPicturesKeepTheirTimes(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H265))
	offsets := []media.Ticks{7200, 14400, 3600, 0} // shown 1 4 2 3 …
	var want []media.Ticks
	var data [][]byte
	for i := range 200 {
		b := []byte{0, 0, 0, 6, 2, 1, byte(i), 1, 2, 3}
		if i%25 == 0 {
			b[4] = 19 << 1
		}
		off := offsets[i%4]
		want, data = append(want, off), append(data, b)
		f.push(media.Frame{DTS: f.dts, PTS: f.dts + off, Wall: f.now.UnixNano(), Key: i%25 == 0}, b)
		f.tick(3600)
		if i%50 == 49 {
			f.drain()
		}
	}
	f.end()
	r.settle()
	p, err := r.vol.OpenPlayback(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range want {
		s, err := p.Next(nil)
		if err != nil || s.PTS-s.DTS != want[i] || !bytes.Equal(s.Data, data[i]) {
			t.Fatalf("picture %d: offset %d, data % x (%v), want %d, % x", i, s.PTS-s.DTS, s.Data, err, want[i], data[i])
		}
	}
}

func TestNewCodecBeginsANewSegment(t *testing.T) {
	r := newRig(t)
	start := noon()
	f := r.feed(RecorderConfig{Channel: "cam"}, start, videoTrack(media.H264))
	f.run(100, 25)
	f.tracks = []media.Track{videoTrack(media.H265)}
	f.stream.SetTracks(f.tracks)
	f.run(100, 25)
	f.end()
	r.settle()
	recs, err := r.vol.Recordings(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil || len(recs) != 1 || len(recs[0].Segments) != 2 {
		t.Fatalf("%+v, %v: want one recording of two segments", recs, err)
	}
	p, err := r.vol.OpenPlayback(t.Context(), "cam", start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	codecs := map[media.Codec]int{}
	for {
		if _, err := p.Next(nil); err != nil {
			break
		}
		codecs[p.Tracks()[0].Codec]++
	}
	if d := cmp.Diff(map[media.Codec]int{media.H264: 100, media.H265: 100}, codecs); d != "" {
		t.Error(d)
	}
}

func TestNoRecordingIsSaid(t *testing.T) {
	r := newRig(t)
	r.settle()
	if _, err := r.vol.OpenPlayback(t.Context(), "cam", noon(), time.Now()); !errors.Is(err, ErrNoRecording) {
		t.Error(err)
	}
	if _, err := r.vol.Recordings(t.Context(), "../etc", noon(), time.Now()); !errors.Is(err, ErrChannelName) {
		t.Error(err)
	}
}
