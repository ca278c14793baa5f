// Package table writes tables for a terminal.
package table

import (
	"bufio"
	"io"
	"strings"
	"unicode"
)

// A Table is written in columns that are aligned as a terminal shows them: a
// Chinese character takes two cells.
type Table struct {
	Head []string // nil: none
	None string   // said when there are no rows
	rows [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table; the last column is not padded. Errors are those of w.
func (t *Table) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	if len(t.rows) == 0 && t.None != "" {
		out.WriteString(t.None + "\n")
		return out.Flush()
	}
	rows := t.rows
	if t.Head != nil {
		rows = append([][]string{t.Head}, rows...)
	}
	widths := map[int]int{}
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], Width(Clean(cell)))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			cell = Clean(cell)
			line.WriteString(cell)
			if i < len(r)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-Width(cell)+2))
			}
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.Flush()
}

// Clean replaces what is not for the eye: names come from other servers, and a
// terminal obeys control characters.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Width returns how many cells of a terminal s takes.
func Width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case wide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wide reports whether a character takes two cells: the blocks that Unicode
// Standard Annex #11 lists as wide or fullwidth.
func wide(r rune) bool {
	for _, b := range [...][2]rune{
		{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa000, 0xa4cf},
		{0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe10, 0xfe19}, {0xfe30, 0xfe6f}, {0xff01, 0xff60},
		{0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
	} {
		if r >= b[0] && r <= b[1] {
			return true
		}
	}
	return false
}
