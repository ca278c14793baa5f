package table

import (
	"bytes"
	"strings"
	"testing"
)

func TestColumnsAlignInCells(t *testing.T) {
	tb := Table{Head: []string{"NAME", "ID", "REST"}}
	tb.Add("断桥残雪", "1", "x")
	tb.Add("gate", "12345", "")
	tb.Add("e\u0301té", "2", "\x1b[31mred\n")
	var b bytes.Buffer
	if err := tb.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME      ID     REST\n" +
		"断桥残雪  1      x\n" +
		"gate      12345\n" +
		"e\u0301té       2      \ufffd[31mred\ufffd\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestEmptyTableSaysSo(t *testing.T) {
	var b bytes.Buffer
	if err := (&Table{Head: []string{"A"}, None: "nothing"}).Write(&b); err != nil || b.String() != "nothing\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// widths also seed the fuzzer.
var widths = map[string]int{
	"": 0, "abc": 3, "西湖区": 6, "ｶﾅ": 2, "한국": 4, "ＡＢ": 4, "e\u0301": 1, "“”": 2, "。": 2, "📷": 2,
}

func TestWidth(t *testing.T) {
	for s, want := range widths {
		if got := Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
}

func FuzzTable(f *testing.F) {
	for s := range widths {
		f.Add(s, "x")
	}
	f.Add("\x1b]0;title\a", "\u202eevil")
	f.Fuzz(func(t *testing.T, a, b string) {
		tb := Table{}
		tb.Add(a, "|", b)
		tb.Add(b, "|", a)
		var out bytes.Buffer
		if err := tb.Write(&out); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		if len(lines) != 3 || strings.ContainsAny(out.String(), "\x1b\r\a\u202e") {
			t.Fatalf("%q", out.String())
		}
		at := func(line, first string) int {
			first = Clean(first)
			return Width(first) + strings.Index(line[len(first):], "|")
		}
		if at(lines[0], a) != at(lines[1], b) {
			t.Errorf("columns differ: %q", out.String())
		}
	})
}
