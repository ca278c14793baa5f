package manscdp

import (
	"errors"
	"testing"
	"time"
)

var timeCases = map[string]struct {
	text   string
	want   time.Time
	offset int // of the fault, −1 if none
}{
	"standard":         {"2026-03-01T08:00:05", beijing(1, 8, 0, 5), -1},
	"with a blank":     {"2026-03-01 08:00:05", beijing(1, 8, 0, 5), -1},
	"UTC":              {"2026-03-01T00:00:05Z", beijing(1, 8, 0, 5), -1},
	"offset":           {"2026-03-01T09:30:05+09:30", beijing(1, 8, 0, 5), -1},
	"short offset":     {"2026-02-28T19:00:05-0500", beijing(1, 8, 0, 5), -1},
	"fraction":         {"2026-03-01T08:00:05.999", beijing(1, 8, 0, 5), -1},
	"fraction and UTC": {"2026-03-01T00:00:05.1234Z", beijing(1, 8, 0, 5), -1},
	"slashes":          {"2026/03/01 08:00:05", beijing(1, 8, 0, 5), -1},
	"end of day":       {"2026-03-01T24:00:00", beijing(2, 0, 0, 0), -1},
	"leap day":         {"2024-02-29T08:00:00", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), -1},
	"no leap day":      {"2026-02-29T08:00:00", time.Time{}, 5},
	"month 13":         {"2026-13-01T08:00:00", time.Time{}, 5},
	"day 0":            {"2026-03-00T08:00:00", time.Time{}, 5},
	"hour 25":          {"2026-03-01T25:00:00", time.Time{}, 11},
	"after the end":    {"2026-03-01T24:00:01", time.Time{}, 11},
	"second 60":        {"2026-03-01T08:00:60", time.Time{}, 11},
	"short":            {"2026-03-01T08:00", time.Time{}, 16},
	"empty":            {"", time.Time{}, 0},
	"words":            {"yesterday", time.Time{}, 0},
	"strange zone":     {"2026-03-01T08:00:05CST", time.Time{}, 19},
	"absurd offset":    {"2026-03-01T08:00:05+99:00", time.Time{}, 19},
	"offset of 70 min": {"2026-03-01T08:00:05+01:70", time.Time{}, 19},
	"year 0":           {"0000-03-01T08:00:05", time.Time{}, 11},
}

func TestParseTime(t *testing.T) {
	for name, tc := range timeCases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTime(tc.text)
			offset := -1
			if se, ok := errors.AsType[*SyntaxError](err); ok {
				offset = se.Offset
			}
			if !got.Equal(tc.want) || offset != tc.offset || (err == nil) != (tc.offset < 0) {
				t.Errorf("ParseTime(%q) = %v, %v; want %v, offset %d", tc.text, got, err, tc.want, tc.offset)
			}
			if err == nil && got.Location() != time.UTC {
				t.Errorf("zone %v", got.Location())
			}
		})
	}
}

func TestTimesAreWrittenInBeijing(t *testing.T) {
	at := time.Date(2026, 2, 28, 11, 0, 5, 0, time.FixedZone("", -5*3600))
	if got := FormatTime(at); got != "2026-03-01T00:00:05" {
		t.Error(got)
	}
}

func TestSNIsEchoedAsText(t *testing.T) {
	for sn, want := range map[SN]uint64{"007": 7, "0": 0, "17": 17, NewSN(4294967295): 4294967295} {
		if n, ok := sn.Number(); !ok || n != want {
			t.Errorf("%q is %d, %v", sn, n, ok)
		}
	}
	for _, sn := range []SN{"", "x", "-1"} {
		if _, ok := sn.Number(); ok {
			t.Errorf("%q is a number", sn)
		}
	}
	m, err := Decode([]byte(`<Query><CmdType>Catalog</CmdType><SN> 007 </SN></Query>`))
	if err != nil || m.Header().SN != "007" {
		t.Error(m, err)
	}
}

func TestOptOr(t *testing.T) {
	if Some(0).Or(5) != 0 || (Opt[int]{}).Or(5) != 5 {
		t.Error("Or ignores presence")
	}
}
