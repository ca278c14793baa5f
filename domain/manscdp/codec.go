package manscdp

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// codec walks the fields of a message once for both directions: a message says
// which fields it has and in which order, the codec reads or writes them. So
// what is written is by construction what is read.
type codec struct {
	doc     *document // reading if not nil
	at      int32     // reading: the element whose children are read
	out     []byte    // writing: UTF-8
	version Version   // writing: the edition of the receiver
	err     error     // writing: the first fault
}

func (c *codec) reading() bool { return c.doc != nil }

// find returns the first child of the current element with that name, 0 if none.
func (c *codec) find(name string) int32 {
	return c.from(c.doc.elements[c.at].first, name)
}

// from returns the first of the siblings from id on with that name.
func (c *codec) from(id int32, name string) int32 {
	for ; id != 0; id = c.doc.elements[id].next {
		if foldEqual(c.doc.bytes(c.doc.elements[id].name), name) {
			return id
		}
	}
	return 0
}

// content returns the text of an element; empty for none or one with children.
func (c *codec) content(id int32) string {
	if id == 0 || c.doc.elements[id].first != 0 {
		return ""
	}
	raw := c.doc.bytes(c.doc.elements[id].text)
	if isPlain(raw) && !bytes.ContainsAny(raw, "&<") {
		return strings.Trim(string(raw), " ")
	}
	s, ok := c.doc.text.decode(raw)
	if !ok {
		c.doc.damage.Values++
	}
	return clean(unescape(s))
}

// leaf writes <name>text</name>.
func (c *codec) leaf(name, text string) {
	c.out = append(append(append(c.out, '<'), name...), '>')
	c.out = appendEscaped(c.out, text)
	c.end(name)
}

func (c *codec) begin(name string) {
	c.out = append(append(append(c.out, '<'), name...), ">\r\n"...)
}

func (c *codec) end(name string) {
	c.out = append(append(append(c.out, "</"...), name...), ">\r\n"...)
}

// text is an optional string: not written when empty.
func (c *codec) text(name string, p *string) {
	switch {
	case c.reading():
		*p = c.content(c.find(name))
	case *p != "":
		c.leaf(name, *p)
	}
}

// must is a string the standard demands: written even when empty.
func (c *codec) must(name string, p *string) {
	if c.reading() {
		*p = c.content(c.find(name))
		return
	}
	c.leaf(name, *p)
}

// id is an identity: a text that was not ended by its own tag may be a shorter
// identity than the one meant, so it is not used.
func (c *codec) id(name string, p *string) {
	if c.reading() {
		if id := c.find(name); id != 0 && c.doc.elements[id].broken {
			c.doc.damage.Values++
			*p = ""
			return
		}
	}
	c.text(name, p)
}

// texts is a repeated string.
func (c *codec) texts(name string, p *[]string) {
	if !c.reading() {
		for _, s := range *p {
			c.leaf(name, s)
		}
		return
	}
	for id := c.find(name); id != 0; id = c.from(c.doc.elements[id].next, name) {
		*p = append(*p, c.content(id))
	}
}

// slashed is a list joined by '/'.
func (c *codec) slashed(name string, p *[]string) {
	joined := strings.Join(*p, "/")
	c.text(name, &joined)
	if !c.reading() {
		return
	}
	for part := range strings.SplitSeq(joined, "/") {
		if part = strings.TrimSpace(part); part != "" {
			*p = append(*p, part)
		}
	}
}

// number is an optional integer of 32 bits.
func (c *codec) number(name string, p *Opt[int]) {
	wide := Opt[int64]{int64(p.Value), p.Set}
	c.integer(name, &wide, 32)
	*p = Opt[int]{int(wide.Value), wide.Set}
}

// mustNumber is an integer the standard demands; def is written when it is unset.
func (c *codec) mustNumber(name string, p *Opt[int], def int) {
	if c.reading() {
		c.number(name, p)
		return
	}
	c.leaf(name, strconv.Itoa(p.Or(def)))
}

// integer is an optional integer of that many bits.
func (c *codec) integer(name string, p *Opt[int64], bits int) {
	if !c.reading() {
		if p.Set {
			c.leaf(name, strconv.FormatInt(p.Value, 10))
		}
		return
	}
	if s := c.content(c.find(name)); s != "" {
		n, err := strconv.ParseInt(s, 10, bits)
		if err != nil {
			c.doc.damage.Values++
			return
		}
		*p = Some(n)
	}
}

// maxNumber bounds decimal numbers; coordinates and speeds stay far below.
const maxNumber = 1e9

// decimal is an optional decimal number.
func (c *codec) decimal(name string, p *Opt[float64]) {
	if c.reading() {
		*p = c.readDecimal(name)
		return
	}
	switch {
	case !p.Set:
	case math.IsNaN(p.Value) || math.IsInf(p.Value, 0):
		c.fail(ErrNotFinite)
	default:
		c.leaf(name, strconv.FormatFloat(p.Value, 'f', -1, 64))
	}
}

func (c *codec) readDecimal(name string) Opt[float64] {
	s := c.content(c.find(name))
	if s == "" {
		return Opt[float64]{}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "+-.0123456789") != "" || math.Abs(v) > maxNumber {
		c.doc.damage.Values++
		return Opt[float64]{}
	}
	return Some(v)
}

// instant is an optional time; the zero Time is absent.
func (c *codec) instant(name string, p *time.Time) {
	if !c.reading() {
		if !p.IsZero() {
			c.leaf(name, FormatTime(*p))
		}
		return
	}
	s := c.content(c.find(name))
	if s == "" {
		return
	}
	t, err := ParseTime(s)
	if err != nil {
		c.doc.damage.Values++
		return
	}
	*p = t
}

// state is a Status with the words for on and off.
func (c *codec) state(name string, p *Status, on, off string) {
	s := ""
	switch *p {
	case StatusOn:
		s = on
	case StatusOff:
		s = off
	}
	c.text(name, &s)
	if c.reading() {
		*p = parseStatus(s)
	}
}

func (c *codec) result(name string, p *Result) {
	s := p.String()
	c.text(name, &s)
	if c.reading() {
		*p = parseResult(s)
	}
}

// in walks the fields of a nested element. It is not written when it would be
// empty.
func (c *codec) in(name string, fields func(*codec)) {
	if c.reading() {
		if id := c.find(name); id != 0 {
			c.within(id, fields)
		}
		return
	}
	start := len(c.out)
	c.begin(name)
	inner := len(c.out)
	fields(c)
	if len(c.out) == inner {
		c.out = c.out[:start]
		return
	}
	c.end(name)
}

// group is in, but written even when empty.
func (c *codec) group(name string, fields func(*codec)) {
	if c.reading() {
		c.in(name, fields)
		return
	}
	c.begin(name)
	fields(c)
	c.end(name)
}

func (c *codec) within(id int32, fields func(*codec)) {
	outer := c.at
	c.at = id
	fields(c)
	c.at = outer
}

func (c *codec) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// extra is the repeatable extension element ExtraInfo of the 2022 edition.
func (c *codec) extra(p *[]string) {
	if !c.reading() && len(*p) > MaxExtraInfos {
		c.fail(ErrExtraInfo)
	}
	var kept []string
	c.texts("ExtraInfo", p)
	for _, s := range *p {
		switch {
		case len([]rune(s)) <= MaxExtraInfo && len(kept) < MaxExtraInfos:
			kept = append(kept, s)
		case c.reading():
			c.doc.damage.Values++
		default:
			c.fail(ErrExtraInfo)
		}
	}
	if c.reading() {
		*p = kept
	}
}

// Bounds of ExtraInfo: the length in characters is the standard's (2022), the
// number of them our own.
const (
	MaxExtraInfo  = 1024
	MaxExtraInfos = 64
)

// block is an optional nested element with its own struct.
func block[T any](c *codec, name string, p **T, fields func(*codec, *T)) {
	if c.reading() {
		id := c.find(name)
		if id == 0 {
			return
		}
		*p = new(T)
		c.within(id, func(c *codec) { fields(c, *p) })
		return
	}
	if *p == nil {
		return
	}
	c.begin(name)
	fields(c, *p)
	c.end(name)
}

// list is <name Num="n"> of items; it is not written when empty, since an empty
// answer has no list (Annex M of 2022, N of 2016), except where always says so.
// Without a name the items stand bare. known tells whether an item read has its
// identity; those without are dropped.
type list[T any] struct {
	name, item string
	always     bool
	fields     func(*codec, *T)
	known      func(*T) bool
}

func (l list[T]) walk(c *codec, items *[]T) {
	if c.reading() {
		l.read(c, items)
		return
	}
	if len(*items) > MaxItems {
		c.fail(ErrTooLarge)
		return
	}
	if len(*items) > 0 || l.always {
		l.write(c, *items)
	}
}

func (l list[T]) write(c *codec, items []T) {
	if l.name == "" {
		for i := range items {
			l.writeItem(c, &items[i])
		}
		return
	}
	c.out = append(append(append(c.out, '<'), l.name...), ` Num="`...)
	c.out = append(strconv.AppendInt(c.out, int64(len(items)), 10), "\">\r\n"...)
	for i := range items {
		l.writeItem(c, &items[i])
	}
	c.end(l.name)
}

func (l list[T]) writeItem(c *codec, item *T) {
	c.begin(l.item)
	l.fields(c, item)
	c.end(l.item)
}

// read collects the items of every list of that name, and items with an identity
// that lost their list by broken markup.
func (l list[T]) read(c *codec, items *[]T) {
	for id := c.doc.elements[c.at].first; id != 0; id = c.doc.elements[id].next {
		switch name := c.doc.bytes(c.doc.elements[id].name); {
		case foldEqual(name, l.name):
			l.readList(c, id, items)
		case foldEqual(name, l.item) && (l.name == "" || l.known != nil):
			l.readItem(c, id, items)
		}
	}
}

func (l list[T]) readList(c *codec, id int32, items *[]T) {
	n, first := 0, c.from(c.doc.elements[id].first, l.item)
	for item := first; item != 0; item = c.from(c.doc.elements[item].next, l.item) {
		n++
	}
	*items = slices.Grow(*items, n)
	for item := first; item != 0; item = c.from(c.doc.elements[item].next, l.item) {
		l.readItem(c, item, items)
	}
}

// readItem reads an item in its place and takes it back if it is not whole.
func (l list[T]) readItem(c *codec, id int32, items *[]T) {
	n := len(*items)
	if c.doc.elements[id].open {
		c.doc.damage.Items++
		return
	}
	*items = append(*items, *new(T))
	item := &(*items)[n]
	outer := c.at
	c.at = id
	l.fields(c, item)
	c.at = outer
	if l.known != nil && !l.known(item) {
		c.doc.damage.Items++
		*items = (*items)[:n]
	}
}
