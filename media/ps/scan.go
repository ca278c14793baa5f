package ps

import "bytes"

// A scan looks for the start-code prefix 000001 in bytes that come in pieces.
type scan struct {
	zeros  int  // zero bytes at the end of what was seen, since the last prefix
	prefix bool // the last byte seen ended a prefix: the next one says of what
	before int  // zero bytes before the 01 of the last prefix
}

// next looks for a prefix in b, which continues what was seen before. End is the
// index behind the prefix, -1 if there is none; s.before then is how many zero
// bytes precede the prefix's 01, at least 2. It goes from 01 to 01, since those are
// about 1 in 256 bytes of coded video, where zeros are more frequent.
func (s *scan) next(b []byte) (end int) {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], 1)
		if i < 0 {
			s.zeros = s.run(b)
			return -1
		}
		from += i + 1
		if from >= 2 && b[from-2] != 0 {
			continue
		}
		if zeros := s.run(b[:from-1]); zeros >= 2 {
			s.zeros, s.before, s.prefix = 0, zeros, true
			return from
		}
	}
}

// run returns how many zero bytes b ends with, those before b included.
func (s *scan) run(b []byte) int {
	n := 0
	for n < len(b) && b[len(b)-1-n] == 0 {
		n++
	}
	if n == len(b) {
		n += s.zeros
	}
	return n
}

// structure looks for the prefix of a structure of the program stream. It
// returns how many bytes it has used and, if it found one, its stream_id, which
// was the last of them. Without one it has used all of b.
func (s *scan) structure(b []byte) (used int, id byte) {
	for {
		if s.prefix {
			if used == len(b) {
				return used, 0
			}
			s.prefix = false
			if structural(b[used]) {
				return used + 1, b[used]
			}
		}
		end := s.next(b[used:])
		if end < 0 {
			return len(b), 0
		}
		used += end
	}
}
