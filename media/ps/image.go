package ps

import "districtgateway/media"

// DefaultPayload is how many bytes of program stream one RTP packet carries
// where nothing else is asked for: it fits any path (RFC 2250 §2, RFC 3550).
const DefaultPayload = 1400

// A Span is a run of bytes of an [Image]: in the stream's ring or, if Header,
// among the bytes the image owns.
type Span struct {
	media.Range
	Header bool
}

// An Image is the pack of one access unit as it goes on the wire: Spans in
// order, Size bytes in all. It is reused by each [Muxer.Mux]; an image that has
// grown to the largest picture allocates no more. It is valid until the ring
// overwrites the access unit or the image is used again.
type Image struct {
	Spans  []Span
	Size   int
	header []byte
	sealed int // bytes of header that spans cover
}

func (img *Image) reset() {
	img.Spans, img.Size = img.Spans[:0], 0
	img.header, img.sealed = img.header[:0], 0
}

// seal makes the header bytes appended since the last seal part of the image.
func (img *Image) seal() {
	n := uint32(len(img.header) - img.sealed)
	if n == 0 {
		return
	}
	img.Spans = append(img.Spans, Span{media.Range{Off: uint64(img.sealed), Len: n}, true})
	img.sealed += int(n)
	img.Size += int(n)
}

// add makes g, which is not empty, part of the image.
func (img *Image) add(g media.Range) {
	if last := len(img.Spans) - 1; last >= 0 && !img.Spans[last].Header && img.Spans[last].End() == g.Off {
		img.Spans[last].Len += g.Len
	} else {
		img.Spans = append(img.Spans, Span{Range: g})
	}
	img.Size += int(g.Len)
}

// Bytes returns the memory of s, a span of img or a part of one. R is the ring
// the access unit lies in and must still hold it. The slice must not be written;
// it is valid as long as the image is.
func (img *Image) Bytes(s Span, r *media.Ring) []byte {
	if s.Header {
		return img.header[s.Off:s.End():s.End()]
	}
	return r.Bytes(s.Range)
}

// AppendTo appends the whole image to dst and returns it: what a file of program
// stream consists of.
func (img *Image) AppendTo(dst []byte, r *media.Ring) []byte {
	for _, s := range img.Spans {
		dst = append(dst, img.Bytes(s, r)...)
	}
	return dst
}

// Cut returns a cutter at the image's first piece. A piece has maxPayload bytes
// ([DefaultPayload] if it is not positive), the last one what is left.
func (img *Image) Cut(maxPayload int) Cutter {
	if maxPayload <= 0 {
		maxPayload = DefaultPayload
	}
	return Cutter{img: img, max: maxPayload}
}

// A Cutter walks an [Image] in pieces, each the payload of one RTP packet,
// without copying. It is valid as long as the image is.
type Cutter struct {
	img   *Image
	max   int
	piece int    // the next piece
	span  int    // the span it begins in
	off   uint32 // and where in it
}

// Pieces returns how many pieces there are in all.
func (c *Cutter) Pieces() int { return (c.img.Size + c.max - 1) / c.max }

// Piece returns the number, from 0, of the piece that Next hands out next. It
// equals Pieces when there is none; the piece before that carries the marker.
func (c *Cutter) Piece() int { return c.piece }

// Next appends the spans of the next piece to dst and returns it, or dst
// unchanged when there are no more.
func (c *Cutter) Next(dst []Span) []Span {
	room := uint32(c.max)
	if c.span < len(c.img.Spans) {
		c.piece++
	}
	for ; room > 0 && c.span < len(c.img.Spans); c.span, c.off = c.span+1, 0 {
		s := c.img.Spans[c.span]
		s.Off, s.Len = s.Off+uint64(c.off), s.Len-c.off
		if s.Len > room {
			s.Len = room
			c.off += room
			return append(dst, s)
		}
		room -= s.Len
		dst = append(dst, s)
	}
	return dst
}

// Seek makes piece k, 0 ≤ k ≤ Pieces, the next one: how a sender resumes after a
// partial write.
func (c *Cutter) Seek(k int) {
	c.piece, c.span, c.off = k, 0, 0
	rest := k * c.max
	for ; c.span < len(c.img.Spans); c.span++ {
		n := int(c.img.Spans[c.span].Len)
		if rest < n {
			c.off = uint32(rest)
			return
		}
		rest -= n
	}
}
