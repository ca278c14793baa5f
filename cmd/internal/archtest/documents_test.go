package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLinksOfTheDocumentsResolve(t *testing.T) {
	exists := func(rel string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(rel)))
		return err == nil
	}
	for _, f := range pages(t).Links(exists) {
		t.Error(f)
	}
}

func TestConformanceNamesTestsThatExist(t *testing.T) {
	text := pages(t)["docs/conformance.md"]
	if n := len(requirements(text)); n < 40 {
		t.Fatalf("%d requirements read from docs/conformance.md: the table has another form", n)
	}
	files, err := Files(root, "_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, rel := range files {
		source, err := read(root, rel)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range Tests(source) {
			tests[name] = true
		}
	}
	for _, f := range Conformance(text, tests) {
		t.Error(f)
	}
}

func TestNoForbiddenWords(t *testing.T) {
	files, err := Files(root, ".go", ".md", ".toml", ".sh", ".py", "Makefile", ".ci/run", ".ci/packages", ".ci/dist-verify")
	if err != nil {
		t.Fatal(err)
	}
	for _, rel := range files {
		text, err := read(root, rel)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(rel, "cmd/internal/archtest/documents") {
			continue // the words themselves
		}
		for _, f := range Words(rel, string(text)) {
			t.Error(f)
		}
	}
}

func pages(t *testing.T) Pages {
	t.Helper()
	files, err := Files(root, ".md")
	if err != nil {
		t.Fatal(err)
	}
	all := Pages{}
	for _, rel := range files {
		text, err := read(root, rel)
		if err != nil {
			t.Fatal(err)
		}
		all[rel] = string(text)
	}
	return all
}

func TestLinksSeesWhatIsBroken(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"file":              {"[a](../README.md)", 0},
		"no file":           {"[a](README.md)", 1},
		"heading":           {"[a](../README.md#two-words-v2)", 0},
		"no heading":        {"[a](../README.md#three)", 1},
		"own heading":       {"# Here\n[a](#here)", 0},
		"no own heading":    {"[a](#here)", 1},
		"another site":      {"[a](https://example.org/x)", 0},
		"inside a fence":    {"```\n[a](nowhere)\n```", 0},
		"heading in fence":  {"```\n# Here\n```\n[a](#here)", 1},
		"two on one line":   {"[a](x) and [b](y)", 2},
		"after the fence":   {"```\n```\n[a](nowhere)", 1},
		"image":             {"![a](nowhere.png)", 1},
		"not a valid  link": {"[a](%zz)", 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := Pages{"docs/a.md": tc.text, "README.md": "## Two words, `v2`!\n"}
			exists := func(rel string) bool { _, ok := p[rel]; return ok }
			if got := p.Links(exists); len(got) != tc.want {
				t.Errorf("faults %v, want %d", got, tc.want)
			}
		})
	}
}

func TestConformanceSeesEachLie(t *testing.T) {
	tests := map[string]bool{"TestThatIs": true}
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"done":                {"| A-1 | x | done | `TestThatIs` | |", 0},
		"done by a sub-test":  {"| A-1 | x | done | `TestThatIs/deep down` | |", 0},
		"open":                {"| A-1b | x | open | | |", 0},
		"done without a test": {"| A-1 | x | done | | |", 1},
		"partly without one":  {"| A-1 | x | partly | by hand | |", 1},
		"test that is not":    {"| A-1 | x | done | `TestThatIs` `TestThatIsNot` | |", 1},
		"another status":      {"| A-1 | x | nearly | `TestThatIs` | |", 1},
		"twice":               {"| A-1 | x | open | | |\n| A-1 | x | open | | |", 1},
		"claim":               {"| A-1 | x | open | | |\n\n| 3 | x | A-1 |", 0},
		"claim on nothing":    {"| A-1 | x | open | | |\n\n| 3 | x | A-1, A-2 |", 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Conformance(tc.text, tests); len(got) != tc.want {
				t.Errorf("faults %v, want %d", got, tc.want)
			}
		})
	}
}

func TestTestsFindsOnlyDeclarations(t *testing.T) {
	got := Tests([]byte("func TestA(t *testing.T) {\n\t// func TestB(\n}\nfunc FuzzC(f *testing.F) {}\nfunc testD() {}\n"))
	if strings.Join(got, " ") != "TestA FuzzC" {
		t.Errorf("tests %v", got)
	}
}

func TestWordsSeesEachWord(t *testing.T) {
	for text, want := range map[string]int{
		"recordings are in /var/lib/gateway":       0,
		"rooted at /api/v1/builds/x":               0,
		"see /home/somebody/notes":                 1,
		"`/Users/somebody/x`":                      1,
		"// TODO later":                            1,
		"first\n\n// FIXME and /root/x\nlast\n":    2,
		"a mastodon, and XXXL":                     0,
		"rtsp://camera/builds/1 and http://a/root": 0,
	} {
		if got := Words("a.md", text); len(got) != want {
			t.Errorf("%q: %v, want %d", text, got, want)
		}
	}
}
