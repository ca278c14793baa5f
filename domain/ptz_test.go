package domain

import "testing"

func TestStopsOnlyWhatMovesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		p            PTZ
		moves, stops bool
		words        string
	}{
		"stop":                  {PTZ{}, false, true, "stop"},
		"a speed and nowhere":   {PTZ{Tilt: Axis{Still, 9}}, false, true, "stop"},
		"left":                  {PTZ{Pan: Axis{Left, 0}}, true, false, "left 0"},
		"right and out":         {PTZ{Pan: Axis{Right, 128}, Zoom: Axis{ZoomOut, 8}}, true, false, "right 128 zoom out 8"},
		"lens stop":             {PTZ{Action: PTZLens, Pan: Axis{Left, 3}}, false, true, "lens stop"},
		"focus":                 {PTZ{Action: PTZLens, Focus: Axis{FocusNear, 1}}, true, false, "focus near 1"},
		"preset":                {PTZ{Action: PresetCall, Number: 3, Pan: Axis{Left, 3}}, false, false, "preset call 3"},
		"a cruise that started": {PTZ{Action: CruiseStart, Number: 1}, false, false, "cruise 1 start"},
	} {
		if tc.p.Moves() != tc.moves || tc.p.Stops() != tc.stops || tc.p.String() != tc.words || !tc.p.Valid() {
			t.Errorf("%s: moves %t, stops %t, %q, valid %t", name, tc.p.Moves(), tc.p.Stops(), tc.p, tc.p.Valid())
		}
	}
	for _, p := range []PTZ{{Zoom: Axis{ZoomIn, 16}}, {Pan: Axis{2, 1}}, {Action: PresetSet}, {Action: CruiseAdd, Number: 1}, {Action: AuxOff + 1}, {Action: ScanSpeed, Value: 4096}} {
		if p.Valid() {
			t.Errorf("%+v is valid", p)
		}
	}
}
