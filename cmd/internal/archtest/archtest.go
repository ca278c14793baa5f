// Package archtest checks that the tree keeps its own rules: who may import
// whom, how large things may be, and that the documents do not lie. The rules
// and their reasons are in docs/ARCHITECTURE.md; each checker here is a function
// from sources to faults, so that a test can show it broken sources and see it
// object.
package archtest

import "fmt"

// A Fault is one breach of one rule.
type Fault struct {
	Rule  string // "1" to "6" of the import rules, or the name of a norm
	Where string // package, or file:line, relative to the root of the module
	What  string // what is wrong, and what was allowed where that is short
}

// String is the fault on one line, the place first, as compilers write it.
func (f Fault) String() string {
	return fmt.Sprintf("%s: %s (rule %s)", f.Where, f.What, f.Rule)
}
