package main

import (
	"time"

	"districtgateway/cmd/internal/api"
)

// timelineCells is the length of a timeline: with both its ends it fits a line of 80.
const timelineCells = 60

// timeline draws a range in cells of equal length: '=' is recorded, 'A' has footage of
// an alarm, '-' is recorded in part, and '.' is not recorded.
func timeline(items []api.Recording, from, to time.Time) string {
	cell := max(to.Sub(from)/timelineCells, 1)
	line := make([]byte, timelineCells)
	for i := range line {
		begin := from.Add(time.Duration(i) * cell)
		line[i] = mark(items, begin, begin.Add(cell))
	}
	return string(line)
}

// mark is the cell of a timeline from one instant to another.
func mark(items []api.Recording, from, to time.Time) byte {
	covered, alarm := time.Duration(0), false
	for _, r := range items {
		if r.Gap != "" {
			continue
		}
		begin, end := r.From, r.To
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		if d := end.Sub(begin); d > 0 {
			covered += d
			alarm = alarm || r.Kind == "alarm"
		}
	}
	// What one server and another have overlaps, and between two segments there may be
	// some milliseconds: a cell is full if next to nothing of it is missing.
	switch missing := to.Sub(from) - covered; {
	case alarm:
		return 'A'
	case covered == 0:
		return '.'
	case missing > to.Sub(from)/20:
		return '-'
	}
	return '='
}
