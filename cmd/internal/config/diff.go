package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/BurntSushi/toml"

	"districtgateway/domain"
)

// A Change is one key whose value differs between two configurations. Secrets
// show that they differ, not how.
type Change struct {
	Path string `json:"path"`
	Old  string `json:"old"` // empty: not set
	New  string `json:"new"`
}

func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("+ %s = %s", c.Path, c.New)
	case c.New == "":
		return fmt.Sprintf("- %s = %s", c.Path, c.Old)
	}
	return fmt.Sprintf("~ %s = %s -> %s", c.Path, c.Old, c.New)
}

// Diff lists what must be changed to turn a into b, in the order of the keys.
func Diff(a, b File) []Change {
	old, now := map[string]leaf{}, map[string]leaf{}
	paths := flatten(reflect.ValueOf(a), "", old)
	for _, p := range flatten(reflect.ValueOf(b), "", now) {
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	var changes []Change
	for _, p := range paths {
		if old[p].value != now[p].value {
			changes = append(changes, Change{Path: p, Old: old[p].shown, New: now[p].shown})
		}
	}
	return changes
}

// A leaf is one value: as compared, and as shown.
type leaf struct{ value, shown string }

// flatten lists the set values below v by path.
func flatten(v reflect.Value, path string, into map[string]leaf) (paths []string) {
	switch v.Kind() {
	case reflect.Struct:
		if _, plain := v.Interface().(PortRange); plain {
			break
		}
		for i := range v.NumField() {
			key := v.Type().Field(i).Tag.Get("toml")
			if path != "" {
				key = path + "." + key
			}
			paths = append(paths, flatten(v.Field(i), key, into)...)
		}
		return paths
	case reflect.Slice:
		for i := range v.Len() {
			paths = append(paths, flatten(v.Index(i), fmt.Sprintf("%s[%d]", path, i), into)...)
		}
		return paths
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return flatten(v.Elem(), path, into)
	}
	if v.IsZero() {
		return nil
	}
	l := leaf{shown: fmt.Sprint(v.Interface())}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			l.shown = string(text)
		}
	}
	l.value = l.shown
	if s, ok := v.Interface().(domain.Secret); ok {
		l.value = string(s)
	}
	into[path] = l
	return []string{path}
}

// Write writes f as TOML, defaults included, secrets as ***.
func Write(w io.Writer, f File) error {
	e := toml.NewEncoder(w)
	e.Indent = ""
	return e.Encode(f)
}
