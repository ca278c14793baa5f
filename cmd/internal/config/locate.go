package config

import (
	"fmt"
	"regexp"
	"strings"
)

// positions tells on which line each key of a file stands. Keys of repeated
// tables carry their index: upper[1].address.
type positions map[string]int

var (
	tableLine = regexp.MustCompile(`^\s*(\[\[?)\s*([A-Za-z0-9_."\- ]+?)\s*\]\]?`)
	keyLine   = regexp.MustCompile(`^\s*([A-Za-z0-9_\-"']+(?:\s*\.\s*[A-Za-z0-9_\-"']+)*)\s*=`)
)

// locate scans a file line by line. It need not understand values: the file was
// parsed already, and a key inside a multi-line string at worst gives a line
// number that is not used.
func locate(text []byte) positions {
	p, prefix, count := positions{}, "", map[string]int{}
	for i, line := range strings.Split(string(text), "\n") {
		if m := tableLine.FindStringSubmatch(line); m != nil {
			prefix = bare(m[2])
			if list, rest, nested := strings.Cut(prefix, "."); nested && count[list] > 0 {
				prefix = fmt.Sprintf("%s[%d].%s", list, count[list]-1, rest) // of the element above it
			}
			if m[1] == "[[" {
				n := count[prefix]
				count[prefix] = n + 1
				prefix = fmt.Sprintf("%s[%d]", prefix, n)
			}
			p.set(prefix, i+1)
			prefix += "."
		} else if m := keyLine.FindStringSubmatch(line); m != nil {
			p.set(prefix+bare(m[1]), i+1)
		}
	}
	return p
}

func bare(key string) string {
	return strings.NewReplacer(`"`, "", "'", "", " ", "").Replace(key)
}

// set remembers the first line of a key, also without indexes.
func (p positions) set(path string, line int) {
	for _, k := range []string{path, unindexed(path)} {
		if _, ok := p[k]; !ok {
			p[k] = line
		}
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

func unindexed(path string) string { return index.ReplaceAllString(path, "") }

func (p positions) has(path string) bool { _, ok := p[path]; return ok }

// of returns the line of a key or, if it is not written, of the nearest table
// around it; 0 if there is none.
func (p positions) of(path string) int {
	for path != "" {
		if n, ok := p[path]; ok {
			return n
		}
		if i := strings.LastIndexByte(path, '['); i > 0 && strings.HasSuffix(path, "]") {
			path = path[:i] // an element of a list
			continue
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return 0
}
