package manscdp

import (
	"errors"
	"fmt"
	"testing"

	"districtgateway/domain"
)

// ptzCases are commands as senders write them; they also seed FuzzParsePTZ.
var ptzCases = map[string]struct {
	hex    string
	want   domain.PTZ
	words  string
	offset int  // of the fault, −1 if none
	other  bool // not written so by us
	wrong  bool // suspect
}{
	"stop":                     {"A50F0100000000B5", domain.PTZ{}, "stop", -1, false, false},
	"right":                    {"A50F010180000036", domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 0x80}}, "right 128", -1, false, false},
	"left":                     {"A50F010280000037", domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 0x80}}, "left 128", -1, false, false},
	"down":                     {"A50F010400800039", domain.PTZ{Tilt: domain.Axis{Dir: domain.Down, Speed: 0x80}}, "down 128", -1, false, false},
	"up":                       {"A50F01080080003D", domain.PTZ{Tilt: domain.Axis{Dir: domain.Up, Speed: 0x80}}, "up 128", -1, false, false},
	"left up":                  {"A50F010A808000BF", domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 0x80}, Tilt: domain.Axis{Dir: domain.Up, Speed: 0x80}}, "left 128 up 128", -1, false, false},
	"right up zoom out":        {"A50F01298080805E", domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 0x80}, Tilt: domain.Axis{Dir: domain.Up, Speed: 0x80}, Zoom: domain.Axis{Dir: domain.ZoomOut, Speed: 8}}, "right 128 up 128 zoom out 8", -1, false, false},
	"zoom in":                  {"A50F011000008045", domain.PTZ{Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 8}}, "zoom in 8", -1, false, false},
	"zoom out":                 {"A50F012000008055", domain.PTZ{Zoom: domain.Axis{Dir: domain.ZoomOut, Speed: 8}}, "zoom out 8", -1, false, false},
	"right with both speeds":   {"A50F0101808000B6", domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 0x80}, Tilt: domain.Axis{Dir: domain.Still, Speed: 0x80}}, "right 128", -1, false, false},
	"right at speed zero":      {"A50F0101000000B6", domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 0}}, "right 0", -1, false, false},
	"iris close":               {"A50F01480040003D", domain.PTZ{Action: domain.PTZLens, Iris: domain.Axis{Dir: domain.IrisClose, Speed: 0x40}}, "iris close 64", -1, false, false},
	"iris open":                {"A50F014400400039", domain.PTZ{Action: domain.PTZLens, Iris: domain.Axis{Dir: domain.IrisOpen, Speed: 0x40}}, "iris open 64", -1, false, false},
	"focus near":               {"A50F014240000037", domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusNear, Speed: 0x40}}, "focus near 64", -1, false, false},
	"focus far":                {"A50F014140000036", domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar, Speed: 0x40}}, "focus far 64", -1, false, false},
	"lens stop":                {"A50F0140000000F5", domain.PTZ{Action: domain.PTZLens}, "lens stop", -1, false, false},
	"preset set":               {"A50F01810005003B", domain.PTZ{Action: domain.PresetSet, Number: 5}, "preset set 5", -1, false, false},
	"preset call":              {"A50F01820005003C", domain.PTZ{Action: domain.PresetCall, Number: 5}, "preset call 5", -1, false, false},
	"preset delete":            {"A50F01830005003D", domain.PTZ{Action: domain.PresetDelete, Number: 5}, "preset delete 5", -1, false, false},
	"cruise add":               {"A50F01840105003F", domain.PTZ{Action: domain.CruiseAdd, Number: 1, Preset: 5}, "cruise 1 add preset 5", -1, false, false},
	"cruise remove point":      {"A50F018501050040", domain.PTZ{Action: domain.CruiseDelete, Number: 1, Preset: 5}, "cruise 1 delete preset 5", -1, false, false},
	"cruise remove":            {"A50F01850100003B", domain.PTZ{Action: domain.CruiseDelete, Number: 1}, "cruise 1 delete", -1, false, false},
	"cruise speed":             {"A50F01860123106F", domain.PTZ{Action: domain.CruiseSpeed, Number: 1, Value: 0x123}, "cruise 1 speed 291", -1, false, false},
	"cruise dwell":             {"A50F0187012C1079", domain.PTZ{Action: domain.CruiseDwell, Number: 1, Value: 300}, "cruise 1 dwell 300 s", -1, false, false},
	"cruise start":             {"A50F01880100003E", domain.PTZ{Action: domain.CruiseStart, Number: 1}, "cruise 1 start", -1, false, false},
	"scan start":               {"A50F01890100003F", domain.PTZ{Action: domain.ScanStart, Number: 1}, "scan 1 start", -1, false, false},
	"scan left edge":           {"A50F018901010040", domain.PTZ{Action: domain.ScanLeft, Number: 1}, "scan 1 left edge", -1, false, false},
	"scan right edge":          {"A50F018901020041", domain.PTZ{Action: domain.ScanRight, Number: 1}, "scan 1 right edge", -1, false, false},
	"scan speed":               {"A50F018A01100050", domain.PTZ{Action: domain.ScanSpeed, Number: 1, Value: 0x10}, "scan 1 speed 16", -1, false, false},
	"wiper on":                 {"A50F018C01000042", domain.PTZ{Action: domain.AuxOn, Number: 1}, "auxiliary 1 on", -1, false, false},
	"wiper off":                {"A50F018D01000043", domain.PTZ{Action: domain.AuxOff, Number: 1}, "auxiliary 1 off", -1, false, false},
	"address of 12 bits":       {"A50FBC0000000A7A", domain.PTZ{}, "stop", -1, true, false},
	"lower case and blanks":    {" \r\na50f010280000037\t", domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 0x80}}, "left 128", -1, true, false},
	"wrong sum":                {"A50F0110000080C5", domain.PTZ{Zoom: domain.Axis{Dir: domain.ZoomIn, Speed: 8}}, "zoom in 8", -1, true, true},
	"wrong combination code":   {"A500010280000028", domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 0x80}}, "left 128", -1, true, true},
	"both wrong":               {"A500010280000099", domain.PTZ{}, "stop", 14, true, false},
	"short":                    {"A50F0102800000", domain.PTZ{}, "stop", 14, true, false},
	"long":                     {"A50F01028000003700", domain.PTZ{}, "stop", 16, true, false},
	"empty":                    {"", domain.PTZ{}, "stop", 0, true, false},
	"no hexadecimal":           {" A50F01028000003G", domain.PTZ{}, "stop", 15, true, false},
	"wrong start":              {"A40F010280000036", domain.PTZ{}, "stop", 0, true, false},
	"left and right":           {"A50F010380800038", domain.PTZ{}, "stop", 6, true, false},
	"up and down":              {"A50F010C00800041", domain.PTZ{}, "stop", 6, true, false},
	"in and out":               {"A50F013000008065", domain.PTZ{}, "stop", 6, true, false},
	"iris open and close":      {"A50F014C00400041", domain.PTZ{}, "stop", 6, true, false},
	"preset 0":                 {"A50F018100000036", domain.PTZ{}, "stop", 10, true, false},
	"cruise add preset 0":      {"A50F01840100003A", domain.PTZ{}, "stop", 10, true, false},
	"unknown scan":             {"A50F018901030042", domain.PTZ{}, "stop", 10, true, false},
	"unknown command":          {"A50F018B01000041", domain.PTZ{}, "stop", 6, true, false},
	"unknown high command":     {"A50F01C000000075", domain.PTZ{}, "stop", 6, true, false},
	"unknown lens command":     {"A50F015000000005", domain.PTZ{}, "stop", 6, true, false},
	"bytes that are no digits": {"\xA5\x0F\x01\x02\x80\x00\x00\x37", domain.PTZ{}, "stop", 8, true, false},
}

func TestParsePTZ(t *testing.T) {
	for name, tc := range ptzCases {
		t.Run(name, func(t *testing.T) {
			got, suspect, err := ParsePTZ(tc.hex)
			offset := -1
			if se, ok := errors.AsType[*SyntaxError](err); ok {
				offset = se.Offset
			}
			if got != tc.want || offset != tc.offset || (err == nil) != (tc.offset < 0) {
				t.Errorf("ParsePTZ(%q) = %+v, %v; want %+v, offset %d", tc.hex, got, err, tc.want, tc.offset)
			}
			if suspect != tc.wrong {
				t.Errorf("suspect: %v", suspect)
			}
			if got.String() != tc.words {
				t.Errorf("described as %q, want %q", got, tc.words)
			}
			if !tc.other && FormatPTZ(tc.want) != tc.hex {
				t.Errorf("written as %s, want %s", FormatPTZ(tc.want), tc.hex)
			}
		})
	}
}

// Every value of command, data and zoom nibble is either refused or written back
// unchanged, apart from bytes a command has no use for.
func TestPTZIsLossless(t *testing.T) {
	for cmd := range 256 {
		for _, data := range [][3]byte{{0, 0, 0}, {1, 5, 0x30}, {0xFF, 0xFF, 0xF0}, {0, 2, 0xA0}} {
			b := [8]byte{0xA5, 0x0F, 1, byte(cmd), data[0], data[1], data[2]}
			b[7] = checksum(b)
			p, _, err := ParsePTZ(fmt.Sprintf("%X", b))
			if err != nil {
				continue
			}
			again, _, err := ParsePTZ(FormatPTZ(p))
			if err != nil || again != p {
				t.Fatalf("% X: %+v became %+v, %v", b, p, again, err)
			}
			if out := ptzBytes(p); cmd < 0x40 && out != b {
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
