package counter

import (
	"bytes"
	"math"
	"testing"
	"time"
)

// markCases also seeds FuzzRoundTrip.
var markCases = map[string]struct {
	n      uint64
	micros int64
}{
	"first":                 {0, 0},
	"one":                   {1, 1_700_000_000_000_000},
	"all zero but the last": {3, 2}, // needs emulation prevention throughout
	"zeros then three":      {0x0000030000010000, 0x0000000300000000},
	"largest":               {math.MaxUint64, math.MaxInt64},
	"before 1970":           {7, -1},
}

func TestMarkSurvivesBothCodecs(t *testing.T) {
	for name, tc := range markCases {
		t.Run(name, func(t *testing.T) {
			checkRoundTrip(t, tc.n, tc.micros)
		})
	}
}

func checkRoundTrip(t *testing.T, n uint64, micros int64) {
	t.Helper()
	at := time.UnixMicro(micros)
	for _, h265 := range []bool{false, true} {
		nal := AppendSEI([]byte("before"), h265, n, at)
		nal, ok := bytes.CutPrefix(nal, []byte("before"))
		if !ok {
			t.Fatalf("AppendSEI dropped what dst held")
		}
		for _, code := range []string{"\x00\x00\x00", "\x00\x00\x01", "\x00\x00\x02"} {
			if bytes.Contains(nal, []byte(code)) {
				t.Errorf("h265=%v: % x holds a start code or a forbidden sequence", h265, nal)
			}
		}
		got, when, ok := Parse(nal, h265)
		if !ok || got != n || !when.Equal(at) {
			t.Errorf("h265=%v: Parse = %d, %v, %v; want %d, %v", h265, got, when, ok, n, at)
		}
		if _, _, ok := Parse(nal, !h265); ok {
			t.Errorf("h265=%v: the mark was read as the other codec's", h265)
		}
		for cut := range len(nal) - 1 {
			if _, _, ok := Parse(nal[:cut], h265); ok {
				t.Errorf("h265=%v: a mark cut at %d of %d was believed", h265, cut, len(nal))
			}
		}
	}
}

func TestMarkIsFoundAmongOtherMessages(t *testing.T) {
	mark := AppendSEI(nil, false, 42, time.UnixMicro(99))
	long := append([]byte{6, 4, 255, 1}, bytes.Repeat([]byte{0x55}, 256)...) // type 4, 256 bytes
	nal := append(long, mark[1:]...)
	if n, _, ok := Parse(nal, false); !ok || n != 42 {
		t.Errorf("Parse = %d, %v behind another message, want 42, true", n, ok)
	}
}

func TestOtherUnitsCarryNoMark(t *testing.T) {
	foreign := AppendSEI(nil, false, 1, time.UnixMicro(1))
	foreign[3] ^= 1 // another UUID
	for name, nal := range map[string][]byte{
		"nothing":           nil,
		"header only":       {6},
		"slice":             {0x65, 5, 32, 0},
		"foreign UUID":      foreign,
		"endless type":      bytes.Repeat([]byte{0xff}, 100),
		"SEI, endless type": append([]byte{6}, bytes.Repeat([]byte{0xff}, 100)...),
		"size past the end": {6, 5, 200, 1, 2, 3},
		"beyond the bound":  append(append([]byte{6, 4}, bytes.Repeat([]byte{0xff}, 5000)...), 0x80),
	} {
		if _, _, ok := Parse(nal, false); ok {
			t.Errorf("%s: a mark was found", name)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, tc := range markCases {
		f.Add(tc.n, tc.micros)
	}
	f.Fuzz(checkRoundTrip)
}

func FuzzParse(f *testing.F) {
	f.Add(AppendSEI(nil, false, 1, time.UnixMicro(2)), false)
	f.Add(AppendSEI(nil, true, 1, time.UnixMicro(2)), true)
	f.Add([]byte{6, 4, 255, 1, 0, 0, 3, 0}, false)
	f.Fuzz(func(t *testing.T, nal []byte, h265 bool) {
		before := bytes.Clone(nal)
		Parse(nal, h265)
		if !bytes.Equal(before, nal) {
			t.Error("Parse wrote into its input")
		}
	})
}
