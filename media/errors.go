package media

import "strconv"

// A SyntaxError says where and why input could not be read.
type SyntaxError struct {
	Offset int    // bytes from the start of the input
	Field  string // what was being read
	Want   string // what would have been right
}

// Error returns a text such as "at byte 0: version: want 2".
func (e *SyntaxError) Error() string {
	return "at byte " + strconv.Itoa(e.Offset) + ": " + e.Field + ": want " + e.Want
}
