package pelco

import "fmt"

// bodyAt is where the payload of a frame begins.
const bodyAt = 2

// A SyntaxError reports bytes that are no frame, or a frame that means nothing.
type SyntaxError struct {
	Offset int // of the byte, 0 for the first
	Field  string
	Want   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("byte %d: %s: want %s", e.Offset, e.Field, e.Want)
}

// Parse reads the one frame that b is. The error is a *[SyntaxError]; a frame that is
// read becomes the same bytes again by Append.
func (p Protocol) Parse(b []byte) (Frame, error) {
	if err := p.whole(b); err != nil {
		return Frame{}, err
	}
	f := Frame{Address: b[1]}
	if p == P {
		f.Address++ // 255 becomes 0, which is refused like every other above 32
	}
	if f.Address < 1 || int(f.Address) > p.MaxAddress() {
		return Frame{}, &SyntaxError{Offset: 1, Field: "address", Want: fmt.Sprintf("that of dome 1 to %d", p.MaxAddress())}
	}
	body := payload(b[bodyAt : bodyAt+4])
	var err error
	if body[1]&extended != 0 {
		f.Command, err = parseAction(body)
	} else {
		f.Command, err = p.parseMotion(body)
	}
	if err != nil {
		return Frame{}, err
	}
	return f, nil
}

// whole checks what every frame has, whatever it means.
func (p Protocol) whole(b []byte) error {
	last := p.Len() - 1
	switch {
	case len(b) != p.Len():
		return &SyntaxError{Offset: len(b), Field: "frame", Want: fmt.Sprintf("%d bytes", p.Len())}
	case b[0] != p.start():
		return &SyntaxError{Offset: 0, Field: "start", Want: fmt.Sprintf("%02X", p.start())}
	case p == P && b[pEndAt] != pEnd:
		return &SyntaxError{Offset: pEndAt, Field: "end", Want: "AF"}
	case b[last] != p.check(b):
		return &SyntaxError{Offset: last, Field: "checksum", Want: fmt.Sprintf("%02X", p.check(b))}
	}
	return nil
}

func (p Protocol) start() byte {
	if p == P {
		return pStart
	}
	return dStart
}

// A Scanner finds the frames in the bytes of a line, which may begin within a frame
// and be damaged. It holds one frame at most and looks at each byte as often at most as
// a frame has bytes. The zero value reads Pelco-D.
type Scanner struct {
	Protocol Protocol
	Skipped  int // bytes that belonged to no frame
	Unknown  int // whole frames that mean nothing to Parse

	buf  [pLen]byte
	held int
}

// Feed takes the next bytes and returns the frames that they complete.
func (s *Scanner) Feed(b []byte) (frames []Frame) {
	for _, c := range b {
		s.buf[s.held] = c
		s.held++
		if f, ok := s.next(); ok {
			frames = append(frames, f)
		}
	}
	return frames
}

// next returns the frame that fills the buffer. What cannot become one is dropped from
// the front, up to the next byte that may begin a frame.
func (s *Scanner) next() (Frame, bool) {
	for s.held > 0 {
		full := s.held == s.Protocol.Len()
		switch {
		case s.buf[0] == s.Protocol.start() && !full:
			return Frame{}, false
		case full && s.Protocol.whole(s.buf[:s.held]) == nil:
			f, err := s.Protocol.Parse(s.buf[:s.held])
			s.held = 0
			if err != nil {
				s.Unknown++
			}
			return f, err == nil
		}
		s.held = copy(s.buf[:], s.buf[1:s.held])
		s.Skipped++
	}
	return Frame{}, false
}
