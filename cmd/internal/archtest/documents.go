package archtest

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// links finds the target of each Markdown link; fences are cut out before.
func links(line string) []string {
	var targets []string
	for _, m := range regexp.MustCompile(`\]\(([^()\s]+)\)`).FindAllStringSubmatch(line, -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// A Pages holds the text of Markdown pages by path relative to the root.
type Pages map[string]string

// Links checks that each relative link of each page leads to a file that exists
// says is there, and to a heading of it where it is a page with #heading.
func (p Pages) Links(exists func(rel string) bool) []Fault {
	var faults []Fault
	for name, text := range p {
		for i, line := range prose(text) {
			for _, what := range p.broken(name, line, exists) {
				faults = append(faults, Fault{"link", fmt.Sprintf("%s:%d", name, i+1), what})
			}
		}
	}
	return faults
}

// broken says what is wrong with each link of a line that leads nowhere.
func (p Pages) broken(page, line string, exists func(rel string) bool) []string {
	var all []string
	for _, target := range links(line) {
		if what := p.leads(page, target, exists); what != "" {
			all = append(all, target+": "+what)
		}
	}
	return all
}

// leads says what is wrong with one link, or nothing.
func (p Pages) leads(page, target string, exists func(rel string) bool) string {
	u, err := url.Parse(target)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		return ""
	}
	file := page
	if u.Path != "" {
		file = path.Join(path.Dir(page), u.Path)
	}
	if !exists(file) {
		return "no such file"
	}
	if text, ok := p[file]; ok && u.Fragment != "" && !slices.Contains(headings(text), u.Fragment) {
		return "no such heading"
	}
	return ""
}

// prose is a page's lines with the inside of code fences blanked.
func prose(text string) []string {
	lines := strings.Split(text, "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fenced || fence {
			lines[i] = ""
		}
		fenced = fenced != fence
	}
	return lines
}

// headings are the anchors of a page, formed as the usual forges form them.
func headings(text string) []string {
	var anchors []string
	for _, line := range prose(text) {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		anchors = append(anchors, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title)))
	}
	return anchors
}

// A requirement is one row of the table of docs/conformance.md.
type requirement struct {
	line       int
	id, status string
	tests      []string
}

// tableRow is the cells of a line of a Markdown table, nil for any other line
// and for the rule under the head.
func tableRow(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || strings.Trim(line, "|-: ") == "" {
		return nil
	}
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

var (
	idForm   = regexp.MustCompile(`^[A-Z]+-\d+[a-z]?$`)
	testForm = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)(?:/[^`]*)?`")
)

// requirements are the rows "id | requirement | status | test | notes".
func requirements(text string) []requirement {
	var rows []requirement
	for i, line := range prose(text) {
		cells := tableRow(line)
		if len(cells) != 5 || !idForm.MatchString(cells[0]) {
			continue
		}
		r := requirement{line: i + 1, id: cells[0], status: cells[2]}
		for _, m := range testForm.FindAllStringSubmatch(cells[3], -1) {
			r.tests = append(r.tests, m[1])
		}
		rows = append(rows, r)
	}
	return rows
}

// Conformance checks docs/conformance.md: each id stands once, has one of the
// three statuses, a test when it is not open, and each test it names is one of
// tests. The table of claims may name only ids of the table of requirements.
func Conformance(text string, tests map[string]bool) []Fault {
	var faults []Fault
	seen := map[string]bool{}
	for _, r := range requirements(text) {
		for _, what := range r.faults(seen[r.id], tests) {
			faults = append(faults, Fault{"conformance", fmt.Sprintf("docs/conformance.md:%d", r.line), r.id + " " + what})
		}
		seen[r.id] = true
	}
	return append(faults, claims(text, seen)...)
}

func (r requirement) faults(again bool, tests map[string]bool) []string {
	var what []string
	if again {
		what = append(what, "stands twice")
	}
	if !slices.Contains([]string{"done", "partly", "open"}, r.status) {
		what = append(what, fmt.Sprintf("has status %q, want done, partly or open", r.status))
	}
	if r.status != "open" && len(r.tests) == 0 {
		what = append(what, "is "+r.status+" and names no test")
	}
	for _, name := range r.tests {
		if !tests[name] {
			what = append(what, "names "+name+", which is no test of this tree")
		}
	}
	return what
}

// claims checks the rows "number | claim | ids".
func claims(text string, known map[string]bool) []Fault {
	var faults []Fault
	for i, line := range prose(text) {
		cells := tableRow(line)
		if len(cells) != 3 || strings.Trim(cells[0], "0123456789") != "" {
			continue
		}
		for id := range strings.SplitSeq(cells[2], ",") {
			if id = strings.TrimSpace(id); !known[id] {
				where := fmt.Sprintf("docs/conformance.md:%d", i+1)
				faults = append(faults, Fault{"conformance", where, fmt.Sprintf("claim %s names %q, which is no id of the table", cells[0], id)})
			}
		}
	}
	return faults
}

// Tests are the names of the test and fuzz functions that a Go file declares.
func Tests(source []byte) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(source, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// somebodysPath finds paths that exist on one machine only: homes and the
// folders in which build services work.
var somebodysPath = regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])/(home|root|Users|work|workspaces?|builds?|runner)/`)

// unfinished finds the words that mark a promise to do it later.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

// Words checks one text file for what may not stand in any.
func Words(rel, text string) []Fault {
	var faults []Fault
	n := 0
	for line := range strings.Lines(text) {
		n++
		where := fmt.Sprintf("%s:%d", rel, n)
		if m := somebodysPath.FindString(line); m != "" {
			faults = append(faults, Fault{"words", where, "a path of one machine: " + strings.TrimSpace(m)})
		}
		if m := unfinished.FindString(line); m != "" {
			faults = append(faults, Fault{"words", where, m + ": do it, or say in the documents that it is open"})
		}
	}
	return faults
}
