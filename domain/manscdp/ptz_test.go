package manscdp

import (
	"errors"
	"fmt"
	"testing"
)

// ptzCases are commands as senders write them; they also seed FuzzParsePTZ.
var ptzCases = map[string]struct {
	hex    string
	want   PTZ
	words  string
	offset int  // of the fault, −1 if none
	other  bool // not written so by us
}{
	"stop":                     {"A50F0100000000B5", PTZ{Address: 1}, "stop", -1, false},
	"right":                    {"A50F010180000036", PTZ{Address: 1, Pan: Axis{Right, 0x80}}, "right 128", -1, false},
	"left":                     {"A50F010280000037", PTZ{Address: 1, Pan: Axis{Left, 0x80}}, "left 128", -1, false},
	"down":                     {"A50F010400800039", PTZ{Address: 1, Tilt: Axis{Down, 0x80}}, "down 128", -1, false},
	"up":                       {"A50F01080080003D", PTZ{Address: 1, Tilt: Axis{Up, 0x80}}, "up 128", -1, false},
	"left up":                  {"A50F010A808000BF", PTZ{Address: 1, Pan: Axis{Left, 0x80}, Tilt: Axis{Up, 0x80}}, "left 128 up 128", -1, false},
	"right up zoom out":        {"A50F01298080805E", PTZ{Address: 1, Pan: Axis{Right, 0x80}, Tilt: Axis{Up, 0x80}, Zoom: Axis{Out, 8}}, "right 128 up 128 zoom out 8", -1, false},
	"zoom in":                  {"A50F011000008045", PTZ{Address: 1, Zoom: Axis{In, 8}}, "zoom in 8", -1, false},
	"zoom out":                 {"A50F012000008055", PTZ{Address: 1, Zoom: Axis{Out, 8}}, "zoom out 8", -1, false},
	"right with both speeds":   {"A50F0101808000B6", PTZ{Address: 1, Pan: Axis{Right, 0x80}, Tilt: Axis{Still, 0x80}}, "right 128", -1, false},
	"right at speed zero":      {"A50F0101000000B6", PTZ{Address: 1, Pan: Axis{Right, 0}}, "right 0", -1, false},
	"iris close":               {"A50F01480040003D", PTZ{Address: 1, Action: Lens, Iris: Axis{Close, 0x40}}, "iris close 64", -1, false},
	"iris open":                {"A50F014400400039", PTZ{Address: 1, Action: Lens, Iris: Axis{Open, 0x40}}, "iris open 64", -1, false},
	"focus near":               {"A50F014240000037", PTZ{Address: 1, Action: Lens, Focus: Axis{Near, 0x40}}, "focus near 64", -1, false},
	"focus far":                {"A50F014140000036", PTZ{Address: 1, Action: Lens, Focus: Axis{Far, 0x40}}, "focus far 64", -1, false},
	"lens stop":                {"A50F0140000000F5", PTZ{Address: 1, Action: Lens}, "lens stop", -1, false},
	"preset set":               {"A50F01810005003B", PTZ{Address: 1, Action: PresetSet, Number: 5}, "preset set 5", -1, false},
	"preset call":              {"A50F01820005003C", PTZ{Address: 1, Action: PresetCall, Number: 5}, "preset call 5", -1, false},
	"preset delete":            {"A50F01830005003D", PTZ{Address: 1, Action: PresetDelete, Number: 5}, "preset delete 5", -1, false},
	"cruise add":               {"A50F01840105003F", PTZ{Address: 1, Action: CruiseAdd, Number: 1, Preset: 5}, "cruise 1 add preset 5", -1, false},
	"cruise remove point":      {"A50F018501050040", PTZ{Address: 1, Action: CruiseDelete, Number: 1, Preset: 5}, "cruise 1 delete preset 5", -1, false},
	"cruise remove":            {"A50F01850100003B", PTZ{Address: 1, Action: CruiseDelete, Number: 1}, "cruise 1 delete", -1, false},
	"cruise speed":             {"A50F01860123106F", PTZ{Address: 1, Action: CruiseSpeed, Number: 1, Value: 0x123}, "cruise 1 speed 291", -1, false},
	"cruise dwell":             {"A50F0187012C1079", PTZ{Address: 1, Action: CruiseDwell, Number: 1, Value: 300}, "cruise 1 dwell 300 s", -1, false},
	"cruise start":             {"A50F01880100003E", PTZ{Address: 1, Action: CruiseStart, Number: 1}, "cruise 1 start", -1, false},
	"scan start":               {"A50F01890100003F", PTZ{Address: 1, Action: ScanStart, Number: 1}, "scan 1 start", -1, false},
	"scan left edge":           {"A50F018901010040", PTZ{Address: 1, Action: ScanLeft, Number: 1}, "scan 1 left edge", -1, false},
	"scan right edge":          {"A50F018901020041", PTZ{Address: 1, Action: ScanRight, Number: 1}, "scan 1 right edge", -1, false},
	"scan speed":               {"A50F018A01100050", PTZ{Address: 1, Action: ScanSpeed, Number: 1, Value: 0x10}, "scan 1 speed 16", -1, false},
	"wiper on":                 {"A50F018C01000042", PTZ{Address: 1, Action: AuxOn, Number: 1}, "auxiliary 1 on", -1, false},
	"wiper off":                {"A50F018D01000043", PTZ{Address: 1, Action: AuxOff, Number: 1}, "auxiliary 1 off", -1, false},
	"address of 12 bits":       {"A50FBC0000000A7A", PTZ{Address: 0xABC}, "stop", -1, false},
	"lower case and blanks":    {" \r\na50f010280000037\t", PTZ{Address: 1, Pan: Axis{Left, 0x80}}, "left 128", -1, true},
	"wrong sum":                {"A50F0110000080C5", PTZ{Address: 1, Zoom: Axis{In, 8}, Suspect: true}, "zoom in 8", -1, true},
	"wrong combination code":   {"A500010280000028", PTZ{Address: 1, Pan: Axis{Left, 0x80}, Suspect: true}, "left 128", -1, true},
	"both wrong":               {"A500010280000099", PTZ{}, "stop", 14, true},
	"short":                    {"A50F0102800000", PTZ{}, "stop", 14, true},
	"long":                     {"A50F01028000003700", PTZ{}, "stop", 16, true},
	"empty":                    {"", PTZ{}, "stop", 0, true},
	"no hexadecimal":           {" A50F01028000003G", PTZ{}, "stop", 15, true},
	"wrong start":              {"A40F010280000036", PTZ{}, "stop", 0, true},
	"left and right":           {"A50F010380800038", PTZ{}, "stop", 6, true},
	"up and down":              {"A50F010C00800041", PTZ{}, "stop", 6, true},
	"in and out":               {"A50F013000008065", PTZ{}, "stop", 6, true},
	"iris open and close":      {"A50F014C00400041", PTZ{}, "stop", 6, true},
	"preset 0":                 {"A50F018100000036", PTZ{}, "stop", 10, true},
	"cruise add preset 0":      {"A50F01840100003A", PTZ{}, "stop", 10, true},
	"unknown scan":             {"A50F018901030042", PTZ{}, "stop", 10, true},
	"unknown command":          {"A50F018B01000041", PTZ{}, "stop", 6, true},
	"unknown high command":     {"A50F01C000000075", PTZ{}, "stop", 6, true},
	"unknown lens command":     {"A50F015000000005", PTZ{}, "stop", 6, true},
	"bytes that are no digits": {"\xA5\x0F\x01\x02\x80\x00\x00\x37", PTZ{}, "stop", 8, true},
}

func TestParsePTZ(t *testing.T) {
	for name, tc := range ptzCases {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePTZ(tc.hex)
			offset := -1
			if se, ok := errors.AsType[*SyntaxError](err); ok {
				offset = se.Offset
			}
			if got != tc.want || offset != tc.offset || (err == nil) != (tc.offset < 0) {
				t.Errorf("ParsePTZ(%q) = %+v, %v; want %+v, offset %d", tc.hex, got, err, tc.want, tc.offset)
			}
			if got.String() != tc.words {
				t.Errorf("described as %q, want %q", got, tc.words)
			}
			if !tc.other && tc.want.Hex() != tc.hex {
				t.Errorf("written as %s, want %s", tc.want.Hex(), tc.hex)
			}
		})
	}
}

func TestStopsOnlyWhatMovesNothing(t *testing.T) {
	for name, tc := range ptzCases {
		want := tc.words == "stop" || tc.words == "lens stop"
		if tc.offset < 0 && tc.want.Stops() != want {
			t.Errorf("%s: Stops() = %v", name, !want)
		}
	}
}

// Every value of command, data and zoom nibble is either refused or written back
// unchanged, apart from bytes a command has no use for.
func TestPTZIsLossless(t *testing.T) {
	for cmd := range 256 {
		for _, data := range [][3]byte{{0, 0, 0}, {1, 5, 0x30}, {0xFF, 0xFF, 0xF0}, {0, 2, 0xA5}} {
			b := [8]byte{0xA5, 0x0F, 1, byte(cmd), data[0], data[1], data[2]}
			b[7] = checksum(b)
			p, err := ParsePTZ(fmt.Sprintf("%X", b))
			if err != nil {
				continue
			}
			again, err := ParsePTZ(p.Hex())
			if err != nil || again != p {
				t.Fatalf("% X: %+v became %+v, %v", b, p, again, err)
			}
			if out := p.Bytes(); cmd < 0x40 && out != b {
				t.Fatalf("% X written as % X", b, out)
			}
		}
	}
}

func TestCommandsThatOweAnAnswer(t *testing.T) {
	answered := map[string]bool{"*manscdp.Recording": true, "*manscdp.Guard": true, "*manscdp.AlarmReset": true, "*manscdp.HomePosition": true, "*manscdp.DeviceUpgrade": true}
	for _, c := range allCommands() {
		if name := fmt.Sprintf("%T", c); c.Answered() != answered[name] {
			t.Errorf("%s answered: %v", name, c.Answered())
		}
	}
}
