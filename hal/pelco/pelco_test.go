package pelco

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// frames are known ones: bytes as manuals and makers list them, or worked out by hand
// from the layout. They also seed the fuzzers.
var frames = map[string]struct {
	protocol Protocol
	hex      string
	frame    Frame
}{
	"D stop":            {D, "FF 01 00 00 00 00 01", Frame{1, Motion{}}},
	"D right":           {D, "FF 01 00 02 20 00 23", Frame{1, Motion{Pan: Right, PanSpeed: 0x20}}},
	"D left":            {D, "FF 01 00 04 23 00 28", Frame{1, Motion{Pan: Left, PanSpeed: 0x23}}},
	"D up":              {D, "FF 01 00 08 00 23 2C", Frame{1, Motion{Tilt: Up, TiltSpeed: 0x23}}},
	"D down":            {D, "FF 01 00 10 00 23 34", Frame{1, Motion{Tilt: Down, TiltSpeed: 0x23}}},
	"D right, turbo":    {D, "FF 01 00 02 FF 00 02", Frame{1, Motion{Pan: Right, PanSpeed: Turbo}}},
	"D left and up":     {D, "FF 0A 00 0C 3F 3F 94", Frame{10, Motion{Pan: Left, Tilt: Up, PanSpeed: MaxSpeed, TiltSpeed: MaxSpeed}}},
	"D tele":            {D, "FF 01 00 20 00 00 21", Frame{1, Motion{Zoom: Tele}}},
	"D wide":            {D, "FF 01 00 40 00 00 41", Frame{1, Motion{Zoom: Wide}}},
	"D focus far":       {D, "FF 01 00 80 00 00 81", Frame{1, Motion{Focus: Far}}},
	"D focus near":      {D, "FF 01 01 00 00 00 02", Frame{1, Motion{Focus: Near}}},
	"D iris open":       {D, "FF 01 02 00 00 00 03", Frame{1, Motion{Iris: Open}}},
	"D iris close":      {D, "FF 01 04 00 00 00 05", Frame{1, Motion{Iris: Close}}},
	"D camera on":       {D, "FF 01 88 00 00 00 89", Frame{1, Motion{Camera: On}}},
	"D camera off":      {D, "FF 02 08 00 00 00 0A", Frame{2, Motion{Camera: Off}}},
	"D scan":            {D, "FF 01 90 00 00 00 91", Frame{1, Motion{Scan: On}}},
	"D end of scan":     {D, "FF 01 10 00 00 00 11", Frame{1, Motion{Scan: Off}}},
	"D scan and camera": {D, "FF 01 98 00 00 00 99", Frame{1, Motion{Scan: On, Camera: On}}},
	"D set preset":      {D, "FF 01 00 03 00 01 05", Frame{1, Action{PresetSet, 1}}},
	"D clear preset":    {D, "FF 01 00 05 00 01 07", Frame{1, Action{PresetClear, 1}}},
	"D call preset":     {D, "FF 01 00 07 00 01 09", Frame{1, Action{PresetCall, 1}}},
	"D last preset":     {D, "FF FF 00 07 00 FF 05", Frame{255, Action{PresetCall, 255}}},
	"D aux on":          {D, "FF 01 00 09 00 01 0B", Frame{1, Action{AuxOn, 1}}},
	"D aux off":         {D, "FF 01 00 0B 00 01 0D", Frame{1, Action{AuxOff, 1}}},
	"D reset":           {D, "FF 01 00 0F 00 00 10", Frame{1, Action{Reset, 0}}},
	"D zone":            {D, "FF 01 00 11 00 08 1A", Frame{1, Action{ZoneStart, 8}}},
	"D run pattern":     {D, "FF 01 00 23 00 02 26", Frame{1, Action{PatternRun, 2}}},
	"D zoom speed":      {D, "FF 01 00 25 00 03 29", Frame{1, Action{ZoomSpeed, 3}}},
	"P stop":            {P, "A0 00 00 00 00 00 AF 0F", Frame{1, Motion{}}},
	"P up":              {P, "A0 01 00 08 00 30 AF 36", Frame{2, Motion{Tilt: Up, TiltSpeed: 0x30}}},
	"P right, turbo":    {P, "A0 00 00 02 40 00 AF 4D", Frame{1, Motion{Pan: Right, PanSpeed: Turbo}}},
	"P down and left":   {P, "A0 1F 00 14 3F 01 AF 3A", Frame{32, Motion{Pan: Left, Tilt: Down, PanSpeed: MaxSpeed, TiltSpeed: 1}}},
	"P wide":            {P, "A0 00 00 40 00 00 AF 4F", Frame{1, Motion{Zoom: Wide}}},
	"P focus far":       {P, "A0 00 01 00 00 00 AF 0E", Frame{1, Motion{Focus: Far}}},
	"P focus near":      {P, "A0 00 02 00 00 00 AF 0D", Frame{1, Motion{Focus: Near}}},
	"P iris open":       {P, "A0 00 04 00 00 00 AF 0B", Frame{1, Motion{Iris: Open}}},
	"P iris close":      {P, "A0 00 08 00 00 00 AF 07", Frame{1, Motion{Iris: Close}}},
	"P camera on":       {P, "A0 00 50 00 00 00 AF 5F", Frame{1, Motion{Camera: On}}},
	"P camera off":      {P, "A0 00 10 00 00 00 AF 1F", Frame{1, Motion{Camera: Off}}},
	"P scan":            {P, "A0 00 20 00 00 00 AF 2F", Frame{1, Motion{Scan: On}}},
	"P call preset":     {P, "A0 00 00 07 00 01 AF 09", Frame{1, Action{PresetCall, 1}}},
	"P aux on":          {P, "A0 04 00 09 00 08 AF 0A", Frame{5, Action{AuxOn, 8}}},
	"P run pattern":     {P, "A0 00 00 23 00 00 AF 2C", Frame{1, Action{PatternRun, 0}}},
}

func bytesOf(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKnownFramesAreBuiltAndRead(t *testing.T) {
	for name, tc := range frames {
		t.Run(name, func(t *testing.T) {
			want := bytesOf(t, tc.hex)
			got, err := tc.protocol.Append([]byte("before"), tc.frame)
			if d := cmp.Diff("before"+string(want), string(got)); err != nil || d != "" {
				t.Errorf("built, error %v: %s", err, d)
			}
			f, err := tc.protocol.Parse(want)
			if d := cmp.Diff(tc.frame, f); err != nil || d != "" {
				t.Errorf("read, error %v: %s", err, d)
			}
		})
	}
}

func TestWhatNoFrameCanSayIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		protocol Protocol
		frame    Frame
		want     string
	}{
		"no address":            {D, Frame{0, Motion{}}, "address 0: want 1 to 255"},
		"address beyond P":      {P, Frame{33, Motion{}}, "address 33: want 1 to 32"},
		"no command":            {D, Frame{1, nil}, "protocol has no such command"},
		"direction":             {D, Frame{1, Motion{Iris: 2}}, "iris 2: want -1, 0 or 1"},
		"pan speed":             {D, Frame{1, Motion{Pan: Left, PanSpeed: 0x40}}, "pan speed 64: want 0 to 63, or 255"},
		"no turbo of tilt":      {D, Frame{1, Motion{Tilt: Up, TiltSpeed: Turbo}}, "tilt speed 255: want 0 to 63"},
		"switch":                {D, Frame{1, Motion{Scan: 3}}, "switch 3: want -1, 0 or 1"},
		"switches that differ":  {D, Frame{1, Motion{Scan: On, Camera: Off}}, "scan and camera switched in opposite ways: protocol has no such command"},
		"end of scan, P":        {P, Frame{1, Motion{Scan: Off}}, "end of a scan: protocol has no such command"},
		"preset 0":              {P, Frame{1, Action{PresetCall, 0}}, "number 0: want 1 to 255"},
		"auxiliary 9":           {D, Frame{1, Action{AuxOn, 9}}, "number 9: want 1 to 8"},
		"action that is motion": {D, Frame{1, Action{0x02, 1}}, "action 02: protocol has no such command"},
		"action unknown":        {D, Frame{1, Action{0x51, 0}}, "action 51: protocol has no such command"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.protocol.Append([]byte{7}, tc.frame)
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
			if d := cmp.Diff([]byte{7}, got); d != "" {
				t.Error(d)
			}
			var value *ValueError
			if !errors.Is(err, ErrLacks) && !errors.As(err, &value) {
				t.Errorf("error of another kind: %T", err)
			}
		})
	}
}

func TestDamagedFramesAreRefusedWithTheirOffset(t *testing.T) {
	for name, tc := range map[string]struct {
		protocol Protocol
		hex      string
		want     string
	}{
		"nothing":              {D, "", "byte 0: frame: want 7 bytes"},
		"half":                 {D, "FF 01 00", "byte 3: frame: want 7 bytes"},
		"too long":             {D, "FF 01 00 00 00 00 01 00", "byte 8: frame: want 7 bytes"},
		"start":                {D, "FE 01 00 00 00 00 01", "byte 0: start: want FF"},
		"start, P":             {P, "FF 00 00 00 00 00 AF 50", "byte 0: start: want A0"},
		"end":                  {P, "A0 00 00 00 00 00 AE 0E", "byte 6: end: want AF"},
		"sum":                  {D, "FF 01 00 02 20 00 24", "byte 6: checksum: want 23"},
		"xor":                  {P, "A0 01 00 08 00 30 AF 39", "byte 7: checksum: want 36"},
		"address":              {D, "FF 00 00 00 00 00 00", "byte 1: address: want that of dome 1 to 255"},
		"address, P":           {P, "A0 20 00 00 00 00 AF 2F", "byte 1: address: want that of dome 1 to 32"},
		"address wraps, P":     {P, "A0 FF 00 00 00 00 AF F0", "byte 1: address: want that of dome 1 to 32"},
		"left and right":       {D, "FF 01 00 06 20 00 27", "byte 2: motion: want bits that have a meaning and do not contradict each other"},
		"reserved bit":         {D, "FF 01 40 00 00 00 41", "byte 2: motion: want bits that have a meaning and do not contradict each other"},
		"sense of nothing":     {D, "FF 01 80 00 00 00 81", "byte 2: motion: want bits that have a meaning and do not contradict each other"},
		"camera on, P":         {P, "A0 00 40 00 00 00 AF 4F", "byte 2: motion: want bits that have a meaning and do not contradict each other"},
		"pan speed":            {D, "FF 01 00 02 41 00 44", "byte 4: speed: want 00 to 3F, or turbo for pan"},
		"turbo of P in D":      {D, "FF 01 00 02 40 00 43", "byte 4: speed: want 00 to 3F, or turbo for pan"},
		"turbo of D in P":      {P, "A0 00 00 02 FF 00 AF F2", "byte 4: speed: want 00 to 3F, or turbo for pan"},
		"tilt speed":           {D, "FF 01 00 08 00 FF 08", "byte 4: speed: want 00 to 3F, or turbo for pan"},
		"action unknown":       {D, "FF 01 00 51 00 00 52", "byte 2: action: want one that is known"},
		"action with data 1":   {D, "FF 01 00 07 01 01 0A", "byte 2: action: want one that is known"},
		"action and command 1": {D, "FF 01 01 07 00 01 0A", "byte 2: action: want one that is known"},
		"number":               {D, "FF 01 00 09 00 09 13", "byte 5: number: want 1 to 8"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := tc.protocol.Parse(bytesOf(t, tc.hex))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
			if f != (Frame{}) {
				t.Errorf("frame %v beside an error", f)
			}
		})
	}
}

func TestFramesAreFoundInWhatIsDamaged(t *testing.T) {
	const up, right = "FF 01 00 08 00 23 2C", "FF 01 00 02 20 00 23"
	for name, tc := range map[string]struct {
		protocol Protocol
		parts    []string
		want     []string // names of frames
		skipped  int
		unknown  int
	}{
		"one after the other":       {D, []string{up + right}, []string{"D up", "D right"}, 0, 0},
		"byte by byte":              {D, strings.Fields(up), []string{"D up"}, 0, 0},
		"noise between":             {D, []string{up, "00 13 37", right}, []string{"D up", "D right"}, 3, 0},
		"starts with half of one":   {D, []string{"08 00 23 2C", right}, []string{"D right"}, 4, 0},
		"half of one, then a whole": {D, []string{"FF 01 00 08", right}, []string{"D right"}, 4, 0},
		"start bytes":               {D, []string{"FF FF FF", right}, []string{"D right"}, 3, 0},
		"one bit differs":           {D, []string{"FF 01 00 09 00 23 2C", right}, []string{"D right"}, 7, 0},
		"means nothing":             {D, []string{"FF 01 00 51 00 00 52", right}, []string{"D right"}, 0, 1},
		"start inside of a frame":   {D, []string{"FF 01 00 02 FF 00 02"}, []string{"D right, turbo"}, 0, 0},
		"end is not there yet":      {D, []string{"FF 01 00 08 00 23"}, nil, 0, 0},
		"P":                         {P, []string{"A0 A0", "A0 00 00 00 00 00 AF 0F AF A0 00 00 07 00 01 AF 09"}, []string{"P stop", "P call preset"}, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := Scanner{Protocol: tc.protocol}
			var got, want []Frame
			for _, part := range tc.parts {
				got = append(got, s.Feed(bytesOf(t, part))...)
			}
			for _, name := range tc.want {
				want = append(want, frames[name].frame)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if s.Skipped != tc.skipped || s.Unknown != tc.unknown {
				t.Errorf("skipped %d, unknown %d, want %d and %d", s.Skipped, s.Unknown, tc.skipped, tc.unknown)
			}
		})
	}
}

// TestEveryMotionComesBack walks every combination of directions and switches.
func TestEveryMotionComesBack(t *testing.T) {
	seen := map[string]Frame{}
	for i := range 3 * 3 * 3 * 3 * 3 * 3 * 3 {
		var v [7]int8
		for j := range v {
			v[j], i = int8(i%3)-1, i/3
		}
		m := Motion{Pan: Dir(v[0]), Tilt: Dir(v[1]), Zoom: Dir(v[2]), Focus: Dir(v[3]), Iris: Dir(v[4]), Scan: Switch(v[5]), Camera: Switch(v[6]),
			PanSpeed: 3, TiltSpeed: 5}
		for _, p := range []Protocol{D, P} {
			want := Frame{7, m}
			b, err := p.Append(nil, want)
			if errors.Is(err, ErrLacks) {
				continue
			}
			got, perr := p.Parse(b)
			if err != nil || perr != nil || got != want {
				t.Fatalf("%v: %+v became %+v, errors %v and %v", p, want, got, err, perr)
			}
			if other, double := seen[string(b)]; double {
				t.Fatalf("%v: %+v and %+v are the same bytes", p, want, other)
			}
			seen[string(b)] = want
		}
	}
	if len(seen) != 243*7+243*6 { // D: 9 less 2 ways of the switches; P: 9 less 3
		t.Errorf("%d motions", len(seen))
	}
}

func FuzzParse(f *testing.F) {
	for _, tc := range frames {
		f.Add(bytesOf(f, tc.hex), tc.protocol == P)
	}
	f.Fuzz(func(t *testing.T, b []byte, isP bool) {
		p := D
		if isP {
			p = P
		}
		frame, err := p.Parse(b)
		if err != nil {
			return
		}
		again, err := p.Append(nil, frame)
		if err != nil || string(again) != string(b) {
			t.Errorf("%v % X became % X, error %v", p, b, again, err)
		}
	})
}

// FuzzScanner checks that a frame is found behind anything, once what came before can
// hide it no more, and that every byte is accounted for.
func FuzzScanner(f *testing.F) {
	f.Add([]byte{0xFF, 1, 0, 0x08, 0xFF, 0xFF, 1}, false)
	f.Add([]byte{0xA0, 0xA0, 0, 0, 0xAF}, true)
	f.Fuzz(func(t *testing.T, noise []byte, isP bool) {
		s, frame := Scanner{}, frames["D right"]
		if isP {
			s.Protocol, frame = P, frames["P up"]
		}
		whole := bytesOf(t, frame.hex)
		n := len(s.Feed(noise)) + len(s.Feed(make([]byte, len(whole))))
		if s.held > 0 {
			t.Fatalf("%d bytes held behind a frame's length of zeros", s.held)
		}
		got := s.Feed(whole)
		if len(got) != 1 || got[0] != frame.frame {
			t.Fatalf("found %v", got)
		}
		if sum := s.Skipped + (n+1+s.Unknown)*len(whole); sum != len(noise)+2*len(whole) {
			t.Errorf("%d bytes accounted for, %d came", sum, len(noise)+2*len(whole))
		}
	})
}
