package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// local are the forms of a time without a zone.
var local = []string{
	"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02",
}

// clock are the forms of a time of today.
var clock = []string{"15:04:05", "15:04"}

// parseTime reads a time as the manual describes; see times. now decides what
// relative times and times of today are, zone what local ones are.
func parseTime(text string, now time.Time, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "now" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return inEra(text, t)
	}
	for _, form := range local {
		if t, err := time.ParseInLocation(form, text, zone); err == nil {
			return inEra(text, t)
		}
	}
	for _, form := range clock {
		if t, err := time.Parse(form, text); err == nil {
			y, m, d := now.In(zone).Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone), nil
		}
	}
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		if d, err := parseSpan(text[1:]); err == nil {
			if text[0] == '-' {
				d = -d
			}
			return now.Add(d), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: want such as 2026-03-01T08:00:00+08:00, \"2026-03-01 08:00\", 08:00, -10m or now", text)
}

// inEra refuses years that no recording has and no protocol can write.
func inEra(text string, t time.Time) (time.Time, error) {
	if y := t.UTC().Year(); y < 1970 || y > 9998 {
		return time.Time{}, fmt.Errorf("%q: want a year from 1970 to 9998", text)
	}
	return t, nil
}

// maxSpan bounds a relative time.
const maxSpan = 50 * 366 * 24 * time.Hour

// parseSpan reads a duration; days are 24 hours: 10m, 1h30m, 2d, 2d12h.
func parseSpan(text string) (time.Duration, error) {
	var days time.Duration
	if n, rest, ok := strings.Cut(text, "d"); ok {
		v, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q: want a whole number of days", text)
		}
		days = time.Duration(v) * 24 * time.Hour
		if text = rest; text == "" {
			text = "0s"
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") || d > maxSpan || days+d > maxSpan {
		return 0, fmt.Errorf("%q: want a duration such as 10m, 1h30m or 2d", text)
	}
	return days + d, nil
}

// parseRange reads FROM and TO. A TO that begins with + is counted from FROM.
func (c *call) parseRange(from, to string) (a, b time.Time, err error) {
	now := c.now()
	if a, err = parseTime(from, now, c.zone); err != nil {
		return a, b, usagef("FROM: %v", err)
	}
	base := now
	if strings.HasPrefix(to, "+") {
		base = a
	}
	if b, err = parseTime(to, base, c.zone); err != nil {
		return a, b, usagef("TO: %v", err)
	}
	if !a.Before(b) {
		return a, b, usagef("FROM %s is not before TO %s", c.stamp(a), c.stamp(b))
	}
	return a, b, nil
}
