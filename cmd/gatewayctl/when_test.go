package main

import (
	"testing"
	"time"
)

// timeCases also seed the fuzzer. An empty want is an error.
var timeCases = map[string]struct{ in, want string }{
	"zone":              {"2026-03-01T08:00:00+08:00", "2026-03-01T08:00:00+08:00"},
	"utc and fractions": {"2026-03-01T00:00:00.25Z", "2026-03-01T08:00:00.25+08:00"},
	"local":             {"2026-02-28 08:00", "2026-02-28T08:00:00+08:00"},
	"local to a second": {"2026-02-28 08:00:59", "2026-02-28T08:00:59+08:00"},
	"local with a T":    {"2026-02-28T08:00", "2026-02-28T08:00:00+08:00"},
	"a day":             {"2026-02-28", "2026-02-28T00:00:00+08:00"},
	"today":             {"08:00", "2026-03-01T08:00:00+08:00"},
	"today to a second": {"23:59:59", "2026-03-01T23:59:59+08:00"},
	"now":               {"now", "2026-03-01T12:00:00+08:00"},
	"spaces around":     {" now ", "2026-03-01T12:00:00+08:00"},
	"minutes ago":       {"-10m", "2026-03-01T11:50:00+08:00"},
	"hours and minutes": {"-1h30m", "2026-03-01T10:30:00+08:00"},
	"days ago":          {"-2d", "2026-02-27T12:00:00+08:00"},
	"days and hours":    {"-1d12h", "2026-02-28T00:00:00+08:00"},
	"later":             {"+5m", "2026-03-01T12:05:00+08:00"},
	"nothing":           {"", ""},
	"sign only":         {"-", ""},
	"two signs":         {"--5m", ""},
	"no unit":           {"-5", ""},
	"no sign":           {"5m", ""},
	"no such day":       {"2026-02-30", ""},
	"no such hour":      {"24:00", ""},
	"words":             {"yesterday", ""},
	"days of what":      {"-xd", ""},
	"too many days":     {"-99999d", ""},
	"too long ago":      {"0001-01-01", ""},
	"too late":          {"9999-12-31", ""},
	"overflow":          {"-9223372036854775808ns", ""},
}

func TestTimes(t *testing.T) {
	for name, tc := range timeCases {
		t.Run(name, func(t *testing.T) {
			got, err := parseTime(tc.in, noon, east)
			text := ""
			if err == nil {
				text = got.In(east).Format(time.RFC3339Nano)
			}
			if text != tc.want {
				t.Errorf("parseTime(%q) = %q, %v, want %q", tc.in, text, err, tc.want)
			}
		})
	}
}

func FuzzTime(f *testing.F) {
	for _, tc := range timeCases {
		f.Add(tc.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := parseTime(in, noon, east)
		if err != nil {
			return
		}
		again, err := parseTime(got.Format(time.RFC3339Nano), noon, east)
		if err != nil || !again.Equal(got) {
			t.Errorf("%q is %v, and that is %v, %v", in, got, again, err)
		}
	})
}

func TestSpansAndSizesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", time.Hour: "1h00m", 49*time.Hour + time.Minute: "2d01h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949: "9.9 kB", 9_950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 1 << 62: "4.6 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
