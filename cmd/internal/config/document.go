package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"districtgateway/domain"
)

// WriteReference writes the reference of every key, in Markdown.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\nOne TOML file, given to `gatewayd` with `--config`. It is read strictly: an unknown key,\n" +
		"a value of the wrong type or out of range is reported with its line, all faults at once.\n" +
		"`gatewayctl config check FILE` does the same without a running daemon.\n\n" +
		"Durations are written like `90s`, `5m`, `1h`; sizes like `500MB`, `4MiB`, `2TB`.\n" +
		"This page is generated from the program: `make docs`.\n")
	t := reflect.TypeFor[File]()
	for i := range t.NumField() {
		section(&b, t.Field(i))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// section writes one table of the reference.
func section(b *strings.Builder, f reflect.StructField) {
	name, t := "["+f.Tag.Get("toml")+"]", f.Type
	if t.Kind() == reflect.Slice {
		name, t = "["+name+"]", t.Elem()
	}
	fmt.Fprintf(b, "\n## `%s`\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", name, f.Tag.Get("doc"))
	rows(b, "", t)
}

// rows writes the keys of a table, and of the tables inside of it.
func rows(b *strings.Builder, prefix string, t reflect.Type) {
	for i := range t.NumField() {
		k := t.Field(i)
		meaning := k.Tag.Get("doc")
		if ex := k.Tag.Get("example"); ex != "" {
			meaning += " Example: `" + ex + "`."
		}
		key := prefix + k.Tag.Get("toml")
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, typeName(k.Type), defaultOf(k), meaning)
		if isTable(k.Type) {
			rows(b, key+".", k.Type.Elem())
		}
	}
}

func defaultOf(f reflect.StructField) string {
	if d, ok := f.Tag.Lookup("default"); ok {
		return "`" + d + "`"
	}
	if f.Tag.Get("need") != "" {
		return "must be set"
	}
	return ""
}

// typeName is what a person calls the type of a key.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[domain.Secret]():
		return "password"
	case reflect.TypeFor[PortRange]():
		return "port range"
	}
	if isTable(t) {
		return "table"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true/false"
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	}
	return "text"
}
