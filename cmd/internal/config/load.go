package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile bounds the file: a configuration is written by hand.
const maxFile = 1 << 20

// A FieldError is one fault of a configuration.
type FieldError struct {
	Path string // of the key, such as upper[0].address
	Got  string // what stands there; empty if nothing does
	Want string // what would be right
	Line int    // 1 for the first; 0 if it has none
}

func (e *FieldError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	b.WriteString(e.Path)
	if e.Got != "" {
		fmt.Fprintf(&b, " = %s", e.Got)
	}
	return b.String() + ": " + e.Want
}

// Load reads and checks the file at path.
func Load(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return File{}, err
	}
	if len(text) > maxFile {
		return File{}, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return Parse(text)
}

// Parse reads a configuration, fills in defaults and checks it. All faults are
// reported at once, joined, each a *FieldError, in the order of their lines.
func Parse(text []byte) (File, error) {
	f := File{}
	setDefaults(reflect.ValueOf(&f).Elem())
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(&f)
	if err != nil {
		return File{}, syntaxError(err)
	}
	lines := locate(text)
	var faults []*FieldError
	for _, k := range meta.Undecoded() {
		faults = append(faults, unknownKey(k, lines))
	}
	setElementDefaults(&f, meta, lines)
	for _, e := range f.validate() {
		e.Line = lines.of(e.Path)
		faults = append(faults, e)
	}
	return f, join(faults)
}

// join sorts faults by line and joins them.
func join(faults []*FieldError) error {
	slices.SortStableFunc(faults, func(a, b *FieldError) int { return a.Line - b.Line })
	errs := make([]error, len(faults))
	for i, e := range faults {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// typeError is how the TOML reader words a value of the wrong type.
var typeError = regexp.MustCompile(`^line (\d+) \(last key "([^"]*)"\): (.*)$`)

// syntaxError turns an error of the TOML reader into a FieldError.
func syntaxError(err error) error {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		text := strings.TrimPrefix(err.Error(), "toml: ")
		if m := typeError.FindStringSubmatch(text); m != nil {
			line, _ := strconv.Atoi(m[1])
			return &FieldError{Path: m[2], Want: m[3], Line: line}
		}
		return &FieldError{Path: "file", Want: text}
	}
	want := pe.Message
	if want == "" {
		want = pe.Error()
	}
	path := pe.LastKey
	if path == "" {
		path = "file"
	}
	return &FieldError{Path: path, Want: want, Line: pe.Position.Line}
}

// unknownKey reports a key that no section has, and the nearest that one has.
func unknownKey(k toml.Key, lines positions) *FieldError {
	t := reflect.TypeFor[File]()
	for _, part := range k[:len(k)-1] {
		f, ok := fieldByKey(t, part)
		if !ok {
			break
		}
		if t = f.Type; t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	want := "no such key"
	if near := nearest(k[len(k)-1], keysOf(t)); near != "" {
		want += fmt.Sprintf("; did you mean %q?", near)
	}
	return &FieldError{Path: k.String(), Want: want, Line: lines.of(k.String())}
}

// fieldByKey finds the field of struct t with a key.
func fieldByKey(t reflect.Type, key string) (reflect.StructField, bool) {
	if t.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("toml") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func keysOf(t reflect.Type) []string {
	var keys []string
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			keys = append(keys, t.Field(i).Tag.Get("toml"))
		}
	}
	return keys
}

// nearest returns the key that differs least from got, if that is little.
func nearest(got string, keys []string) string {
	best, at := "", max(2, len(got)/3)+1
	for _, k := range keys {
		if d := distance(got, k); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, cost)
		}
	}
	return row[len(b)]
}

// setDefaults fills the fields of the sections that have a default.
func setDefaults(v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Struct {
			setFieldDefaults(f, nil)
		}
	}
}

// setElementDefaults fills the fields of repeated tables that were not written.
func setElementDefaults(f *File, meta toml.MetaData, lines positions) {
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		list := v.Field(i)
		if list.Kind() != reflect.Slice {
			continue
		}
		key := v.Type().Field(i).Tag.Get("toml")
		for j := range list.Len() {
			setFieldDefaults(list.Index(j), func(name string) bool {
				return lines.has(fmt.Sprintf("%s[%d].%s", key, j, name))
			})
			setTableDefaults(list.Index(j))
		}
	}
}

// setTableDefaults fills the fields of the tables inside of v that are not set. It does
// not ask for lines, since such a table may be written on one; so a default must be
// right for an empty value, too.
func setTableDefaults(v reflect.Value) {
	for i := range v.NumField() {
		table := v.Field(i)
		if !isTable(table.Type()) || table.IsNil() {
			continue
		}
		table = table.Elem()
		setFieldDefaults(table, func(name string) bool {
			f, _ := fieldByKey(table.Type(), name)
			return !table.FieldByIndex(f.Index).IsZero()
		})
	}
}

// isTable says whether a field is a table of its own, which may be absent.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

// setFieldDefaults sets each field of struct v that has a default and that
// written does not report as set.
func setFieldDefaults(v reflect.Value, written func(key string) bool) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		text, ok := tag.Lookup("default")
		if !ok || written != nil && written(tag.Get("toml")) {
			continue
		}
		doc := fmt.Sprintf("v = %s", literal(v.Field(i), text))
		holder := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: v.Field(i).Type(), Tag: `toml:"v"`}}))
		if _, err := toml.Decode(doc, holder.Interface()); err != nil {
			panic(fmt.Sprintf("config: default %q of %s: %v", text, tag.Get("toml"), err)) // a test covers every tag
		}
		v.Field(i).Set(holder.Elem().Field(0))
	}
}

// literal writes a default as TOML: quoted unless the field is a number or bool.
func literal(v reflect.Value, text string) string {
	switch v.Interface().(type) {
	case int, bool:
		return text
	}
	return strconv.Quote(text)
}
