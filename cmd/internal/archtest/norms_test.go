package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestTreeKeepsTheNorms(t *testing.T) {
	allowed := allowances(t)
	files, err := Files(root, ".go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d Go files: %v", len(files), err)
	}
	for _, rel := range files {
		source, err := read(root, rel)
		if err != nil {
			t.Fatal(err)
		}
		faults, err := Norms(rel, source)
		if err != nil {
			t.Error(err)
		}
		for _, f := range faults {
			if !allowed.takes(f) {
				t.Errorf("%s: docs/ARCHITECTURE.md, norms", f)
			}
		}
	}
	for line, used := range allowed {
		if !used {
			t.Errorf("allow.txt: nothing needs %q any more", line)
		}
	}
}

// An allowance is one line of testdata/allow.txt, "file rule words of the fault # reason",
// and whether a fault needed it.
type allowanceSet map[string]bool

func allowances(t *testing.T) allowanceSet {
	t.Helper()
	text, err := read(".", "testdata/allow.txt")
	if err != nil {
		t.Fatal(err)
	}
	set, err := parseAllowances(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func parseAllowances(text string) (allowanceSet, error) {
	set := allowanceSet{}
	for line := range strings.Lines(text) {
		what, reason, _ := strings.Cut(strings.TrimSpace(line), "#")
		what = strings.TrimSpace(what)
		switch {
		case what == "":
		case strings.TrimSpace(reason) == "" || len(strings.Fields(what)) < 3:
			return nil, fmt.Errorf("allow.txt: %q: want file, rule, words of the fault, # and the reason", line)
		default:
			set[what] = false
		}
	}
	return set, nil
}

func (set allowanceSet) takes(f Fault) bool {
	file, _, _ := strings.Cut(f.Where, ":")
	for line := range set {
		words := strings.SplitN(line, " ", 3)
		if words[0] == file && words[1] == f.Rule && strings.Contains(f.What, words[2]) {
			set[line] = true
			return true
		}
	}
	return false
}

func TestAllowanceTakesOnlyItsFault(t *testing.T) {
	set, err := parseAllowances("# nothing\n\na.go size struct of 20 # the standard's own record\n")
	if err != nil {
		t.Fatal(err)
	}
	other := Fault{"size", "b.go:3", "struct of 20 fields"}
	if set.takes(other) {
		t.Error("took the fault of another file")
	}
	if f := (Fault{"size", "a.go:3", "struct of 20 fields"}); !set.takes(f) || !set["a.go size struct of 20"] {
		t.Error("did not take its own fault")
	}
	if _, err := parseAllowances("a.go size struct of 20"); err == nil {
		t.Error("an allowance without a reason was accepted")
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	files, err := Files(root, ".go")
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string][]*ast.File{}
	for _, rel := range files {
		source, err := read(root, rel)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), rel, source, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		packages[path.Dir(rel)] = append(packages[path.Dir(rel)], f)
	}
	for dir, parsed := range packages {
		for _, f := range Documented(dir, parsed) {
			t.Error(f)
		}
	}
}

func TestDocumentedSeesAPackageWithoutAComment(t *testing.T) {
	parse := func(source string) *ast.File {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	bare, said := parse("package x"), parse("// Package x is.\npackage x")
	if got := Documented("x", []*ast.File{bare}); len(got) != 1 {
		t.Errorf("bare package: %v", got)
	}
	if got := Documented("x", []*ast.File{bare, said}); len(got) != 0 {
		t.Errorf("documented package: %v", got)
	}
}

func TestNormsSeesEachBreach(t *testing.T) {
	lines := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	for name, tc := range map[string]struct{ source, want string }{
		"good": {`
			// A T is.
			type T struct{ A, B int }
			// M does.
			func (T) M(a, b, c, d int) {}
			func (T) String() string { return "" }
			func (t unexported) Len() int { return 0 }
			// Errors.
			var (
				ErrA = 1
				table = map[string]int{"a": 1}
			)
			//go:embed x
			var page []byte
			var _ I = T{}
			`, ""},
		"long file":         {lines(maxFile, "//"), "size"},
		"long function":     {"func f() {\n" + lines(maxFunc, "g()") + "}", "size"},
		"long flat switch":  {"func f() {\nswitch a {\n" + lines(maxFunc, "case 1: g()") + "}\n}", ""},
		"long deep switch":  {"func f() {\nswitch a {\ncase 1:\n" + lines(maxFunc, "g()") + "}\n}", "size"},
		"long table":        {"func f() []int {\nreturn []int{\n" + lines(maxFunc, "1,") + "}\n}", ""},
		"table and more":    {"func f() []int {\n" + lines(maxFunc/2, "g()") + "return []int{\n" + lines(maxFunc/2, "1,") + "}\n}", "size"},
		"wide struct":       {"type t struct{\n" + lines(maxStruct/3, "a, b, c int") + "E\n}", "size"},
		"wide interface":    {"type t interface{\n" + lines(maxInterface, "M()") + "E\n}", "size"},
		"many parameters":   {"func f(a, b, c int, d, e string) {}", "size"},
		"bare function":     {"func F() {}", "doc"},
		"bare method":       {"func (t *T[K]) F() {}", "doc"},
		"bare type":         {"type T int", "doc"},
		"bare constant":     {"const C = 1", "doc"},
		"three deep":        {"func f() {\nfor {\nif a {\n} else if b {\nswitch {\ncase c: g()\n}\n}\n}\n}", ""},
		"four deep":         {"func f() {\nfor {\nselect {\ncase <-c:\nif a {\n} else if b {\nfor range d {\n}\n}\n}\n}\n}", "nesting"},
		"four deep in else": {"func f() {\nfor {\nif a {\n} else {\nfor {\nif b {\n}\n}\n}\n}\n}", "nesting"},
		"four deep inside":  {"func f() {\ng(func() {\nfor {\nfor {\nfor {\nif a {\n}\n}\n}\n}\n})\n}", "nesting"},
		"a function inside": {"func f() {\nfor {\nfor {\nfor {\ng(func() {\nif a {\n}\n})\n}\n}\n}\n}", ""},
		"init":              {"func init() {}", "state"},
		"unset variable":    {"var x int", "state"},
		"lock":              {"var mu sync.Mutex", "state"},
		"empty map":         {"var m = map[string]int{}", "state"},
		"made map":          {"var m = make(map[string]int)", "state"},
		"process":           {"func f() { os.StartProcess() }", "exec"},
		"replaced process":  {"func f() { syscall.Exec() }", "exec"},
	} {
		t.Run(name, func(t *testing.T) {
			source := "package x\n" + tc.source
			faults, err := Norms("x/x.go", []byte(source))
			if err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, f := range faults {
				rules = append(rules, f.Rule)
			}
			if got := strings.Join(slices.Compact(rules), " "); got != tc.want {
				t.Errorf("faults %v, want rule %q", faults, tc.want)
			}
		})
	}
	generated := "// Code generated by x. DO NOT EDIT.\n\npackage x\ntype T int"
	if faults, err := Norms("x.go", []byte(generated)); err != nil || faults != nil {
		t.Errorf("generated file: %v, %v", faults, err)
	}
	if _, err := Norms("x.go", []byte("package")); err == nil {
		t.Error("a file that does not parse has no error")
	}
}
