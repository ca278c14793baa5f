//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/rtsp"
)

// A reception is what was received from an encoder.
type reception struct {
	state  media.StreamState
	stats  media.StreamStats
	video  []mediatest.Sample
	sounds []mediatest.Sample
}

// pull runs a stream from an RTSP server until the test ends.
func pull(t *testing.T, cfg rtsp.Config) *media.Stream {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	return play(t, media.StreamConfig{Name: "e2e"}, func(ctx context.Context) (media.Opened, error) { return rtsp.Open(ctx, cfg) })
}

// play runs a stream until the test ends.
func play(t *testing.T, cfg media.StreamConfig, open media.Opener) *media.Stream {
	t.Helper()
	s := media.NewStream(cfg, open)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return s
}

// ready waits until the stream delivers.
func ready(t *testing.T, s *media.Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Fatalf("no media: %v", err)
	}
}

// receive takes so many pictures, and the sound beside them, from an encoder.
func receive(t *testing.T, cfg rtsp.Config, pictures int) reception {
	t.Helper()
	s := pull(t, cfg)
	ready(t, s)
	sink := &mediatest.Sink{Oldest: true}
	if err := s.Attach(sink); err != nil {
		t.Fatal(err)
	}
	var r reception
	until(t, 30*time.Second, "pictures arrive", func() bool {
		r = sorted(t, sink)
		return len(r.video) >= pictures
	})
	r.state, r.stats = s.State(), s.Stats()
	return r
}

// sorted returns what a sink has.
func sorted(t *testing.T, k *mediatest.Sink) (r reception) {
	t.Helper()
	samples, errs := k.Samples()
	for _, err := range errs {
		t.Error(err)
	}
	for _, x := range samples {
		if x.Codec.Video() {
			r.video = append(r.video, x)
		} else {
			r.sounds = append(r.sounds, x)
		}
	}
	return r
}

// whole checks that nothing was lost on the way and logs the figures.
func (r reception) whole(t *testing.T) {
	t.Helper()
	st := r.stats
	t.Logf("%d pictures, %d sounds, %d packets, %d bytes: %d lost, %d late, %d damaged, %d malformed, opened %d times",
		len(r.video), len(r.sounds), st.Packets, st.Bytes, st.Lost, st.Late, st.Damaged, st.Malformed, st.Opened)
	if st.Lost+st.Late+st.Damaged+st.Malformed+st.Duplicates+st.Stray+st.Panics != 0 || st.Opened != 1 {
		t.Errorf("%+v", st)
	}
	for i, x := range slices.Concat(r.video, r.sounds) {
		if x.Flags&media.UnitDamaged != 0 {
			t.Errorf("sample %d is damaged", i)
		}
	}
}

// heard checks that sound is as long as its time stamps say, that it begins with the
// pictures, and that none of it is empty.
func (r reception) heard(t *testing.T, c media.Codec) {
	t.Helper()
	if len(r.sounds) < 2 {
		t.Fatalf("%d sounds", len(r.sounds))
	}
	var sound, last time.Duration
	for i, x := range r.sounds {
		if len(x.Audio) == 0 {
			t.Errorf("sound %d is empty", i)
		}
		last = time.Duration(len(x.Audio)) * time.Second / 8000
		if c == media.AAC {
			last = 1024 * time.Second / time.Duration(r.state.Tracks[x.Track].ClockRate)
		}
		sound += last
	}
	first, end := r.sounds[0].PTS, r.sounds[len(r.sounds)-1].PTS
	span, off := (end-first).Duration()+last, (first - r.video[0].PTS).Duration()
	t.Logf("%s of sound in %s, from %s after the first picture", sound, span, off)
	if (sound-span).Abs() > 200*time.Millisecond || off.Abs() > time.Second || sound < 3*time.Second {
		t.Errorf("sound does not fit its time stamps, or does not begin with the pictures, or is less than 3 s")
	}
}

// parameters checks that every track tells a decoder what it needs.
func (r reception) parameters(t *testing.T, size [2]int, want ...media.Codec) {
	t.Helper()
	var got []media.Codec
	for _, k := range r.state.Tracks {
		got = append(got, k.Codec)
		switch k.Codec {
		case media.H264, media.H265:
			checkVideo(t, k, size)
		case media.AAC:
			if a, err := media.ParseAudioConfig(k.Parameters[0]); err != nil || a.SampleRate != k.ClockRate || a.ObjectType != 2 {
				t.Errorf("audio configuration %x: %+v, %v", k.Parameters[0], a, err)
			}
		}
	}
	// Servers list their tracks in any order.
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("tracks %v, want %v", got, want)
	}
}

func checkVideo(t *testing.T, k media.Track, size [2]int) {
	t.Helper()
	for _, nal := range k.Parameters {
		typ := media.NALType(k.Codec, nal[0])
		if !media.ParameterNAL(k.Codec, typ) {
			t.Errorf("NAL unit type %d among the parameter sets", typ)
		}
		if typ != 7 && typ != 33 { // SPS of H.264 and of H.265
			continue
		}
		info, err := media.ParseSPS(k.Codec, nal)
		if err != nil || [2]int{info.Width, info.Height} != size {
			t.Errorf("SPS %+v, %v; want %v", info, err, size)
		}
	}
	if want := map[media.Codec]int{media.H264: 2, media.H265: 3}[k.Codec]; len(k.Parameters) != want {
		t.Errorf("%d parameter sets of %s, want %d", len(k.Parameters), k.Codec, want)
	}
}

// times checks the rules of time: pictures are decoded one after the other and none
// is shown before it is decoded; shown in order, they are step apart. It returns how
// many are shown before one that was decoded earlier.
func times(t *testing.T, video []mediatest.Sample, step media.Ticks) (reordered int) {
	t.Helper()
	for i, x := range video {
		if x.PTS < x.DTS {
			t.Errorf("picture %d is shown at %d, decoded at %d", i, x.PTS, x.DTS)
		}
		if i > 0 && x.DTS <= video[i-1].DTS {
			t.Errorf("picture %d is decoded at %d, the one before at %d", i, x.DTS, video[i-1].DTS)
		}
		if i > 0 && x.PTS < video[i-1].PTS {
			reordered++
		}
	}
	shown := slices.SortedFunc(slices.Values(video), func(a, b mediatest.Sample) int { return cmp.Compare(a.PTS, b.PTS) })
	var worst media.Ticks
	for i := 8; i < len(shown)-8; i++ { // pictures from before and still to come belong among the first and last ones
		off := shown[i].PTS - shown[i-1].PTS - step
		worst = max(worst, off, -off)
	}
	if worst > step/2 {
		t.Errorf("pictures are shown up to %s off their regular time", worst.Duration())
	}
	if t.Failed() {
		for i, x := range video[:8] {
			t.Logf("picture %d is shown at %d, decoded at %d, flags %b, %d NAL units", i, x.PTS, x.DTS, x.Flags, len(x.NALs))
		}
	}
	t.Logf("%d of %d pictures reordered; shown at most %s off the regular %s", reordered, len(video), worst.Duration(), step.Duration())
	return reordered
}
