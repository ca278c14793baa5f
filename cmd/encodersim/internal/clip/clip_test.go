package clip

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPatternIsWholeGroupsOfTwoSeconds(t *testing.T) {
	for _, tc := range []struct {
		h265, small bool
		w, h        int
	}{{false, false, 640, 360}, {false, true, 320, 180}, {true, false, 640, 360}, {true, true, 320, 180}} {
		v, err := Pattern(tc.h265, tc.small)
		if err != nil {
			t.Fatal(err)
		}
		if v.Width != tc.w || v.Height != tc.h || v.FPS != 25 || v.Period != 4*Clock || len(v.Pictures) != 100 {
			t.Errorf("%+v: %dx%d, %v pictures/s, %d pictures in %d ticks", tc, v.Width, v.Height, v.FPS, len(v.Pictures), v.Period)
		}
		for i, p := range v.Pictures {
			if p.Key != (i%builtinGroup == 0) || p.PTS != int64(i)*3600 || p.DTS != p.PTS {
				t.Fatalf("%+v picture %d: key %v at %d", tc, i, p.Key, p.PTS)
			}
			if nalType(p.NALs[p.Slice], v.H265) != slice {
				t.Fatalf("%+v picture %d: unit %d is no slice", tc, i, p.Slice)
			}
		}
		if got := v.Pictures[0].NALs[0]; !bytes.Equal(got, v.SPS) && !bytes.Equal(got, v.VPS) {
			t.Errorf("%+v: a key picture begins with % x", tc, got)
		}
	}
}

func TestToneLastsAsLongAsThePattern(t *testing.T) {
	for c, frames := range map[Coding]int{PCMA: 100, AAC: 125} {
		a, err := Tone(c)
		if err != nil {
			t.Fatal(err)
		}
		if a.Coding != c || a.Period != 4*Clock || len(a.Frames) != frames || a.Channels != 1 {
			t.Errorf("%s: %d frames in %d ticks", c, len(a.Frames), a.Period)
		}
	}
}

// fileCases are the files of testdata; FuzzParse begins with them.
var fileCases = map[string]struct {
	h265   bool
	coding Coding
	rate   int
	exact  bool // the container keeps times to the sample
}{
	"plain.mp4":      {false, AAC, 8000, true},
	"fragmented.mp4": {false, AAC, 8000, true},
	"pcm.mov":        {false, PCMA, 8000, true},
	"h265.mp4":       {true, AAC, 8000, true},
	"plain.mkv":      {false, AAC, 8000, false},
	"live.mkv":       {true, PCMA, 8000, false},
}

func TestLoadedFileIsTenReorderedPictures(t *testing.T) {
	for name, tc := range fileCases {
		t.Run(name, func(t *testing.T) {
			v, a, err := Load(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			if v.H265 != tc.h265 || v.Width != 64 || v.Height != 48 || v.Period != Clock || v.FPS != 10 {
				t.Errorf("video %+v", []any{v.H265, v.Width, v.Height, v.Period, v.FPS})
			}
			checkReordered(t, v)
			if a == nil || a.Coding != tc.coding || a.Rate != tc.rate || a.Channels != 1 || a.Period != v.Period {
				t.Fatalf("audio %+v", a)
			}
			checkSound(t, a, tc.exact)
		})
	}
}

// checkReordered wants ten pictures, decoded in one order and shown in another,
// each a tenth of a second apart.
func checkReordered(t *testing.T, v *Video) {
	t.Helper()
	var shown []int64
	for i, p := range v.Pictures {
		if p.DTS != int64(i)*9000 {
			t.Errorf("picture %d decoded at %d", i, p.DTS)
		}
		if p.PTS < p.DTS {
			t.Errorf("picture %d shown at %d, before it is decoded at %d", i, p.PTS, p.DTS)
		}
		if p.Key != (i == 0) {
			t.Errorf("picture %d: key %v", i, p.Key)
		}
		shown = append(shown, p.PTS)
	}
	if slices.IsSorted(shown) {
		t.Error("no picture is reordered")
	}
	slices.Sort(shown)
	for i := range shown {
		if shown[i] != shown[0]+int64(i)*9000 {
			t.Fatalf("shown at %v", shown)
		}
	}
	if len(shown) != 10 {
		t.Errorf("%d pictures", len(shown))
	}
}

// checkSound wants most of a second of sound, without holes.
func checkSound(t *testing.T, a *Audio, exact bool) {
	t.Helper()
	for i, f := range a.Frames[1:] {
		length := int64(1024)
		if a.Coding != AAC {
			length = int64(len(a.Frames[i].Data))
		}
		step := f.At - a.Frames[i].At
		if exact && step != length || step < length-16 || step > length+16 {
			t.Errorf("frame %d begins %d samples after the last, which has %d", i+1, step, length)
		}
	}
	if last := a.Frames[len(a.Frames)-1].At; last < 5500 || last >= 8000 {
		t.Errorf("the last frame begins at sample %d of 8000", last)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	whole, err := os.ReadFile("testdata/plain.mp4")
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"nothing":             nil,
		"text":                []byte("not a film at all"),
		"no tracks":           whole[:32],
		"samples cut off":     slices.Concat(whole[:40], []byte{0, 0, 0, 8, 'f', 'r', 'e', 'e'}),
		"box past the end":    {0, 0, 1, 0, 'm', 'o', 'o', 'v'},
		"EBML and nothing":    {0x1a, 0x45, 0xdf, 0xa3},
		"EBML without tracks": {0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x18, 0x53, 0x80, 0x67, 0x80},
	} {
		if v, a, err := Parse(raw); err == nil || v != nil || a != nil {
			t.Errorf("%s: %v, %v, %v", name, v, a, err)
		}
	}
}

func TestDeepNestingCostsNoStack(t *testing.T) {
	mp4 := bytes.Repeat([]byte{0, 0, 0, 0, 'm', 'd', 'i', 'a'}, 1<<18)
	mp4 = slices.Concat([]byte{0, 0, 0, 0, 'm', 'o', 'o', 'v', 0, 0, 0, 0, 't', 'r', 'a', 'k'}, mp4)
	mkv := slices.Concat([]byte{0x1a, 0x45, 0xdf, 0xa3, 0x80}, bytes.Repeat([]byte{0x18, 0x53, 0x80, 0x67, 0xff}, 1<<18))
	for _, raw := range [][]byte{mp4, mkv} {
		if _, _, err := Parse(raw); err == nil {
			t.Error("a film was found in nesting")
		}
	}
}

func FuzzParse(f *testing.F) {
	for name := range fileCases {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, a, err := Parse(raw)
		if err != nil {
			return
		}
		for i, p := range v.Pictures {
			if p.Slice < 0 || p.Slice >= len(p.NALs) || p.DTS < 0 || p.DTS >= v.Period || i > 0 && p.DTS < v.Pictures[i-1].DTS {
				t.Fatalf("picture %d of %d: %+v in a period of %d", i, len(v.Pictures), p, v.Period)
			}
		}
		if a != nil && (len(a.Frames) == 0 || a.Rate <= 0 || a.Period <= 0) {
			t.Fatalf("sound %+v", a)
		}
	})
}

func TestSoundIsLacedAllThreeWays(t *testing.T) {
	frames := []string{"a", "bbb", "cc"}
	body := "abbbcc"
	for name, tc := range map[string]struct {
		kind  byte
		block string
		want  []string
	}{
		"none":           {laceNone, body, []string{body}},
		"Xiph":           {laceXiph, "\x02\x01\x03" + body, frames},
		"EBML":           {laceEBML, "\x02\x81\xc1" + body, frames}, // 1, then +2 as 0x41 with bias 0x3f
		"fixed":          {laceFixed, "\x02" + body, []string{"ab", "bb", "cc"}},
		"Xiph too long":  {laceXiph, "\x02\x01\x30" + body, nil},
		"Xiph cut":       {laceXiph, "\x02\xff", nil},
		"EBML too long":  {laceEBML, "\x02\x81\xff" + body, nil},
		"EBML below 0":   {laceEBML, "\x02\x81\x80" + body, nil},
		"no lace count":  {laceXiph, "", nil},
		"nothing is cut": {laceFixed, "\x00" + body, []string{body}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &matroska{file: []byte(tc.block)}
			got, err := m.laces(element{to: len(tc.block)}, tc.kind)
			var text []string
			for _, f := range got {
				text = append(text, string(f))
			}
			if !slices.Equal(text, tc.want) || (err != nil) != (tc.want == nil) {
				t.Errorf("laces %q, %v; want %q", text, err, tc.want)
			}
		})
	}
}

func TestRescaleRoundsAndSaturates(t *testing.T) {
	for _, tc := range []struct{ v, to, from, want int64 }{
		{1, 90000, 1000, 90}, {1, 1, 2, 1}, {1, 1, 3, 0}, {-1, 90000, 1000, -90},
		{1 << 62, maxScale, 1, 1<<63 - 1}, {1 << 40, maxScale, maxScale, 1 << 40},
	} {
		if got := rescale(tc.v, tc.to, tc.from); got != tc.want {
			t.Errorf("rescale(%d, %d, %d) = %d, want %d", tc.v, tc.to, tc.from, got, tc.want)
		}
	}
}
