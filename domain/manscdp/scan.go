package manscdp

import (
	"bytes"
	"strconv"
)

// Bounds of a body. They are this system's own; the largest honest page, 10 000
// items, fits the item bound of the standard (GB/T 28181-2022 Annex M).
const (
	MaxBody       = 1 << 20 // bytes
	MaxDepth      = 16      // nested elements
	MaxItems      = 10000   // Item elements in one body
	MaxAttributes = 64      // attributes of one element
	maxElements   = 1 << 16
)

// An element is one node of a scanned body. Positions are bytes of the scanned
// text, links are indices into document.elements; 0 is no element.
type element struct {
	name, text        span
	first, last, next int32
	hasText           bool // something other than white space stands directly in it
	broken            bool // ended by what followed, not by an end tag
	open              bool // the document ended inside it
}

type span struct{ from, to int32 }

// A document is a scanned body: a tree of elements over the bytes.
type document struct {
	src      []byte
	elements []element // [0] stands for "none" and holds the root as first
	damage   Damage
	text     *textDecoder
}

func (d *document) bytes(s span) []byte { return d.src[s.from:s.to] }

// scanner builds a document in one pass. It looks at no byte more often than a
// fixed number of times, whatever the input: a tag ends before the next '<', a
// search for the end of a comment that found nothing is not repeated.
type scanner struct {
	*document
	at    int
	stack [MaxDepth + 1]int32 // stack[depth] is the open element
	depth int
	item  int // depth of the open Item, 0 if none
	items int
	blind [3]bool // no "-->", "]]>", "?>" in the rest
	done  bool
}

// scan reads body, which must hold no control characters but white space.
func scan(body []byte) (*document, error) {
	s := &scanner{document: &document{src: body}}
	s.elements = make([]element, 1, min(len(body)/24+8, maxElements))
	for !s.done {
		i := bytes.IndexByte(body[s.at:], '<')
		if i < 0 {
			break
		}
		s.noteText(s.at, s.at+i)
		s.at += i
		if err := s.markup(); err != nil {
			return nil, err
		}
	}
	s.finish()
	if s.elements[0].first == 0 {
		return nil, &SyntaxError{Offset: 0, Want: "a root element"}
	}
	return s.document, nil
}

// markup handles what begins with the '<' at s.at and advances past it.
func (s *scanner) markup() error {
	next := byte(0)
	if s.at+1 < len(s.src) {
		next = s.src[s.at+1]
	}
	switch {
	case next == '/':
		s.endTag()
		return nil
	case next == '?':
		s.skip("<?", "?>", 2)
		return nil
	case next == '!':
		return s.declaration()
	case isNameStart(next):
		return s.startTag()
	}
	s.literal()
	return nil
}

// declaration handles comments and CDATA and refuses everything else that
// begins with "<!": document types and entities have no place on this wire and
// are the classic way to blow a parser up.
func (s *scanner) declaration() error {
	rest := s.src[s.at:]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		s.skip("<!--", "-->", 0)
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		from := s.at
		s.skip("<![CDATA[", "]]>", 1)
		s.noteText(from, s.at)
	default:
		return &SyntaxError{Offset: s.at, Want: "no document type or entity declaration"}
	}
	return nil
}

// skip passes over opening … closing; without a closing the opening is text.
func (s *scanner) skip(opening, closing string, kind int) {
	if !s.blind[kind] {
		from := s.at + len(opening)
		if i := bytes.Index(s.src[min(from, len(s.src)):], []byte(closing)); i >= 0 {
			s.at = from + i + len(closing)
			return
		}
		s.blind[kind] = true
	}
	s.literal()
}

// literal takes the '<' at s.at for a character somebody forgot to escape.
func (s *scanner) literal() {
	s.hurt(s.at)
	s.noteText(s.at, s.at+1)
	s.at++
}

func (s *scanner) hurt(at int) {
	if s.damage.Tags == 0 {
		s.damage.Offset = at
	}
	s.damage.Tags++
}

// noteText marks the open element as holding text if [from, to) is not blank.
func (s *scanner) noteText(from, to int) {
	e := &s.elements[s.stack[s.depth]]
	if s.depth > 0 && !e.hasText && len(bytes.TrimSpace(s.src[from:to])) > 0 {
		e.hasText = true
	}
}

// startTag opens an element, first ending what cannot contain it: an element
// that already has text (MANSCDP knows no mixed content, so its end tag is
// missing) and an Item that was never closed.
func (s *scanner) startTag() error {
	nameEnd := s.nameEnd(s.at + 1)
	end, attributes := s.tagEnd(nameEnd)
	if end < 0 {
		s.literal()
		return nil
	}
	if attributes > MaxAttributes {
		return &SyntaxError{Offset: s.at, Want: "at most " + strconv.Itoa(MaxAttributes) + " attributes"}
	}
	name := span{int32(s.at + 1), int32(nameEnd)}
	if s.inUnendedText() {
		s.pop(s.depth-1, s.at, true)
	}
	if err := s.open(name, end+1); err != nil {
		return err
	}
	if s.src[end-1] == '/' {
		s.pop(s.depth-1, end+1, false)
	}
	s.at = end + 1
	return nil
}

// inUnendedText reports whether the open element is a text whose end tag is
// missing. Stray text in the root, in an Item or between elements is not that.
func (s *scanner) inUnendedText() bool {
	e := &s.elements[s.stack[s.depth]]
	return s.depth > 1 && e.hasText && e.first == 0 && s.depth != s.item
}

// open pushes an element whose content begins at from.
func (s *scanner) open(name span, from int) error {
	isItem := foldEqual(s.bytes(name), "Item")
	if isItem {
		if s.item > 0 {
			s.pop(s.item-1, int(name.from)-1, true)
		}
		s.items++
	}
	switch {
	case s.depth == MaxDepth:
		return s.over(name, MaxDepth, "levels")
	case s.items > MaxItems:
		return s.over(name, MaxItems, "items")
	case len(s.elements) == maxElements:
		return s.over(name, maxElements, "elements")
	}
	s.link(element{name: name, text: span{int32(from), int32(from)}})
	if isItem {
		s.item = s.depth
	}
	return nil
}

func (s *scanner) over(name span, limit int, what string) error {
	return &SyntaxError{Offset: int(name.from) - 1, Want: "at most " + strconv.Itoa(limit) + " " + what}
}

// link appends e as the last child of the open element and makes it the open one.
func (s *scanner) link(e element) {
	id := int32(len(s.elements))
	s.elements = append(s.elements, e)
	parent := &s.elements[s.stack[s.depth]]
	if parent.last == 0 {
		parent.first = id
	} else {
		s.elements[parent.last].next = id
	}
	parent.last = id
	s.depth++
	s.stack[s.depth] = id
}

// endTag closes the element it names, ending what is still open inside. An end
// tag that names nothing open ends the text it stands behind, else it is noise.
func (s *scanner) endTag() {
	at, nameEnd := s.at, s.nameEnd(s.at+2)
	s.at = nameEnd
	if end, _ := s.tagEnd(nameEnd); end >= 0 {
		s.at = end + 1
	} else {
		s.hurt(at)
	}
	name := string(s.src[at+2 : nameEnd])
	for d := s.depth; d > 0; d-- {
		if foldEqual(s.bytes(s.elements[s.stack[d]].name), name) {
			s.pop(d, at, true)
			s.pop(d-1, at, false)
			return
		}
	}
	s.hurt(at)
	if s.inUnendedText() {
		s.pop(s.depth-1, at, false)
	}
}

// pop closes elements down to depth; their text ends at the byte at.
func (s *scanner) pop(depth, at int, broken bool) {
	for ; s.depth > depth; s.depth-- {
		e := &s.elements[s.stack[s.depth]]
		e.text.to = int32(max(at, int(e.text.from)))
		e.broken = broken
		if broken {
			s.hurt(at)
		}
		if s.depth == s.item {
			s.item = 0
		}
	}
	s.done = s.depth == 0
}

// finish closes what the document left open.
func (s *scanner) finish() {
	for d := s.depth; d > 0; d-- {
		s.elements[s.stack[d]].open = true
	}
	if s.depth > 0 {
		s.pop(0, len(s.src), true)
	}
}

// nameEnd returns where the name that begins at i ends.
func (s *scanner) nameEnd(i int) int {
	for i < len(s.src) && isNameByte(s.src[i]) {
		i++
	}
	return i
}

// tagEnd returns the position of the '>' that ends the tag, -1 if there is none
// before the next '<', and the number of attributes. A quote that is never closed
// is forgiven: then the first '>' inside it counts.
func (s *scanner) tagEnd(i int) (end, attributes int) {
	quote, quoted := byte(0), -1
	for ; i < len(s.src) && s.src[i] != '<'; i++ {
		switch b := s.src[i]; {
		case quote != 0:
			if b == quote {
				quote, quoted = 0, -1
			} else if b == '>' && quoted < 0 {
				quoted = i
			}
		case b == '"' || b == '\'':
			quote = b
		case b == '=':
			attributes++
		case b == '>':
			return i, attributes
		}
	}
	if quoted >= 0 {
		s.hurt(quoted)
	}
	return quoted, attributes
}

func isNameStart(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' || b == '_' }

func isNameByte(b byte) bool {
	return isNameStart(b) || '0' <= b && b <= '9' || b == '-' || b == '.' || b == ':'
}

// foldEqual compares an ASCII name without regard to case.
func foldEqual(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (a[i]|0x20 != b[i]|0x20 || !isNameStart(a[i])) {
			return false
		}
	}
	return true
}
