package footage

import (
	"bufio"
	"errors"
	"io"
	"time"

	"districtgateway/media"
)

// Bounds of what is kept in memory.
const (
	maxHead   = 4 << 20  // a moov or moof
	maxSample = 32 << 20 // a picture
)

// A Sample is one access unit or one frame of sound.
type Sample struct {
	Track    *Track
	DTS      time.Duration // since the start of the file's clock
	PTS      time.Duration
	Duration time.Duration
	Key      bool   // a sync sample
	Damaged  bool   // the gateway marked it as having lost packets
	Data     []byte // as in the file; the caller's
}

// NALs returns the NAL units of a video sample without their lengths. They lie
// in s.Data.
func (s Sample) NALs() ([][]byte, error) {
	var units [][]byte
	size := s.Track.lengthSize
	if size == 0 {
		return nil, errors.New("track without NAL units")
	}
	for b := s.Data; len(b) > 0; {
		n := 0
		for _, c := range b[:min(size, len(b))] {
			n = n<<8 | int(c)
		}
		if len(b) < size || n > len(b)-size {
			return nil, &SyntaxError{int64(len(s.Data) - len(b)), "a NAL unit within its sample"}
		}
		units = append(units, b[size:size+n])
		b = b[size+n:]
	}
	return units, nil
}

// Decodable reports whether a decoder can start with this sample: parameter sets
// are known, and it holds a picture that refers to no other (ITU-T H.264 table
// 7-1, nal_unit_type 5; ITU-T H.265 table 7-1, 16 to 23).
func (s Sample) Decodable() bool {
	if !s.Key || s.Damaged || len(s.Track.Parameters) == 0 {
		return false
	}
	units, err := s.NALs()
	for _, u := range units {
		if err != nil || len(u) < 3 {
			continue
		}
		if s.Track.Codec == media.H264 && u[0]&0x1f == 5 {
			return true
		}
		if kind := u[0] >> 1 & 0x3f; s.Track.Codec == media.H265 && kind >= 16 && kind <= 23 {
			return true
		}
	}
	return false
}

// A Reader reads samples from a stream of fragmented MP4, each as soon as its
// last byte is there. Samples come in the order of the file: within a fragment
// usually one track after the other. One goroutine at a time.
type Reader struct {
	in     *bufio.Reader
	at     int64 // bytes read
	tracks []*Track
	coming []entry // of the moof whose mdat has not begun
	ready  []entry // in the mdat being read
	end    int64   // of that mdat
	err    error
}

// NewReader returns a reader of r. It reads ahead at most what r has.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 64<<10)} }

// Tracks returns the tracks, which are known once Next has returned a sample.
func (r *Reader) Tracks() []*Track { return r.tracks }

// Next returns the next sample; io.EOF after the last whole one,
// io.ErrUnexpectedEOF if the stream ends inside of one, a *SyntaxError if it is
// no fragmented MP4.
func (r *Reader) Next() (Sample, error) {
	for r.err == nil && len(r.ready) == 0 {
		r.err = r.box()
	}
	if r.err != nil {
		return Sample{}, r.err
	}
	e := r.ready[0]
	r.ready = r.ready[1:]
	if r.err = r.discard(e.at - r.at); r.err != nil {
		return Sample{}, r.err
	}
	s := Sample{Track: e.track, DTS: e.dts, PTS: e.dts + e.offset, Duration: e.duration,
		Key: e.flags&sampleNotSync == 0, Damaged: e.flags&sampleDegraded != 0}
	s.Data, r.err = r.read(int64(e.size))
	return s, r.err
}

// box reads the next box of the stream, or the head of an mdat.
func (r *Reader) box() error {
	if err := r.discard(r.end - r.at); err != nil {
		return err
	}
	start := r.at
	h, err := r.header()
	if err != nil {
		return err
	}
	switch h.kind {
	case "moov", "moof":
		return r.head(h, start)
	case "mdat":
		return r.data(h)
	}
	if h.body < 0 {
		return &SyntaxError{start, "a box with a size, or mdat"}
	}
	r.end = r.at + h.body
	return nil
}

// header reads the header of a box. A stream may end before it, unless a moof
// has announced samples.
func (r *Reader) header() (header, error) {
	start := r.at
	b, err := r.in.Peek(8)
	if len(b) == 0 && errors.Is(err, io.EOF) && len(r.coming) == 0 {
		return header{}, io.EOF
	}
	h, need, err2 := parseHeader(b, start)
	if need == 16 {
		b, err = r.in.Peek(16)
		h, need, err2 = parseHeader(b, start)
	}
	if need > 0 {
		return h, whole(err)
	}
	if err2 != nil {
		return h, err2
	}
	return h, r.discard(h.size)
}

// head reads a moov or moof.
func (r *Reader) head(h header, start int64) error {
	if h.body < 0 || h.body > maxHead {
		return &SyntaxError{start, "a moov or moof of 4 MiB at most"}
	}
	body, err := r.read(h.body)
	if err != nil {
		return err
	}
	b := box{h.kind, body, start + h.size}
	if h.kind == "moov" {
		r.tracks, err = parseMoov(b)
		return err
	}
	if r.tracks == nil {
		return &SyntaxError{start, "moov before moof"}
	}
	r.coming, err = parseMoof(b, start, r.tracks)
	return err
}

// data begins an mdat: the samples announced must lie in it.
func (r *Reader) data(h header) error {
	r.ready, r.coming = r.coming, nil
	r.end = r.at + h.body
	if h.body < 0 { // to the end of the stream, so nothing is behind the last sample
		r.end = r.at
		if n := len(r.ready); n > 0 {
			r.end = r.ready[n-1].at + int64(r.ready[n-1].size)
		}
	}
	if !within(r.ready, r.at, r.end) {
		return &SyntaxError{r.at, "mdat with the samples of its moof"}
	}
	return nil
}

// read returns the next n bytes. It allocates as they come: a stated size alone
// costs nothing.
func (r *Reader) read(n int64) ([]byte, error) {
	const step = 1 << 20
	b := make([]byte, 0, min(n, step))
	for int64(len(b)) < n {
		from := len(b)
		b = append(b, make([]byte, min(n-int64(from), step))...)
		got, err := io.ReadFull(r.in, b[from:])
		r.at += int64(got)
		if err != nil {
			return nil, whole(err)
		}
	}
	return b, nil
}

// discard passes over n bytes.
func (r *Reader) discard(n int64) error {
	if n <= 0 {
		return nil
	}
	got, err := io.CopyN(io.Discard, r.in, n)
	r.at += got
	return whole(err)
}

// whole turns an end where none may be into what it is.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
