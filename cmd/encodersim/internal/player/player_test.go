package player

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/cmd/encodersim/internal/clip"
	"districtgateway/cmd/internal/counter"
)

// A shot is one picture as it came out.
type shot struct {
	number uint64
	ticks  int64
	marked time.Time // by its SEI
	sent   time.Time
	key    bool
	bytes  int
}

// A recorder keeps what comes out of a player.
type recorder struct {
	t      *testing.T
	shots  [2][]shot
	sounds []int64 // first samples
	length []int
}

func (r *recorder) Video(profile int, p Picture) {
	s := shot{ticks: p.Ticks, sent: time.Now()}
	marks := 0
	for _, nal := range p.NALs {
		s.bytes += len(nal)
		if n, at, ok := counter.Parse(nal, p.H265); ok {
			s.number, s.marked = n, at
			marks++
		}
		s.key = s.key || !p.H265 && nal[0]&31 == 5 || p.H265 && nal[0]>>1&63 >= 16 && nal[0]>>1&63 <= 23
	}
	if marks != 1 {
		r.t.Errorf("profile %d: %d marks in a picture, want 1", profile, marks)
	}
	r.shots[profile] = append(r.shots[profile], s)
}

func (r *recorder) Audio(s Sound) {
	r.sounds = append(r.sounds, s.Samples)
	r.length = append(r.length, len(s.Data))
}

// pattern returns the built-in profiles.
func pattern(t *testing.T, h265 bool) []*clip.Video {
	var list []*clip.Video
	for _, small := range []bool{false, true} {
		v, err := clip.Pattern(h265, small)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

// play runs a player for d of simulated time, calling during when half is over.
func play(t *testing.T, cfg Config, d time.Duration, during func(*Player)) *recorder {
	rec := &recorder{t: t}
	synctest.Test(t, func(t *testing.T) {
		cfg.Output = rec
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		if during != nil { // between two pictures
			time.AfterFunc(d/2-10*time.Millisecond, func() { during(p) })
		}
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return rec
}

// checkNumbers reports every step of the picture numbers but +1.
func checkNumbers(t *testing.T, shots []shot) {
	t.Helper()
	for i, s := range shots {
		if s.number != uint64(i) {
			t.Fatalf("picture %d has number %d", i, s.number)
		}
		if !s.marked.Equal(s.sent.Truncate(time.Microsecond)) {
			t.Fatalf("picture %d marked %s, sent %s", i, s.marked, s.sent)
		}
	}
}

func TestLoopsWithoutAStep(t *testing.T) {
	for _, h265 := range []bool{false, true} {
		tone, err := clip.Tone(clip.AAC)
		if err != nil {
			t.Fatal(err)
		}
		const seconds = 21 // five loops and a bit
		rec := play(t, Config{Videos: pattern(t, h265), Audio: tone}, seconds*time.Second+time.Millisecond, nil)
		for profile, shots := range rec.shots {
			if len(shots) != seconds*25+1 {
				t.Errorf("profile %d: %d pictures in %d s", profile, len(shots), seconds)
			}
			checkNumbers(t, shots)
			for i := range shots {
				if shots[i].ticks != int64(i)*3600 || shots[i].key != (i%50 == 0) {
					t.Fatalf("profile %d picture %d: %+v", profile, i, shots[i])
				}
				if i > 0 && shots[i].sent.Sub(shots[i-1].sent) != 40*time.Millisecond {
					t.Fatalf("profile %d picture %d: sent %s after its predecessor", profile, i, shots[i].sent.Sub(shots[i-1].sent))
				}
			}
		}
		for i, at := range rec.sounds {
			if at != int64(i)*1024 {
				t.Fatalf("sound %d begins at sample %d, want %d", i, at, i*1024)
			}
		}
		if want := seconds*32000/1024 + 1; len(rec.sounds) != want {
			t.Errorf("%d sounds, want %d", len(rec.sounds), want)
		}
	}
}

// reordered is a loop with B pictures: decoded I P B B, shown I B B P.
func reordered() *clip.Video {
	v := &clip.Video{Period: 8 * 9000, FPS: 10}
	for i, shown := range []int64{1, 4, 2, 3, 5, 8, 6, 7} {
		nal := []byte{1, 0x80, byte(i)}
		if i%8 == 0 {
			nal[0] = 5
		}
		v.Pictures = append(v.Pictures, clip.Picture{
			DTS: int64(i) * 9000, PTS: shown * 9000, Key: i%8 == 0, NALs: [][]byte{nal},
		})
	}
	return v
}

func TestReorderedLoopShowsEveryInstantOnce(t *testing.T) {
	rec := play(t, Config{Videos: []*clip.Video{reordered()}}, 24*100*time.Millisecond-time.Millisecond, nil)
	checkNumbers(t, rec.shots[0])
	var shown []int64
	for _, s := range rec.shots[0] {
		shown = append(shown, s.ticks/9000)
	}
	if want := []int64{1, 4, 2, 3}; !slices.Equal(shown[:4], want) {
		t.Errorf("sent in order %v, want decoding order %v", shown[:4], want)
	}
	slices.Sort(shown)
	for i, s := range shown {
		if s != int64(i+1) {
			t.Fatalf("shown at %v: not once each", shown)
		}
	}
}

func TestKeyIsNextAndNothingIsShownTwice(t *testing.T) {
	for name, v := range map[string]*clip.Video{"in order": pattern(t, false)[0], "reordered": reordered()} {
		t.Run(name, func(t *testing.T) {
			var after int
			rec := &recorder{t: t}
			synctest.Test(t, func(t *testing.T) {
				tone, _ := clip.Tone(clip.PCMA)
				p, err := New(Config{Videos: []*clip.Video{v}, Audio: tone, Output: rec})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second-time.Millisecond)
				defer cancel()
				time.AfterFunc(1210*time.Millisecond, func() { p.Hold(); p.Key(); after = int(p.Numbers()[0]) })
				_ = p.Run(ctx)
			})
			shots := rec.shots[0]
			checkNumbers(t, shots)
			if !shots[after].key {
				t.Errorf("picture %d after Key is none", after)
			}
			for _, s := range shots[:after] {
				if s.ticks >= shots[after].ticks {
					t.Errorf("a picture shown at %d precedes the key picture shown at %d", s.ticks, shots[after].ticks)
				}
			}
			for i := 1; i < len(rec.sounds); i++ {
				if rec.sounds[i] != rec.sounds[i-1]+int64(rec.length[i-1]) {
					t.Fatalf("sound %d begins at %d after %d", i, rec.sounds[i], rec.sounds[i-1])
				}
			}
		})
	}
}

func TestShowCutsAtAKeyPicture(t *testing.T) {
	clips := pattern(t, false)
	other := pattern(t, true)
	rec := &recorder{t: t}
	var at int
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Config{Videos: clips, Output: rec})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second-time.Millisecond)
		defer cancel()
		time.AfterFunc(1210*time.Millisecond, func() { p.Show(0, other[0]); at = int(p.Numbers()[0]) })
		_ = p.Run(ctx)
	})
	checkNumbers(t, rec.shots[0])
	for i, s := range rec.shots[0] {
		if s.ticks != int64(i)*3600 {
			t.Fatalf("picture %d shown at %d", i, s.ticks)
		}
	}
	if !rec.shots[0][at].key {
		t.Error("the new clip does not begin with a key picture")
	}
}

func TestSilenceTakesPicturesAllTheSame(t *testing.T) {
	rec := play(t, Config{Videos: pattern(t, false)}, 4*time.Second-time.Millisecond, func(p *Player) { p.Silence(time.Second) })
	shots := rec.shots[0]
	if len(shots) != 75 {
		t.Errorf("%d pictures in 4 s with 1 s of silence, want 75", len(shots))
	}
	gap := 0
	for i := 1; i < len(shots); i++ {
		if step := shots[i].number - shots[i-1].number; step != 1 {
			gap = int(step)
		}
	}
	if gap != 26 {
		t.Errorf("numbers step by %d over the silence, want 26", gap)
	}
}

func TestJumpMovesPictureAndSoundAlike(t *testing.T) {
	tone, err := clip.Tone(clip.PCMA)
	if err != nil {
		t.Fatal(err)
	}
	rec := play(t, Config{Videos: pattern(t, false), Audio: tone}, 4*time.Second-time.Millisecond, func(p *Player) { p.Jump(-10 * time.Second) })
	last, first := rec.shots[0][len(rec.shots[0])-1], rec.shots[0][0]
	if got, want := last.ticks-first.ticks, int64(99*3600-10*clip.Clock); got != want {
		t.Errorf("picture moved by %d ticks, want %d", got, want)
	}
	if got, want := rec.sounds[len(rec.sounds)-1], int64(99*320-80000); got != want {
		t.Errorf("sound ends at sample %d, want %d", got, want)
	}
}

func TestPaddingReachesTheBitrate(t *testing.T) {
	for _, h265 := range []bool{false, true} {
		rec := play(t, Config{Videos: pattern(t, h265), Bitrate: 4_000_000}, 8*time.Second-time.Millisecond, nil)
		sum := 0
		for _, s := range rec.shots[0] {
			sum += s.bytes
		}
		if bits := sum * 8 / 8; bits < 3_990_000 || bits > 4_010_000 {
			t.Errorf("h265=%v: %d bit/s, want 4 Mbit/s", h265, bits)
		}
		if rec.shots[1][1].bytes > 20000 {
			t.Errorf("the sub profile was padded as well")
		}
	}
}

func TestFillerIsWellFormed(t *testing.T) {
	var p padding
	for _, h265 := range []bool{false, true} {
		nal := p.filler(minFiller, []byte{2, 1}, h265)
		head := 1
		if h265 {
			head = 2
		}
		if nal[len(nal)-1] != 0x80 || len(bytes.Trim(nal[head:len(nal)-1], "\xff")) != 0 {
			t.Errorf("h265=%v: % x", h265, nal)
		}
	}
}

func TestSecondRunGoesOnCounting(t *testing.T) {
	rec := &recorder{t: t}
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Config{Videos: pattern(t, false), Output: rec})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second-time.Millisecond)
			_ = p.Run(ctx)
			cancel()
			time.Sleep(time.Hour) // off
		}
		if got := p.Numbers()[0]; got != uint64(len(rec.shots[0])) {
			t.Errorf("%d pictures numbered, %d sent", got, len(rec.shots[0]))
		}
	})
	checkNumbers(t, rec.shots[0])
}
